"""Corpora that are made, not read."""

from __future__ import annotations

from pathlib import Path

from s2s_core.data.output_folder import all_or_nothing
from s2s_core.text.sentences import SubwordTokenizer, WordTokenizer
from s2s_nmt.prepare.grammar import grammar_pairs
from s2s_nmt.prepare.reversal import GREEK, PAIRS, reversal_pairs
from s2s_nmt.prepare.run import JOINT_FILE, PrepareOptions, write_splits, write_summary
from s2s_nmt.prepare.summary import Summary
from s2s_nmt.prepare.vocabulary import train_sentencepiece

SENTENCES = {"train": 12_000, "validation": 400, "test": 400}
"""Of the grammar."""


def prepare_reversal(output: Path, seed: int = 0, overwrite: bool = False) -> Summary:
    """Write the toy task, tokenised as `WordTokenizer` of `GREEK` does."""
    tokenizer = WordTokenizer(GREEK)
    splits = {split: reversal_pairs(split, count, seed=seed) for split, count in PAIRS.items()}
    with all_or_nothing(output, overwrite) as scratch:
        summary = write_splits(dict(splits), [tokenizer, tokenizer], scratch)
        write_summary(scratch, summary)
    return summary


def prepare_synthetic(output: Path, seed: int, options: PrepareOptions) -> Summary:
    """Write sentences of the small grammar, with a vocabulary learnt from them."""
    pairs = grammar_pairs(SENTENCES, seed)
    with all_or_nothing(output, options.overwrite) as scratch:
        texts = (text for pair in pairs["train"] for text in (pair.source, pair.target))
        train_sentencepiece(texts, options.vocabulary, scratch / JOINT_FILE)
        tokenizer = SubwordTokenizer(str(scratch / JOINT_FILE))
        summary = write_splits(dict(pairs), [tokenizer, tokenizer], scratch)
        summary.vocabularies[JOINT_FILE] = tokenizer.vocab_size
        summary.files.append(JOINT_FILE)
        write_summary(scratch, summary)
    return summary
