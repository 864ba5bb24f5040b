"""Sizes of the published Transformers, with one embedding for source, target and output."""

import pytest
import torch
from torch import nn

from s2s_core.nn.transformer import LayerSpec
from s2s_nmt.decoders.transformer import TransformerDecoder
from s2s_nmt.encoders.transformer import TransformerEncoder

BIG = LayerSpec(1024, 16, 4096)


@pytest.mark.parametrize(("layer", "millions"), [(LayerSpec(), 60.9), (BIG, 209.8)])
def test_parameters(layer, millions):
    with torch.device("meta"):
        encoder = TransformerEncoder(32768, layer=layer)
        decoder = TransformerDecoder(layer.features, 32768, layer=layer)
    encoder.embedding = decoder.embedding
    count = sum(parameter.numel() for parameter in nn.ModuleList([encoder, decoder]).parameters())
    assert count / 1e6 == pytest.approx(millions, rel=0.005)


def test_an_output_of_its_own_is_more():
    spec = LayerSpec(8, 2, 12)
    tied, own = (TransformerDecoder(8, 16, 1, spec, tie_output=tie) for tie in (True, False))
    sizes = [sum(parameter.numel() for parameter in decoder.parameters()) for decoder in (tied, own)]
    assert sizes[1] - sizes[0] == 16 * 8
