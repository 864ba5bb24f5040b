import functools
import json

import pytest
import torch

from s2s_core.decoding.beam_search import BeamSearch
from s2s_core.errors import UserError
from s2s_core.nn.transformer import LayerSpec
from s2s_core.serving.endpoint import TooLong
from s2s_core.testing.serving import answers_in_any_company
from s2s_core.text.sentences import WordTokenizer
from s2s_nmt.cli.translate import FORMATS
from s2s_nmt.decoders.transformer import TransformerDecoder
from s2s_nmt.encoders.transformer import TransformerEncoder
from s2s_nmt.losses.cross_entropy import CrossEntropyLoss
from s2s_nmt.serving import TranslateEndpoint, TranslateQuestion
from s2s_nmt.task import TextToText
from s2s_nmt.translate import Translator

WORDS = [f"w{i}" for i in range(20)]
TEXTS = ["w1 w2 w3", "w4\n\nw5 w6 w7 w8", "w3 w2", "w19 w18 w17 w16 w15"]


@pytest.fixture(scope="module")
def endpoint():
    torch.manual_seed(3)
    spec = LayerSpec(features=16, heads=2, inner=24, dropout=0.0)
    task = TextToText(
        encoder=TransformerEncoder(24, layers=1, layer=spec, positions="learned", max_length=8),
        decoder=TransformerDecoder(16, 24, layers=1, layer=spec),
        loss=CrossEntropyLoss(),
        source_tokenizer=WordTokenizer(WORDS),
        optimizer=functools.partial(torch.optim.AdamW, lr=1e-3),
        search=BeamSearch(3, max_length_ratio=1.0, max_length_extra=4),
    )
    with torch.no_grad():
        for parameter in task.parameters():
            parameter.mul_(2)  # an untrained model would hardly heed the text
    return TranslateEndpoint(Translator(task.eval()), most_characters=60)


def asked(*texts, **search):
    return [TranslateQuestion(text=text, **search) for text in texts]


def test_answers_are_those_of_the_verb_in_any_company(endpoint):
    answers = answers_in_any_company(endpoint, asked(*TEXTS))
    assert len({answer["text"] for answer in answers}) == len(TEXTS)
    for text, answer in zip(TEXTS, answers, strict=True):
        lines = endpoint.translator.translate_each(text.split("\n"))
        rows = [json.loads(FORMATS["json"](number, line, False)) for number, line in enumerate(lines)]
        assert [row["text"] for row in rows] == [row["text"] for row in answer["lines"]] == answer["text"].split("\n")
        assert [row.keys() for row in rows] == [row.keys() for row in answer["lines"]]


def test_a_search_of_ones_own(endpoint):
    [answer] = answers_in_any_company(endpoint, asked("w1 w2", beam_width=4, nbest=4))
    assert len(answer["lines"][0]["nbest"]) == 4
    greedy = endpoint.prepare(asked("w1 w2", beam_width=1)[0])
    assert greedy.search.beam_width == 1
    assert endpoint.key(greedy) != endpoint.key(endpoint.prepare(asked("w1 w2")[0]))
    with pytest.raises(UserError, match=r"search: nbest must be between 1 and beam_width \(2\), got 3"):
        endpoint.prepare(asked("w1", beam_width=2, nbest=3)[0])


def test_one_text_that_the_model_cannot_take_fails_alone_and_names_its_own_line(endpoint):
    batch = [endpoint.prepare(one) for one in asked("w1 w2", "w3\n" + "w4 " * 9, "w5")]
    answers = endpoint.run(batch)
    assert [isinstance(answer, UserError) for answer in answers] == [False, True, False]
    assert str(answers[1]).startswith("sentence 2: ")


def test_empty_and_endless_texts(endpoint):
    with pytest.raises(UserError, match="text: is empty"):
        endpoint.prepare(asked("\n \n")[0])
    with pytest.raises(TooLong, match="61 characters, expected at most 60"):
        endpoint.prepare(asked("x" * 61)[0])
