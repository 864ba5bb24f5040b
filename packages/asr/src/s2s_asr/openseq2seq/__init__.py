"""OpenSeq2Seq's recognition configs as configs of this package: each of its encoders with CTC, attention or both."""

from __future__ import annotations

from typing import Any

from s2s_asr.openseq2seq import attention
from s2s_asr.openseq2seq.deepspeech2 import deepspeech2
from s2s_asr.openseq2seq.speech import augmentation, data, features
from s2s_asr.openseq2seq.tdnn import tdnn
from s2s_core.errors import UserError
from s2s_core.openseq2seq.optimisation import rules_of_training
from s2s_core.openseq2seq.settings import Old, configured

LABELS = 28
"""Of the toolkit's own ``vocab.txt``: space, apostrophe and a to z; blank is not counted."""
ENCODERS = {"TDNNEncoder": tdnn, "DeepSpeech2Encoder": deepspeech2, "ListenAttendSpellEncoder": attention.encoder}
LOSSES = {
    "FullyConnectedCTCDecoder": "CTCLoss",
    "ListenAttendSpellDecoder": "BasicSequenceLoss",
    "JointCTCAttentionDecoder": "MultiTaskCTCEntropyLoss",
}
"""The loss that each decoder was trained with."""


def convert(old: Old) -> dict[str, Any]:
    """The model and data sections of an old config.

    Raises:
        UserError: if its encoder, decoder or loss has no counterpart.
    """
    encoder_name, decoder, loss = (old.part(key) for key in ("encoder", "decoder", "loss"))
    if encoder_name not in ENCODERS:
        raise UserError(f"encoder {encoder_name}: is not converted; converted are {', '.join(ENCODERS)}")
    if LOSSES.get(decoder) != loss:
        pairs = ", ".join(f"{name} with {usual}" for name, usual in LOSSES.items())
        raise UserError(f"decoder {decoder} with {loss}: expected {pairs}")
    if old.part("data_layer") != "Speech2TextDataLayer":
        raise UserError(f"data_layer {old.params.get('data_layer')}: expected Speech2TextDataLayer")
    layer = old.options("data_layer_params")
    sounds = features(layer)
    encoder, width = ENCODERS[encoder_name](old.options("encoder_params"), sounds["init_args"]["num_features"], old)
    decoder_part, loss_part = _decoder(decoder, width, old)
    model = configured(
        "s2s_asr.task.SpeechToText",
        tokenizer=configured("s2s_core.text.tokenizers.CharTokenizer"),
        features=sounds,
        encoder=encoder,
        decoder=decoder_part,
        loss=loss_part,
        augment=augmentation(layer),
        **rules_of_training(old),
    )
    return {"model": model, "data": configured("s2s_asr.data.SpeechData", **data(layer, old))}


def _decoder(name: str, width: int, old: Old) -> tuple[dict[str, Any], dict[str, Any]]:
    options, loss = old.options("decoder_params"), old.options("loss_params")
    if name == "JointCTCAttentionDecoder":
        return attention.joint(options, width, LABELS), attention.joint_loss(loss)
    if name == "ListenAttendSpellDecoder":
        loss.skip("offset_target_by_one", "average_across_timestep", "do_mask")
        loss.finish()
        return attention.las(options, width, LABELS), configured("s2s_asr.losses.cross_entropy.CrossEntropyLoss")
    loss.expect("mask_nan", True, "utterances too short for their text cost nothing here")
    loss.finish()
    if options.take("use_language_model", False):
        old.notes.append("decoder_params: a language model is given to transcribe, see its --help")
    options.skip("initializer", "initializer_params", "infer_logits_to_pickle", "decoder_library_path")
    options.skip("beam_width", "alpha", "beta", "trie_weight", "lm_path", "trie_path", "alphabet_config_path")
    options.finish()
    ctc = configured("s2s_asr.decoders.ctc.CtcDecoder", in_features=width, vocab_size=LABELS)
    return ctc, configured("s2s_asr.losses.ctc.CtcLoss")
