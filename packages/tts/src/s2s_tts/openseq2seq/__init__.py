"""OpenSeq2Seq's synthesis configs as configs of this package: Tacotron 2, with styles or without, and Centaur."""

from __future__ import annotations

from typing import Any

from s2s_core.errors import UserError
from s2s_core.openseq2seq.optimisation import rules_of_training
from s2s_core.openseq2seq.settings import Old, Options, configured
from s2s_tts.openseq2seq import centaur, tacotron2
from s2s_tts.openseq2seq.speech import Speech

VOCABULARY = 39
"""Of `CharacterTokenizer`; the old vocabulary of 94 had capitals and digits, which are spelt out here."""
FAMILIES = {
    ("Tacotron2Encoder", "Tacotron2Decoder"): (tacotron2.encoder, tacotron2.decoder),
    ("CentaurEncoder", "CentaurDecoder"): (centaur.encoder, centaur.decoder),
}


def convert(old: Old) -> dict[str, Any]:
    """The model and data sections of an old config.

    Raises:
        UserError: if its parts have no counterpart.
    """
    pair = (old.part("encoder"), old.part("decoder"))
    if pair not in FAMILIES:
        known = ", ".join(" with ".join(names) for names in FAMILIES)
        raise UserError(f"encoder {pair[0]} with {pair[1]}: expected {known}")
    to_encoder, to_decoder = FAMILIES[pair]
    speech = Speech(old)
    encoder, style, width = to_encoder(old.options("encoder_params"), VOCABULARY)
    model = configured(
        "s2s_tts.task.TextToSpeech",
        tokenizer=configured("s2s_tts.tokenizers.CharacterTokenizer"),
        features=speech.features,
        encoder=encoder,
        style=style,
        decoder=to_decoder(old.options("decoder_params"), width, speech),
        loss=_loss(old.part("loss"), old.options("loss_params")),
        **rules_of_training(old),
    )
    old.notes.append(f"vocab_size: {VOCABULARY} characters, to which texts are normalised; the old file had 94")
    return {"model": model, "data": configured("s2s_tts.data.SpeechSynthesisData", **speech.data())}


def _loss(name: str, options: Options) -> dict[str, Any]:
    if name != "Text2SpeechLoss":
        raise UserError(f"loss {name}: expected Text2SpeechLoss")
    options.expect("use_mask", True, "padding never counts here")
    options.expect("scale", None, "set the weights instead")
    part = configured(
        "s2s_tts.losses.spectrogram.SpectrogramLoss",
        distance="absolute" if options.take("l1_norm", False) else None,
        **{f"{name}_weight": options.take(f"{old}_weight") for name, old in
           (("mel", "mel"), ("magnitude", "mag"), ("stop", "stop_token"))},
    )  # fmt: skip
    options.finish()
    return part
