"""Every decoder under beam search: steps from kept state score as the whole past computed anew does."""

import pytest
import torch

from s2s_core.decoding.beam_search import BeamSearch
from s2s_core.decoding.state import DecodingState
from s2s_core.nn.serving import prepare_for_serving
from s2s_core.testing import examples_of, find_parts
from s2s_nmt.interfaces import BOS_ID, EOS_ID, PAD_ID, Decoder, Memory

DECODERS = [
    pytest.param(cls, number, id=f"{cls.__name__}-{number}")
    for cls in find_parts(Decoder)
    for number in range(len(examples_of(cls)))
]


class Anew(DecodingState):
    """The whole past of each row, and its memory."""

    def __init__(self, memory, tokens):
        self.memory, self.tokens = memory, tokens

    def expand(self, width):
        return self.select(torch.arange(len(self.tokens)).repeat_interleave(width))

    def select(self, rows):
        final = None if self.memory.final is None else self.memory.final[:, rows]
        embedded = None if self.memory.embedded is None else self.memory.embedded[rows]
        memory = Memory(self.memory.values[rows], self.memory.lengths[rows], final, embedded)
        return Anew(memory, self.tokens[rows])


class Uncached:
    def __init__(self, decoder):
        self.decoder, self.vocab_size = decoder, decoder.vocab_size

    def step(self, tokens, state):
        tokens = torch.cat([state.tokens, tokens[:, None]], dim=1)
        rows, time = tokens.shape
        logits = self.decoder(state.memory, tokens, torch.full((rows,), time))
        return logits.view(rows, time, -1)[:, -1].clone(), Anew(state.memory, tokens)


def memory_of(decoder, lengths):
    generator = torch.Generator().manual_seed(1)
    values = torch.randn(len(lengths), max(lengths), decoder.in_features, generator=generator, dtype=torch.float64)
    for row, length in enumerate(lengths):
        values[row, length:] = 0
    final = torch.randn(4, len(lengths), decoder.in_features, generator=generator, dtype=torch.float64)
    return Memory(values, torch.tensor(lengths), final, values.clone())


@pytest.mark.parametrize(("cls", "number"), DECODERS)
@torch.no_grad()
def test_searching_from_kept_state_finds_what_computing_anew_does(cls, number):
    torch.manual_seed(0)
    decoder = examples_of(cls)[number].eval().double()  # so that rounding decides nothing
    memory = memory_of(decoder, [5, 3, 6])
    search = BeamSearch(3, nbest=3, max_length_ratio=1.0, max_length_extra=16)
    ban = {"banned": (PAD_ID, BOS_ID)}
    kept = search(decoder, decoder.start(memory), memory.lengths, BOS_ID, EOS_ID, **ban)
    empty = Anew(memory, torch.empty((3, 0), dtype=torch.int64))
    anew = search(Uncached(decoder), empty, memory.lengths, BOS_ID, EOS_ID, **ban)
    assert [[h.tokens for h in row] for row in kept] == [[h.tokens for h in row] for row in anew]
    for ours, theirs in zip(kept, anew, strict=True):
        assert [h.score for h in ours] == pytest.approx([h.score for h in theirs], abs=1e-5)


@pytest.mark.parametrize(("cls", "number"), DECODERS)
@torch.no_grad()
def test_a_sentence_is_translated_alike_alone_and_in_company(cls, number):
    torch.manual_seed(0)
    decoder = examples_of(cls)[number].eval().double()
    lengths = [5, 3, 6, 1, 4, 2, 6, 5, 3]
    memory = memory_of(decoder, lengths)
    search = BeamSearch(3, max_length_ratio=1.5, max_length_extra=1)
    together = search(decoder, decoder.start(memory), memory.lengths, BOS_ID, EOS_ID)
    for i, length in enumerate(lengths):
        final, embedded = memory.final[:, i : i + 1], memory.embedded[i : i + 1, :length]
        one = Memory(memory.values[i : i + 1, :length], memory.lengths[i : i + 1], final, embedded)
        [[alone]] = search(decoder, decoder.start(one), one.lengths, BOS_ID, EOS_ID)
        assert alone.tokens == together[i][0].tokens
        assert alone.score == pytest.approx(together[i][0].score, abs=1e-5)


@pytest.mark.parametrize(("cls", "number"), DECODERS)
@torch.no_grad()
def test_served_decoders_find_the_same(cls, number):
    torch.manual_seed(0)
    decoder = examples_of(cls)[number].eval()
    (served,) = prepare_for_serving([decoder])
    memory = memory_of(decoder, [5, 3, 6])
    memory = Memory(memory.values.float(), memory.lengths, memory.final.float(), memory.embedded.float())
    search = BeamSearch(3, nbest=3, max_length_ratio=1.0, max_length_extra=4)
    ours = search(served, served.start(memory), memory.lengths, BOS_ID, EOS_ID)
    theirs = search(decoder, decoder.start(memory), memory.lengths, BOS_ID, EOS_ID)
    for found, expected in zip(ours, theirs, strict=True):
        assert [hypothesis.tokens for hypothesis in found] == [hypothesis.tokens for hypothesis in expected]
