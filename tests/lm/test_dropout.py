import pytest
import torch

from s2s_lm.dropout import check_probabilities, embed, locked_dropout
from s2s_lm.packing import Packing


@pytest.mark.parametrize("lengths", [None, [6, 2, 4]])
def test_the_same_features_go_at_every_step_of_a_row(lengths):
    torch.manual_seed(0)
    packing = Packing(3, 6, lengths, torch.device("cpu"))
    padded = packing.unpack(locked_dropout(packing.pack(torch.ones(3, 6, 200)), packing, 0.4))
    for row, length in zip(padded, lengths or [6] * 3, strict=True):
        assert (row[:length] == row[0]).all()
        assert row[0].unique().tolist() == pytest.approx([0.0, 1 / 0.6])
    assert not torch.equal(padded[0, 0], padded[1, 0])
    assert float((padded[:, 0] == 0).float().mean()) == pytest.approx(0.4, abs=0.08)


def test_a_dropped_word_is_dropped_wherever_it_occurs():
    torch.manual_seed(0)
    embedding = torch.nn.Embedding(300, 4)
    tokens = torch.arange(300).repeat(2)
    factors = embed(embedding, tokens, 0.25) / embedding(tokens)
    assert torch.equal(factors[:300], factors[300:])
    torch.testing.assert_close(factors, factors[:, :1].expand(-1, 4))
    assert float((factors == 0).float().mean()) == pytest.approx(0.25, abs=0.08)
    assert torch.equal(embed(embedding, tokens, 0.0), embedding(tokens))


def test_probabilities_are_checked():
    with pytest.raises(ValueError, match=r"hidden must be in \[0, 1\), got 1"):
        check_probabilities(word=0.0, hidden=1)
