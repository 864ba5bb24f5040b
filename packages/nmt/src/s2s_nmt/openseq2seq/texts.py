"""The files and vocabularies of OpenSeq2Seq's translation configs."""

from __future__ import annotations

from typing import Any

from s2s_core.errors import UserError
from s2s_core.openseq2seq.settings import Old, configured

VOCABULARY = 32768
"""Of the WMT recipes, padded to a multiple of eight; the old config names a file and no size."""
TOY_WORDS = [chr(code) for code in range(ord("α"), ord("κ") + 1)]
"""Of the toy reversal task; ``lightning run nmt prepare reversal`` makes the same sentences."""
LAYERS = ("ParallelTextDataLayer", "TransformerDataLayer")


class Texts:
    """What ``data_layer_params`` says.

    Args:
        old: the config; its notes are told how to get the data.

    Raises:
        UserError: if the data layer is none of translation.
    """

    def __init__(self, old: Old) -> None:
        if (name := old.part("data_layer")) not in LAYERS:
            raise UserError(f"data_layer {name}: expected {' or '.join(LAYERS)}")
        layer = old.options("data_layer_params")
        source, target = str(layer.take("src_vocab_file")), layer.take("tgt_vocab_file")
        self.toy = "toy_text_data" in source
        self.shared = not self.toy and (target is None or source == str(target))
        self.vocab_size = 4 + len(TOY_WORDS) if self.toy else VOCABULARY
        self._batch_size = old.take("batch_size_per_gpu", layer.take("batch_size"))
        self._max_length = layer.take("max_length") or 256
        self._in_tokens = layer.take("batch_in_tokens", False)
        files = [str(layer.take(key)) for key in ("source_file", "target_file")]
        old.notes.append(self._advice(files))
        if not self.toy:
            old.notes.append(f"vocab_size: {VOCABULARY} stands for the size of the old vocabulary file; put yours")
        layer.skip("pad_vocab_to_eight", "pad_lengths_to_eight", "pad_data_to_eight", "delimiter", "use_start_token")
        layer.skip("shuffle", "shuffle_buffer_size", "repeat", "map_parallel_calls", "prefetch_buffer_size")
        layer.skip("special_tokens_already_in_vocab", "num_cpu_cores", "use_targets", "data_dir", "file_pattern")
        layer.finish()

    def _advice(self, files: list[str]) -> str:
        if self.toy:
            return "data: 'lightning run nmt prepare reversal --output data/reversal' makes them"
        return f"data: prepare {' and '.join(files)} with 'lightning run nmt prepare' into data/, and set the files"

    def tokenizers(self) -> dict[str, Any]:
        """The tokenizer of the source, and of the target where it has its own."""
        if self.toy:
            return {"source_tokenizer": configured("s2s_core.text.sentences.WordTokenizer", words=TOY_WORDS)}
        if self.shared:
            return {"source_tokenizer": _subwords("vocabulary.model")}
        return {"source_tokenizer": _subwords("source.model"), "target_tokenizer": _subwords("target.model")}

    def data(self) -> dict[str, Any]:
        """The arguments of `s2s_nmt.data.ParallelData`."""
        folder = "data/reversal" if self.toy else "data"
        size = None if self._in_tokens else self._batch_size
        tokens = self._batch_size * (1 if self._in_tokens else 2 * self._max_length)
        files = {split: f"{folder}/{split}.arrow" for split in ("train", "validation", "test")}
        return {**files, "batch_size": size, "batch_tokens": tokens, "max_length": self._max_length}


def _subwords(name: str) -> dict[str, Any]:
    return configured("s2s_core.text.sentences.SubwordTokenizer", model_file=f"data/{name}")
