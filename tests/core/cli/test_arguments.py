import argparse

import pytest
import torch

from s2s_core.cli.arguments import VerbParser, add_device, chosen_device, count, number_in
from s2s_core.errors import UserError


@pytest.fixture
def parser():
    parser = VerbParser(prog="say")
    parser.add_argument("--times", type=count)
    add_device(parser)
    return parser


def test_a_count_is_a_whole_number_above_0(parser):
    assert parser.parse_args(["--times", "12"]).times == 12


@pytest.mark.parametrize("text", ["0", "-1", "2.5", "²", "many", ""])
def test_other_counts_are_refused_in_one_line(parser, text):
    with pytest.raises(UserError, match=f"argument --times: expected a whole number above 0, got {text!r}"):
        parser.parse_args([f"--times={text}"])


def test_options_are_not_abbreviated(parser):
    with pytest.raises(UserError, match="unrecognized arguments: --time 3"):
        parser.parse_args(["--time", "3"])


@pytest.mark.parametrize(("cuda", "chosen"), [(True, "cuda"), (False, "cpu")])
def test_without_a_device_it_is_cuda_where_there_is_one(parser, monkeypatch, cuda, chosen):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    assert chosen_device(parser.parse_args([]).device) == chosen
    assert chosen_device(parser.parse_args(["--device", "cuda:1"]).device) == "cuda:1"


def test_numbers_within_bounds():
    assert number_in(1, 5, int)("5") == 5
    assert number_in(0, 1)("0.5") == 0.5
    for text in ("6", "0.9", "nan", "many", "1.5"):
        with pytest.raises(argparse.ArgumentTypeError, match=f"expected a number from 1 to 5, got '{text}'"):
            number_in(1, 5, int)(text)
