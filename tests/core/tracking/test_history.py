import pytest

from s2s_core.errors import UserError
from s2s_core.tracking.history import logged, tables


@pytest.fixture
def run(tmp_path):
    """A run's folder, of the texts of its CSV files by the numbers of its starts."""

    def write(texts):
        for version, text in texts.items():
            folder = tmp_path / "csv" / f"version_{version}"
            folder.mkdir(parents=True)
            (folder / "metrics.csv").write_text(text)
        return tmp_path

    return write


def test_starts_come_by_number_and_cells_without_a_figure_not_at_all(run):
    folder = run({10: "step,epoch,val/wer\n30,2,inf\n", 2: "step,epoch,train/loss,val/wer\n9,0,2.5,\n19,1,,0.5\n"})
    assert [table.parent.name for table in tables(folder)] == ["version_2", "version_10"]
    assert list(logged(folder)) == [("train/loss", 9, 2.5), ("val/wer", 19, 0.5), ("val/wer", 30, float("inf"))]


def test_a_cell_that_is_no_number_is_named(run):
    with pytest.raises(UserError, match=r"metrics\.csv:3: expected numbers"):
        list(logged(run({0: "step,val/wer\n1,0.5\n2,many\n"})))
