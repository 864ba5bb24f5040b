import os

import pytest

from s2s_core.cli.output import output_file
from s2s_core.errors import UserError


def test_what_cannot_be_written_is_refused_before_the_work(tmp_path):
    with pytest.raises(UserError, match=r"--json .*absent/a\.json: no folder '.*absent'"):
        output_file("--json", str(tmp_path / "absent" / "a.json"))
    with pytest.raises(UserError, match=r"--json .*: is a folder, expected a file"):
        output_file("--json", str(tmp_path))


def test_a_file_in_the_way_is_replaced_only_later(tmp_path):
    (tmp_path / "a.json").write_text("old")
    assert output_file("--json", str(tmp_path / "a.json")) == tmp_path / "a.json"
    assert (tmp_path / "a.json").read_text() == "old"


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_folder_that_may_not_be_written_to_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match="not writable"):
        output_file("--json", str(tmp_path / "a.json"))
