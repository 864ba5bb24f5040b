"""Recurrent decoders against loops over single sentences, their starts, sizes and mistakes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from s2s_core.nn.recurrent_stack import RecurrentLayers
from s2s_nmt.decoders.rnn import RnnAttention, RnnDecoder
from s2s_nmt.encoders.rnn import RnnEncoder
from s2s_nmt.interfaces import BOS_ID, Memory

FEATURES, HIDDEN, EMBEDDING, VOCAB = 7, 6, 5, 16
LENGTHS, TARGET_LENGTHS = torch.tensor([4, 2]), torch.tensor([3, 5])


def memory():
    torch.manual_seed(1)
    values = torch.randn(2, 4, FEATURES) * (torch.arange(4) < LENGTHS[:, None])[..., None]
    return Memory(values.double(), LENGTHS)


def tokens():
    torch.manual_seed(2)
    drawn = torch.randint(4, VOCAB, (2, 5))
    drawn[:, 0] = BOS_ID
    return drawn


def decoder_with(attention, num_layers=2, **options):
    torch.manual_seed(0)
    layers = RecurrentLayers(HIDDEN, num_layers, residual=options.pop("residual", False))
    return RnnDecoder(VOCAB, FEATURES, EMBEDDING, layers, attention, **options).double()


def cells_of(stack):
    cells = []
    for layer in stack.layers:
        cell = nn.LSTMCell(layer.input_size, HIDDEN, dtype=torch.float64)
        cell.load_state_dict({name.removesuffix("_l0"): value for name, value in layer.state_dict().items()})
        cells.append(cell)
    return cells


def attend(decoder, query, values):
    """One query ``(query_size,)``, one sentence ``(time, feature)``."""
    found, _ = decoder.attention(
        query[None, None], decoder.attention.keys(values[None]), values[None], torch.ones(1, len(values)).bool()
    )
    return found[0, 0]


def run(cell, x, state):
    hidden, after = cell(x[None], state)
    return hidden[0], (hidden, after)


def begin(cells):
    zeros = torch.zeros(1, HIDDEN, dtype=torch.float64)
    return [(zeros, zeros) for _ in cells]


def scores_of_loop(decoder, one_sentence):
    """Teacher forcing a sentence at a time: ``one_sentence(vectors, values)`` yields what is scored."""
    rows = []
    for row, values, n, source in zip(tokens(), memory().values, TARGET_LENGTHS, LENGTHS, strict=True):
        vectors = decoder.embedding.weight[row[:n]]
        rows += [decoder.output.weight @ out for out in one_sentence(vectors, values[:source])]
    return torch.stack(rows)


@pytest.mark.parametrize("feeding", [True, False])
@pytest.mark.parametrize("score", ["luong", "bahdanau"])
def test_attention_on_top(score, feeding):
    decoder = decoder_with(RnnAttention(score, input_feeding=feeding))

    def one_sentence(vectors, values):
        cells = cells_of(decoder.lower)
        states, fed = begin(cells), torch.zeros(HIDDEN, dtype=torch.float64)
        for vector in vectors:
            x = torch.cat((vector, fed)) if feeding else vector
            for i, cell in enumerate(cells):
                x, states[i] = run(cell, x, states[i])
            context = attend(decoder, x, values)
            fed = torch.tanh(decoder.combine.weight @ torch.cat((context, x)))
            yield fed

    wanted = scores_of_loop(decoder, one_sentence)
    torch.testing.assert_close(decoder(memory(), tokens(), TARGET_LENGTHS), wanted)


@pytest.mark.parametrize("version", ["gnmt", "gnmt_v2"])
def test_gnmt_attends_from_its_first_layer(version):
    """Version 1 gives the other layers the context of the step before, version 2 that of the same step."""
    decoder = decoder_with(RnnAttention("bahdanau", scaled=True, placement=version), num_layers=4, residual=True)

    def one_sentence(vectors, values):
        (first,), others = cells_of(decoder.lower), cells_of(decoder.upper)
        (state,), states = begin([first]), begin(others)
        context = torch.zeros(FEATURES, dtype=torch.float64)
        for vector in vectors:
            before = context
            hidden, state = run(first, torch.cat((vector, before)), state)
            context = attend(decoder, hidden, values)
            x = torch.cat((hidden, before if version == "gnmt" else context))
            for i, cell in enumerate(others):
                out, states[i] = run(cell, x, states[i])
                x = out + x[:HIDDEN] if i > 0 else out  # from the third layer on
            yield x

    wanted = scores_of_loop(decoder, one_sentence)
    torch.testing.assert_close(decoder(memory(), tokens(), TARGET_LENGTHS), wanted)


def test_without_attention_all_comes_from_the_final_state():
    decoder = decoder_with(None, start="copy", num_layers=1)
    final = torch.randn(1, 2, 2 * HIDDEN, dtype=torch.float64)
    peer = nn.LSTM(EMBEDDING, HIDDEN, batch_first=True, dtype=torch.float64)
    peer.load_state_dict(decoder.lower.layers[0].state_dict())
    out, _ = peer(decoder.embedding(tokens()), (final[..., :HIDDEN].contiguous(), final[..., HIDDEN:].contiguous()))
    wanted = torch.cat([row[:n] for row, n in zip(decoder.output(out), TARGET_LENGTHS, strict=True)])
    found = decoder(Memory(memory().values, LENGTHS, final), tokens(), TARGET_LENGTHS)
    torch.testing.assert_close(found, wanted)
    other = decoder(Memory(memory().values + 1, LENGTHS, final), tokens(), TARGET_LENGTHS)
    assert torch.equal(other, found)


def test_a_bridge_takes_the_final_state_or_the_mean_of_the_frames():
    decoder = decoder_with(None, start="bridge")
    bridge, frames = decoder.initial.bridge, memory()
    final = torch.randn(3, 2, 2 * FEATURES, dtype=torch.float64)
    for given, summary in (
        (Memory(frames.values, LENGTHS, final), final[2, :, :FEATURES]),
        (frames, frames.values.sum(1) / LENGTHS[:, None]),
    ):
        wanted = torch.tanh(summary @ bridge.weight.T + bridge.bias)
        found = torch.cat([torch.cat(layer, dim=1) for layer in decoder.initial(given)], dim=1)
        torch.testing.assert_close(found, wanted)


def test_copies_an_encoders_state():
    encoder = RnnEncoder(VOCAB, EMBEDDING, RecurrentLayers(3, 2))
    decoder = RnnDecoder(VOCAB, 6, EMBEDDING, RecurrentLayers(6, 2), RnnAttention("luong"), "copy")
    found = encoder(torch.full((2, 4), 5), LENGTHS)
    (hidden, cell), _ = decoder.initial(found)
    assert found.final is not None
    torch.testing.assert_close(torch.cat((hidden, cell), dim=1), found.final[0])
    with pytest.raises(ValueError, match="no final state"):
        decoder.initial(Memory(found.values, LENGTHS))
    with pytest.raises(ValueError, match="1 layers of 12 numbers, the decoder has 2 of 12"):
        decoder.initial(Memory(found.values, LENGTHS, found.final[:1]))


def test_a_tied_output_scores_with_the_embedding():
    layers = RecurrentLayers(HIDDEN, 1)
    decoder = RnnDecoder(VOCAB, FEATURES, HIDDEN, layers, RnnAttention("luong"), tie_output=True)
    assert decoder.output is None
    assert decoder.project is None
    x = torch.randn(3, HIDDEN)
    torch.testing.assert_close(decoder._logits(x), x @ decoder.embedding.weight.T)
    smaller = RnnDecoder(VOCAB, FEATURES, 4, layers, RnnAttention("luong"), tie_output=True)
    assert smaller.project is not None
    torch.testing.assert_close(smaller._logits(x), x @ smaller.project.weight.T @ smaller.embedding.weight.T)


def test_a_scaled_embedding_is_one_whose_weight_is_larger_and_scores_as_it_is():
    attention = RnnAttention("luong")
    scaled, plain = decoder_with(attention, scaled_embedding=True), decoder_with(attention)
    with torch.no_grad():
        plain.embedding.weight *= EMBEDDING**0.5
    torch.testing.assert_close(*(each(memory(), tokens(), TARGET_LENGTHS) for each in (scaled, plain)))
    tied = decoder_with(attention, tie_output=True, scaled_embedding=True)
    x = torch.randn(3, HIDDEN).double()
    torch.testing.assert_close(tied._logits(x), x @ tied.project.weight.T @ tied.embedding.weight.T)


def count(module):
    return sum(p.numel() for p in module.parameters())


def lstm(inputs):
    return 4 * HIDDEN * (inputs + HIDDEN) + 8 * HIDDEN


def test_sizes():
    vectors, output = VOCAB * EMBEDDING, VOCAB * HIDDEN
    combine = HIDDEN * (FEATURES + HIDDEN)
    luong = count(decoder_with(RnnAttention("luong")))
    assert luong == vectors + output + lstm(EMBEDDING + HIDDEN) + lstm(HIDDEN) + HIDDEN * FEATURES + combine
    unfed = count(decoder_with(RnnAttention("luong", scaled=True, input_feeding=False)))
    assert unfed == luong - 4 * HIDDEN * HIDDEN + 1
    gnmt = count(decoder_with(RnnAttention("bahdanau", True, size=3, placement="gnmt_v2")))
    scores = 3 * (HIDDEN + FEATURES + 2) + 1
    assert gnmt == vectors + output + lstm(EMBEDDING + FEATURES) + lstm(HIDDEN + FEATURES) + scores


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="needs copy or bridge"):
        decoder_with(None)
    with pytest.raises(ValueError, match="'middle'"):
        decoder_with(RnnAttention(placement="middle"))  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="'ones'"):
        decoder_with(RnnAttention(), start="ones")
