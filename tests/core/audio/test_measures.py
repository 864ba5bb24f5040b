import pytest
import torch

from s2s_core.audio.features import LogMel, LogSpectrogram, Mfcc, Spectrum
from s2s_core.audio.measures import Measures, measure

HOP = 160


def in_pieces(audio, frames=50, context=5):
    """Pieces of ``frames`` hops that share ``2 * context`` with the next, each with the frames that it alone counts."""
    starts = range(0, len(audio) // HOP - 2 * context, frames - 2 * context)
    for start in starts:
        last = start == starts[-1]
        piece = audio[start * HOP :] if last else audio[start * HOP : (start + frames) * HOP]
        yield start, piece, slice(context if start else 0, None if last else frames - context)


@pytest.mark.parametrize("normalise", ["feature", "utterance", "none"])
@pytest.mark.parametrize("peak_gain", [True, False])
@pytest.mark.parametrize(("kind", "size"), [(LogMel, 20), (LogSpectrogram, 64), (Mfcc, 13)])
def test_pieces_have_the_features_of_the_whole(kind, size, normalise, peak_gain):
    features = kind(size, normalise=normalise, spectrum=Spectrum(peak_gain=peak_gain)).eval()
    generator = torch.Generator().manual_seed(0)
    loudness = torch.linspace(0.01, 0.3, 40_123)
    audio = torch.randn(40_123, generator=generator) * loudness
    (whole,), (length,) = features(audio[None], torch.tensor([len(audio)]))
    measures = measure(features, lambda: ((piece, keep) for _, piece, keep in in_pieces(audio)))
    seen = 0
    for start, piece, keep in in_pieces(audio):
        (x,), (n,) = features(piece[None], torch.tensor([len(piece)]), Measures.stack([measures]))
        kept = x[:n][keep]
        first = start + keep.start
        torch.testing.assert_close(kept, whole[first : first + len(kept)], atol=2e-4, rtol=0)
        seen += len(kept)
    assert seen == length
    assert features.needs_whole == (normalise != "none" or peak_gain)


def test_each_row_has_measures_of_its_own():
    features = LogMel(20).eval()
    audio = torch.randn(2, 8_000, generator=torch.Generator().manual_seed(1)) * torch.tensor([[0.02], [0.5]])
    lengths = torch.tensor([8_000, 8_000])
    rows = [measure(features, lambda row=row: iter([(row, slice(None))])) for row in audio]
    together, _ = features(audio, lengths, Measures.stack(rows))
    torch.testing.assert_close(together, features(audio, lengths)[0], atol=2e-4, rtol=0)
