"""Free speech in the compiled kernel against torch operations: frames, stops, lengths, for every seed and row."""

import pytest
import torch

from s2s_tts.decoders import synthesis_loop
from s2s_tts.decoders.native_steps import native_steps
from s2s_tts.decoders.tacotron2 import Tacotron2Decoder, Tacotron2Sizes
from s2s_tts.interfaces import Memory

SIZES = Tacotron2Sizes(prenet=32, rnn=48, attention=16, filters=3, kernel=5, postnet=7)


def decoder_of(factor=2, forward=False, threshold=0.5):
    torch.manual_seed(0)
    decoder = Tacotron2Decoder(
        32, 5, reduction_factor=factor, forward_attention=forward, stop_threshold=threshold, sizes=SIZES
    ).eval()
    decoder.stop.weight.data.mul_(6)
    return decoder


def memory_of(rows=5):
    lengths = torch.tensor([9, 4, 7, 1, 6])[:rows]
    values = torch.randn(rows, 9, 32, generator=torch.Generator().manual_seed(1))
    return Memory(values, lengths)


@pytest.fixture(autouse=True)
def _needs_a_compiler():
    if native_steps(torch.zeros(1), 16) is None:
        pytest.skip("no C++ compiler: the kernel cannot be built")


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("factor", "forward", "threshold"), [(1, False, 0.5), (2, True, 0.5), (3, False, 2.0)])
def test_the_kernel_says_what_torch_says(factor, forward, threshold, threads, set_threads, monkeypatch):
    set_threads(threads)
    decoder = decoder_of(factor, forward, threshold)
    arguments = (memory_of(), torch.tensor([1, 2, 3, 4, 5]), torch.tensor([60, 70, 41, 90, 7]))
    with torch.no_grad():
        assert synthesis_loop.can_run(decoder, arguments[0])
        found = decoder.generate(*arguments)
        monkeypatch.setattr("s2s_tts.decoders.tacotron2.can_run", lambda *_: False)
        expected = decoder.generate(*arguments)
    assert found.spectrogram.lengths.tolist() == expected.spectrogram.lengths.tolist()
    assert found.finished.tolist() == expected.finished.tolist()
    if threshold < 1:
        assert found.finished.any()
        assert len(set(found.spectrogram.lengths.tolist())) > 1
    torch.testing.assert_close(found.coarse, expected.coarse, atol=1e-4, rtol=1e-4)
    for row, steps in enumerate(found.step_lengths.tolist()):
        torch.testing.assert_close(
            found.alignments[row, :steps], expected.alignments[row, :steps], atol=1e-5, rtol=1e-4
        )
        torch.testing.assert_close(
            found.stop_logits[row, :steps], expected.stop_logits[row, :steps], atol=1e-4, rtol=1e-4
        )


def test_a_row_is_the_same_to_the_bit_in_any_batch():
    decoder, seeds, limits = decoder_of(), torch.tensor([1, 2, 3, 4, 5]), torch.full((5,), 50)
    memory = memory_of()
    with torch.no_grad():
        together = decoder.generate(memory, seeds, limits)
        for row in range(5):
            alone = decoder.generate(
                Memory(memory.values[row : row + 1], memory.lengths[row : row + 1]), seeds[row : row + 1], limits[:1]
            )
            frames = int(alone.spectrogram.lengths)
            assert int(together.spectrogram.lengths[row]) == frames
            assert torch.equal(together.coarse[row, :frames], alone.coarse[0])


def test_changed_weights_are_packed_anew():
    decoder, memory = decoder_of(threshold=2.0), memory_of(2)
    with torch.no_grad():
        first = decoder.generate(memory, torch.tensor([1, 2]), torch.tensor([8, 8])).coarse
        decoder.projection.bias.add_(1.0)
        second = decoder.generate(memory, torch.tensor([1, 2]), torch.tensor([8, 8])).coarse
    torch.testing.assert_close(second[:, :2], first[:, :2] + 1.0, atol=1e-5, rtol=1e-5)


def test_bfloat16_weights_say_nearly_the_same():
    decoder, memory = decoder_of(threshold=2.0), memory_of(3)
    with torch.no_grad():
        exact = decoder.generate(memory, torch.tensor([1, 2, 3]), torch.tensor([12, 12, 12])).coarse
        with torch.autocast("cpu", torch.bfloat16):
            rough = decoder.generate(memory, torch.tensor([1, 2, 3]), torch.tensor([12, 12, 12])).coarse
    assert float((rough - exact).norm() / exact.norm()) < 0.05
