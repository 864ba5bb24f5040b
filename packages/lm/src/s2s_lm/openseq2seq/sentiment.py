"""OpenSeq2Seq's classifiers of texts over a language model as configs of this package."""

from __future__ import annotations

from typing import Any

from s2s_core.errors import UserError
from s2s_core.openseq2seq.optimisation import rules_of_training
from s2s_core.openseq2seq.settings import Old, configured
from s2s_lm.openseq2seq.encoder import WIKITEXT, corpus, encoder

FOLDERS = {"IMDBDataLayer": "data/imdb", "SSTDataLayer": "data/sst"}


def convert(old: Old) -> dict[str, Any]:
    """The model and data sections of an old config.

    Raises:
        UserError: if it is no classifier of texts, or a part has no counterpart.
    """
    if (layer_name := old.part("data_layer")) not in FOLDERS:
        raise UserError(f"data_layer {layer_name}: expected {' or '.join(FOLDERS)}; 'run lm' converts WKTDataLayer")
    if (name := old.part("encoder")) != "LMEncoder":
        raise UserError(f"encoder {name}: expected LMEncoder")
    if (loss := old.part("loss")) != "CrossEntropyLoss":
        raise UserError(f"loss {loss}: expected CrossEntropyLoss")
    folder = FOLDERS[layer_name]
    options = old.options("encoder_params")
    cell_state = options.take("use_cell_state", False)
    hidden = options.take("fc_dim")
    vocab_size = WIKITEXT[corpus(old)]
    body, width = encoder(options, vocab_size)
    layer = old.options("data_layer_params")
    classes = 2 if layer.take("binary", True) else layer.take("num_classes", 10)
    labels = ["negative", "positive"] if classes == 2 else [str(number) for number in range(1, classes + 1)]
    tokenizer = {"vocab_file": f"{folder}/vocab.txt", "split_punctuation": True}
    model = configured(
        "s2s_lm.sentiment.task.SentimentClassification",
        labels=labels,
        pretrained=_pretrained(old),
        tokenizer=configured("s2s_lm.tokenizers.VocabularyTokenizer", **tokenizer),
        encoder=configured(
            "s2s_lm.sentiment.encoders.LanguageModelEncoder", body=body, use_cell_state=cell_state or None
        ),
        decoder=configured(
            "s2s_lm.sentiment.decoders.PooledClassifier",
            in_features=width,
            num_classes=classes,
            final_features=2 * width if cell_state else None,
            hidden_size=hidden,
        ),
        **rules_of_training(old),
    )
    data = {split: f"{folder}/{split}.arrow" for split in ("train", "validation", "test")}
    data |= {"batch_size": old.take("batch_size_per_gpu"), "max_length": layer.take("max_length")}
    layer.skip("data_root", "lm_vocab_file", "processed_data_folder", "pad_vocab_to_eight", "pad_lengths_to_eight")
    layer.skip("rand_start", "small", "get_stats", "shuffle", "shuffle_buffer_size", "repeat", "delimiter")
    layer.skip("map_parallel_calls", "prefetch_buffer_size", "use_targets")
    layer.finish()
    old.taken |= {"decoder", "decoder_params", "loss_params"}
    old.notes.append(
        f"data: 'lightning run sentiment prepare' writes {folder}/; put its vocabulary's size for {vocab_size}"
    )
    return {"model": model, "data": configured("s2s_lm.sentiment.data.ClassificationData", **data)}


def _pretrained(old: Old) -> str | None:
    loaded = old.take("load_model")
    if loaded is None:
        return None
    old.notes.append(f"load_model = {loaded}: old checkpoints are not read; train one with 'run lm fit'")
    return f"runs/{str(loaded).rstrip('/').rpartition('/')[2]}/checkpoints/best.ckpt"
