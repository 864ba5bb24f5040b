"""OpenSeq2Seq's translation configs as configs of this package: any of its encoders with any of its decoders."""

from __future__ import annotations

from typing import Any

from s2s_core.errors import UserError
from s2s_core.openseq2seq.optimisation import rules_of_training
from s2s_core.openseq2seq.settings import Old, Options, configured
from s2s_nmt.openseq2seq import convs2s, recurrent, transformer
from s2s_nmt.openseq2seq.texts import Texts

ENCODERS = {
    "TransformerEncoder": transformer.encoder,
    "ConvS2SEncoder": convs2s.encoder,
    "BidirectionalRNNEncoderWithEmbedding": recurrent.bidirectional,
    "UnidirectionalRNNEncoderWithEmbedding": recurrent.unidirectional,
    "GNMTLikeEncoderWithEmbedding": recurrent.gnmt,
    "GNMTLikeEncoderWithEmbedding_cuDNN": recurrent.gnmt_cudnn,
}
DECODERS = {
    "TransformerDecoder": transformer.decoder,
    "ConvS2SDecoder": convs2s.decoder,
    "RNNDecoderWithAttention": recurrent.decoder,
    "BeamSearchRNNDecoderWithAttention": recurrent.decoder,
}
SHARING = {("TransformerEncoder", "TransformerDecoder"), ("ConvS2SEncoder", "ConvS2SDecoder")}
"""The pairs that had one matrix of embeddings where both languages have one vocabulary."""


def convert(old: Old) -> dict[str, Any]:
    """The model and data sections of an old config.

    Raises:
        UserError: if a part has no counterpart.
    """
    encoder, decoder = old.part("encoder"), old.part("decoder")
    for kind, name, known in (("encoder", encoder, ENCODERS), ("decoder", decoder, DECODERS)):
        if name not in known:
            raise UserError(f"{kind} {name}: has no counterpart; known are {', '.join(known)}")
    texts = Texts(old)
    encoder_part, width = ENCODERS[encoder](old.options("encoder_params"), texts.vocab_size, old)
    decoder_part, search = DECODERS[decoder](old.options("decoder_params"), width, texts.vocab_size, old)
    model = configured(
        "s2s_nmt.task.TextToText",
        **texts.tokenizers(),
        share_embeddings=(texts.shared and (encoder, decoder) in SHARING) or None,
        encoder=encoder_part,
        decoder=decoder_part,
        loss=_loss(old.part("loss"), old.options("loss_params"), old),
        search=configured("s2s_core.decoding.beam_search.BeamSearch", **search),
        **rules_of_training(old),
    )
    return {"model": model, "data": configured("s2s_nmt.data.ParallelData", **texts.data())}


def _loss(name: str, options: Options, old: Old) -> dict[str, Any]:
    known = ("BasicSequenceLoss", "CrossEntropyWithSmoothing", "PaddedCrossEntropyLossWithSmoothing")
    if name not in known:
        raise UserError(f"loss {name}: has no counterpart; known are {', '.join(known)}")
    smoothing = options.take("label_smoothing", 0.0)
    per_token = options.take("average_across_timestep", name != "BasicSequenceLoss")
    options.expect("do_mask", True, "padding never counts here")
    options.skip("offset_target_by_one", "pad_embeddings_2_eight")
    options.finish()
    return configured(
        "s2s_nmt.losses.cross_entropy.CrossEntropyLoss",
        label_smoothing=smoothing or None,
        reduction=None if per_token else "sentence",
    )
