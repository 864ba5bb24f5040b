import argparse

import pytest
import torch

from s2s_commands.cli.serve_images import add_options, endpoints
from s2s_core.checkpoint import section_of
from s2s_core.errors import UserError


def parsed(path, *words):
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_options(parser)
    return argparse.Namespace(**vars(parser.parse_args(words)), checkpoint=path, device=torch.device("cpu"))


@pytest.fixture
def path(picture_task, tmp_path):
    task = picture_task()
    torch.save({"s2s": section_of(task), "state_dict": task.state_dict()}, tmp_path / "pictures.ckpt")
    return tmp_path / "pictures.ckpt"


def test_the_endpoint_has_the_checkpoints_classes_and_the_limit_that_was_asked_for(path):
    [endpoint] = endpoints(parsed(path, "--max-megapixels", "2.5"))
    assert endpoint.classifier.classes == ["cat", "dog", "eel"]
    assert endpoint.most_megapixels == 2.5
    assert endpoints(parsed(path))[0].most_megapixels == 40


@pytest.mark.parametrize("words", [["--max-megapixels", "0"], ["--max-megapixels", "many"], ["--precision", "half"]])
def test_values_out_of_range_are_refused(path, words):
    with pytest.raises(argparse.ArgumentError, match=words[0]):
        parsed(path, *words)


def test_a_truncated_checkpoint_is_named(path):
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(UserError, match=r"pictures\.ckpt"):
        endpoints(parsed(path))
