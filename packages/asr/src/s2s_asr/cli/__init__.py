"""The verbs of recognition on the command line."""

from __future__ import annotations

from s2s_core.cli.main import task_main
from s2s_core.cli.tasks import Command, Service, TaskInfo

TASK = TaskInfo(
    name="asr",
    package="s2s_asr",
    summary="Speech recognition: recordings to text",
    model="s2s_asr.task:SpeechToText",
    data="s2s_asr.data:SpeechData",
    convert="s2s_asr.openseq2seq:convert",
    serving=Service(("transcribe",), "s2s_asr.cli.serve:endpoints", "s2s_asr.cli.serve:add_options"),
    commands={
        "prepare": Command("a corpus to manifests", "s2s_asr.cli.prepare:main"),
        "test": Command("measure a checkpoint on the test set", "s2s_asr.cli.test:main"),
        "transcribe": Command("recordings to text with a trained checkpoint", "s2s_asr.cli.transcribe:main"),
        "stream": Command("audio that is still going on to words", "s2s_asr.cli.stream:main"),
        "align": Command("recordings and their texts to times of words", "s2s_asr.cli.align:main"),
        "tune-lm": Command("find the weights of language models on a validation set", "s2s_asr.cli.tune_lm:main"),
        "quickstart": Command("make speech, train, test and transcribe in minutes", "s2s_asr.cli.quickstart:main"),
    },
)


def main() -> int:
    """The console script ``s2s-asr``."""
    return task_main("asr", "s2s-asr")
