"""Contracts that every part keeps, as checks that raise AssertionError.

They hold for any module of the form ``(sequences, lengths) -> (outputs, lengths)`` over padded batches: encoders,
features; and for decoders ``(encodings, lengths) -> logits`` and losses ``(logits, lengths, tokens, lengths) ->
LossSum``. Sequences are given one by one, without padding; the checks pad them.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from s2s_core.part import Part

TOLERANCE = 1e-5
"""Of outputs in float32, relative to the largest of them where that is above 1."""
EXTRA = 13
"""Frames of padding beyond the longest sequence."""


def draw_sequences(lengths: Sequence[int], *shape: int, seed: int = 0) -> list[Tensor]:
    """Return standard normal sequences ``(length, *shape)``."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(length, *shape, generator=generator) for length in lengths]


def pad(sequences: Sequence[Tensor], filler: float = 0.0, extra: int = 0) -> tuple[Tensor, Tensor]:
    """Return ``(batch, time, ...)`` and lengths.

    Args:
        sequences: what to stack.
        filler: 0 pads with zeros; otherwise the padding is noise of this size.
        extra: padding beyond the longest sequence.
    """
    lengths = torch.tensor([len(sequence) for sequence in sequences])
    generator = torch.Generator().manual_seed(1)
    batch = torch.randn(len(sequences), int(lengths.max()) + extra, *sequences[0].shape[1:], generator=generator)
    batch = batch.to(sequences[0].dtype) * filler
    for row, sequence in zip(batch, sequences, strict=True):
        row[: len(sequence)] = sequence
    return batch, lengths


def check_batch_invariance(module: nn.Module, sequences: Sequence[Tensor]) -> None:
    """A sequence's output is the same alone, in any batch, in any order, under any padding with any contents."""
    disturb(module).eval()
    with torch.no_grad():
        alone = [_real_parts(module(*pad([sequence])))[0] for sequence in sequences]
        for name, rows, filler, extra in _batches(len(sequences)):
            together = _real_parts(module(*pad([sequences[i] for i in rows], filler, extra)))
            for row, output in zip(rows, together, strict=True):
                _assert_close(output, alone[row], f"sequence {row} in a batch {name}")


def _batches(count: int) -> list[tuple[str, list[int], float, int]]:
    order = list(range(count))
    return [
        ("padded with zeros", order, 0.0, 0),
        ("in reverse order", order[::-1], 0.0, 0),
        ("with longer padding", order, 0.0, EXTRA),
        ("padded with noise", order, 1.0, EXTRA),
        ("padded with large noise", order, 1e3, EXTRA),
        ("of one under noise", order[:1], 1e3, EXTRA),
    ]


def check_padding_is_ignored_in_training(module: nn.Module, sequences: Sequence[Tensor]) -> None:
    """Outputs, gradients and batch-norm statistics of a training step do not depend on padding.

    Batch-mates do count in training where a module has batch norm; their padding does not.
    """
    disturb(module).train()
    start = {name: value.clone() for name, value in module.state_dict().items()}
    results = []
    for filler, extra in ((0.0, 0), (10.0, EXTRA)):
        module.load_state_dict(start)
        module.zero_grad()
        outputs = _real_parts(module(*pad(sequences, filler, extra)))
        _some_scalar(outputs).backward()
        gradients = {name: p.grad.clone() for name, p in module.named_parameters() if p.grad is not None}
        buffers = {name: value.clone() for name, value in module.named_buffers()}
        results.append(({str(i): output.detach() for i, output in enumerate(outputs)}, gradients, buffers))
    for kind, plain, noisy in zip(("output", "gradient of", "buffer"), *results, strict=True):
        for name, value in plain.items():
            _assert_close(noisy[name].float(), value.float(), f"{kind} {name} in training under padding", 1e-4)


def check_lengths(module: Any, sequences: Sequence[Tensor]) -> None:
    """Returned lengths are those of ``output_lengths``, and the time axis has room for them and no more alone."""
    module.eval()
    with torch.no_grad():
        for extra in (0, EXTRA):
            padded, lengths = pad(sequences, extra=extra)
            outputs, given = module(padded, lengths)
            promised = module.output_lengths(lengths)
            assert given.tolist() == promised.tolist(), f"lengths {given.tolist()}, promised {promised.tolist()}"
            assert outputs.shape[1] >= int(given.max()), f"{outputs.shape[1]} frames for lengths {given.tolist()}"
        for sequence in sequences:
            outputs, given = module(*pad([sequence]))
            assert given.tolist() == module.output_lengths(torch.tensor([len(sequence)])).tolist()
            width = getattr(module, "out_features", outputs.shape[-1])
            assert outputs.shape[2:] == (width,), f"outputs are {tuple(outputs.shape)}, expected {width} features"


def check_stream(module: Any, sequences: Sequence[Tensor]) -> None:
    """Pieces give what the whole gives, and each output comes after its place and the stated lookahead, no later."""
    disturb(module).eval()
    with torch.no_grad():
        for number, sequence in enumerate(sequences):
            whole = _real_parts(module(*pad([sequence])))[0]
            for size in (1, 5, 17, len(sequence)):
                stream, heard, pieces = module.stream(), 0, []
                for piece in sequence.split(size):
                    pieces.append(stream.push(piece[None])[0])
                    heard += len(piece)
                    due = (max(0, heard - stream.lookahead) + stream.stride - 1) // stream.stride
                    given = sum(map(len, pieces))
                    assert given >= due, f"{given} outputs after {heard} of {len(sequence)}, {due} are due"
                pieces.append(stream.push(sequence[None, :0], last=True)[0])
                _assert_close(torch.cat(pieces), whole, f"sequence {number} in pieces of {size}")


def check_zero_after_end(module: nn.Module, sequences: Sequence[Tensor]) -> None:
    """Outputs after a sequence's end are exactly zero, in evaluation and in training."""
    for mode in (False, True):
        outputs, lengths = disturb(module).train(mode)(*pad(sequences, filler=1.0, extra=EXTRA))
        for row, length in zip(outputs, lengths.tolist(), strict=True):
            assert not row[length:].any(), f"output after frame {length} is not zero (training: {mode})"


def check_gradients_reach_every_parameter(module: nn.Module, sequences: Sequence[Tensor]) -> None:
    """Every trained parameter gets a finite gradient that is not all zero; padding gets none."""
    disturb(module).train()
    padded, lengths = pad(sequences, filler=1.0, extra=EXTRA)
    if padded.is_floating_point():
        padded.requires_grad_()
    _some_scalar(_real_parts(module(padded, lengths))).backward()
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, f"{name} gets no gradient"
            assert torch.isfinite(parameter.grad).all(), f"the gradient of {name} is not finite"
            assert parameter.grad.any(), f"the gradient of {name} is zero everywhere"
    if padded.grad is not None:
        for row, length in zip(padded.grad, lengths.tolist(), strict=True):
            assert not row[length:].any(), "a gradient reaches the padding"


def check_stays_finite_in_bfloat16(module: nn.Module, sequences: Sequence[Tensor]) -> None:
    """Under autocast to bfloat16, outputs and gradients are finite and outputs near those of float32."""
    disturb(module).eval()
    padded, lengths = pad(sequences)
    autocast = torch.autocast(next(module.parameters()).device.type, dtype=torch.bfloat16)
    with torch.no_grad():
        exact = _real_parts(module(padded, lengths))
        with autocast:
            rough = _real_parts(module(padded, lengths))
    for a, b in zip(rough, exact, strict=True):
        assert torch.isfinite(a).all(), "bfloat16 outputs are not finite"
        error = (a.float() - b).norm() / b.norm().clamp(min=1e-6)
        assert error < 0.1, f"bfloat16 outputs are off by {float(error):.2f} of their norm"
    module.train()  # cuDNN has gradients of recurrent layers in training only
    with autocast:
        trained = _real_parts(module(padded, lengths))
    _some_scalar([output.float() for output in trained]).backward()
    for name, parameter in module.named_parameters():
        assert parameter.grad is None or torch.isfinite(parameter.grad).all(), f"bfloat16 gradient of {name}"


def check_decoder(decoder: Any, sequences: Sequence[Tensor]) -> None:
    """Logits of a frame, and the labels read off them, depend neither on batch-mates nor on padding."""
    disturb(decoder).eval()

    def logits_of(encodings: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        return decoder(encodings, lengths), lengths

    with torch.no_grad():
        alone = [logits_of(*pad([sequence])) for sequence in sequences]
        labels = [decoder.greedy(*one)[0] for one in alone]
        for name, rows, filler, extra in _batches(len(sequences)):
            logits, lengths = logits_of(*pad([sequences[i] for i in rows], filler, extra))
            found = decoder.greedy(logits, lengths)
            for row, output, ids in zip(rows, _real_parts((logits, lengths)), found, strict=True):
                _assert_close(output, alone[row][0][0], f"logits of sequence {row} in a batch {name}")
                assert ids == labels[row], f"labels of sequence {row} in a batch {name}: {ids}, alone {labels[row]}"
    assert all(0 <= label < decoder.vocab_size for ids in labels for label in ids), f"labels outside 0..: {labels}"


def check_recognition(decoder: Any, sequences: Sequence[Tensor]) -> None:
    """The labels that a decoder's search finds, and where, depend neither on batch-mates nor on padding."""
    disturb(decoder).eval()

    def found(rows: Sequence[int], filler: float = 0.0, extra: int = 0) -> list[tuple[list[int], list[Any]]]:
        encodings, lengths = pad([sequences[i] for i in rows], filler, extra)
        seen = decoder(encodings, lengths)
        spans = decoder.spans(seen, lengths, [slice(0, None)] * len(rows))
        return list(zip(decoder.recognise(seen, lengths), spans, strict=True))

    with torch.no_grad():
        alone = [found([row])[0] for row in range(len(sequences))]
        for name, rows, filler, extra in _batches(len(sequences)):
            for row, (labels, spans) in zip(rows, found(rows, filler, extra), strict=True):
                assert labels == alone[row][0], (
                    f"labels of sequence {row} in a batch {name}: {labels}, not {alone[row][0]}"
                )
                places = [span[:3] for span in spans]
                assert places == [span[:3] for span in alone[row][1]], f"places in sequence {row} in a batch {name}"
    for sequence, (labels, spans) in zip(sequences, alone, strict=True):
        assert all(0 <= label < decoder.vocab_size for label in labels), f"labels outside 0..: {labels}"
        assert [span[0] for span in spans] == labels, f"places of {[span[0] for span in spans]}, found {labels}"
        assert all(0 <= span[1] < span[2] <= len(sequence) for span in spans), f"places outside the sequence: {spans}"


def check_loss(loss: Callable[..., Any], logits: Sequence[Tensor], tokens: Sequence[Tensor]) -> None:
    """A batch's total and weight are the sums of its rows', padding gets neither loss nor gradient, all in float32.

    Args:
        loss: the module.
        logits: one ``(time, labels)`` a row.
        tokens: one int64 ``(tokens,)`` a row.
    """
    alone = [loss(*pad([a]), *pad([b])) for a, b in zip(logits, tokens, strict=True)]
    total, weight = sum(float(x.total) for x in alone), sum(float(x.weight) for x in alone)
    for filler, token_filler, extra in ((0.0, 0, 0), (0.0, 0, EXTRA), (100.0, 1, EXTRA)):
        padded, lengths = pad(logits, filler, extra)
        padded.requires_grad_()
        ids, id_lengths = pad(tokens, extra=extra)
        for row, length in zip(ids, id_lengths.tolist(), strict=True):
            row[length:] = token_filler
        summed = loss(padded, lengths, ids, id_lengths)
        assert summed.total.dtype == torch.float32, f"the loss is {summed.total.dtype}"
        assert abs(float(summed.total.detach()) - total) <= 1e-5 * max(1.0, abs(total)), f"{summed.total} for {total}"
        assert abs(float(summed.weight) - weight) <= 1e-6 * weight, f"weight {summed.weight}, rows sum to {weight}"
        summed.mean.backward()
        assert padded.grad is not None, "the loss has no gradient"
        for row, length in zip(padded.grad, lengths.tolist(), strict=True):
            assert torch.isfinite(row).all(), "a gradient is not finite"
            assert row[:length].any(), "a row gets no gradient"
            assert not row[length:].any(), "a gradient reaches the padding"
    low = [a.bfloat16() for a in logits]
    assert loss(*pad(low), *pad(tokens)).total.dtype == torch.float32, "the loss of bfloat16 logits is not float32"


def check_describe_round_trip(part: Part) -> None:
    """What a part says of itself is plain data that builds it again: the same arguments, the same parameters."""
    from jsonargparse import ArgumentParser

    spec = part.describe()
    assert json.loads(json.dumps(spec)) == spec, f"{spec} does not survive JSON"
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(type(part), "part", fail_untyped=False)
    again = parser.instantiate(parser.parse_object({"part": copy.deepcopy(spec)}))["part"]  # it writes into it
    assert type(again) is type(part), f"rebuilt as {type(again)}"
    assert again.describe() == spec, f"rebuilt as {again.describe()}, was {spec}"
    if isinstance(part, nn.Module) and isinstance(again, nn.Module):
        assert _shapes(again) == _shapes(part), "the rebuilt part has other parameters"


def _shapes(module: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in module.state_dict().items()}


def disturb(module: nn.Module) -> nn.Module:
    """Move biases, gains and norm statistics off their initial zeros and ones, behind which errors can hide."""
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.dim() == 1:
                parameter += 0.3 * torch.randn(parameter.shape, generator=generator).to(parameter.device)
        for name, buffer in module.named_buffers():
            if name.endswith("running_mean"):
                buffer.copy_(0.3 * torch.randn(buffer.shape, generator=generator))
            elif name.endswith("running_var"):
                buffer.copy_(0.5 + torch.rand(buffer.shape, generator=generator))
    return module


def _real_parts(result: tuple[Tensor, Tensor]) -> list[Tensor]:
    outputs, lengths = result
    return [row[:length] for row, length in zip(outputs, lengths.tolist(), strict=True)]


def _some_scalar(outputs: Sequence[Tensor]) -> Tensor:
    """A scalar whose gradient is not constant: batch norm would turn the gradient of a plain sum into zero."""
    generator = torch.Generator().manual_seed(3)
    return torch.stack([(out * torch.randn(out.shape, generator=generator)).sum() for out in outputs]).sum()


def _assert_close(actual: Tensor, expected: Tensor, what: str, tolerance: float = TOLERANCE) -> None:
    assert actual.shape == expected.shape, f"{what}: shape {tuple(actual.shape)}, expected {tuple(expected.shape)}"
    if expected.numel() == 0:
        return
    allowed = tolerance * max(1.0, float(expected.abs().max()))
    difference = float((actual - expected).abs().max())
    assert difference <= allowed, f"{what} differs by {difference:.2e}"  # a NaN fails too
