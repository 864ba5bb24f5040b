"""The verbs of translation on the command line."""

from __future__ import annotations

from s2s_core.cli.main import task_main
from s2s_core.cli.tasks import Command, Service, TaskInfo

TASK = TaskInfo(
    name="nmt",
    package="s2s_nmt",
    summary="Text to text: translation, summarisation, dialogue",
    model="s2s_nmt.task:TextToText",
    data="s2s_nmt.data:ParallelData",
    convert="s2s_nmt.openseq2seq:convert",
    serving=Service(("translate",), "s2s_nmt.cli.serve:endpoints", "s2s_nmt.cli.serve:add_options"),
    commands={
        "prepare": Command("parallel text to tokenised files", "s2s_nmt.cli.prepare:main"),
        "translate": Command("text to text with a trained checkpoint", "s2s_nmt.cli.translate:main"),
        "quickstart": Command("make sentences, train, test and translate in minutes", "s2s_nmt.cli.quickstart:main"),
    },
)


def main() -> int:
    """The console script ``s2s-nmt``."""
    return task_main("nmt", "s2s-nmt")
