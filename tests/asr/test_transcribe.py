import copy
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2s_asr import audio_input
from s2s_asr.audio_input import Waveform
from s2s_asr.decoders.ctc import CtcDecoder
from s2s_asr.interfaces import Encoder
from s2s_asr.transcribe import Transcriber
from s2s_core.errors import UserError
from s2s_core.nn.mask import length_mask
from s2s_core.testing import shared_data
from s2s_core.text.tokenizers import CharTokenizer

soundfile = pytest.importorskip("soundfile")

RATE, HOP, WINDOW, STRIDE, KERNEL = 16_000, 160, 400, 2, 11


class Frames(nn.Module):
    """Log energies of a few bands in centred frames, with no normalisation: what a frame sees is bounded."""

    num_features, sample_rate_hz, hop_ms, hop_samples, needs_whole = 12, RATE, 10.0, HOP, False

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer(
            "bands", torch.randn(WINDOW, self.num_features, generator=torch.Generator().manual_seed(1))
        )

    def output_lengths(self, audio_lengths: Tensor) -> Tensor:
        return torch.div(audio_lengths + HOP - 1, HOP, rounding_mode="floor")

    def forward(self, audio: Tensor, audio_lengths: Tensor, measures=None) -> tuple[Tensor, Tensor]:
        assert measures is None
        lengths = self.output_lengths(audio_lengths)
        padded = F.pad(audio, (WINDOW // 2, WINDOW + HOP))
        features = (padded.unfold(1, WINDOW, HOP) @ self.bands).square().add(1e-3).log()[:, : int(lengths.max())]
        return features * length_mask(lengths, features.shape[1])[..., None], lengths


class Convolution(Encoder):
    """One strided convolution that sees half its kernel of frames to each side."""

    def __init__(self) -> None:
        super().__init__()
        self.in_features, self.out_features = Frames.num_features, 32
        self.conv = nn.Conv1d(self.in_features, self.out_features, KERNEL, STRIDE, KERNEL // 2)

    def output_lengths(self, lengths: Tensor) -> Tensor:
        return torch.div(lengths + STRIDE - 1, STRIDE, rounding_mode="floor")

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        lengths = self.output_lengths(lengths)
        encodings = self.conv(features.transpose(1, 2)).transpose(1, 2).relu()
        return encodings * length_mask(lengths, encodings.shape[1])[..., None], lengths


class Untrained(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.features, self.encoder, self.tokenizer = Frames(), Convolution(), CharTokenizer()
        self.decoder = CtcDecoder(self.encoder.out_features, self.tokenizer.vocab_size)
        with torch.no_grad():
            self.decoder.linear.bias[-1] += 2.0
            self.decoder.linear.bias[0] += 3.0  # spaces, for words of a few letters


@pytest.fixture(scope="module")
def transcriber() -> Transcriber:
    return Transcriber(Untrained())


def speechlike(seconds: float, seed: int = 0, rate: int = RATE) -> np.ndarray:
    """Noise whose level and colour change ten times a second, so that frames differ and each word is short."""
    generator = np.random.default_rng(seed)
    parts = []
    for _ in range(int(seconds * 10)):
        noise = np.convolve(generator.standard_normal(rate // 10), generator.standard_normal(8), "same")
        parts.append(noise * generator.uniform(0.001, 0.08))
    return np.concatenate(parts).astype(np.float32).clip(-0.99, 0.99)


def wav(path, samples, rate=RATE, **kwargs) -> str:
    soundfile.write(path, samples, rate, **kwargs)
    return str(path)


def unchanged(words, start_s, end_s):
    return [word[:3] for word in words if start_s <= word.start_s and word.end_s <= end_s]


def test_words_join_to_the_text_and_lie_in_order_inside_the_recording(transcriber):
    (result,) = transcriber.transcribe([speechlike(5)])
    assert result.id == "#0"
    assert result.duration_s == 5.0
    assert len(result.words) > 3
    assert result.text == " ".join(word.text for word in result.words)
    times = [time for word in result.words for time in (word.start_s, word.end_s)]
    assert times == sorted(times)
    assert 0 <= times[0] < times[-1] <= 5.0
    assert all(0 < word.confidence <= 1 for word in result.words)


def test_text_is_the_best_path_of_the_task(transcriber):
    samples = speechlike(3)
    task = transcriber.task
    with torch.no_grad():
        features, lengths = task.features(torch.from_numpy(samples)[None], torch.tensor([len(samples)]))
        encodings, lengths = task.encoder(features, lengths)
        (ids,) = task.decoder.greedy(task.decoder(encodings, lengths), lengths)
    assert transcriber.transcribe([samples])[0].text == " ".join(task.tokenizer.decode(ids).split())


def test_word_times_are_those_of_the_frames(transcriber, monkeypatch):
    path = " hi  a'b"
    logits = torch.zeros(1, len(path), 29)
    logits[0, torch.arange(len(path)), torch.tensor([CharTokenizer().labels.index(c) for c in path])] = 4.0
    monkeypatch.setattr(transcriber.decoder, "forward", lambda *_: logits)
    (result,) = transcriber.transcribe([np.zeros(len(path) * HOP * STRIDE, dtype=np.float32)])
    frame_s = HOP * STRIDE / RATE
    assert [word.text for word in result.words] == ["hi", "a'b"]
    spans = [(word.start_s, word.end_s) for word in result.words]
    torch.testing.assert_close(spans, [(1 * frame_s, 3 * frame_s), (5 * frame_s, 8 * frame_s)])
    torch.testing.assert_close(result.words[0].confidence, logits[0, 1].softmax(0).max().item())


def test_the_batch_does_not_matter(transcriber):
    sources = [speechlike(seconds, seed) for seed, seconds in enumerate([2.0, 0.7, 5.0, 1.1, 3.3, 0.1])]
    alone = [transcriber.transcribe([source])[0] for source in sources]
    for batch_seconds in (0.5, 6.0, 100.0):
        together = transcriber.transcribe(sources, batch_seconds=batch_seconds)
        assert [(t.text, t.duration_s) for t in together] == [(t.text, t.duration_s) for t in alone]
        assert [t.id for t in together] == [f"#{i}" for i in range(len(sources))]


@pytest.mark.parametrize(("seconds", "chunk_s", "overlap_s"), [(23.0, 4.0, 1.0), (23.0, 5.01, 0.5), (4.05, 4.0, 0.2)])
def test_chunks_give_the_text_of_the_whole(transcriber, seconds, chunk_s, overlap_s):
    """The encoder sees 66 ms to each side: with half an overlap of at least 100 ms even the seams agree."""
    samples = speechlike(seconds)
    (whole,) = transcriber.transcribe([samples], chunk_s=None)
    (chunked,) = transcriber.transcribe([samples], chunk_s=chunk_s, overlap_s=overlap_s, batch_seconds=9.0)
    assert len(whole.words) > 4
    assert unchanged(chunked.words, 0, seconds) == unchanged(whole.words, 0, seconds)
    assert chunked.duration_s == whole.duration_s


def test_without_overlap_only_the_seams_differ(transcriber):
    samples = speechlike(12.0)
    (whole,) = transcriber.transcribe([samples], chunk_s=None)
    (chunked,) = transcriber.transcribe([samples], chunk_s=4.0, overlap_s=0.0)
    for start in (0.0, 4.0, 8.0):
        inside = (start + 0.2, start + 3.8)
        assert unchanged(chunked.words, *inside) == unchanged(whole.words, *inside)


def test_a_long_file_is_read_in_pieces(transcriber, tmp_path, monkeypatch):
    samples = speechlike(20.0)
    file = wav(tmp_path / "long.wav", samples, subtype="FLOAT")
    (whole,) = transcriber.transcribe([samples], chunk_s=None)
    read, largest = soundfile.SoundFile.read, []
    monkeypatch.setattr(audio_input, "BLOCK_S", 0.7)
    monkeypatch.setattr(soundfile.SoundFile, "read", lambda self, n, **kw: largest.append(n) or read(self, n, **kw))
    (chunked,) = transcriber.transcribe([file], chunk_s=3.0, overlap_s=1.0, batch_seconds=4.0)
    assert unchanged(chunked.words, 0, 20.0) == unchanged(whole.words, 0, 20.0)
    assert max(largest) == int(0.7 * RATE)


def test_stereo_and_other_rates_are_mixed_and_resampled(transcriber, tmp_path):
    import torchaudio

    samples = speechlike(4.0, rate=44_100)
    left = speechlike(4.0, seed=9, rate=44_100)
    file = wav(tmp_path / "stereo.wav", np.stack([2 * samples - left, left], axis=1) / 2, 44_100, subtype="FLOAT")
    mono = torchaudio.functional.resample(torch.from_numpy(samples / 2), 44_100, RATE)
    by_file, by_array = transcriber.transcribe([file, mono])
    assert by_file.text == by_array.text
    assert by_file.duration_s == by_array.duration_s == 4.0
    as_waveform = transcriber.transcribe([Waveform(samples / 2, 44_100)])[0]
    assert as_waveform.text == by_array.text


def test_errors_keep_their_place_and_name_their_file(transcriber, tmp_path):
    good = wav(tmp_path / "good.wav", speechlike(1.0))
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "noise.wav").write_bytes(b"no audio at all, only words" * 9)
    none = wav(tmp_path / "none.wav", np.zeros(0))
    nan = wav(tmp_path / "nan.wav", np.full(RATE, np.nan), subtype="FLOAT")
    bad = [none, str(tmp_path / "empty.wav"), nan, str(tmp_path / "noise.wav"), str(tmp_path / "absent.wav")]
    results = list(transcriber.transcribe_each([bad[0], good, *bad[1:], good]))
    assert results[1].text == results[-1].text == transcriber.transcribe([good])[0].text
    for name, error in zip(bad, [results[0], *results[2:-1]], strict=True):
        assert isinstance(error, UserError)
        assert name in str(error)
        assert "\n" not in str(error)
    with pytest.raises(UserError, match=r"nan\.wav"):
        transcriber.transcribe([good, nan])


def test_a_model_that_has_diverged_is_said_and_gives_no_empty_text(transcriber, tmp_path):
    broken = copy.deepcopy(transcriber.task)
    with torch.no_grad():
        next(broken.encoder.parameters()).fill_(float("nan"))
    paths = [wav(tmp_path / name, speechlike(1.0)) for name in ("a.wav", "b.wav")]
    errors = list(Transcriber(broken).transcribe_each(paths))
    assert [str(error) for error in errors] == [
        f"{path}: the model hears values in it that are no numbers" for path in paths
    ]


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_truncated_files_are_refused(transcriber, tmp_path, suffix):
    whole = wav(tmp_path / f"whole.{suffix}", speechlike(30.0))
    cut = tmp_path / f"cut.{suffix}"
    cut.write_bytes(Path(whole).read_bytes()[:-50_000])
    with pytest.raises(UserError, match=re.escape(str(cut))):
        transcriber.transcribe([str(cut)])


def test_shortest_recordings_are_not_fatal(transcriber):
    assert [t.duration_s for t in transcriber.transcribe([np.zeros(1), np.zeros(1600)])] == [0.0, 0.1]


def test_results_come_in_order_while_the_rest_is_still_read(transcriber, monkeypatch):
    monkeypatch.setattr("s2s_asr.transcribe.BATCHES_AHEAD", 1)
    opened, done = [], []

    def sources():
        for i in range(12):
            opened.append(i)
            yield speechlike(1.0 + 0.1 * (i % 3), seed=i)

    results = transcriber.transcribe_each(sources(), batch_seconds=3.0, progress=done.append)
    assert next(results).id == "#0"
    assert len(opened) < 12
    assert [result.id for result in results] == [f"#{i}" for i in range(1, 12)]
    assert sum(done) == pytest.approx(sum(1.0 + 0.1 * (i % 3) for i in range(12)))


def test_progress_counts_overlaps_once(transcriber):
    done = []
    list(transcriber.transcribe_each([speechlike(10.0)], chunk_s=3.0, overlap_s=1.0, progress=done.append))
    assert sum(done) == pytest.approx(10.0)


def test_bfloat16_runs_and_hears_much_the_same(transcriber):
    samples = speechlike(10.0)
    (full,), (low,) = (t.transcribe([samples]) for t in (transcriber, Transcriber(transcriber.task, "bf16")))
    assert len(set(full.text.split()) & set(low.text.split())) > len(set(full.text.split())) / 2


def test_wrong_arguments_are_refused(transcriber):
    with pytest.raises(ValueError, match="fp8"):
        Transcriber(transcriber.task, "fp8")
    with pytest.raises(ValueError, match="chunk_s"):
        transcriber.transcribe([np.zeros(9)], chunk_s=2.0, overlap_s=2.0)
    with pytest.raises(ValueError, match="batch_seconds"):
        transcriber.transcribe([np.zeros(9)], batch_seconds=0)
    with pytest.raises(TypeError, match=r"list of recordings, got the one path 'a\.wav'"):
        transcriber.transcribe("a.wav")
    with pytest.raises(UserError, match="Linear"):
        Transcriber(SimpleNamespace(decoder=nn.Linear(1, 1)))


def test_real_recordings_in_flac_and_opus(transcriber):
    speech = sorted(str(file) for file in shared_data("LibriSpeech").rglob("*.flac"))[:4]
    speech += sorted(str(file) for file in shared_data("an4").rglob("*.opus"))[:4]
    together = transcriber.transcribe(speech)
    alone = [transcriber.transcribe([file], chunk_s=5.0, overlap_s=1.0)[0] for file in speech]
    assert [t.text for t in together] == [t.text for t in alone]
    assert all(t.duration_s == pytest.approx(soundfile.info(t.id).duration, abs=1e-3) for t in together)
