"""The verb: what goes in and comes out, with a model that says what it was told."""

import io
import json
import sys

import pytest

from s2s_core.decoding.beam_search import BeamSearch
from s2s_core.decoding.sampling import Sampling
from s2s_core.errors import UserError
from s2s_nmt.cli import translate as verb
from s2s_nmt.translate import Candidate, Translation, Translator


class Shouting:
    """Stands in for a model: translates to capitals."""

    def __init__(self):
        self.search = BeamSearch(5, length_penalty=0.9, min_length=1)

    def translate_each(self, sources, search=None, prefixes=None, progress=None, **batches):
        self.used, self.batches = search, batches
        self.prefixes = prefixes if prefixes is None else [next(iter(prefixes))]
        for source in sources:
            if isinstance(source, UserError):
                yield source
                continue
            if progress:
                progress(1)
            pieces, count = source.upper().split(), search.describe()["init_args"].get("nbest", 1)
            candidates = [Candidate(source.upper(), -0.5 - i, -1.0 - i, True, pieces, None) for i in range(count)]
            yield Translation(source, source.split(), candidates if source else [])


@pytest.fixture
def model(monkeypatch):
    model = Shouting()
    monkeypatch.setattr(verb, "keep_freed_memory", lambda: True)  # it would change the tests' own process
    monkeypatch.setattr(Translator, "load", lambda *arguments: model.__dict__.update(loaded=arguments) or model)
    return model


@pytest.fixture
def standard_input(monkeypatch):
    def give(data):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))

    return give


def run(*arguments):
    return verb.main(["--checkpoint", "model.ckpt", "--device", "cpu", *map(str, arguments)])


def test_lines_of_standard_input(model, standard_input, capsys):
    standard_input("ein Haus\n\nzwei Häuser\u2028x".encode())
    assert run() == 0
    out, err = capsys.readouterr()
    assert out == "EIN HAUS\n\nZWEI HÄUSER\u2028X\n"
    assert err.startswith("3 sentences in ")
    assert err.endswith("tokens/s\n")
    assert [str(part) for part in model.loaded] == ["model.ckpt", "cpu", "fp32", "False"]
    assert model.used.describe() == BeamSearch(5, length_penalty=0.9, min_length=1).describe()


def test_files_one_after_the_other_and_an_output_file(model, tmp_path, capsys):
    first, second, output = tmp_path / "a.txt", tmp_path / "b.txt", tmp_path / "out.txt"
    first.write_text("\ufeffeins\r\nzwei\n", encoding="utf-8")
    second.write_text("drei", encoding="utf-8")
    assert run(first, second, "--output", output, "--precision", "bf16", "--int8", "--batch-sentences", 7) == 0
    assert output.read_text(encoding="utf-8") == "EINS\nZWEI\nDREI\n"
    assert capsys.readouterr().out == ""
    assert model.loaded[2:] == ("bf16", True)
    assert model.batches == {"batch_tokens": 4096, "batch_sentences": 7}


def test_a_line_that_is_not_text_is_named_and_stays_empty(model, standard_input, capsys):
    standard_input(b"eins\nz\xffwei\ndrei\n")
    assert run() == 1
    out, err = capsys.readouterr()
    assert out == "EINS\n\nDREI\n"
    assert "error: standard input, line 2: not UTF-8 at byte 2\n" in err
    assert "1 failed" in err


def test_several_translations_of_each_line(model, standard_input, capsys):
    standard_input(b"a\nb\n")
    assert run("--nbest", 2) == 0
    rows = ["0 ||| A ||| -0.5000", "0 ||| A ||| -1.5000", "1 ||| B ||| -0.5000", "1 ||| B ||| -1.5000"]
    assert capsys.readouterr().out.splitlines() == rows


def test_json_holds_everything(model, standard_input, capsys):
    standard_input(b"a b\n\n\xff\n")
    assert run("--format", "json", "--nbest", 2) == 1
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    entry = {"text": "A B", "score": -0.5, "log_probability": -1.0, "finished": True, "tokens": ["A", "B"]}
    second = entry | {"score": -1.5, "log_probability": -2.0}
    first = {"line": 1, "source": "a b", "text": "A B", "score": -0.5, "source_tokens": ["a", "b"]}
    assert rows[0] == first | {"nbest": [entry, second]}
    assert rows[1] == {"line": 2, "source": "", "text": "", "nbest": []}
    assert rows[2] == {"line": 3, "error": "standard input, line 3: not UTF-8 at byte 1"}


def test_alignments_are_told_where_there_are_any():
    import torch

    attention = torch.tensor([[0.1, 0.9], [0.8, 0.2]])
    result = Translation("a", ["a", "</s>"], [Candidate("x y", 0.0, 0.0, True, ["x", "y"], attention)])
    assert json.loads(verb.FORMATS["json"](0, result, False))["nbest"][0]["alignment"] == [1, 0]


def test_search_options_change_the_models_own_search(model, standard_input):
    standard_input(b"a\n")
    run("--beam-width", 2, "--coverage-penalty", 0.1, "--max-length-extra", 9, "--no-repeat-ngram", 3)
    expected = BeamSearch(2, 0.9, 0.1, min_length=1, max_length_extra=9, no_repeat_ngram=3)
    assert model.used.describe() == expected.describe()


def test_sampling(model, standard_input):
    standard_input(b"a\n")
    run("--sample", "--nbest", 3, "--temperature", 0.7, "--top-k", 5, "--top-p", 0.9, "--seed", 4, "--min-length", 2)
    assert model.used.describe() == Sampling(3, 0.7, 5, 0.9, 4, min_length=2).describe()


def test_a_prefix_goes_to_every_line(model, standard_input):
    standard_input(b"a\n")
    run("--prefix", "Das ist")
    assert model.prefixes == ["Das ist"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--top-k", "3"], "--top-k needs --sample"),
        (["--sample", "--beam-width", "3"], "--beam-width is for beam search, not for --sample"),
        (["--nbest", "9"], "search: nbest must be between 1 and beam_width (5), got 9"),
        (["--sample", "--top-p", "2"], "search: top_p must be above 0 and at most 1, got 2.0"),
        (["nowhere.txt"], "'nowhere.txt': No such file or directory"),
        (["--output", "nowhere/out.txt"], "--output nowhere/out.txt: no folder 'nowhere'"),
        (["--interactive", "--output", "x"], "--interactive reads the terminal and writes to it"),
        (["--batch-tokens", "0"], "argument --batch-tokens: expected a whole number above 0, got '0'"),
        (["--beam-width", "x"], "argument --beam-width: invalid int value: 'x'"),
    ],
)
def test_mistakes_have_one_line(model, arguments, message):
    with pytest.raises(UserError) as caught:
        run(*arguments)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_the_prompt_answers_line_by_line(model, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.StringIO("eins\nzwei\n"))
    assert run("--interactive") == 0
    assert capsys.readouterr().out == "EINS\nZWEI\n"


def test_results_are_written_as_they_come(model, standard_input, monkeypatch):
    written = []
    standard_input(b"a\nb\nc\n")
    told = model.translate_each

    def watching(*arguments, **options):
        for result in told(*arguments, **options):
            written.append(sys.stdout.getvalue())
            yield result

    monkeypatch.setattr(sys, "stdout", io.StringIO())
    model.translate_each = watching
    assert run() == 0
    assert written == ["", "A\n", "A\nB\n"]


def test_help_needs_no_torch():
    import subprocess

    code = "import sys; sys.modules['torch'] = None; from s2s_nmt.cli.translate import main; main(['--help'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--coverage-penalty" in done.stdout
