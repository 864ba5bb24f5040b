import json

import pytest
import torch

from s2s_core.checkpoint import SECTION, section_of
from s2s_core.errors import UserError
from s2s_core.serving.endpoint import TooLong
from s2s_core.testing.serving import answers_in_any_company
from s2s_lm.cli import generate, score
from s2s_lm.encoders.transformer_xl import TransformerXlEncoder
from s2s_lm.language_model import LanguageModel
from s2s_lm.serving import GenerateEndpoint, GenerateQuestion, ScoreEndpoint, ScoreQuestion

PROMPTS = ["the cat", "", "a dog ran on the\nmat", "the cat sat on the mat and a dog ran"]


@pytest.fixture(params=["lstm", "transformer-xl"])
def model(request, make_task):
    task = make_task()
    if request.param == "transformer-xl":
        size = task.encoder.vocab_size
        task = make_task(encoder=TransformerXlEncoder(size, 8, 2, 2, 16, memory=5, dropout=0.0))
    with torch.no_grad():
        for parameter in task.parameters():
            parameter.mul_(3)  # an untrained model would hardly heed the prompt
    return LanguageModel(task)


@pytest.fixture
def checkpoint(model, tmp_path):
    task = model.task
    torch.save({SECTION: section_of(task), "state_dict": task.state_dict()}, tmp_path / "lm.ckpt")
    return str(tmp_path / "lm.ckpt")


@pytest.mark.parametrize("options", [{}, {"samples": 3, "top_k": 4}, {"beam": 3}, {"one_line": True, "top_p": 0.8}])
def test_prompts_go_on_in_any_company_as_the_verb_does(model, options):
    endpoint = GenerateEndpoint(model, 100, 50)
    asked = [GenerateQuestion(prompt=prompt, tokens=12, seed=5, **options) for prompt in PROMPTS]
    answers = answers_in_any_company(endpoint, asked)
    for one, answer in zip(asked, answers, strict=True):
        search = endpoint.prepare(one).search
        assert answer["texts"] == model.generate(one.prompt, search, one_line=one.one_line)
        assert len(answer["texts"]) == options.get("samples", options.get("beam", 1))
    assert len({answer["texts"][0] for answer in answers}) > 1


def test_the_verb_prints_what_is_answered(model, checkpoint, capsys):
    [answer] = answers_in_any_company(
        GenerateEndpoint(model, 100, 50), [GenerateQuestion(prompt="the", tokens=9, seed=2, samples=2)]
    )
    words = ["the", "--checkpoint", checkpoint, "--tokens", "9", "--seed", "2", "--samples", "2", "--format", "json"]
    assert generate.main([*words, "--device", "cpu"]) == 0
    assert [json.loads(line)["text"] for line in capsys.readouterr().out.splitlines()] == answer["texts"]


def test_what_differs_does_not_share_a_batch(model):
    endpoint = GenerateEndpoint(model, 10, 50)
    keys = {endpoint.key(endpoint.prepare(GenerateQuestion(prompt="a", seed=seed, tokens=5))) for seed in (1, 2)}
    assert len(keys) == 2
    with pytest.raises(TooLong, match="tokens: 51, expected at most 50"):
        endpoint.prepare(GenerateQuestion(tokens=51))
    with pytest.raises(TooLong, match="prompt: 11 characters"):
        endpoint.prepare(GenerateQuestion(prompt="a" * 11, tokens=5))


def test_scores_are_those_of_the_verb_in_any_company(model, checkpoint, tmp_path, capsys):
    endpoint = ScoreEndpoint(model, 1000)
    single = answers_in_any_company(endpoint, [ScoreQuestion(text=text) for text in ("the cat sat", "a zebra", "a")])
    several = answers_in_any_company(endpoint, [ScoreQuestion(text="the cat sat\n\na zebra") for _ in range(2)])
    alone = answers_in_any_company(endpoint, [ScoreQuestion(text="the cat sat\n\na zebra", alone=True)])
    (tmp_path / "text.txt").write_text("the cat sat\n\na zebra\n")
    for answer, more in ((several[0], []), (alone[0], ["--alone"])):
        assert score.main(["--checkpoint", checkpoint, str(tmp_path / "text.txt"), "--format", "json", *more]) == 0
        *rows, total = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert total.pop("total")
        assert answer["total"] == pytest.approx(total)
        assert [row.pop("text") for row in rows] == [line["text"] for line in answer["lines"]]
        for row, line in zip(rows, answer["lines"], strict=True):
            assert {key: line[key] for key in row} == pytest.approx(row)
    assert several[0]["total"]["log_probability"] != pytest.approx(alone[0]["total"]["log_probability"], abs=1e-3)
    assert single[0]["total"]["log_probability"] == pytest.approx(alone[0]["lines"][0]["log_probability"], abs=1e-4)


def test_an_empty_text_has_no_score(model):
    with pytest.raises(UserError, match="text: is empty"):
        ScoreEndpoint(model, 10).prepare(ScoreQuestion(text="\n"))
