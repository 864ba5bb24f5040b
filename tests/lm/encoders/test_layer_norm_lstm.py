"""The layer-norm LSTM: the size of OpenSeq2Seq's model of WikiText-103."""

import pytest
import torch

from s2s_lm.decoders.linear import LinearDecoder
from s2s_lm.encoders.layer_norm_lstm import LayerNormLstmEncoder


def test_the_model_of_wikitext_103_has_the_published_number_of_parameters():
    # embeddings that are shared with the output, four gates a layer (1024, 1024, 400 units), gains and shifts
    gates = 4 * (1024 * (400 + 1024) + 1024 * 2 * 1024 + 400 * (1024 + 400))
    norms = 2 * 5 * (1024 + 1024 + 400)
    with torch.device("meta"):
        encoder, decoder = LayerNormLstmEncoder(267_735, 400, 1024, 3), LinearDecoder(400, 267_735)
    decoder.tie(encoder)
    whole = torch.nn.ModuleList([encoder, decoder])
    assert sum(p.numel() for p in encoder.parameters()) == 267_735 * 400 + gates + norms
    assert sum(p.numel() for p in whole.parameters()) == pytest.approx(123.7e6, rel=2e-3)
