import io
from dataclasses import dataclass

from s2s_commands.cli.answers import write_answers
from s2s_core.errors import UserError


@dataclass
class Labelled:
    label: str | None


def written(capsys, answers):
    output = io.StringIO()
    status = write_answers(answers, "picture", lambda source, answer: f"{source.label} as {answer.label}", output)
    return status, output.getvalue().splitlines(), capsys.readouterr().err.splitlines()


def test_accuracy_is_over_what_has_a_label_and_could_be_read(capsys):
    answers = [
        (Labelled("cat"), Labelled("cat")),
        (Labelled("cat"), UserError("b.png: not a picture")),
        (Labelled("dog"), Labelled("cat")),
        (Labelled(None), Labelled("dog")),
    ]
    status, lines, told = written(capsys, answers)
    assert status == 1
    assert lines == ["cat as cat", "dog as cat", "None as dog"]
    assert told == ["error: b.png: not a picture", "4 pictures, 1 failed; accuracy 50.00% over 2 labels"]


def test_without_labels_there_is_no_accuracy(capsys):
    assert written(capsys, [(Labelled(None), Labelled("dog"))]) == (0, ["None as dog"], ["1 picture"])
