"""Batches of noise to augment, and how loud they are."""

import numpy as np
import torch

from s2s_core.nn.mask import length_mask

RATE = 16000


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def decibels(ratio):
    return 20 * np.log10(ratio)


def rms(x):
    return float(x.double().square().mean().sqrt())


def batch(lengths, width=None, seed=9):
    """Noise whose loudness differs from row to row, zero after each end."""
    lengths = torch.tensor(lengths)
    audio = torch.randn(len(lengths), width or int(lengths.max()), generator=generator(seed))
    audio = audio * torch.linspace(0.05, 0.3, len(lengths))[:, None]
    return audio * length_mask(lengths, audio.size(1)), lengths
