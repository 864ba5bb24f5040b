"""What tests of every package share: real data where it exists, all parts of all packages, and their contracts."""

from __future__ import annotations

from s2s_core.testing.contracts import (
    check_batch_invariance,
    check_decoder,
    check_describe_round_trip,
    check_gradients_reach_every_parameter,
    check_lengths,
    check_loss,
    check_padding_is_ignored_in_training,
    check_recognition,
    check_stays_finite_in_bfloat16,
    check_stream,
    check_zero_after_end,
    draw_sequences,
    pad,
)
from s2s_core.testing.data import shared_data
from s2s_core.testing.parts import examples_of, find_parts, installed_packages

__all__ = [
    "check_batch_invariance",
    "check_decoder",
    "check_describe_round_trip",
    "check_gradients_reach_every_parameter",
    "check_lengths",
    "check_loss",
    "check_padding_is_ignored_in_training",
    "check_recognition",
    "check_stays_finite_in_bfloat16",
    "check_stream",
    "check_zero_after_end",
    "draw_sequences",
    "examples_of",
    "find_parts",
    "installed_packages",
    "pad",
    "shared_data",
]
