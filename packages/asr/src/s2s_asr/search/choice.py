"""Which search a recogniser's decoder takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from s2s_asr.decoders.ctc import expect_ctc
from s2s_asr.interfaces import SpellingDecoder
from s2s_asr.search.interface import TextSearcher
from s2s_asr.search.searcher import Searcher
from s2s_asr.search.settings import SearchSettings
from s2s_asr.search.spelling import SpellingSearcher

if TYPE_CHECKING:
    from s2s_asr.task import SpeechToText


def searcher_of(task: SpeechToText, settings: SearchSettings, jobs: int, device: torch.device) -> TextSearcher:
    """The searcher of a task's texts: over frames for CTC, the decoder's own where one label comes after the other.

    Args:
        task: the recogniser.
        settings: the search.
        jobs: searches of frames at a time, see `Searcher`.
        device: of the task, and so of the language models.

    Raises:
        UserError: if a file cannot be read, a library is not installed, or the decoder cannot be searched so.
    """
    if isinstance(task.decoder, SpellingDecoder):
        return SpellingSearcher(settings, task.decoder, task.tokenizer, device)
    expect_ctc(task.decoder, "be searched so")
    return Searcher(settings, task.tokenizer, jobs, str(device))
