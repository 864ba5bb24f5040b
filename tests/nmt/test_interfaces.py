"""The contracts of every encoder and decoder of sentences, found by their base classes."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from s2s_core import testing
from s2s_core.nn.mask import length_mask
from s2s_core.nn.recurrent_stack import RecurrentLayers
from s2s_core.nn.transformer import LayerSpec
from s2s_core.testing.contracts import disturb
from s2s_nmt.decoders.convs2s import ConvS2SDecoder
from s2s_nmt.decoders.rnn import RnnAttention, RnnDecoder
from s2s_nmt.decoders.transformer import TransformerDecoder
from s2s_nmt.encoders.convs2s import ConvS2SEncoder
from s2s_nmt.encoders.gnmt import GnmtEncoder
from s2s_nmt.encoders.rnn import RnnEncoder
from s2s_nmt.encoders.transformer import TransformerEncoder
from s2s_nmt.gated_convolution import ConvBlock, ConvS2SLayers
from s2s_nmt.interfaces import BOS_ID, EOS_ID, Decoder, Encoder, Memory

LENGTHS = [5, 9, 1, 7, 2]
TARGET_LENGTHS = [4, 1, 8, 3, 6]
EXTRA = 3
TOLERANCE = 1e-5


def cases(base):
    for cls in testing.find_parts(base):
        for i in range(len(cls.examples())):
            yield pytest.param(cls, i, id=f"{cls.__name__}-{i}")


def build(cls, index, training=False):
    torch.manual_seed(0)
    return disturb(cls.examples()[index]).train(training)


def draw_tokens(vocab_size: int, lengths: list[int]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randint(4, vocab_size, (n,), generator=generator) for n in lengths]


def batch_of(rows: list[Tensor], filler: int = 0, extra: int = 0) -> tuple[Tensor, Tensor]:
    lengths = torch.tensor([len(row) for row in rows])
    tokens = torch.full((len(rows), int(lengths.max()) + extra), filler)
    for line, row in zip(tokens, rows, strict=True):
        line[: len(row)] = row
    return tokens, lengths


def memory_of(features: int, rows: list[int], extra: int = 0, seed: int = 2) -> Memory:
    """Standard normal memories of ``LENGTHS``, the chosen rows of them, with embeddings."""
    generator = torch.Generator().manual_seed(seed)
    drawn = [torch.randn(2, n, features, generator=generator) for n in LENGTHS]
    lengths = torch.tensor([LENGTHS[i] for i in rows])
    both = torch.zeros(2, len(rows), int(lengths.max()) + extra, features)
    for place, i in enumerate(rows):
        both[:, place, : LENGTHS[i]] = drawn[i]
    return Memory(both[0], lengths, None, both[1])


def targets_of(decoder: Decoder, rows: list[int]) -> list[Tensor]:
    drawn = draw_tokens(decoder.vocab_size, TARGET_LENGTHS)
    return [torch.cat((torch.tensor([BOS_ID]), drawn[i][1:])) for i in rows]


def close(actual: Tensor, expected: Tensor) -> bool:
    return torch.allclose(actual, expected, rtol=TOLERANCE, atol=TOLERANCE)


ENCODERS = pytest.mark.parametrize(("cls", "index"), list(cases(Encoder)))
DECODERS = pytest.mark.parametrize(("cls", "index"), list(cases(Decoder)))


@ENCODERS
@torch.no_grad()
def test_a_sentence_is_encoded_alike_in_any_batch(cls, index):
    encoder = build(cls, index)
    rows = draw_tokens(encoder.vocab_size, LENGTHS)
    alone = [encoder(*batch_of([row])) for row in rows]
    for order, filler, extra in (([0, 1, 2, 3, 4], 0, 0), ([4, 2, 0, 1, 3], 0, EXTRA), ([3, 0], EOS_ID + 3, EXTRA)):
        memory = encoder(*batch_of([rows[i] for i in order], filler, extra))
        assert memory.values.shape[2] == encoder.out_features
        assert memory.lengths.tolist() == [LENGTHS[i] for i in order]
        assert not memory.values[~length_mask(memory.lengths, memory.values.shape[1])].any()
        for place, i in enumerate(order):
            assert close(memory.values[place, : LENGTHS[i]], alone[i].values[0])
            for name in ("final", "embedded"):
                together, single = getattr(memory, name), getattr(alone[i], name)
                assert (together is None) == (single is None)
            if memory.final is not None:
                assert close(memory.final[:, place], alone[i].final[:, 0])
            if memory.embedded is not None:
                assert close(memory.embedded[place, : LENGTHS[i]], alone[i].embedded[0])


@ENCODERS
def test_an_encoders_gradients_reach_every_parameter(cls, index):
    encoder = build(cls, index, training=True)
    memory = encoder(*batch_of(draw_tokens(encoder.vocab_size, LENGTHS), EOS_ID, EXTRA))
    (memory.values * torch.randn(memory.values.shape)).sum().backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


@ENCODERS
@torch.no_grad()
def test_an_encoder_stays_near_in_bfloat16(cls, index):
    encoder = build(cls, index)
    batch = batch_of(draw_tokens(encoder.vocab_size, LENGTHS))
    exact = encoder(*batch).values
    with torch.autocast("cpu", torch.bfloat16):
        rough = encoder(*batch).values
    assert (rough.float() - exact).norm() < 0.1 * exact.norm()


@DECODERS
@torch.no_grad()
def test_a_sentence_is_scored_alike_in_any_batch(cls, index):
    decoder = build(cls, index)
    alone = [decoder(memory_of(decoder.in_features, [i]), *batch_of(targets_of(decoder, [i]))) for i in range(5)]
    for order, filler, extra in (([0, 1, 2, 3, 4], 0, 0), ([4, 2, 0, 1, 3], 0, EXTRA), ([3, 0], EOS_ID + 3, EXTRA)):
        memory = memory_of(decoder.in_features, order, extra)
        logits = decoder(memory, *batch_of(targets_of(decoder, order), filler, extra))
        assert logits.shape == (sum(TARGET_LENGTHS[i] for i in order), decoder.vocab_size)
        assert close(logits, torch.cat([alone[i] for i in order]))


@DECODERS
@torch.no_grad()
def test_steps_equal_teacher_forcing(cls, index):
    """With several hypotheses a sentence, which are replaced by one another, and sentences that leave."""
    decoder, width = build(cls, index), 3
    memory = memory_of(decoder.in_features, [0, 1, 3], EXTRA)
    histories = torch.full((9, 1), BOS_ID)
    state, rows = decoder.start(memory).expand(width), torch.arange(9)
    generator = torch.Generator().manual_seed(3)
    sentences = [0, 1, 3]
    for step in range(7):
        logits, state = decoder.step(histories[:, -1], state)
        whole = decoder(
            memory_of(decoder.in_features, [s for s in sentences for _ in range(width)]),
            histories,
            torch.full((len(histories),), step + 1),
        )
        assert close(logits, whole.view(len(histories), step + 1, -1)[:, -1]), f"step {step}"
        check_attention(state.attention, [LENGTHS[s] for s in sentences for _ in range(width)])
        rows = torch.randint(0, width, (len(sentences), width), generator=generator)
        rows = rows + torch.arange(len(sentences))[:, None] * width
        if step == 3:
            sentences, rows = [sentences[0], sentences[2]], rows[[0, 2]]
        state, histories = state.select(rows.flatten()), histories[rows.flatten()]
        new = torch.randint(4, decoder.vocab_size, (len(histories), 1), generator=generator)
        histories = torch.cat((histories, new), dim=1)


def check_attention(attention: Tensor | None, lengths: list[int]) -> None:
    if attention is None:
        return
    assert attention.shape[0] == len(lengths)
    assert torch.allclose(attention.sum(1), torch.ones(len(lengths)), atol=1e-5)
    for row, length in zip(attention, lengths, strict=True):
        assert not row[length:].any()


@DECODERS
@torch.no_grad()
def test_sentences_may_leave_before_they_are_expanded(cls, index):
    decoder = build(cls, index)
    state = decoder.start(memory_of(decoder.in_features, [0, 1, 3]))
    _, state = decoder.step(torch.full((3,), BOS_ID), state)
    logits, _ = decoder.step(torch.tensor([5, 6]), state.select(torch.tensor([0, 2])))
    memory = memory_of(decoder.in_features, [0, 3])
    whole = decoder(memory, torch.tensor([[BOS_ID, 5], [BOS_ID, 6]]), torch.tensor([2, 2]))
    assert close(logits, whole[1::2])


@DECODERS
@torch.no_grad()
def test_a_decoder_does_not_see_the_future(cls, index):
    decoder = build(cls, index)
    memory, (row,) = memory_of(decoder.in_features, [1]), targets_of(decoder, [2])
    logits = decoder(memory, *batch_of([row]))
    for place in range(1, len(row)):
        other = row.clone()
        other[place] = 4 + (row[place] - 3) % (decoder.vocab_size - 4)
        changed = decoder(memory, *batch_of([other]))
        assert close(changed[:place], logits[:place])
        assert not close(changed[place:], logits[place:]), "a token changes nothing"


@DECODERS
def test_a_decoders_gradients_reach_every_parameter(cls, index):
    decoder = build(cls, index, training=True)
    memory = memory_of(decoder.in_features, [0, 1, 2, 3, 4], EXTRA)
    memory.values.requires_grad_()
    logits = decoder(memory, *batch_of(targets_of(decoder, [0, 1, 2, 3, 4]), EOS_ID, EXTRA))
    torch.manual_seed(4)
    (logits * torch.randn(logits.shape)).sum().backward()
    for name, parameter in decoder.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name
    assert memory.values.grad is not None
    outside = ~length_mask(memory.lengths, memory.values.shape[1])
    assert not memory.values.grad[outside].any(), "a gradient reaches the padding"


@DECODERS
def test_padding_is_ignored_in_training(cls, index):
    decoder = build(cls, index, training=True)
    found = []
    for filler, extra in ((0, 0), (EOS_ID + 3, EXTRA)):
        twin = copy.deepcopy(decoder)
        memory = memory_of(decoder.in_features, [0, 1, 2, 3, 4], extra)
        logits = twin(memory, *batch_of(targets_of(decoder, [0, 1, 2, 3, 4]), filler, extra))
        logits.square().sum().backward()
        found.append({name: parameter.grad for name, parameter in twin.named_parameters()})
    for name, plain in found[0].items():
        torch.testing.assert_close(found[1][name], plain, rtol=1e-4, atol=1e-4, msg=name)


@DECODERS
@torch.no_grad()
def test_a_decoder_stays_near_in_bfloat16(cls, index):
    decoder = build(cls, index)
    memory = memory_of(decoder.in_features, [0, 1, 2, 3, 4])
    batch = batch_of(targets_of(decoder, [0, 1, 2, 3, 4]))
    exact = decoder(memory, *batch)
    with torch.autocast("cpu", torch.bfloat16):
        rough = decoder(memory, *batch)
        first, _ = decoder.step(torch.full((5,), BOS_ID), decoder.start(memory))
    assert (rough.float() - exact).norm() < 0.1 * exact.norm()
    starts = torch.tensor([sum(TARGET_LENGTHS[:i]) for i in range(5)])
    assert (first.float() - exact[starts]).norm() < 0.1 * exact[starts].norm()


RNN, CONVOLUTIONS = RecurrentLayers(8, 2), ConvS2SLayers([ConvBlock(8, 3, 2)])
TRANSFORMER = LayerSpec(features=8, heads=2, inner=8)
ANY_ENCODER = {
    "R": lambda: RnnEncoder(11, 8, RNN),
    "G": lambda: GnmtEncoder(11, 8, RNN),
    "C": lambda: ConvS2SEncoder(11, 8, CONVOLUTIONS),
    "T": lambda: TransformerEncoder(11, 1, TRANSFORMER),
}
ANY_DECODER = {
    "R": lambda n: RnnDecoder(11, n, 8, RNN, RnnAttention("luong")),
    "G": lambda n: RnnDecoder(11, n, 8, RNN, RnnAttention("bahdanau", True, placement="gnmt_v2")),
    "plain R": lambda n: RnnDecoder(11, n, 8, RNN, None, "bridge"),
    "C": lambda n: ConvS2SDecoder(11, n, 8, CONVOLUTIONS),
    "T": lambda n: TransformerDecoder(n, 11, 1, TRANSFORMER),
}


@pytest.mark.parametrize("decoder", ANY_DECODER)
@pytest.mark.parametrize("encoder", ANY_ENCODER)
def test_any_encoder_goes_with_any_decoder(encoder, decoder):
    torch.manual_seed(0)
    encode = ANY_ENCODER[encoder]().eval()
    decode = ANY_DECODER[decoder](encode.out_features).eval()
    memory = encode(*batch_of(draw_tokens(11, LENGTHS)))
    tokens, lengths = batch_of(targets_of(decode, [0, 1, 2, 3, 4]))
    logits = decode(memory, tokens, lengths)
    state = decode.start(memory)
    for step in range(2):
        scored, state = decode.step(tokens[:, step], state)
        for row, length in enumerate(lengths.tolist()):
            if step < length:
                assert close(scored[row], logits[int(lengths[:row].sum()) + step])
