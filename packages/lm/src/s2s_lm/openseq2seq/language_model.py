"""OpenSeq2Seq's language-model configs as configs of this package."""

from __future__ import annotations

from typing import Any

from s2s_core.errors import UserError
from s2s_core.openseq2seq.optimisation import rules_of_training
from s2s_core.openseq2seq.settings import Old, configured
from s2s_lm.openseq2seq.encoder import WIKITEXT, corpus, encoder


def convert(old: Old) -> dict[str, Any]:
    """The model and data sections of an old config.

    Raises:
        UserError: if it is no language model, or a part has no counterpart.
    """
    if (layer_name := old.part("data_layer")) != "WKTDataLayer":
        raise UserError(f"data_layer {layer_name}: expected WKTDataLayer; classifiers are converted by 'run sentiment'")
    if (name := old.part("encoder")) != "LMEncoder":
        raise UserError(f"encoder {name}: expected LMEncoder")
    options = old.options("encoder_params")
    samples = options.take("num_sampled")
    name = corpus(old)
    folder, vocab_size = f"data/{name}", WIKITEXT[name]
    part, width = encoder(options, vocab_size)
    tokenizer = configured("s2s_lm.tokenizers.VocabularyTokenizer", vocab_file=f"{folder}/vocab.txt")
    model = configured(
        "s2s_lm.task.LanguageModeling",
        tokenizer=tokenizer,
        encoder=part,
        decoder=configured(
            "s2s_lm.decoders.linear.LinearDecoder",
            in_features=width,
            vocab_size=vocab_size,
            tied=part["init_args"].get("tied"),
        ),
        loss=_loss(old, samples),
        **rules_of_training(old),
    )
    old.taken |= {"decoder", "decoder_params"}
    old.notes.append(f"data: 'lightning run lm prepare' writes {folder}/; put its vocabulary's size for {vocab_size}")
    old.notes.append("each segment began with an empty state; here the state is carried on")
    return {"model": model, "data": configured("s2s_lm.data.LmData", **_data(old, folder))}


def _loss(old: Old, samples: int | None) -> dict[str, Any]:
    name, options = old.part("loss"), old.options("loss_params")
    options.skip("offset_target_by_one", "average_across_timestep", "do_mask", "hid_dim")
    options.finish()
    if name == "BasicSampledSequenceLoss":
        return configured("s2s_lm.losses.sampled.SampledSoftmax", samples=samples)
    if name != "BasicSequenceLoss":
        raise UserError(f"loss {name}: expected BasicSequenceLoss or BasicSampledSequenceLoss")
    return configured("s2s_lm.losses.cross_entropy.CrossEntropy")


def _data(old: Old, folder: str) -> dict[str, Any]:
    layer = old.options("data_layer_params")
    segmenting = {"random_start": True} if layer.take("rand_start", False) else None
    data = {split: f"{folder}/{split}.arrow" for split in ("train", "validation", "test")}
    found = {**data, "batch_size": old.take("batch_size_per_gpu"), "segment_length": layer.take("bptt")}
    layer.expect("small", False, "give prepare less text")
    layer.expect("shuffle", False, "a text is read in its order")
    layer.skip("data_root", "processed_data_folder", "pad_vocab_to_eight", "pad_lengths_to_eight", "repeat")
    layer.skip("shuffle_buffer_size", "map_parallel_calls", "prefetch_buffer_size", "delimiter", "use_targets")
    layer.finish()
    return {**found, "segmenting": segmenting}
