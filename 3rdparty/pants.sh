#!/usr/bin/env bash
# Runs Pants: the launcher where it is installed, else the version that pants.toml names, from a package index.
#
#     3rdparty/pants.sh list ::
#
# The launcher fetches Pants and its helper `pex` from GitHub. Where only an index can be reached, both are made here once,
# in S2S_PANTS_HOME (default: ~/.cache/s2s/pants-VERSION); Pants from the index runs on Python 3.9 alone (PANTS_PYTHON).
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
version=$(sed -n 's/^pants_version = "\(.*\)"$/\1/p' "$root/pants.toml")
# the one that this Pants asks for by default
pex_version=2.1.137

cd "$root"
if [[ -z ${S2S_PANTS_HOME:-} ]] && command -v pants >/dev/null; then
    exec pants "$@"
fi

find_python() {
    local candidate
    for candidate in ${PANTS_PYTHON:+"$PANTS_PYTHON"} python3.9 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.9.*/bin/python; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 9))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo "error: Pants $version from a package index needs Python 3.9: PANTS_PYTHON=/path/to/python3.9 $0 ..." >&2
    exit 2
}

bootstrap() {
    local python partial
    python=$(find_python)
    echo "installing Pants $version in $home" >&2
    mkdir -p "$(dirname "$home")"
    partial=$(mktemp -d "$home.XXXXXX")
    trap 'rm -rf "$partial"' EXIT
    # made under a name of its own and then renamed, so that what was interrupted is not taken for whole
    "$python" -m venv "$partial/tools"
    "$partial/tools/bin/python" -m pip install --quiet "pex==$pex_version" setuptools wheel
    "$partial/tools/bin/python" -m pex "pex==$pex_version" --console-script pex --output-file "$partial/pex"
    "$python" -m venv "$partial/venv"
    "$partial/venv/bin/python" -m pip install --quiet "pantsbuild.pants==$version" 'setuptools<81'
    rm -rf "$partial/tools"
    mv "$partial" "$home"
    trap - EXIT
}

home=${S2S_PANTS_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/s2s/pants-$version}
[[ -x $home/venv/bin/python && -f $home/pex ]] || bootstrap

# Pants checks what it would have downloaded: this file in place of the one on GitHub, under this file's own sum and size.
sum=$(sha256sum "$home/pex" | cut -d ' ' -f 1)
size=$(wc -c <"$home/pex" | tr -d ' ')
known=$(for platform in linux_x86_64 linux_arm64 macos_x86_64 macos_arm64; do
    printf "'v%s|%s|%s|%s'," "$pex_version" "$platform" "$sum" "$size"
done)
export PANTS_PEX_CLI_URL_TEMPLATE="file://$home/pex" PANTS_PEX_CLI_KNOWN_VERSIONS="[$known]"
exec "$home/venv/bin/python" -m pants "$@"
