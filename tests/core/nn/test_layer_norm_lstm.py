"""The layer-normalised LSTM against a loop over rows and steps in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from s2s_core.nn.layer_norm_lstm import LayerNormLstm

LENGTHS, BATCH_SIZES, HIDDEN = [4, 3, 1], [3, 2, 2, 1], 5
EPS = 1e-5


def normalise(x, gain, bias):
    return (x - x.mean()) / np.sqrt(x.var() + EPS) * gain + bias


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def run_in_numpy(direction, frames, hidden, cell):
    """One row: ``frames`` (time, in_features) in the order in which they are read."""
    p = {name: value.detach().numpy() for name, value in direction.named_parameters()}
    outputs = []
    for x in frames:
        gates = normalise(p["weight_ih"] @ x, p["gain_ih"], p["bias"])
        gates = gates + normalise(p["weight_hh"] @ hidden, p["gain_hh"], 0.0)
        let_in, forget, new, let_out = np.split(gates, 4)
        cell = sigmoid(forget) * cell + sigmoid(let_in) * np.tanh(new)
        hidden = sigmoid(let_out) * np.tanh(normalise(cell, p["norm.weight"], p["norm.bias"]))
        outputs.append(hidden)
    return outputs, hidden, cell


def layer(bidirectional):
    torch.manual_seed(0)
    made = LayerNormLstm(6, HIDDEN, bidirectional).double()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    return made


@pytest.mark.parametrize("bidirectional", [False, True])
def test_equals_a_loop(bidirectional):
    lstm = layer(bidirectional)
    directions = 2 if bidirectional else 1
    rows = [torch.randn(n, 6, dtype=torch.float64) for n in LENGTHS]
    packed = torch.cat([rows[r][t][None] for t, n in enumerate(BATCH_SIZES) for r in range(n)])
    state = tuple(torch.randn(directions, 3, HIDDEN, dtype=torch.float64) for _ in range(2))
    outputs, (hidden, cell) = lstm.packed(packed, BATCH_SIZES, state)
    for r, row in enumerate(rows):
        places = [sum(BATCH_SIZES[:t]) + r for t in range(len(row))]
        for d, direction in enumerate(lstm.directions):
            turn = slice(None, None, -1 if d else 1)
            begin = (state[0][d, r].numpy(), state[1][d, r].numpy())
            wanted, end, end_cell = run_in_numpy(direction, row.numpy()[turn], *begin)
            mine = outputs[places, d * HIDDEN : (d + 1) * HIDDEN].detach().numpy()
            np.testing.assert_allclose(mine, np.stack(wanted)[turn], atol=1e-12)
            np.testing.assert_allclose(hidden[d, r].detach().numpy(), end, atol=1e-12)
            np.testing.assert_allclose(cell[d, r].detach().numpy(), end_cell, atol=1e-12)


def test_a_step_is_the_loops():
    lstm = layer(bidirectional=False)
    x, state = torch.randn(3, 6, dtype=torch.float64), tuple(torch.randn(1, 3, HIDDEN).double() for _ in range(2))
    whole, ends = lstm.packed(x, [3], state)
    one, after = lstm.step(x, state)
    torch.testing.assert_close(one, whole)
    torch.testing.assert_close(after, ends)
    with pytest.raises(ValueError, match="bidirectional"):
        layer(bidirectional=True).step(x, state)
