"""Checkpoints of untrained models, for tests of what is done with a model rather than of what it has learnt."""

from functools import partial

import torch

from s2s_core.checkpoint import SECTION, section_of
from s2s_core.text.tokenizers import ENGLISH_LABELS, CharTokenizer


def _family(name, in_features, vocab_size):
    """A decoder and its loss."""
    from s2s_asr.decoders.attention import AttentionDecoder, Location
    from s2s_asr.decoders.ctc import CtcDecoder
    from s2s_asr.decoders.joint import JointDecoder
    from s2s_asr.decoders.transducer import TransducerDecoder
    from s2s_asr.losses.ctc import CtcLoss
    from s2s_asr.losses.joint import JointLoss
    from s2s_asr.losses.transducer import TransducerLoss
    from s2s_core.nn.recurrent_stack import RecurrentLayers

    if name == "ctc":
        ctc = CtcDecoder(in_features, vocab_size)
        torch.nn.init.normal_(ctc.linear.weight, std=1.0)
        return ctc, CtcLoss()
    layers = RecurrentLayers(8, 1)
    if name == "transducer":
        transducer = TransducerDecoder(in_features, vocab_size, 6, layers, joint_size=8)
        torch.nn.init.normal_(transducer.joint.weight, std=2.0)
        return transducer, TransducerLoss()
    attention = AttentionDecoder(in_features, vocab_size, 6, layers, Location(6, 3, 5))
    torch.nn.init.normal_(attention.output.weight, std=1.0)
    joint = JointDecoder(attention)
    torch.nn.init.normal_(joint.ctc.linear.weight, std=1.0)
    return joint, JointLoss()


def write_recogniser(path, labels=ENGLISH_LABELS, family="ctc"):
    """A small model that makes varied text of noise: of ``ctc``, ``joint`` or ``transducer``."""
    from s2s_asr.encoders.tdnn import TdnnBlock, TdnnEncoder
    from s2s_asr.task import SpeechToText
    from s2s_core.audio.features import LogMel

    torch.manual_seed(3)
    decoder, loss = _family(family, 24, len(labels))
    task = SpeechToText(
        features=LogMel(20),
        encoder=TdnnEncoder(20, [TdnnBlock(24, 11, stride=2)]),
        decoder=decoder,
        loss=loss,
        tokenizer=CharTokenizer(labels),
        optimizer=partial(torch.optim.SGD, lr=0.1),
    )
    lightning = {"pytorch-lightning_version": "2.6.6", "epoch": 0, "global_step": 0}
    torch.save({SECTION: section_of(task), "state_dict": task.state_dict(), **lightning}, path)
