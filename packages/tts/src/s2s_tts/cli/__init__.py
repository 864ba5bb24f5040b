"""The verbs of synthesis on the command line."""

from __future__ import annotations

from s2s_core.cli.main import task_main
from s2s_core.cli.tasks import Command, Service, TaskInfo

TASK = TaskInfo(
    name="tts",
    package="s2s_tts",
    configs="tts",
    summary="Speech synthesis: text to recordings",
    model="s2s_tts.task:TextToSpeech",
    data="s2s_tts.data:SpeechSynthesisData",
    serving=Service(("synthesize",), "s2s_tts.cli.serve:endpoints", "s2s_tts.cli.serve:add_options"),
    convert="s2s_tts.openseq2seq:convert",
    commands={
        "prepare": Command("a corpus to manifests", "s2s_tts.cli.prepare:main"),
        "test": Command("measure a checkpoint on the test set", "s2s_tts.cli.test:main"),
        "synthesize": Command("text to recordings with a trained checkpoint", "s2s_tts.cli.synthesize:main"),
        "quickstart": Command("make speech, train, test and speak in minutes", "s2s_tts.cli.quickstart:main"),
    },
)


def main() -> int:
    """The console script ``s2s-tts``."""
    return task_main("tts", "s2s-tts")
