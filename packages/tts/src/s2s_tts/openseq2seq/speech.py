"""The data layer of OpenSeq2Seq's synthesis configs: spectrograms and files."""

from __future__ import annotations

from typing import Any

from s2s_core.errors import UserError
from s2s_core.openseq2seq.settings import Old, Options, configured

CORPORA = {"LJ": (22050, 1024), "MAILABS": (16000, 800)}
"""Sample rate and window that ``dataset`` stood for."""


class Speech:
    """What ``data_layer_params`` says.

    Args:
        old: the config; its notes are told how to get the data.

    Raises:
        UserError: if the data layer or its corpus is unknown.
    """

    def __init__(self, old: Old) -> None:
        if (name := old.part("data_layer")) != "Text2SpeechDataLayer":
            raise UserError(f"data_layer {name}: expected Text2SpeechDataLayer")
        layer = old.options("data_layer_params")
        corpus = layer.take("dataset")
        if corpus not in CORPORA:
            raise UserError(f"data_layer_params.dataset {corpus!r}: expected {' or '.join(CORPORA)}")
        sizes = layer.take("num_audio_features")
        kind = layer.take("output_type", "both")
        both = isinstance(sizes, dict)
        if kind == "magnitude":
            raise UserError("data_layer_params.output_type 'magnitude': expected 'mel' or 'both'")
        self.mels: int = sizes["mel"] if both else sizes
        self.bins: int | None = sizes["magnitude"] if both and kind == "both" else None
        self.features = _spectrogram(layer, self.mels, *CORPORA[corpus])
        self._folder = str(layer.take("dataset_location", "data")).rstrip("/")
        self._batch_size = old.take("batch_size_per_gpu")
        self._max_frames = layer.take("duration_max")
        old.notes.append(f"data: 'lightning run tts prepare' makes the manifests of {self._folder}")
        _told(layer)
        layer.finish()

    def data(self) -> dict[str, Any]:
        """The arguments of `s2s_tts.data.SpeechSynthesisData`."""
        return {
            "train": f"{self._folder}/train.jsonl.gz",
            "validation": f"{self._folder}/validation.jsonl.gz",
            "test": f"{self._folder}/test.jsonl.gz",
            "batch_size": self._batch_size,
            "batch_frames": self._batch_size * (self._max_frames or 1024),
            "max_frames": self._max_frames,
        }


def _spectrogram(layer: Options, mels: int, rate: int, window: int) -> dict[str, Any]:
    floors = layer.take("data_min", {})
    floors = floors if isinstance(floors, dict) else {"mel": floors}
    scale = {"kind": layer.take("mel_type", "htk"), "fmax_hz": layer.take("fmax")}
    plain = {"kind": "htk", "fmax_hz": None}
    return configured(
        "s2s_tts.spectrogram.MelSpectrogram",
        num_features=mels,
        sample_rate_hz=rate,
        n_fft=layer.take("n_fft", window),
        mel_floor=floors.get("mel"),
        magnitude_floor=floors.get("magnitude"),
        mel=None if scale == plain else {key: value for key, value in scale.items() if value is not None},
    )


def _told(layer: Options) -> None:
    layer.expect("mag_power", 1, "magnitudes here, not powers")
    layer.expect("feature_normalize", False, "logarithms are not normalised here")
    layer.expect("trim", False, "trim recordings before preparing them")
    layer.expect("max_normalization", False, "recordings keep their loudness")
    layer.skip("exp_mag", "pad_EOS", "pad_to", "pad_value", "feature_normalize_mean", "feature_normalize_std")
    layer.take("dataset_files")
    layer.skip("vocab_file", "shuffle", "use_cache", "style_input", "duration_min")
    layer.skip("n_samples_train", "n_samples_eval")
