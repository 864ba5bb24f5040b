"""Small decoders with weights that make every text about as likely."""

import pytest
import torch

from s2s_asr.decoders.attention import AttentionDecoder, Location
from s2s_asr.decoders.transducer import TransducerDecoder
from s2s_core.nn.recurrent_stack import RecurrentLayers

VOCAB = 2
FEATURES = 4


@pytest.fixture
def attention():
    """Makes a decoder that attends."""

    def make(**options):
        torch.manual_seed(0)
        built = AttentionDecoder(FEATURES, VOCAB, 5, RecurrentLayers(6, 2), Location(5, 3, 5), **options).eval()
        with torch.no_grad():
            for parameter in built.parameters():
                parameter.normal_(std=0.7)
            built.output.weight *= 2
        return built

    return make


@pytest.fixture
def transducer():
    """Makes a transducer."""

    def make():
        torch.manual_seed(0)
        built = TransducerDecoder(FEATURES, VOCAB, 5, RecurrentLayers(6, 2), joint_size=8).eval()
        with torch.no_grad():
            for parameter in built.parameters():
                parameter.normal_(std=0.5)
            built.joint.weight *= 3
        return built

    return make
