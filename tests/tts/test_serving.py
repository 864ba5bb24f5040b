import io

import numpy as np
import pytest
import soundfile

from s2s_core.checkpoint import load_task
from s2s_core.errors import UserError
from s2s_core.testing.serving import answers_in_any_company
from s2s_tts.serving import SynthesizeEndpoint
from s2s_tts.synthesize import Synthesizer

TEXTS = ["one two. three four!", "five", "six seven eight one two three"]


@pytest.fixture
def synthesizer(checkpoint, ending):
    return Synthesizer(ending(load_task(checkpoint)))


@pytest.fixture
def style(hums):
    return soundfile.read(hums / "one.wav", dtype="float32")[0]


def test_a_text_sounds_the_same_in_any_company_and_as_the_verb_says_it(synthesizer, style):
    endpoint = SynthesizeEndpoint(synthesizer, 100, style)
    answers = answers_in_any_company(endpoint, [endpoint.asks(text=text, speaker="bob", seed=3) for text in TEXTS])
    for text, answer in zip(TEXTS, answers, strict=True):
        [speech] = synthesizer.synthesize([text], "bob", style, seed=3)
        samples, rate = soundfile.read(io.BytesIO(answer), dtype="float32")
        assert rate == synthesizer.sample_rate_hz
        np.testing.assert_allclose(samples, speech.audio.clip(-1, 1), atol=2e-3)


def test_speakers_are_offered_by_name_and_do_not_share_a_batch(synthesizer, style):
    endpoint = SynthesizeEndpoint(synthesizer, 100, style)
    assert endpoint.asks.model_json_schema()["properties"]["speaker"]["enum"] == ["ann", "bob"]
    asked = [endpoint.asks(text="five"), endpoint.asks(text="five", speaker="bob"), endpoint.asks(text="five", seed=1)]
    assert len({endpoint.key(endpoint.prepare(one)) for one in asked}) == 3


def test_what_cannot_be_said_fails_alone(synthesizer, style):
    endpoint = SynthesizeEndpoint(synthesizer, 100, style)
    answers = endpoint.run([endpoint.prepare(endpoint.asks(text=text)) for text in ("five", "...", "six")])
    assert [isinstance(answer, UserError) for answer in answers] == [False, True, False]
    with pytest.raises(UserError, match="text: is empty"):
        endpoint.prepare(endpoint.asks(text=""))


def test_a_model_of_styles_needs_one(synthesizer):
    with pytest.raises(UserError, match="--style-from: the model needs a recording to imitate"):
        SynthesizeEndpoint(synthesizer, 100)
