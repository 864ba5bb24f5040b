"""Truncated backpropagation is exact, state carries and resets, runs resume bit for bit, evaluation counts once."""

import math

import pytest
import torch
from lightning.pytorch import Callback, Trainer
from torch.nn import functional as F

from s2s_lm.data import Segmenting
from s2s_lm.interfaces import IGNORED, SegmentBatch


def batch_of(tokens, targets, starts=None, lengths=None, fresh=False):
    starts = torch.zeros(len(tokens), dtype=torch.bool) if starts is None else torch.tensor(starts)
    return SegmentBatch(tokens, targets, starts, lengths, fresh)


def drawn(rows, time, vocab):
    return torch.randint(vocab, (rows, time + 1), generator=torch.Generator().manual_seed(1))


def test_one_segment_over_the_whole_is_full_backpropagation(make_task):
    task = make_task(dropout=False, penalties=(0.0, 0.0)).train()
    text = drawn(3, 12, task.encoder.vocab_size)
    task._training_loss(batch_of(text[:, :-1], text[:, 1:], fresh=True), None)[0].total.backward()
    ours = {name: p.grad.clone() for name, p in task.named_parameters()}
    task.zero_grad()
    hidden = F.embedding(text[:, :-1], task.encoder.embedding.weight)
    for layer in task.encoder.layers:
        torch_layer = torch.nn.LSTM(layer.input_size, layer.hidden_size, batch_first=True)
        hidden = torch.func.functional_call(torch_layer, dict(layer.named_parameters()), (hidden,))[0]
    logits = F.linear(hidden, task.decoder.weight, task.decoder.bias)
    F.cross_entropy(logits.flatten(0, 1), text[:, 1:].flatten(), reduction="sum").backward()
    for name, parameter in task.named_parameters():
        torch.testing.assert_close(ours[name], parameter.grad, rtol=1e-3, atol=1e-5)


def test_the_state_carries_over_segments_and_a_gradient_does_not(make_task):
    task = make_task(dropout=False, penalties=(0.0, 0.0)).train()
    text = drawn(2, 12, task.encoder.vocab_size)
    first, second = (batch_of(text[:, i : i + 6], text[:, i + 1 : i + 7]) for i in (0, 6))
    whole = task._training_loss(batch_of(text[:, :-1], text[:, 1:]), None)[0].total
    loss, state = task._training_loss(first, None)
    carried = task._training_loss(second, state)[0].total
    torch.testing.assert_close(loss.total + carried, whole)
    forgotten = task._training_loss(second, None)[0].total
    assert abs(float((forgotten - carried).detach())) > 1e-4
    assert not any(part.requires_grad for part in state)


def test_a_row_is_reset_where_its_document_ends(make_task):
    task = make_task(dropout=False, penalties=(0.0, 0.0)).train()
    text = drawn(2, 6, task.encoder.vocab_size)
    _, state = task._training_loss(batch_of(text[:, :-1], text[:, 1:]), None)
    targets = text[:, 1:].clone()
    targets[0, 4:] = IGNORED
    mixed = batch_of(text[:, :-1], targets, [True, False], [4, 6])
    encodings, kept, _ = task.advance(mixed, state)
    alone = [batch_of(text[:1, :4], text[:1, 1:5], [True]), batch_of(text[1:, :-1], text[1:, 1:], [False])]
    row_state = tuple(part[1:] for part in state)
    expected = [task.advance(alone[0], None)[0], task.advance(alone[1], row_state)[0]]
    torch.testing.assert_close(encodings, torch.cat(expected))
    assert len(kept) == 10


def trainer(folder, **options):
    return Trainer(
        default_root_dir=folder,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        use_distributed_sampler=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        **options,
    )


class KilledError(Exception):
    pass


class Kill(Callback):
    def __init__(self, step, path):
        self.step, self.path = step, path

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        if trainer.global_step == self.step:
            trainer.save_checkpoint(self.path)
            raise KilledError


@pytest.mark.parametrize("step", [4, 7, 13])
@pytest.mark.parametrize("mode", ["stream", "documents"])
def test_a_killed_run_resumes_to_the_same_weights(make_task, make_data, tmp_path, mode, step):
    data = {"mode": mode, "segmenting": Segmenting(variable_length=mode == "stream", random_start=True)}
    options = {"max_steps": 16, "limit_val_batches": 0}
    torch.manual_seed(3)
    whole = make_task()
    torch.manual_seed(3)
    trainer(tmp_path, **options).fit(whole, make_data(**data))
    broken = make_task()
    torch.manual_seed(3)
    path = tmp_path / "kill.ckpt"
    with pytest.raises(KilledError):
        trainer(tmp_path, callbacks=[Kill(step, path)], **options).fit(broken, make_data(**data))
    resumed = make_task()
    torch.manual_seed(99)
    trainer(tmp_path, **options).fit(resumed, make_data(**data), ckpt_path=path, weights_only=True)
    for a, b in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b)
    assert all(torch.equal(a, b) for a, b in zip(whole._carried, resumed._carried, strict=True))


@pytest.mark.parametrize("options", [{}, {"segment_length": 2}, {"segmenting": Segmenting(eval_length=50)}])
def test_the_test_scores_every_token_once_with_all_before_it(make_task, make_data, tmp_path, options):
    task = make_task()
    found = trainer(tmp_path).test(task, make_data(**options), verbose=False)[0]
    ids = [n for line in ("the cat sat", "on a zebra") for n in (*task.tokenizer.encode(line), 0)]
    task.eval()
    encodings, _ = task.encoder(torch.tensor([[0, *ids[:-1]]]), task.encoder.initial_state(1))
    nll = float(task.decoder.nll(encodings[0], torch.tensor(ids)).sum())
    assert found["test/loss"] == pytest.approx(nll / 8, rel=1e-5)
    assert found["test/perplexity"] == pytest.approx(math.exp(nll / 8), rel=1e-5)
    characters = len("the cat sat ") + len("on a ") + len("<unk> ")
    assert found["test/bits_per_character"] == pytest.approx(nll / math.log(2) / characters, rel=1e-5)


def test_documents_are_measured_alike_in_any_batch(make_task, make_data, tmp_path):
    values = []
    for rows in (1, 4, 15):
        data = make_data(mode="documents", batch_size=rows, segment_length=rows + 1)
        values.append(trainer(tmp_path).validate(make_task(), data, verbose=False)[0]["val/loss"])
    alone = trainer(tmp_path).validate(make_task(), make_data(mode="sentences"), verbose=False)[0]["val/loss"]
    assert values == pytest.approx([alone] * 3, rel=1e-6)


def test_learning_rates_follow_the_length_of_variable_segments(make_task, make_data, tmp_path):
    rates = []

    class Note(Callback):
        def on_before_optimizer_step(self, trainer, module, optimizer):
            rates.append(optimizer.param_groups[0]["lr"])

        def on_train_batch_start(self, trainer, module, batch, batch_idx):
            lengths.append(batch.tokens.size(1))

    lengths = []
    data = make_data(segment_length=20, segmenting=Segmenting(variable_length=True))
    trainer(tmp_path, max_steps=5, limit_val_batches=0, callbacks=[Note()]).fit(make_task(lr=0.5), data)
    assert rates == pytest.approx([0.5 * length / 20 for length in lengths])
    assert len(set(lengths)) > 1


def test_predictions_name_the_rows(make_task, make_data, tmp_path):
    data = make_data()
    rows = [row for batch in trainer(tmp_path).predict(make_task(), data) for row in batch]
    assert sorted(row["id"] for row in rows) == data.predict_ids() == ["1", "2"]
    assert {row["tokens"] for row in rows} == {4}
    assert all(row["log_probability"] < -1 for row in rows)
