"""CTC beam search with a word trigram: libraries alone, through `s2s_asr.search`, and our own search, on one core.

    OMP_NUM_THREADS=1 python benchmarks/ctc_beam.py --arpa mfa_test_lm.arpa

20 utterances of 500 frames over 28 characters and blank, spoken from words of the trigram at random, a fifth of the
frames unsure; beam 128, alpha 0.5 in natural logarithms (so flashlight's own weight is 0.5 x ln 10), beta 1. "alone"
is the library called in a loop; "s2s" is the same library through `Searcher.submit`, word times included. Without a
language model the spellings are searched. Rates are medians of turns in which the systems alternate.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from machine import cpu_name
from timing import LocalSystem, System, interleave, print_table, summary

from s2s_asr.search.searcher import Searcher
from s2s_asr.search.settings import SearchSettings
from s2s_core.decoding.arpa_text import unigram_words
from s2s_core.error_rate import ErrorRate
from s2s_core.text.tokenizers import CharTokenizer

HERE = Path(__file__).parent
CHARACTERS = "abcdefghijklmnopqrstuvwxyz' "
BLANK, BEAM, FRAMES, UTTERANCES = len(CHARACTERS), 128, 500, 20
ALPHA, BETA = 0.5, 1.0
COLUMNS = ["system", "frames_per_s", "times_pyctcdecode", "of_alone", "wer", "utterances", "seconds_median", "steps"]
Decode = Callable[[np.ndarray], str]


def utterances(words: list[str]) -> tuple[np.ndarray, list[str]]:
    """Log-probabilities ``(utterances, frames, labels)`` and what was said."""
    rng = np.random.default_rng(0)
    rows, references = [], []
    for _ in range(UTTERANCES):
        path: list[int] = []
        said: list[str] = []
        while len(path) < FRAMES:
            said.append(words[rng.integers(len(words))])
            for character in said[-1] + " ":
                path += [CHARACTERS.index(character)] * int(rng.integers(1, 3)) + [BLANK] * int(rng.integers(1, 4))
        scores = rng.standard_normal((FRAMES, BLANK + 1)).astype(np.float32)
        unsure = rng.random(FRAMES) < 0.2
        scores[np.arange(FRAMES), path[:FRAMES]] += np.where(unsure, 3.0, 6.0)
        scores[np.arange(FRAMES), rng.integers(0, BLANK + 1, FRAMES)] += np.where(unsure, 4.0, 0.0)
        rows.append(scores - np.log(np.exp(scores).sum(1, keepdims=True)))
        references.append(" ".join(said))
    return np.stack(rows), references


def pyctcdecode_alone(arpa: str | None, words: list[str]) -> Decode:
    from pyctcdecode.decoder import build_ctcdecoder  # type: ignore[import-not-found]

    lm = {} if arpa is None else {"kenlm_model_path": arpa, "unigrams": words, "alpha": ALPHA, "beta": BETA}
    decoder = build_ctcdecoder([*CHARACTERS, ""], **lm)
    return lambda scores: decoder.decode(scores, beam_width=BEAM)


def flashlight_alone(arpa: str, words: list[str]) -> Decode:
    from torchaudio.models.decoder import ctc_decoder

    with tempfile.TemporaryDirectory() as folder:
        lexicon = Path(folder) / "lexicon.txt"
        lexicon.write_text("".join(f"{word} {' '.join(word)} |\n" for word in words))
        decoder = ctc_decoder(
            lexicon=str(lexicon),
            tokens=[*CHARACTERS.replace(" ", "|"), "-"],
            lm=arpa,
            beam_size=BEAM,
            beam_threshold=25.0,
            lm_weight=ALPHA * math.log(10),
            word_score=BETA,
            blank_token="-",
        )
    return lambda scores: " ".join(decoder(torch.from_numpy(scores[None]))[0][0].words)


class Alone(LocalSystem):
    """A library, called in a loop."""

    def __init__(self, decode: Decode, scores: np.ndarray) -> None:
        self.texts: list[str] = []
        super().__init__(lambda: self._all(decode, scores))

    def _all(self, decode: Decode, scores: np.ndarray) -> None:
        self.texts = [decode(one) for one in scores]


class Ours(LocalSystem):
    """A search of the toolkit."""

    def __init__(self, settings: SearchSettings, scores: np.ndarray) -> None:
        self.texts: list[str] = []
        self._searcher = Searcher(settings, CharTokenizer(CHARACTERS))
        self._scores = [torch.from_numpy(one) for one in scores]
        super().__init__(self._all)

    def _all(self) -> None:
        submitted = [self._searcher.submit(one) for one in self._scores]
        self.texts = [one.hypotheses[0].text for one in submitted]


def systems(arpa: str, words: list[str], scores: np.ndarray, few: int) -> dict[str, Alone | Ours]:
    """Each system with its share of the utterances: the slow ones have few."""
    common = {"beam_width": BEAM, "alpha": ALPHA, "beta": BETA}
    known = {**common, "lm": arpa}
    closed = {**known, "unknown_penalty": -1000.0}
    return {
        "pyctcdecode + KenLM, alone": Alone(pyctcdecode_alone(arpa, words), scores[:few]),
        "pyctcdecode + KenLM, s2s": Ours(SearchSettings("pyctcdecode", **known), scores[:few]),
        "flashlight lexicon + KenLM, alone": Alone(flashlight_alone(arpa, words), scores),
        "flashlight lexicon + KenLM, s2s": Ours(SearchSettings("flashlight", **known), scores),
        "tensors + ARPA, open vocabulary": Ours(SearchSettings("tensors", **known), scores),
        "tensors + ARPA, words of the model": Ours(SearchSettings("tensors", **closed), scores),
        "pyctcdecode, no LM, alone": Alone(pyctcdecode_alone(None, words), scores[:few]),
        "tensors, no LM": Ours(SearchSettings("tensors", **common), scores),
    }


def rows_of(timed: dict[str, list[float]], made: dict[str, Alone | Ours], references: list[str]) -> list[dict]:
    rates = {name: FRAMES * len(made[name].texts) / summary(taken)["seconds_median"] for name, taken in timed.items()}
    rows = []
    for name, taken in timed.items():
        rate = ErrorRate("word")
        texts = made[name].texts
        rate.update(texts, references[: len(texts)])
        peer = "pyctcdecode, no LM, alone" if "no LM" in name else "pyctcdecode + KenLM, alone"
        row = {
            "system": name,
            "frames_per_s": round(rates[name]),
            "times_pyctcdecode": round(rates[name] / rates[peer], 2),
        }
        if name.endswith(", s2s"):
            row["of_alone"] = round(rates[name] / rates[name.replace(", s2s", ", alone")], 3)
        rows.append({**row, "wer": round(float(rate.compute()), 3), "utterances": len(texts), **summary(taken)})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arpa", required=True, help="the trigram")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--few", type=int, default=3, help="utterances of the slow systems")
    options = parser.parse_args()
    torch.set_num_threads(1)
    words = sorted({word for word in unigram_words(Path(options.arpa)) if re.fullmatch("[a-z']+", word)})
    scores, references = utterances(words)
    made = systems(options.arpa, words, scores, options.few)
    timed_systems: dict[str, System] = dict(made)
    rows = rows_of(interleave(timed_systems, options.steps), made, references)
    print_table(rows, COLUMNS)
    result = {
        "host": cpu_name(),
        "cores_used": 1,
        "threads": os.environ.get("OMP_NUM_THREADS"),
        "rows": rows,
    }
    (HERE / "results" / "ctc_beam.json").write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
