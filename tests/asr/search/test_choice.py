"""Which decoders are searched by whom."""

import pytest
import torch

from s2s_asr.decoders.asg import AsgDecoder
from s2s_asr.search.choice import searcher_of
from s2s_asr.search.searcher import Searcher
from s2s_asr.search.settings import SearchSettings
from s2s_asr.search.spelling import SpellingSearcher
from s2s_core.checkpoint import load_task
from s2s_core.errors import UserError
from untrained import write_recogniser


@pytest.mark.parametrize(("family", "expected"), [("ctc", Searcher), ("joint", SpellingSearcher)])
def test_a_decoder_that_spells_searches_by_itself(tmp_path, family, expected):
    write_recogniser(tmp_path / "model.ckpt", " ab", family)
    task = load_task(tmp_path / "model.ckpt", "asr")
    with searcher_of(task, SearchSettings(nbest=2), 1, torch.device("cpu")) as searcher:
        assert isinstance(searcher, expected)
        task.decoder = AsgDecoder(24, 3)
        with pytest.raises(UserError, match="only a CTC model can be searched so, this one has a AsgDecoder"):
            searcher_of(task, SearchSettings(), 1, torch.device("cpu"))
