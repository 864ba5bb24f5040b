import io
import json
from functools import partial

import numpy as np
import pytest
import soundfile
import torch

from s2s_asr.cli.transcribe import main
from s2s_asr.decoders.ctc import CtcDecoder
from s2s_asr.encoders.tdnn import TdnnBlock, TdnnEncoder
from s2s_asr.losses.ctc import CtcLoss
from s2s_asr.search.settings import SearchSettings
from s2s_asr.serving import TranscribeEndpoint
from s2s_asr.task import SpeechToText
from s2s_asr.transcribe import Transcriber
from s2s_core.audio.features import LogMel
from s2s_core.checkpoint import SECTION, section_of
from s2s_core.errors import UserError
from s2s_core.serving.endpoint import TooLong, Upload
from s2s_core.testing.serving import answers_in_any_company
from s2s_core.text.tokenizers import CharTokenizer


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    torch.manual_seed(3)
    decoder = CtcDecoder(16, 28)
    torch.nn.init.normal_(decoder.linear.weight, std=3.0)
    encoder = TdnnEncoder(16, [TdnnBlock(16, 5, stride=2)])
    optimizer = partial(torch.optim.SGD, lr=0.1)
    task = SpeechToText(LogMel(16), encoder, decoder, CtcLoss(), CharTokenizer(), optimizer)
    path = tmp_path_factory.mktemp("model") / "model.ckpt"
    torch.save({SECTION: section_of(task), "state_dict": task.state_dict()}, path)
    return path


def sound(seconds, seed):
    return (0.3 * np.random.default_rng(seed).standard_normal(int(16_000 * seconds))).astype(np.float32)


def upload(samples):
    held = io.BytesIO()
    soundfile.write(held, samples, 16_000, format="WAV", subtype="FLOAT")
    return Upload("a.wav", held)


SOUNDS = [sound(0.5, 0), sound(1.3, 1), sound(0.2, 2)]


def test_answers_are_those_of_the_verb_in_any_company(checkpoint, tmp_path, capsys):
    endpoint = TranscribeEndpoint(Transcriber.load(checkpoint), most_s=10)
    answers = answers_in_any_company(endpoint, [upload(samples) for samples in SOUNDS])
    files = []
    for number, samples in enumerate(SOUNDS):
        files.append(str(tmp_path / f"{number}.wav"))
        soundfile.write(files[-1], samples, 16_000, subtype="FLOAT")
    assert main(["--checkpoint", str(checkpoint), "--device", "cpu", "--format", "json", *files]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row.pop("path") for row in rows] == files
    assert [row["text"] for row in rows] == [answer["text"] for answer in answers]
    assert len({answer["text"] for answer in answers}) == 3
    for row, answer in zip(rows, answers, strict=True):
        assert row.keys() == answer.keys()
        for mine, yours in zip(row["words"], answer["words"], strict=True):
            assert mine == pytest.approx({**yours, "text": mine["text"]}, abs=1e-3)


def test_a_search_gives_the_nbest(checkpoint):
    settings = SearchSettings(nbest=2, beam_width=4)
    endpoint = TranscribeEndpoint(Transcriber.load(checkpoint, search=settings), most_s=10)
    answers = answers_in_any_company(endpoint, [upload(samples) for samples in SOUNDS[:2]], tolerance=1e-2)
    assert [len(answer["nbest"]) for answer in answers] == [2, 2]
    assert answers[0]["nbest"][0]["text"] == answers[0]["text"]
    endpoint.close()


def test_what_cannot_be_heard_is_refused_before_the_model(checkpoint):
    endpoint = TranscribeEndpoint(Transcriber.load(checkpoint), most_s=1)
    with pytest.raises(TooLong, match=r"lasts 1\.3 s, expected at most 1 s"):
        endpoint.prepare(upload(SOUNDS[1]))
    with pytest.raises(UserError, match=r"a\.wav: empty file"):
        endpoint.prepare(Upload("a.wav", io.BytesIO()))
