"""Cuts to batches of padded audio and labels."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from s2s_asr.interfaces import SpeechBatch
from s2s_core.data.cut_batches import CutBatches
from s2s_core.data.speech import CutTable
from s2s_core.text.tokenizers import Tokenizer


class Utterances(CutBatches[SpeechBatch]):
    """Loads whole batches by their cuts' indices.

    Args:
        cuts: the utterances.
        tokenizer: turns transcripts into labels; without it, texts stay as they are and there are no labels.
        sample_rate_hz, substitute, keep_audio: see `CutBatches`.
    """

    def __init__(
        self,
        cuts: CutTable,
        tokenizer: Tokenizer | None,
        sample_rate_hz: int,
        substitute: bool = False,
        keep_audio: bool = False,
    ) -> None:
        super().__init__(cuts, sample_rate_hz, substitute, keep_audio)
        self.tokenizer = tokenizer

    def collate(self, found: list[tuple[int, Tensor]]) -> SpeechBatch:
        infos = [self.cuts.info(index) for index, _ in found]
        audio = [samples for _, samples in found]
        if self.tokenizer is None:
            texts, tokens = [info.text for info in infos], [[] for _ in infos]
        else:
            texts = [self.tokenizer.normalise(info.text) for info in infos]
            tokens = [self.tokenizer.encode(text) for text in texts]
        return SpeechBatch(
            audio=pad_sequence(audio, batch_first=True),
            audio_lengths=torch.tensor([len(samples) for samples in audio]),
            tokens=pad_sequence([torch.tensor(ids, dtype=torch.int64) for ids in tokens], batch_first=True),
            token_lengths=torch.tensor([len(ids) for ids in tokens]),
            ids=[info.id for info in infos],
            texts=texts,
        )
