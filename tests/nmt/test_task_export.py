"""A translator's export holds its vocabulary, in a folder of its own, and reads it back."""

import functools
import json

import pytest
import torch

from s2s_core.errors import UserError
from s2s_core.export import export_task, load_exported
from s2s_core.nn.transformer import LayerSpec
from s2s_core.text.sentences import SubwordTokenizer
from s2s_nmt.decoders.transformer import TransformerDecoder
from s2s_nmt.encoders.transformer import TransformerEncoder
from s2s_nmt.losses.cross_entropy import CrossEntropyLoss
from s2s_nmt.prepare.vocabulary import VocabularyOptions, train_sentencepiece
from s2s_nmt.task import TextToText


@pytest.fixture
def task(tmp_path):
    texts = [f"the {colour} {thing} is {size}" for colour in ("red", "blue") for thing in ("house", "ball", "map")
             for size in ("old", "new", "small", "large")]  # fmt: skip
    train_sentencepiece(texts, VocabularyOptions(size=40), tmp_path / "pieces.model")
    tokenizer = SubwordTokenizer(str(tmp_path / "pieces.model"))
    layer = LayerSpec(features=8, heads=2, inner=8, dropout=0.0)
    return TextToText(
        encoder=TransformerEncoder(tokenizer.vocab_size, layers=1, layer=layer),
        decoder=TransformerDecoder(8, tokenizer.vocab_size, layers=1, layer=layer),
        loss=CrossEntropyLoss(),
        source_tokenizer=tokenizer,
        optimizer=functools.partial(torch.optim.Adam, lr=1e-3),
    ).eval()


def test_the_vocabulary_comes_back(task, tmp_path):
    pytest.importorskip("safetensors", reason="the extra 'export' is not installed")
    folder = tmp_path / "exported"
    written = export_task(task, folder)
    assert "assets/source/sentencepiece.model" in written
    assert all((folder / name).is_file() for name in written)
    (tmp_path / "pieces.model").unlink()
    again = load_exported(folder)
    assert again.source_tokenizer.encode("the red house") == task.source_tokenizer.encode("the red house")
    for name, weight in task.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], weight, rtol=0, atol=0)


@pytest.mark.parametrize("name", ["../pieces.model", "/etc/passwd", "source/../../pieces.model"])
def test_an_asset_outside_the_folder_is_refused(task, tmp_path, name):
    pytest.importorskip("safetensors", reason="the extra 'export' is not installed")
    folder = tmp_path / "exported"
    export_task(task, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "assets": [name]}))
    with pytest.raises(UserError, match="lies outside the folder"):
        load_exported(folder)
