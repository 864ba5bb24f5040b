"""Checkpoints of untrained models, for tests of what is done with a model rather than of what it has learnt."""

from functools import partial

import torch

from s2s_core.checkpoint import SECTION, section_of
from s2s_core.text.tokenizers import ENGLISH_LABELS, CharTokenizer


def write_recogniser(path, labels=ENGLISH_LABELS):
    """A small CTC model that makes varied text of noise."""
    from s2s_asr.decoders.ctc import CtcDecoder
    from s2s_asr.encoders.tdnn import TdnnBlock, TdnnEncoder
    from s2s_asr.losses.ctc import CtcLoss
    from s2s_asr.task import SpeechToText
    from s2s_core.audio.features import LogMel

    torch.manual_seed(3)
    decoder = CtcDecoder(24, len(labels))
    torch.nn.init.normal_(decoder.linear.weight, std=1.0)
    task = SpeechToText(
        features=LogMel(20),
        encoder=TdnnEncoder(20, [TdnnBlock(24, 11, stride=2)]),
        decoder=decoder,
        loss=CtcLoss(),
        tokenizer=CharTokenizer(labels),
        optimizer=partial(torch.optim.SGD, lr=0.1),
    )
    lightning = {"pytorch-lightning_version": "2.6.6", "epoch": 0, "global_step": 0}
    torch.save({SECTION: section_of(task), "state_dict": task.state_dict(), **lightning}, path)
