import logging
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from s2s_core.data.text import TextTable, TextTableWriter
from s2s_core.errors import UserError
from s2s_core.testing import shared_data
from s2s_core.text.sentences import EOS_ID, PAD_ID, WordTokenizer
from s2s_nmt.data import ParallelData, TextDetails
from s2s_nmt.prepare.run import PrepareOptions, prepare_parallel
from s2s_nmt.prepare.sources import find_sources
from s2s_nmt.prepare.vocabulary import VocabularyOptions

WORDS = WordTokenizer(list("abcdefgh"))
COLUMNS = (["source_tokens", "target_tokens"], ["id", "source", "target"])


def write(path, count, tokenizer=WORDS, seed=0):
    rng = np.random.default_rng(seed)
    marks = {"source": tokenizer.fingerprint(), "target": tokenizer.fingerprint()}
    with TextTableWriter(path, *COLUMNS, marks) as writer:
        for number in range(1, count + 1):
            sides = [" ".join(rng.choice(list("abcdefgh"), rng.integers(1, 20))) for _ in range(2)]
            tokens = [tokenizer.encode(text) for text in sides]
            row = {"source": sides[0], "target": sides[1], "source_tokens": tokens[0], "target_tokens": tokens[1]}
            writer.write({"id": str(number), **row})
    return str(path)


def loaded(split, tokenizer=WORDS, **arguments):
    data = ParallelData(**{"batch_tokens": 400, **arguments})
    data.source_tokenizer = data.target_tokenizer = tokenizer
    data.setup({"train": "fit", "validation": "fit"}.get(split, split))
    return data


def test_batches_hold_every_pair_once_padded_and_ended(tmp_path):
    path = write(tmp_path / "train.arrow", 200)
    table = TextTable([path])
    seen = []
    for batch in loaded("train", train=path).train_dataloader():
        assert batch.source.dtype == batch.target.dtype == torch.int64
        assert batch.source.numel() + batch.target.numel() <= 400
        seen += batch.ids
        for row, name in enumerate(batch.ids):
            for side, tokens, lengths, texts in (
                ("source", batch.source, batch.source_lengths, batch.sources),
                ("target", batch.target, batch.target_lengths, batch.targets),
            ):
                length = int(lengths[row])
                assert texts[row] == table.text(side, int(name) - 1)
                assert tokens[row, :length].tolist() == [*WORDS.encode(texts[row]), EOS_ID]
                assert (tokens[row, length:] == PAD_ID).all()
        assert batch.source.shape[1] == batch.source_lengths.max()
    assert sorted(map(int, seen)) == list(range(1, 201))


def test_lengths_in_multiples(tmp_path):
    path = write(tmp_path / "train.arrow", 50)
    for batch in loaded("train", train=path, details=TextDetails(length_multiple=8)).train_dataloader():
        assert batch.source.shape[1] % 8 == batch.target.shape[1] % 8 == 0
        assert batch.source.shape[1] - batch.source_lengths.max() < 8


def test_long_training_pairs_are_left_out_and_counted_but_never_evaluated_ones(tmp_path, caplog):
    path = write(tmp_path / "train.arrow", 100)
    table = TextTable([path])
    short = np.maximum(table.lengths("source_tokens"), table.lengths("target_tokens")) + 1 <= 12
    with caplog.at_level(logging.INFO, "s2s_nmt"):
        data = loaded("train", train=path, validation=path, max_length=12)
    assert (data.count("train"), data.count("validation"), data.count("test")) == (short.sum(), 100, 0)
    ids = [name for batch in data.train_dataloader() for name in batch.ids]
    assert sorted(map(int, ids)) == (np.flatnonzero(short) + 1).tolist()
    assert f"{100 - short.sum()} longer than 12 tokens left out" in caplog.text
    assert "padding" in caplog.text


def test_another_vocabulary_makes_the_tokens_anew_and_says_so(tmp_path, caplog):
    path = write(tmp_path / "train.arrow", 20)
    other = WordTokenizer(list("hgfedcba"))
    with caplog.at_level(logging.INFO, "s2s_nmt"):
        data = loaded("train", other, train=path)
    batch = next(iter(data.train_dataloader()))
    assert batch.source[0, : batch.source_lengths[0] - 1].tolist() == other.encode(batch.sources[0])
    assert "tokenised anew" in caplog.text


def test_predicting_needs_no_target_and_keeps_the_files_order(tmp_path):
    path = write(tmp_path / "test.arrow", 30)
    data = loaded("predict", predict=[path, path])
    batches = list(data.predict_dataloader())
    assert all(batch.target.shape == (len(batch.ids), 0) for batch in batches)
    assert data.predict_ids() == [str(number) for number in range(1, 31)] * 2


@pytest.mark.parametrize("workers", [0, 2])
def test_goes_on_in_the_middle_of_an_epoch(tmp_path, workers):
    path = write(tmp_path / "train.arrow", 150)

    def loader(**arguments):
        made = loaded("train", train=path, num_workers=workers, **arguments).train_dataloader()
        made.sampler.set_epoch(2)
        return made

    whole = [batch.ids for batch in loader()]
    stopped = loader()
    batches = iter(stopped)
    begun = [next(batches).ids for _ in range(3)]
    again = loader()
    again.load_state_dict(stopped.state_dict())
    assert begun + [batch.ids for batch in again] == whole
    with pytest.raises(UserError, match="in the middle of an epoch over other batches"):
        loader(batch_tokens=300).load_state_dict(stopped.state_dict())


def test_every_rank_evaluates_its_share(tmp_path):
    path = write(tmp_path / "test.arrow", 41)
    ids = []
    for rank in range(3):
        data = ParallelData(test=path, batch_tokens=200)
        module = SimpleNamespace(source_tokenizer=WORDS, target_tokenizer=WORDS)
        data.trainer = SimpleNamespace(global_rank=rank, world_size=3, lightning_module=module, is_global_zero=True)
        data.setup("test")
        ids += [name for batch in data.test_dataloader() for name in batch.ids]
    assert sorted(map(int, ids)) == list(range(1, 42))


def test_mistakes_are_named(tmp_path):
    path = write(tmp_path / "train.arrow", 5)
    with pytest.raises(UserError, match=r"data\.init_args\.train: no file given; `prepare CORPUS` writes train\.arrow"):
        loaded("train")
    with pytest.raises(UserError, match=r"none of the 5 pairs is left \(5 longer than 1 tokens left out\)"):
        loaded("train", train=path, max_length=1)
    with TextTableWriter(tmp_path / "lm.arrow", ["tokens"], [], {}) as writer:
        writer.write({"tokens": [1]})
    with pytest.raises(UserError, match=r"lm\.arrow: has columns tokens, expected pairs"):
        loaded("train", train=str(tmp_path / "lm.arrow"))
    for name in ("batch_tokens", "batch_size", "max_length"):
        with pytest.raises(ValueError, match=f"{name} must be at least 1, got 0"):
            ParallelData(**{name: 0})


def test_multi30k_pads_less_than_a_twentieth(tmp_path):
    sources = find_sources(shared_data("multi30k"), None, ("en", "de"), {})
    options = PrepareOptions(vocabulary=VocabularyOptions(size=6000))
    prepare_parallel(sources, tmp_path, options)
    data = ParallelData(train=str(tmp_path / "train.arrow"), batch_tokens=6400)
    from s2s_core.text.sentences import SubwordTokenizer

    data.source_tokenizer = data.target_tokenizer = SubwordTokenizer(str(tmp_path / "vocabulary.model"))
    data.setup("fit")
    assert data.count("train") == 29000
    real = padded = 0
    for batch in data.train_dataloader():
        real += int(batch.source_lengths.sum() + batch.target_lengths.sum())
        padded += batch.source.numel() + batch.target.numel()
    assert data.padding_waste == pytest.approx(1 - real / padded)
    assert data.padding_waste < 0.05
