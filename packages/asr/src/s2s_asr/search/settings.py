"""What a user says about a search; imports nothing heavy."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from s2s_core.errors import UserError

DECODERS = ("auto", "tensors", "pyctcdecode", "flashlight")
EXTRA = "pip install 's2s-asr[lm]'"
NO_LEXICON = "none"
BEAM_WIDTH = 128
"""Of searches over frames, where none is given."""
DEFAULT_WEIGHTS = (0.5, 1.0)
"""alpha and beta, where neither the user nor a decoder says others."""
BINARY_SUFFIXES = (".binary", ".bin", ".klm", ".kenlm", ".trie", ".probing")
"""Of models that KenLM has compiled; whatever else is named is read as ARPA."""


@dataclass(frozen=True)
class SearchSettings:
    """A search for the best transcript, its language model and weights.

    A hypothesis is ranked by ``log p(labels | audio) + alpha x log p(words) + beta x words``, in natural logarithms
    with every decoder, and with a rescoring model by ``rescore_weight x log p(text)`` more.

    Raises:
        UserError: on a setting that cannot be; it is named as its option is.
    """

    decoder: str = "auto"
    lm: str | None = None
    """An n-gram model over words: ARPA, gzipped or not, or a binary of KenLM."""
    lexicon: str | None = None
    """A file of words, one a line, in place of the model's own; `NO_LEXICON`: the model is one over labels."""
    alpha: float | None = None
    beta: float | None = None
    """Both by default `DEFAULT_WEIGHTS`, or what a decoder that searches by itself says."""
    unknown_penalty: float | None = None
    """Added for a word outside the lexicon: by default -20; in pyctcdecode, which prunes such words besides, its own
    -10. flashlight never recognises one."""
    beam_width: int | None = None
    """By default `BEAM_WIDTH`; with a decoder that searches by itself its own, and 16 at least."""
    beam_threshold: float | None = None
    """Hypotheses that rank lower than the best by more are dropped; by default 10 in pyctcdecode, as that has it, and
    25 in the others. A decoder that searches by itself gives up open hypotheses that rank lower than the finished ones
    by more."""
    nbest: int = 1
    hotwords: tuple[str, ...] = ()
    hotword_weight: float = 10.0
    rescore: str | None = None
    """A language model's checkpoint or ARPA file that ranks the n-best list anew."""
    rescore_weight: float = 0.5
    rescore_nbest: int = 50
    """Hypotheses that are rescored."""

    def __post_init__(self) -> None:
        if self.decoder not in DECODERS:
            raise UserError(f"--decoder '{self.decoder}': expected one of {', '.join(DECODERS)}")
        if self.frames_beam_width < 1:
            raise UserError(f"--beam-width is {self.beam_width}, expected at least 1")
        if not 1 <= self.nbest <= self.frames_beam_width:
            raise UserError(f"--nbest is {self.nbest}, expected 1 to the beam width ({self.frames_beam_width})")
        if self.alpha is not None and self.alpha < 0:
            raise UserError(f"--alpha is {self.alpha:g}, expected at least 0")
        chosen = self.chosen_decoder
        if self.hotwords and chosen != "pyctcdecode":
            raise UserError(f"--hotwords: {chosen} has none; leave out --decoder or say --decoder pyctcdecode")
        if self.lm is not None and self.lm.endswith(BINARY_SUFFIXES) and chosen == "tensors":
            raise UserError(
                f"--lm {self.lm}: tensors read ARPA only; binaries need --decoder pyctcdecode or flashlight"
            )
        if self.lexicon == NO_LEXICON and chosen != "flashlight":
            raise UserError(f"--lexicon none: a model over labels needs --decoder flashlight, not {chosen}")

    @property
    def chosen_decoder(self) -> str:
        """What ``auto`` stands for: our own search, or pyctcdecode for what only that can."""
        if self.decoder != "auto":
            return self.decoder
        binary = self.lm is not None and self.lm.endswith(BINARY_SUFFIXES)
        return "pyctcdecode" if self.hotwords or binary else "tensors"

    @property
    def own_beam_threshold(self) -> float:
        """Of the searches that are our own."""
        return 25.0 if self.beam_threshold is None else self.beam_threshold

    def weights(self, default: tuple[float, float] = DEFAULT_WEIGHTS) -> tuple[float, float]:
        """alpha and beta, each the default where it is not given."""
        alpha, beta = default
        return alpha if self.alpha is None else self.alpha, beta if self.beta is None else self.beta

    @property
    def frames_beam_width(self) -> int:
        """Of a search over frames."""
        return BEAM_WIDTH if self.beam_width is None else self.beam_width

    @property
    def searched_nbest(self) -> int:
        """Hypotheses that a search over frames has to return: all, where more than one is wanted, as some may be one
        text."""
        return 1 if self.nbest == 1 and self.rescore is None else self.frames_beam_width

    def save(self, path: Path) -> None:
        """Write the settings as JSON, for `load_settings`; files by their absolute names."""
        row = asdict(self)
        for key in ("lm", "rescore", "lexicon"):
            if row[key] not in (None, NO_LEXICON):
                row[key] = str(Path(row[key]).resolve())
        try:
            path.write_text(json.dumps(row, indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            raise UserError(f"{path}: {error.strerror}") from None


def load_settings(path: Path) -> dict[str, Any]:
    """The settings in a file that `SearchSettings.save` wrote, by field.

    Raises:
        UserError: if it is none.
    """
    try:
        row = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"--search {path}: {error.strerror}") from None
    except ValueError as error:
        raise UserError(f"--search {path}: not JSON ({error})") from None
    known = {field.name for field in fields(SearchSettings)}
    unknown = sorted(set(row) - known) if isinstance(row, dict) else ["not an object"]
    if unknown:
        raise UserError(f"--search {path}: unexpected '{unknown[0]}'; expected what `tune-lm --output` writes")
    return {**row, "hotwords": tuple(row.get("hotwords", ()))}
