import pytest

from s2s_core.errors import UserError
from s2s_core.report.run_files import read_run


def test_everything_a_run_left_is_found(run):
    found = read_run(run)
    assert found.curves == {"train/loss": [(9, 2.5)], "val/wer": [(9, 0.5), (19, 0.25)]}
    samples = {(sample.key, sample.kind): sample for sample in found.samples}
    assert set(samples) == {("val/transcripts", "table"), ("val/features", "image"), ("val/audio", "audio")}
    table = samples["val/transcripts", "table"]
    assert table.step == 19
    assert b"| good | better <b> |" in table.content
    assert samples["val/features", "image"].content.startswith(b"\x89PNG")
    assert samples["val/audio", "audio"].content.startswith(b"RIFF")
    assert found.checkpoints == [("best.ckpt", 1000)]
    assert found.machine["cores"] == 2


def test_what_is_no_run_is_named(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        read_run(tmp_path / "absent")
    with pytest.raises(UserError, match=r"expected a run's folder"):
        read_run(tmp_path)
    (tmp_path / "csv" / "version_0").mkdir(parents=True)
    (tmp_path / "csv" / "version_0" / "metrics.csv").write_text("step,val/wer\n1,many\n")
    with pytest.raises(UserError, match=r"metrics.csv:2: expected numbers"):
        read_run(tmp_path)
