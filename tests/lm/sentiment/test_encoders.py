import pytest
import torch

from s2s_core import testing
from s2s_core.testing.contracts import disturb
from s2s_lm.encoders.layer_norm_lstm import LayerNormLstmEncoder
from s2s_lm.encoders.recurrent import RecurrentEncoder
from s2s_lm.sentiment.decoders import PooledClassifier
from s2s_lm.sentiment.encoders import BidirectionalEncoder, LanguageModelEncoder
from s2s_lm.sentiment.interfaces import Encoded

ENCODERS = [(cls, i) for cls in (BidirectionalEncoder, LanguageModelEncoder) for i in range(len(cls.examples()))]


@pytest.mark.parametrize(("cls", "index"), ENCODERS)
def test_a_text_is_encoded_alike_alone_and_padded(cls, index):
    torch.manual_seed(0)
    encoder = disturb(testing.examples_of(cls)[index]).eval()
    tokens, lengths = torch.randint(11, (3, 9)), [9, 4, 1]
    tokens[:, 0] = torch.tensor([0, 3, 6])  # words, whatever the n-grams
    together = encoder(tokens, lengths)
    places = (tokens < 11 - encoder.ngrams).cumsum(1)
    assert together.lengths == [int(row[length - 1]) for row, length in zip(places, lengths, strict=True)]
    assert together.values.shape == (3, together.lengths[0], encoder.out_features)
    assert together.final.shape == (3, encoder.final_features)
    for row, length in enumerate(lengths):
        alone = encoder(tokens[row : row + 1, :length], [length])
        encoded = together.lengths[row]
        torch.testing.assert_close(together.values[row, :encoded], alone.values[0], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(together.final[row], alone.final[0], rtol=1e-4, atol=1e-5)
        assert not together.values[row, encoded:].any()
    every = {id(p) for group in encoder.groups() for p in group}
    assert every == {id(p) for p in encoder.parameters()}


@pytest.mark.parametrize(
    "body", [RecurrentEncoder(11, 6, 8, 2), LayerNormLstmEncoder(11, 6, 8, 2)], ids=["lstm", "norm"]
)
def test_the_cell_state_comes_behind_the_hidden_state(body):
    body.eval()
    tokens = torch.randint(11, (2, 5))
    _, state = body(tokens, body.initial_state(2))
    final = LanguageModelEncoder(body, True).eval()(tokens, [5, 5]).final
    torch.testing.assert_close(final, torch.cat([state[2], state[3]], dim=1))
    with pytest.raises(ValueError, match="use_cell_state"):
        LanguageModelEncoder(RecurrentEncoder(11, 6, 8, 2, "gru"), True)


@pytest.mark.parametrize("pooling", ["last", "mean", "max", "attention", "concat"])
def test_pooling(pooling):
    torch.manual_seed(0)
    decoder = PooledClassifier(3, 2, pooling).eval()
    real = -torch.rand(4, 3) - 1  # all negative: the maximum must not find the padding's zeros
    encoded = Encoded(torch.cat([real, torch.zeros(2, 3)])[None], [4], torch.full((1, 3), 7.0))
    expected = {"last": torch.full((3,), 7.0), "mean": real.mean(0), "max": real.amax(0)}
    if pooling == "attention":
        weights = decoder.attention(real).softmax(0)
        expected["attention"] = (weights * real).sum(0)
    expected["concat"] = torch.cat([expected["last"], expected["mean"], expected["max"]])
    torch.testing.assert_close(decoder._pooled(encoded)[0], expected[pooling])
