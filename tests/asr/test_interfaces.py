"""Every family of decoders learns ten utterances by heart, under the encoder that suits it."""

import pytest
import torch
from torch.nn import functional as F

from s2s_asr.decoders.asg import AsgDecoder
from s2s_asr.decoders.attention import AttentionDecoder, Location
from s2s_asr.decoders.attention_search import AttentionSearch
from s2s_asr.decoders.ctc import CtcDecoder
from s2s_asr.decoders.joint import JointDecoder
from s2s_asr.decoders.transducer import TransducerDecoder
from s2s_asr.decoders.transducer_search import TransducerSearch
from s2s_asr.encoders.conformer import ConformerEncoder
from s2s_asr.encoders.conv2d import Conv2dSpec
from s2s_asr.encoders.recurrent import RecurrentEncoder
from s2s_asr.losses.asg import AsgLoss
from s2s_asr.losses.cross_entropy import CrossEntropyLoss
from s2s_asr.losses.ctc import CtcLoss
from s2s_asr.losses.joint import JointLoss
from s2s_asr.losses.transducer import TransducerLoss
from s2s_core.nn.recurrent_stack import RecurrentLayers
from s2s_core.testing import pad

VOCAB, FEATURES, SIZE = 5, 8, 32
STEPS = 120


def utterances():
    """Each label is a sound of its own that lasts a few frames; repetitions have a pause between them."""
    generator = torch.Generator().manual_seed(0)
    sounds = torch.randn(VOCAB, FEATURES, generator=generator)
    features, tokens = [], []
    for _ in range(10):
        ids = torch.randint(VOCAB, (int(torch.randint(3, 7, (1,), generator=generator)),), generator=generator)
        lengths = torch.randint(3, 6, (len(ids),), generator=generator).tolist()
        parts = [F.pad(sounds[k].expand(n, -1), (0, 0, 0, 2)) for k, n in zip(ids, lengths, strict=True)]
        clean = torch.cat(parts)
        features.append(clean + 0.1 * torch.randn(clean.shape, generator=generator))
        tokens.append(ids)
    return features, tokens


def recurrent():
    return RecurrentEncoder(FEATURES, SIZE // 2, 1)


def conformer():
    return ConformerEncoder(FEATURES, SIZE, 1, 2, 5, dropout=0.0, subsampling=[Conv2dSpec(4, (3, 3), (1, 2))])


def attention():
    layers, location = RecurrentLayers(SIZE, 1), Location(SIZE, 4, 7)
    return AttentionDecoder(SIZE, VOCAB, 8, layers, location, search=AttentionSearch(2))


def transducer():
    return TransducerDecoder(SIZE, VOCAB, 8, RecurrentLayers(SIZE, 1), SIZE, search=TransducerSearch(2))


FAMILIES = {
    "ctc": (recurrent, lambda: CtcDecoder(SIZE, VOCAB), lambda: CtcLoss(reduction="token")),
    "conformer": (conformer, lambda: CtcDecoder(SIZE, VOCAB), lambda: CtcLoss(reduction="token")),
    "asg": (recurrent, lambda: AsgDecoder(SIZE, VOCAB), lambda: AsgLoss(reduction="token")),
    "transducer": (recurrent, transducer, lambda: TransducerLoss(reduction="token")),
    "attention": (recurrent, attention, CrossEntropyLoss),
    "joint": (recurrent, lambda: JointDecoder(attention()), JointLoss),
}


LOW = ["conformer", "asg", "transducer", "joint"]
"""Those that are learnt under autocast to bfloat16, too."""
CASES = [*((family, "float32") for family in FAMILIES), *((family, "bfloat16") for family in LOW)]


@pytest.mark.slow
@pytest.mark.parametrize(("family", "precision"), CASES)
def test_ten_utterances_are_learnt_by_heart(family, precision):
    torch.manual_seed(0)
    encoder, decoder, loss = (make() for make in FAMILIES[family])
    features, texts = utterances()
    (x, lengths), (tokens, counts) = pad(features), pad(texts)
    tokens = tokens.long()
    model = torch.nn.ModuleList([encoder, decoder])
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05, STEPS)
    for _ in range(STEPS):
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            encodings, frames = encoder(x, lengths)
            found = loss(decoder.scores(decoder(encodings, frames), frames, tokens, counts), frames, tokens, counts)
        assert found.total.dtype == torch.float32
        optimizer.zero_grad()
        found.mean.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0, error_if_nonfinite=True)
        optimizer.step()
        schedule.step()
    model.eval()
    with torch.no_grad():
        seen = decoder(*encoder(x, lengths))
        assert decoder.recognise(seen, encoder.output_lengths(lengths)) == [ids.tolist() for ids in texts]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_step_of_half_precision_weights_stays_finite(family, dtype):
    """As under FP32 master weights: model and features in half precision, the loss in float32."""
    torch.manual_seed(0)
    encoder, decoder, loss = (make() for make in FAMILIES[family])
    model = torch.nn.ModuleList([encoder, decoder]).to(dtype)
    features, texts = (part[:3] for part in utterances())
    (x, lengths), (tokens, counts) = pad(features), pad(texts)
    encodings, frames = encoder(x.to(dtype), lengths)
    seen = decoder(encodings, frames)
    found = loss(decoder.scores(seen, frames, tokens.long(), counts), frames, tokens.long(), counts)
    assert found.total.dtype == torch.float32
    found.mean.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
    model.eval()
    with torch.no_grad():
        assert len(decoder.recognise(decoder(*encoder(x.to(dtype), lengths)), frames)) == 3
