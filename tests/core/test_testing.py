"""Each contract check passes a module that keeps the contract and fails one that breaks it in one way."""

import importlib
from pathlib import Path

import pytest
import torch
from torch import nn

from s2s_core import testing
from s2s_core.losses.reduction import LossSum
from s2s_core.nn.mask import length_mask
from s2s_core.part import Part
from s2s_core.serving.endpoint import Answer, Endpoint, Question
from s2s_core.testing.serving import answers_in_any_company

LENGTHS = [9, 17, 4]


class Smoother(Part, nn.Module):
    """A convolution of stride 2 with masked batch norm; ``fault`` names what it does wrong."""

    def __init__(self, fault: str = ""):
        super().__init__()
        self.fault = fault
        self.in_features, self.out_features = 3, 5
        self.conv = nn.Conv1d(3, 5, 3, stride=2, padding=1)
        self.gain = nn.Parameter(torch.ones(5))
        self.register_buffer("running_mean", torch.zeros(5))
        if fault == "dead parameter":
            self.unused = nn.Parameter(torch.ones(2))

    @classmethod
    def examples(cls):
        return [cls()]

    def output_lengths(self, lengths):
        return (lengths + 1) // 2 - int(self.fault == "lengths")

    def forward(self, x, lengths):
        if self.fault != "input leaks":
            x = x.masked_fill(~length_mask(lengths, x.shape[1])[..., None], 0.0)
        if self.fault == "normalises over time":
            x = x - x.mean(dim=1, keepdim=True)
        if self.fault == "normalises over the batch":
            x = x / x.abs().max()
        y = self.conv(x.transpose(1, 2)).transpose(1, 2)
        lengths = (lengths + 1) // 2
        mask = length_mask(lengths, y.shape[1])[..., None]
        mean = self.running_mean
        if self.training:
            rows = y.flatten(0, 1) if self.fault == "statistics of padding" else y[mask[..., 0]]
            mean = rows.mean(dim=0)
            self.running_mean.copy_(mean.detach())
        if self.fault == "overflows" and y.dtype == torch.bfloat16:
            y = y * float("inf")
        y = (y - mean) * self.gain
        return (y if self.fault == "not zero after the end" else y.masked_fill(~mask, 0.0)), lengths


SEQUENCE_CHECKS = [
    testing.check_batch_invariance,
    testing.check_lengths,
    testing.check_zero_after_end,
    testing.check_gradients_reach_every_parameter,
    testing.check_padding_is_ignored_in_training,
    testing.check_stays_finite_in_bfloat16,
]


@pytest.mark.parametrize("check", SEQUENCE_CHECKS)
def test_a_right_module_passes(check):
    check(Smoother(), testing.draw_sequences(LENGTHS, 3))


@pytest.mark.parametrize(
    ("fault", "check", "message"),
    [
        ("input leaks", testing.check_batch_invariance, "padded with noise"),
        ("input leaks", testing.check_gradients_reach_every_parameter, "reaches the padding"),
        ("normalises over time", testing.check_batch_invariance, "padded with zeros"),
        ("normalises over the batch", testing.check_batch_invariance, "padded with zeros"),
        ("lengths", testing.check_lengths, "promised"),
        ("not zero after the end", testing.check_zero_after_end, "not zero"),
        ("dead parameter", testing.check_gradients_reach_every_parameter, "unused gets no gradient"),
        ("statistics of padding", testing.check_padding_is_ignored_in_training, "in training under padding"),
        ("overflows", testing.check_stays_finite_in_bfloat16, "not finite"),
    ],
)
def test_a_faulty_module_fails(fault, check, message):
    with pytest.raises(AssertionError, match=message):
        check(Smoother(fault), testing.draw_sequences(LENGTHS, 3))


def test_invariance_is_held_to_a_hundred_thousandth():
    class Nudged(Smoother):
        def forward(self, x, lengths):
            y, new_lengths = super().forward(x, lengths)
            return y + 1e-4 * (len(x) > 1), new_lengths

    with pytest.raises(AssertionError, match=r"e-0[45]"):
        testing.check_batch_invariance(Nudged(), testing.draw_sequences(LENGTHS, 3))


class Scorer(Part, nn.Module):
    def __init__(self, fault: str = ""):
        super().__init__()
        self.fault = fault
        self.vocab_size = 3
        self.linear = nn.Linear(4, 4)

    def forward(self, encodings, lengths):
        y = self.linear(encodings)
        return y - y.mean(dim=(0, 1)) if self.fault == "mates" else y

    def greedy(self, logits, lengths):
        ends = [logits.shape[1]] * len(logits) if self.fault == "padding" else lengths.tolist()
        best = logits[..., : 4 if self.fault == "blank" else 3].argmax(-1)
        return [row[:end].tolist() for row, end in zip(best, ends, strict=True)]


def test_decoders():
    torch.manual_seed(0)
    sequences = testing.draw_sequences(LENGTHS, 4)
    testing.check_decoder(Scorer(), sequences)
    for fault, message in (("mates", "logits of"), ("padding", "labels of"), ("blank", "labels outside")):
        with pytest.raises(AssertionError, match=message):
            testing.check_decoder(Scorer(fault), sequences)


def squares(fault=""):
    """The sum of squares over real frames, a frame a unit of weight."""

    def loss(logits, lengths, tokens, token_lengths):
        real = length_mask(lengths, logits.shape[1])
        rows = logits if fault == "low precision" else logits.float()
        rows = rows.square() if fault == "padding" else rows.square() * real[..., None]
        total = rows.sum() / (len(logits) if fault == "average" else 1)
        total = total + (tokens.sum() if fault == "token padding" else 0)
        return LossSum(total, torch.tensor(float(len(logits))) ** (2 if fault == "weight" else 1))

    return loss


def test_losses():
    logits = testing.draw_sequences(LENGTHS, 4)
    tokens = [torch.tensor([1, 2]), torch.tensor([3]), torch.tensor([1, 1, 1])]
    testing.check_loss(squares(), logits, tokens)
    for fault, message in (
        ("padding", " for "),
        ("average", " for "),
        ("token padding", " for "),
        ("weight", "weight"),
        ("low precision", "bfloat16"),
    ):
        with pytest.raises(AssertionError, match=message):
            testing.check_loss(squares(fault), logits, tokens)


class Sized(Part, nn.Module):
    """Remembers a size that its constructor may spoil."""

    def __init__(self, size: int, spoil: bool = False):
        super().__init__()
        self.linear = nn.Linear(2, size + (int(torch.randint(1, 1000, ())) if spoil else 0))


def test_describe_round_trip():
    testing.check_describe_round_trip(Sized(3))
    with pytest.raises(AssertionError, match="other parameters"):
        testing.check_describe_round_trip(Sized(3, spoil=True))


def test_examples_belong_to_their_class():
    class Heir(Smoother):
        @classmethod
        def examples(cls):
            return [Smoother()]

    class Bare(Part):
        pass

    assert isinstance(testing.examples_of(Smoother)[0], Smoother)
    with pytest.raises(AssertionError, match="define its own"):
        testing.examples_of(Heir)
    with pytest.raises(AssertionError, match="Bare has no classmethod examples"):
        testing.examples_of(Bare)


def test_classes_of_no_installed_package_are_passed_over():
    from s2s_core.optim.schedules import Schedule

    foreign = type("Foreign", (Schedule,), {"__module__": "s2s_elsewhere", "factor": lambda self, step, total: 1.0})
    assert foreign not in testing.find_parts(Schedule)
    assert foreign in Schedule.__subclasses__()


def test_parts_are_found_without_being_imported_first():
    from s2s_core.optim.schedules import Schedule

    names = [cls.__name__ for cls in testing.find_parts(Schedule)]
    assert {"Cosine", "Fixed", "Polynomial"} <= set(names)
    assert "Schedule" not in names


def test_shared_data_is_found_or_skipped(monkeypatch, tmp_path):
    (tmp_path / "an4").mkdir()
    monkeypatch.setenv("S2S_DATA_DIR", str(tmp_path))
    assert testing.shared_data("an4") == tmp_path / "an4"
    with pytest.raises(pytest.skip.Exception, match=r"nothing/here.csv.*S2S_DATA_DIR"):
        testing.shared_data("nothing", "here.csv")


def test_the_default_folder_lies_beside_the_repository(monkeypatch):
    monkeypatch.delenv("S2S_DATA_DIR", raising=False)
    monkeypatch.setattr("pathlib.Path.exists", lambda path: True)
    repository = Path(__file__).resolve().parents[2]
    assert testing.shared_data("an4") == repository.parent / "shared" / "data" / "an4"


def test_parts_are_found_where_nothing_can_be_served(monkeypatch):
    def without(missing):
        def import_module(name):
            if name == "s2s_core.serving.endpoint":
                raise ModuleNotFoundError(f"No module named '{missing}'", name=missing)
            return importlib.import_module(name)

        return import_module

    monkeypatch.setattr("s2s_core.testing.parts.installed_packages", lambda: ["s2s_core"])
    monkeypatch.setattr("s2s_core.testing.parts.import_module", without("pydantic"))
    assert len(testing.find_parts(Part)) > 20
    monkeypatch.setattr("s2s_core.testing.parts.import_module", without("torchaudio"))
    with pytest.raises(ModuleNotFoundError, match="torchaudio"):
        testing.find_parts(Part)


class Counter(Endpoint[str]):
    """Says how many asked; ``fault`` names what it does wrong."""

    name = "count"
    summary = ""

    class answers(Answer):
        text: str
        share: float

    def __init__(self, fault=""):
        self.fault = fault
        self.asks = Question

    def prepare(self, asked):
        return asked

    def key(self, prepared):
        return prepared if self.fault == "keys" else None

    def run(self, batch):
        extra = {"more": 1} if self.fault == "schema" else {}
        share = len(batch) if self.fault == "number" else 1.0
        words = f" {len(batch)}" if self.fault == "text" else ""
        return [{"text": one + words, "share": share, **extra} for one in batch]


def test_answers_that_depend_on_company_are_found_out():
    assert [answer["text"] for answer in answers_in_any_company(Counter(), ["a", "b"])] == ["a", "b"]
    for fault in ("keys", "schema", "number", "text"):
        with pytest.raises((AssertionError, ValueError)):
            answers_in_any_company(Counter(fault), ["a", "b"])


def test_recordings_are_compared_by_their_samples():
    class Noise(Counter):
        answers = "wav"
        loud = 0

        def run(self, batch):
            return [bytes(44) + bytes([self.loud * (len(batch) - 1), 0]) * 9 for _ in batch]

    noise = Noise()
    answers_in_any_company(noise, ["a", "b"])
    noise.loud = 30
    answers_in_any_company(noise, ["a", "b"], tolerance=1e-3)
    with pytest.raises(AssertionError):
        answers_in_any_company(noise, ["a", "b"], tolerance=1e-4)
