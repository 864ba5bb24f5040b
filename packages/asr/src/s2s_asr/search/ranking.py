"""What a search found, as different texts in the order of their scores, a rescoring model's among them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TypeVar

from s2s_asr.search.hypotheses import Hypothesis
from s2s_asr.search.rescoring import Rescorer
from s2s_asr.search.settings import SearchSettings

T = TypeVar("T")


class Ranking:
    """Ranks hypotheses as settings say.

    Args:
        settings: how many are wanted, and the weight of rescoring.
        rescorer: the model that rescores.
    """

    def __init__(self, settings: SearchSettings, rescorer: Rescorer | None = None) -> None:
        self.settings, self._rescorer = settings, rescorer

    @classmethod
    def load(cls, settings: SearchSettings, device: str = "cpu") -> Ranking:
        """With the rescoring model that the settings name, on a device; raises UserError if it cannot be read."""
        return cls(settings, None if settings.rescore is None else Rescorer.load(settings.rescore, device))

    def ranked(self, found: Iterable[tuple[Hypothesis, T]]) -> list[tuple[Hypothesis, T]]:
        """The ``nbest``, each with what came with it."""
        return sorted(self.scored(found), key=lambda row: -row[0].score)[: self.settings.nbest]

    def scored(self, found: Iterable[tuple[Hypothesis, T]]) -> list[tuple[Hypothesis, T]]:
        """All that are different in text, rescored, in the order of the search.

        Args:
            found: what the search returned, the best first: of several with one text the first counts.
        """
        rows: dict[str, tuple[Hypothesis, T]] = {}
        for row in found:
            rows.setdefault(row[0].text, row)
        if self._rescorer is None:
            return list(rows.values())
        chosen = list(rows.values())[: max(self.settings.nbest, self.settings.rescore_nbest)]
        scores, weight = self._rescorer([one.text for one, _ in chosen]), self.settings.rescore_weight
        return [
            (replace(one, rescoring=score, rescore_weight=weight), with_it)
            for (one, with_it), score in zip(chosen, scores, strict=True)
        ]
