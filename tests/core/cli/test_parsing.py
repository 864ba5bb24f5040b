"""Arguments of a run, with one line for what is wrong with them."""

import pytest
from jsonargparse import ArgumentParser, Namespace

from s2s_core.cli.parsing import parse_checked
from s2s_core.errors import UserError


@pytest.fixture
def parser():
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--model", type=dict)
    return parser


def test_what_is_right_is_parsed(parser):
    config = parse_checked(parser, ["--steps=5"])
    assert config.steps == 5


@pytest.mark.parametrize("arguments", [["--stepps=5"], ["--steps=many"]])
def test_what_is_wrong_is_one_line_that_names_the_key(parser, arguments):
    with pytest.raises(UserError, match="step") as error:
        parse_checked(parser, arguments, "old.yaml: ")
    assert str(error.value).startswith("old.yaml: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("section", ["model", "data"])
def test_a_class_from_elsewhere_is_refused(section):
    class Parsed:
        """What a parser makes of a config that names such a class."""

        _actions = ()

        def parse_args(self, arguments):
            return Namespace({section: Namespace(class_path="os.system")})

    with pytest.raises(UserError, match=r"config: .*os\.system"):
        parse_checked(Parsed(), [])
