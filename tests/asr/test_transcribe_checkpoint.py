"""The whole way from a checkpoint file and real speech to text, with an untrained model of real parts."""

import io
import json
import re
import subprocess
import sys
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch

from s2s_asr import audio_input
from s2s_asr.cli.transcribe import main
from s2s_asr.decoders.ctc import CtcDecoder
from s2s_asr.encoders.tdnn import TdnnBlock, TdnnEncoder
from s2s_asr.losses.ctc import CtcLoss
from s2s_asr.task import SpeechToText
from s2s_asr.transcribe import Transcriber
from s2s_core.audio.features import LogMel, Spectrum
from s2s_core.checkpoint import SECTION, section_of
from s2s_core.error_rate import edit_distance
from s2s_core.errors import UserError
from s2s_core.testing import shared_data
from s2s_core.text.tokenizers import CharTokenizer


def untrained(normalise: str) -> SpeechToText:
    torch.manual_seed(3)
    blocks = [TdnnBlock(48, 11, stride=2), TdnnBlock(64, 13, repeat=2, residual=True, separable=True)]
    decoder = CtcDecoder(64, 28)
    torch.nn.init.normal_(decoder.linear.weight, std=1.0)
    return SpeechToText(
        features=LogMel(40, normalise=normalise, spectrum=Spectrum(peak_gain=normalise != "none")),
        encoder=TdnnEncoder(40, blocks),
        decoder=decoder,
        loss=CtcLoss(),
        tokenizer=CharTokenizer(),
        optimizer=partial(torch.optim.SGD, lr=0.1),
    )


@pytest.fixture(scope="module")
def speech():
    return sorted(str(file) for file in shared_data("LibriSpeech").rglob("*.flac"))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory, speech):
    """An untrained model that gives real speech a varied text."""
    task = balanced(untrained("feature"), speech[0])
    path = tmp_path_factory.mktemp("model") / "model.ckpt"
    torch.save({SECTION: section_of(task), "state_dict": task.state_dict()}, path)
    return path


def balanced(task: SpeechToText, file: str) -> SpeechToText:
    """The task with statistics of real speech, and biases that give all labels their share."""
    audio = torch.from_numpy(soundfile.read(file, dtype="float32")[0])[None]
    with torch.no_grad():
        features = task.features(audio, torch.tensor([audio.shape[1]]))
        task.encoder.train()
        for _ in range(30):  # until the running statistics are those of speech
            task.encoder(*features)
        scores, _ = task.eval().logits(audio, torch.tensor([audio.shape[1]]))
        task.decoder.linear.bias -= scores.mean(dim=(0, 1))
        task.decoder.linear.bias[[0, -1]] += scores.std()  # more spaces and blanks
    return task


def test_load_rebuilds_the_recogniser(checkpoint, speech):
    transcriber = Transcriber.load(checkpoint)
    assert not transcriber.task.training
    assert transcriber.frame_samples == 320
    (result,) = transcriber.transcribe(speech[:1])
    assert result.id == speech[0]
    assert len(result.words) > 5


def test_the_package_offers_it_without_importing_torch_first():
    code = "import sys, s2s_asr; assert 'torch' not in sys.modules; print(s2s_asr.Transcriber.__module__)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "s2s_asr.transcribe"


def test_load_names_what_it_cannot_use(checkpoint, tmp_path):
    with pytest.raises(UserError, match=re.escape(str(tmp_path / "none.ckpt"))):
        Transcriber.load(tmp_path / "none.ckpt")
    with pytest.raises(UserError, match="device 'abacus'"):
        Transcriber.load(checkpoint, device="abacus")


@pytest.mark.parametrize("normalise", ["feature", "utterance", "none"])
def test_real_speech_in_chunks_reads_as_the_whole(normalise, speech, tmp_path):
    """Half of the overlap covers the 0.3 s that the encoder sees to each side; loudness differs between the parts."""
    transcriber = Transcriber(balanced(untrained(normalise), speech[0]))
    parts = [soundfile.read(file, dtype="float32")[0] for file in speech[:4]]
    samples = np.concatenate([part / 2**i for i, part in enumerate(parts)])
    soundfile.write(tmp_path / "long.wav", samples, 16_000, subtype="FLOAT")
    (whole,) = transcriber.transcribe([samples], chunk_s=None)
    both = [tmp_path / "long.wav", speech[0]]
    chunked, short = transcriber.transcribe(both, chunk_s=15.0, overlap_s=1.0, batch_seconds=40.0)
    assert len(samples) > 3 * 15 * 16_000
    assert len(whole.words) > 50
    differing = edit_distance(whole.text.split(), chunked.text.split())
    assert differing <= len(whole.words) / 100  # sums in another order tip a tie or two of an untrained model
    assert short.text == transcriber.transcribe(speech[:1])[0].text


def test_real_speech_alone_and_in_any_batch(checkpoint, speech):
    transcriber = Transcriber.load(checkpoint)
    files = [*speech[:5], *sorted(str(file) for file in shared_data("an4").rglob("*.opus"))[:5]]
    alone = [transcriber.transcribe([file])[0].text for file in files]
    for batch_seconds in (30.0, 1000.0):
        assert [t.text for t in transcriber.transcribe(files, batch_seconds=batch_seconds)] == alone
    assert [t.text for t in transcriber.transcribe(files[::-1])] == alone[::-1]


def test_the_command_line_on_files_folders_and_standard_input(checkpoint, speech, tmp_path, capsys, monkeypatch):
    damaged = tmp_path / "damaged.flac"
    damaged.write_bytes(open(speech[0], "rb").read()[:-40_000])  # noqa: PTH123, SIM115
    samples, rate = soundfile.read(speech[1], dtype="float32")
    wav = io.BytesIO()
    soundfile.write(wav, samples, rate, format="WAV", subtype="FLOAT")
    monkeypatch.setattr(audio_input.sys, "stdin", SimpleNamespace(buffer=io.BytesIO(wav.getvalue())))
    arguments = [f"--checkpoint={checkpoint}", "--device=cpu", "--format=json", speech[1], "-", str(tmp_path)]
    assert main(arguments) == 1
    out, err = capsys.readouterr()
    from_file, from_input = (json.loads(line) for line in out.splitlines())
    assert from_file["path"] == speech[1]
    assert from_input["path"] == "-"
    assert from_file["words"] == from_input["words"]
    assert from_file["duration_s"] == pytest.approx(len(samples) / rate, abs=1e-3)
    assert err.splitlines()[0].startswith(f"error: {damaged}: ")
    assert "3 recordings, 1 failed" in err.splitlines()[1]


def test_a_normalised_model_takes_silence_and_the_shortest_sounds(speech):
    transcriber = Transcriber(untrained("feature"))
    quiet = [np.zeros(16_000, dtype=np.float32), np.full(1, 0.1, dtype=np.float32), np.zeros(200, dtype=np.float32)]
    results = transcriber.transcribe([*quiet, speech[0]])
    assert [result.duration_s for result in results[:3]] == [1.0, 0.0, 0.013]
    assert results[3].text == transcriber.transcribe(speech[:1])[0].text
