import math

import numpy as np
import pytest
import soundfile
import torch
from lightning.pytorch import Trainer, seed_everything

from s2s_core.data.audio_files import AudioInfo
from s2s_core.data.manifests import recording_cut
from s2s_core.data.speech import CutTable
from s2s_core.errors import UserError
from s2s_tts.interfaces import Spectrogram
from s2s_tts.spectrogram import MelSpectrogram
from s2s_tts.vocoder_data import Geometry, Stretches, VocoderData
from s2s_tts.vocoder_task import VocoderTraining
from s2s_tts.vocoders.upsampling import TransposedConvolutions
from s2s_tts.vocoders.wavenet import WaveNet
from s2s_tts.vocoders.wavenet_network import WaveNetShape

FEATURES = MelSpectrogram(10, 8000, 64, mel_floor=1e-3)
SHAPE = WaveNetShape(2, 3, 2, 12, 12, 16, 32)
LENGTHS = [1000, 333, 40]


def tones(lengths):
    rng = np.random.default_rng(0)
    return [
        0.5 * np.sin(0.3 * np.arange(n) * (1 + 0.1 * i)) + 0.02 * rng.standard_normal(n) for i, n in enumerate(lengths)
    ]


@pytest.fixture
def manifest(tmp_path):
    from lhotse import CutSet

    cuts = []
    for i, samples in enumerate(tones(LENGTHS)):
        path = tmp_path / f"{i}.wav"
        soundfile.write(path, samples, 8000, subtype="FLOAT")
        cuts.append(recording_cut(f"r{i}", path, AudioInfo(len(samples), 8000, 1), ""))
    CutSet.from_cuts(cuts).to_file(tmp_path / "cuts.jsonl.gz")
    return str(tmp_path / "cuts.jsonl.gz")


def task(upsampling=None):
    torch.manual_seed(0)
    adam = lambda parameters: torch.optim.Adam(parameters, lr=5e-3)  # noqa: E731
    return VocoderTraining(WaveNet(FEATURES, SHAPE, upsampling), adam).eval()


def stretches_of(manifest, samples, keep_audio=False):
    geometry = Geometry.of(FEATURES, SHAPE.receptive_field)
    return Stretches(CutTable.load([manifest]), samples, 8000, geometry, keep_audio)


def test_every_sample_counts_once(manifest):
    table = stretches_of(manifest, 128)
    batch = table.__getitems__(list(range(len(table)))).batch
    counted = {}
    for name, begin, end in zip(batch.ids, batch.begins.tolist(), batch.ends.tolist(), strict=True):
        counted[name] = counted.get(name, 0) + end - begin
    assert counted == {"r0": 1000, "r1": 333, "r2": 40}
    assert (batch.audio.size(1) - 2 * batch.margin) % 16 == 0


def test_kept_audio_gives_the_same_batches_twice(manifest):
    expected = stretches_of(manifest, 128).__getitems__([0, 1, 9]).batch.audio
    kept = stretches_of(manifest, 128, keep_audio=True)
    for _ in range(2):
        assert torch.equal(kept.__getitems__([0, 1, 9]).batch.audio, expected)


@pytest.mark.parametrize(("keep_audio_mb", "decoded"), [(1, 3), (0, 2 * (8 + 3 + 1))])
def test_a_recording_is_decoded_once_where_memory_allows(manifest, monkeypatch, keep_audio_mb, decoded):
    read, files = CutTable.audio, []
    monkeypatch.setattr(CutTable, "audio", lambda cuts, index, rate: files.append(index) or read(cuts, index, rate))
    data = VocoderData(manifest, segment_samples=128, batch_size=4, keep_audio_mb=keep_audio_mb)
    trainer = Trainer(
        max_epochs=2, logger=False, enable_checkpointing=False, enable_progress_bar=False, accelerator="cpu"
    )
    trainer.fit(task(), datamodule=data)
    assert len(files) == decoded


@pytest.mark.parametrize("upsampling", [None, TransposedConvolutions(10, [4, 4])])
@torch.no_grad()
def test_a_stretch_has_the_scores_of_the_whole_recording(manifest, upsampling):
    module = task(upsampling)
    whole, _ = module.scores(stretches_of(manifest, 1024).__getitems__([0]).batch)
    table = stretches_of(manifest, 128)
    for index, (cut, first) in enumerate(table.places):
        if cut == 0:
            batch = table.__getitems__([index, 11]).batch  # beside one of another length
            scores, _ = module.scores(batch)
            begin, end = int(batch.begins[0]), int(batch.ends[0])
            if upsampling is not None and first + 128 < 1000:
                end -= 16  # the learnt filter reaches into the next frame, which an inner stretch has not
            torch.testing.assert_close(scores[0, begin:end], whole[0, first : first + end - begin])


def test_the_loss_is_the_mean_over_what_counts(manifest):
    module = task()
    batch = stretches_of(manifest, 256).__getitems__([0, 4, 6]).batch
    loss = module._loss(batch)
    scores, levels = module.scores(batch)
    logs = scores.log_softmax(-1).gather(2, levels[..., None])[..., 0]
    expected = [logs[i, begin:end] for i, (begin, end) in enumerate(zip(batch.begins, batch.ends, strict=True))]
    torch.testing.assert_close(loss.mean, -torch.cat(expected).mean())
    assert loss.weight == sum(len(row) for row in expected)


@pytest.mark.slow
def test_it_learns_a_tone_and_speaks_it(manifest, tmp_path):
    seed_everything(1)
    module = task()
    data = VocoderData(manifest, manifest, segment_samples=256, batch_size=4)
    trainer = Trainer(
        max_epochs=30, logger=False, enable_checkpointing=False, enable_progress_bar=False, accelerator="cpu"
    )
    trainer.fit(module, datamodule=data)
    assert trainer.callback_metrics["val/loss"] < 0.6 * math.log(32)
    assert trainer.callback_metrics["val/bits"] == pytest.approx(trainer.callback_metrics["val/loss"] / math.log(2))
    audio = torch.from_numpy(tones(LENGTHS)[0])[None].float()
    mel, frames = FEATURES(audio, torch.tensor([1000]))
    spoken = module.vocoder.eval()(Spectrogram(mel, frames))
    spectrum = torch.fft.rfft(spoken[0]).abs()
    assert abs(int(spectrum.argmax()) / len(spoken[0]) * 2 * math.pi - 0.3) < 0.02


def test_mistakes_are_named(manifest):
    def fit(**changed):
        trainer = Trainer(max_epochs=1, logger=False, enable_checkpointing=False, enable_progress_bar=False)
        trainer.fit(task(), datamodule=VocoderData(**changed))

    with pytest.raises(UserError, match="train: no manifest given"):
        fit(segment_samples=128)
    with pytest.raises(UserError, match="multiple of a frame's 16, got 100"):
        fit(train=manifest, segment_samples=100)
    with pytest.raises(ValueError, match="must be positive"):
        VocoderData(batch_size=0)


def test_benchmark_batches_are_what_a_step_takes():
    module = task()
    batch = module.bench_batch(0.05, 2)
    assert torch.isfinite(module.loss_of(batch))
    assert module.units_of(batch)["samples"] == 2 * 400  # 25 frames
