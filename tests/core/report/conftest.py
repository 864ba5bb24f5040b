import json

import numpy as np
import pytest
import torch
from lightning.pytorch.loggers import TensorBoardLogger

from s2s_core.tracking.samples import show_audio, show_picture, show_table


@pytest.fixture
def run(tmp_path):
    """A run's folder as two starts of a fit leave it."""
    for version, text in ((0, "step,epoch,train/loss,val/wer\n9,0,2.5,\n9,0,,0.5\n"), (1, "step,val/wer\n19,0.25\n")):
        folder = tmp_path / "csv" / f"version_{version}"
        folder.mkdir(parents=True)
        (folder / "metrics.csv").write_text(text)
    (tmp_path / "config.yaml").write_text("model: <script>alert(1)</script>\n")
    (tmp_path / "machine.json").write_text(json.dumps({"cores": 2, "commit": "abc", "before": [{"started": "then"}]}))
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "best.ckpt").write_bytes(b"x" * 1000)
    board = TensorBoardLogger(tmp_path, name="tensorboard")
    for step, text in ((9, "worse"), (19, "better <b>")):
        show_table([board], "val/transcripts", ["reference", "recognised"], [["good", text]], step)
    show_picture([board], "val/features", np.full((4, 6, 3), 200, dtype=np.uint8), 9)
    show_audio([board], "val/audio", torch.zeros(800), 16000, 9)
    board.experiment.flush()
    return tmp_path
