"""Two processes train and measure what one does. This file is also what the processes run."""

import functools
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Trainer

from s2s_lm.data import LmData
from s2s_lm.decoders.linear import LinearDecoder
from s2s_lm.encoders.recurrent import AwdDropout, AwdLstmEncoder
from s2s_lm.losses.cross_entropy import CrossEntropy
from s2s_lm.task import LanguageModeling
from s2s_lm.tokenizers import VocabularyTokenizer


def train(folder, mode):
    processes, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    torch.manual_seed(0)
    tokenizer = VocabularyTokenizer(str(folder / "vocab.txt"))
    none = AwdDropout(0.0, 0.0, 0.0, 0.0, 0.0)
    # penalties are means over a process's own rows, so they are left out of the comparison
    encoder = AwdLstmEncoder(tokenizer.vocab_size, 8, 10, 2, "lstm", True, none, 0.0, 0.0)
    decoder, optimizer = LinearDecoder(8, tokenizer.vocab_size), functools.partial(torch.optim.SGD, lr=0.5)
    task = LanguageModeling(encoder, decoder, CrossEntropy(), tokenizer, optimizer).double()
    files = {split: str(folder / f"{split}.arrow") for split in ("train", "validation", "test")}
    data = LmData(**files, mode=mode, batch_size=6 // processes, segment_length=7)
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = Trainer(
        accelerator="cpu",
        devices=processes,
        strategy="ddp" if processes > 1 else "auto",
        max_epochs=2,
        enable_model_summary=False,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        limit_val_batches=0,
        gradient_clip_val=0.25,
        **quiet,
    )
    if mode == "stream":  # documents are shuffled among the rows of a process, so what is trained on them differs
        trainer.fit(task, datamodule=data)
    found = {"weights": task.state_dict()}
    trainer.limit_val_batches = 1.0
    found |= trainer.validate(task, datamodule=data, verbose=False)[0]
    found |= trainer.test(task, datamodule=data, verbose=False)[0]
    torch.save(found, folder / f"{mode}-{processes}-{rank}.pt")


def torchrun(processes, folder):
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    command = [*launcher, __file__, str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_two_processes_equal_one(prepared):
    for processes in (1, 2):
        torchrun(processes, prepared)
    for mode in ("stream", "documents"):
        one, *two = (torch.load(prepared / f"{mode}-{name}.pt") for name in ("1-0", "2-0", "2-1"))
        for found in two:
            for key in ("val/loss", "val/perplexity", "test/loss", "test/bits_per_character"):
                assert found[key] == pytest.approx(one[key], rel=1e-6), (mode, key)
            for name, value in one["weights"].items():
                torch.testing.assert_close(found["weights"][name], value, rtol=0, atol=1e-9)


if __name__ == "__main__":
    for chosen in ("stream", "documents"):
        train(Path(sys.argv[1]), chosen)
