import subprocess
import sys

import pytest

from s2s_core.nn.native import compiled

SOURCE = """
#include "barrier.h"
#include "team.h"

// bits of the members that met; every one waits for all others
extern "C" int met(int count) {
    Barrier barrier(count);
    std::atomic<int> bits{0};
    on_team(count, [&](int64_t member) {
        barrier.wait();
        bits |= 1 << member;
        barrier.wait();
    });
    return bits;
}

extern "C" int lent(int count) { return torch_lends(count); }
"""

ASK = """
import ctypes, sys
if sys.argv[2] == "torch":
    import torch
library = ctypes.CDLL(sys.argv[1])
print(library.lent(2), *(library.met(count) for count in (1, 2, 3, 5)))
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    source = tmp_path_factory.mktemp("team") / "met.cpp"
    source.write_text(SOURCE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("S2S_CACHE_DIR", str(source.parent))
        return compiled(source)


@pytest.mark.skipif(sys.platform != "linux", reason="torch's libgomp is Linux's")
@pytest.mark.parametrize(("loaded", "lent"), [("torch", 1), ("nothing", 0)])
def test_all_members_run_at_once_on_torchs_threads_or_their_own(library, loaded, lent):
    command = [sys.executable, "-c", ASK, str(library), loaded]
    asked = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert asked.stdout.split() == [str(lent), "1", "3", "7", "31"], asked.stderr
