"""The vocoder as a task of its own: trained on recordings, used by ``synthesize --vocoder CHECKPOINT``."""

from __future__ import annotations

from s2s_core.cli.tasks import Command, TaskInfo

TASK = TaskInfo(
    name="vocoder",
    package="s2s_tts",
    configs="vocoder",
    summary="Vocoder: spectrograms to sound, for speech synthesis",
    model="s2s_tts.vocoder_task:VocoderTraining",
    data="s2s_tts.vocoder_data:VocoderData",
    convert="s2s_tts.openseq2seq.wavenet:convert",
    commands={"prepare": Command("a corpus to manifests", "s2s_tts.cli.prepare:main")},
)
