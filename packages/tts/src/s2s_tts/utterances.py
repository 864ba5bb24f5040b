"""Cuts to batches of tokens and audio."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from s2s_core.data.cut_batches import CutBatches
from s2s_core.data.speech import CutTable
from s2s_core.text.tokenizers import Tokenizer
from s2s_tts.interfaces import SpeechBatch
from s2s_tts.speakers import Speakers


class Utterances(CutBatches[SpeechBatch]):
    """Loads whole batches by their cuts' indices.

    Args:
        cuts: the utterances.
        tokenizer: turns texts into labels.
        speakers: knows the speakers' numbers; None where the model has no use for them.
        sample_rate_hz, substitute, keep_audio: see `CutBatches`.
    """

    def __init__(
        self,
        cuts: CutTable,
        tokenizer: Tokenizer,
        speakers: Speakers | None,
        sample_rate_hz: int,
        substitute: bool = False,
        keep_audio: bool = False,
    ) -> None:
        super().__init__(cuts, sample_rate_hz, substitute, keep_audio)
        self.tokenizer = tokenizer
        self.speaker_numbers = None if speakers is None else {name: i for i, name in enumerate(speakers.names)}

    def collate(self, found: list[tuple[int, Tensor]]) -> SpeechBatch:
        infos = [self.cuts.info(index) for index, _ in found]
        audio = [samples for _, samples in found]
        texts = [self.tokenizer.normalise(info.text) for info in infos]
        tokens = [torch.tensor(self.tokenizer.encode(info.text), dtype=torch.int64) for info in infos]
        numbers = self.speaker_numbers
        return SpeechBatch(
            tokens=pad_sequence(tokens, batch_first=True),
            token_lengths=torch.tensor([len(ids) for ids in tokens]),
            audio=pad_sequence(audio, batch_first=True),
            audio_lengths=torch.tensor([len(samples) for samples in audio]),
            speakers=torch.tensor([0 if numbers is None else numbers[info.speaker or ""] for info in infos]),
            ids=[info.id for info in infos],
            texts=texts,
        )
