"""Streams of pieces against the whole at once."""

import pytest
import torch

from s2s_asr.encoder_streams import ChainStream, RecurrentStream, WindowStream, window_of
from s2s_asr.encoders.tdnn import TdnnBlock, TdnnEncoder
from s2s_core.nn.rnn import Recurrent

TAPS = torch.tensor([0.5, -1.0, 2.0, 0.25])


def weighted(frames, before=1, stride=1):
    """Each output is a sum over one frame before its place, the place itself and two frames after."""
    padded = torch.nn.functional.pad(frames, (0, 0, before, len(TAPS) - 1 - before))
    return torch.einsum("btfk,k->btf", padded.unfold(1, len(TAPS), 1), TAPS)[:, ::stride]


def in_pieces(stream, frames, size):
    """What comes of each piece, the last one marked."""
    pieces = list(frames.split(size, dim=1))
    return [stream.push(piece, last=number == len(pieces)) for number, piece in enumerate(pieces, start=1)]


@pytest.mark.parametrize("stride", [1, 3])
@pytest.mark.parametrize("size", [1, 2, 5, 17, 40])
def test_windows_give_what_the_whole_gives(size, stride):
    frames = torch.randn(1, 17, 2)
    stream = WindowStream(lambda x: weighted(x, stride=stride), before=1, after=2, stride=stride)
    torch.testing.assert_close(torch.cat(in_pieces(stream, frames, size), dim=1), weighted(frames, stride=stride))


def test_an_output_comes_as_soon_as_its_window_is_whole():
    stream = WindowStream(lambda x: weighted(x, stride=3), before=1, after=2, stride=3)
    made = [piece.size(1) for piece in in_pieces(stream, torch.randn(1, 10, 2), 1)]
    assert made == [0, 0, 1, 0, 0, 1, 0, 0, 1, 1]  # frames 2, 5 and 8 complete places 0, 3 and 6; the end place 9
    assert stream.lookahead == 2


def test_a_window_holds_no_more_than_is_in_sight():
    lengths = []

    def run(frames):
        lengths.append(frames.size(1))
        return weighted(frames)

    in_pieces(WindowStream(run, before=1, after=2), torch.randn(1, 200, 2), 4)
    assert max(lengths) <= 1 + 2 + 4


@pytest.mark.parametrize("size", [1, 4, 9])
def test_recurrent_layers_carry_their_state_on(size):
    torch.manual_seed(0)
    layer = Recurrent("lstm", 3, 5).eval()
    frames = torch.randn(1, 9, 3)
    whole, _ = layer(frames, torch.tensor([9]))
    stream = RecurrentStream(layer)
    assert stream.push(frames[:, :0]).shape == (1, 0, 5)
    torch.testing.assert_close(torch.cat(in_pieces(stream, frames, size), dim=1), whole)


@pytest.mark.parametrize("size", [1, 4, 30])
def test_a_chain_adds_up_strides_and_lookahead(size):
    frames = torch.randn(1, 25, 2)
    chain = ChainStream(
        [
            WindowStream(lambda x: weighted(x, stride=2), 1, 2, stride=2),
            WindowStream(weighted, 1, 2),
            WindowStream(weighted, 1, 2),
        ]
    )
    assert (chain.stride, chain.lookahead) == (2, 2 + 2 * 2 + 2 * 2)
    whole = weighted(weighted(weighted(frames, stride=2)))
    torch.testing.assert_close(torch.cat(in_pieces(chain, frames, size), dim=1), whole)


@torch.no_grad()
@pytest.mark.parametrize("size", [3, 11])
def test_an_encoder_over_windows_is_itself(size):
    torch.manual_seed(0)
    encoder = TdnnEncoder(4, [TdnnBlock(6, 5, stride=2)]).eval()
    frames = torch.randn(1, 21, 4)
    whole, _ = encoder(frames, torch.tensor([21]))
    torch.testing.assert_close(torch.cat(in_pieces(window_of(encoder, 2, 2, 2), frames, size), dim=1), whole)
