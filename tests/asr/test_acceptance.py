"""OpenSeq2Seq's own acceptance test of its recognisers, on real speech: ten utterances must be learnt by heart.

Its settings and thresholds; ten utterances of AN4 stand in for its toy set, and like there training and evaluation data
are the same. Its batch norm kept 0.001 of the running statistics, which is a momentum of 0.999 here.
"""

from __future__ import annotations

import csv
from functools import partial

import pytest
import soundfile
import torch
from lightning.pytorch import Trainer, seed_everything
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader

from s2s_asr.decoders.ctc import CtcDecoder
from s2s_asr.encoders.conv2d import Conv2dSpec
from s2s_asr.encoders.deepspeech2 import DeepSpeech2Encoder
from s2s_asr.encoders.tdnn import TdnnBlock, TdnnEncoder
from s2s_asr.interfaces import SpeechBatch
from s2s_asr.losses.ctc import CtcLoss
from s2s_asr.task import SpeechToText
from s2s_core.audio.features import LogMel, LogSpectrogram, Spectrum
from s2s_core.optim.larc import Larc
from s2s_core.optim.schedules import Polynomial
from s2s_core.testing import shared_data
from s2s_core.text.tokenizers import CharTokenizer

UTTERANCES = 10


def deepspeech2():
    features = LogSpectrogram(160, normalise="utterance", spectrum=Spectrum(centred=False, pre_emphasis=0.0))
    convs = [Conv2dSpec(32, (5, 11), (2, 2)), Conv2dSpec(64, (5, 11), (1, 2))]
    encoder = DeepSpeech2Encoder(
        160,
        convs,
        rnn_layers=1,
        rnn_size=128,
        row_conv_width=8,
        out_features=128,
        dropout=0.1,
        activation_clip=20.0,
        norm_momentum=0.999,
    )
    return features, encoder


def wav2letter():
    features = LogMel(40, normalise="utterance", spectrum=Spectrum(window="none", n_fft=512, centred=False))
    blocks = [TdnnBlock(200, 7, repeat=3, dropout=0.1), TdnnBlock(400, 1, dropout=0.1)]
    return features, TdnnEncoder(40, blocks, norm_momentum=0.999)


@pytest.fixture(scope="module")
def batch() -> SpeechBatch:
    folder = shared_data("an4")
    with (folder / "train.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))[:UTTERANCES]
    audio = [torch.from_numpy(soundfile.read(folder / row["wav_filename"], dtype="float32")[0]) for row in rows]
    tokenizer = CharTokenizer()
    tokens = [torch.tensor(tokenizer.encode(row["transcript"])) for row in rows]
    return SpeechBatch(
        audio=pad_sequence(audio, batch_first=True),
        audio_lengths=torch.tensor([len(samples) for samples in audio]),
        tokens=pad_sequence(tokens, batch_first=True),
        token_lengths=torch.tensor([len(labels) for labels in tokens]),
        ids=[row["wav_filename"] for row in rows],
        texts=[tokenizer.normalise(row["transcript"]) for row in rows],
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("parts", "steps", "precision"),
    [(deepspeech2, 150, "32-true"), (deepspeech2, 150, "bf16-mixed"), (wav2letter, 500, "32-true")],
)
def test_ten_utterances_are_learnt(parts, steps, precision, batch, tmp_path):
    seed_everything(0)
    features, encoder = parts()
    task = SpeechToText(
        features,
        encoder,
        CtcDecoder(encoder.out_features, 28),
        CtcLoss(),
        CharTokenizer(),
        optimizer=partial(torch.optim.SGD, lr=0.01, momentum=0.9),
        schedule=Polynomial(power=2.0),
        larc=Larc(eta=0.001),
    )
    trainer = Trainer(
        accelerator="cpu",
        precision=precision,
        max_steps=steps,
        limit_val_batches=1,
        check_val_every_n_epoch=None,
        val_check_interval=steps,
        num_sanity_val_steps=0,
        log_every_n_steps=10,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    batches = DataLoader([batch] * steps, batch_size=None)
    trainer.fit(task, batches, DataLoader([batch], batch_size=None))
    metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
    assert metrics["train/loss"] < 5.0
    assert metrics["val/loss"] < 30.0
    assert metrics["val/wer"] < 0.1
