import json

import pytest
import torch

from s2s_core.checkpoint import SECTION, section_of
from s2s_core.errors import UserError
from s2s_core.testing.serving import answers_in_any_company
from s2s_lm.cli.classify import main
from s2s_lm.sentiment.classifier import SentimentClassifier
from s2s_lm.sentiment.serving import ClassifyQuestion, ClassifyTextEndpoint

TEXTS = ["a wonderful film", "dull", "the plot was dull and the actors were worse than the plot"]


def test_answers_are_those_of_the_verb_in_any_company(make_classifier, tmp_path, capsys):
    task = make_classifier()
    endpoint = ClassifyTextEndpoint(SentimentClassifier(task), 100)
    answers = answers_in_any_company(endpoint, [ClassifyQuestion(text=text) for text in TEXTS], tolerance=1e-5)
    torch.save({SECTION: section_of(task), "state_dict": task.state_dict()}, tmp_path / "model.ckpt")
    words = [word for text in TEXTS for word in ("--text", text)]
    assert main(["--checkpoint", str(tmp_path / "model.ckpt"), "--device", "cpu", "--format", "json", *words]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    for row, answer in zip(rows, answers, strict=True):
        assert (row["text"], row["label"]) == (answer["text"], answer["label"])
        assert row["probabilities"] == pytest.approx(answer["probabilities"])
    with pytest.raises(UserError, match="text: is empty"):
        endpoint.prepare(ClassifyQuestion(text=" "))
