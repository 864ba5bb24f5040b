import io
import json
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch

from s2s_asr.cli import stream as verb
from s2s_asr.decoders.ctc import CtcDecoder
from s2s_asr.encoders.tdnn import TdnnBlock, TdnnEncoder
from s2s_asr.losses.ctc import CtcLoss
from s2s_asr.task import SpeechToText
from s2s_asr.transcribe import Transcriber
from s2s_core.audio.features import LogMel, Spectrum
from s2s_core.errors import UserError
from s2s_core.text.tokenizers import CharTokenizer

RATE = 16000


@pytest.fixture
def model(monkeypatch):
    """An untrained model that hears something in noise, whatever checkpoint is asked for."""
    torch.manual_seed(0)
    task = SpeechToText(
        features=LogMel(10, normalise="none", spectrum=Spectrum(peak_gain=False)),
        encoder=TdnnEncoder(10, [TdnnBlock(16, 5, stride=2)]),
        decoder=CtcDecoder(16, 28),
        loss=CtcLoss(),
        tokenizer=CharTokenizer(),
        optimizer=partial(torch.optim.SGD, lr=0.1),
    )
    torch.nn.init.normal_(task.decoder.linear.weight, std=3.0)
    made = Transcriber(task)
    with torch.no_grad():
        task.decoder.linear.bias -= task.logits(0.1 * torch.randn(1, RATE), torch.tensor([RATE]))[0].mean(dim=(0, 1))
    monkeypatch.setattr(Transcriber, "load", lambda path, device, precision: made)
    return made


@pytest.fixture
def noise(tmp_path):
    samples = np.random.default_rng(0).normal(0, 0.1, 2 * RATE).astype(np.float32)
    soundfile.write(tmp_path / "noise.wav", samples, RATE, subtype="PCM_16")
    return str(tmp_path / "noise.wav")


def rows(capsys):
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_file_as_json(model, noise, capsys):
    assert verb.main([noise, "--checkpoint", "x", "--format", "json"]) == 0
    found = rows(capsys)
    assert [row["type"] for row in found].count("final") == 1
    assert found[-1]["type"] == "final"
    assert len(found) > 2
    expected = model.transcribe([noise], chunk_s=None)[0]
    assert found[-1]["text"] == expected.text
    assert [word["start_s"] for word in found[-1]["words"]] == [word.start_s for word in expected.words]
    assert found[-1]["start_s"] == expected.words[0].start_s
    assert found[-1]["end_s"] == expected.words[-1].end_s
    assert all(0 <= word["confidence"] <= 1 for word in found[-1]["words"])


def test_text_and_latency(model, noise, capsys):
    assert verb.main([noise, "--checkpoint", "x", "--chunk-s", "0.5"]) == 0
    found = capsys.readouterr()
    expected = model.transcribe([noise], chunk_s=None)[0]
    *partials, final = found.out.splitlines()
    assert final == f"{expected.words[0].start_s:.2f} {expected.words[-1].end_s:.2f} {expected.text}"
    assert partials
    assert all(line.startswith("~ ") for line in partials)
    assert "exact: latency 0.53 s (a chunk of 0.5 s and 0.03 s ahead)" in found.err  # 2 frames and half a window
    assert verb.main([noise, "--checkpoint", "x", "--no-partials"]) == 0
    assert capsys.readouterr().out.splitlines() == [final]


@pytest.mark.parametrize("raw", [True, False])
def test_standard_input(model, noise, capsys, monkeypatch, raw):
    content = Path(noise).read_bytes()
    data = io.BytesIO(content[44:] if raw else content)
    monkeypatch.setattr(verb.sys, "stdin", SimpleNamespace(buffer=data))
    assert verb.main(["--checkpoint", "x", "--format", "json", "--no-partials"]) == 0
    assert rows(capsys)[-1]["text"] == model.transcribe([noise], chunk_s=None)[0].text


def test_an_interrupt_makes_what_was_heard_final(model, noise, capsys, monkeypatch):
    def blocks(*arguments):
        yield torch.from_numpy(soundfile.read(noise, dtype="float32")[0])[: RATE // 2]
        raise KeyboardInterrupt

    monkeypatch.setattr(verb, "_blocks", blocks)
    assert verb.main([noise, "--checkpoint", "x", "--format", "json"]) == 130
    assert rows(capsys)[-1]["type"] == "final"


def test_a_terminal_sees_partials_written_over(model, noise, capsys, monkeypatch):
    monkeypatch.setattr(verb.sys.stdout, "isatty", lambda: True, raising=False)
    verb.main([noise, "--checkpoint", "x"])
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert out.count("\r\033[K") > 2


def test_mistakes(model, tmp_path, capsys, monkeypatch):
    with pytest.raises(UserError, match="no such file"):
        verb.main([str(tmp_path / "none.wav"), "--checkpoint", "x"])
    monkeypatch.setattr(verb.sys, "stdin", SimpleNamespace(buffer=io.BytesIO()))
    with pytest.raises(UserError, match="standard input: empty"):
        verb.main(["--checkpoint", "x"])
    with pytest.raises(UserError, match="expected seconds"):
        verb.main(["a.wav", "--checkpoint", "x", "--chunk-s", "0"])
