"""The verbs of language modelling and sentiment analysis on the command line."""

from __future__ import annotations

from s2s_core.cli.main import task_main
from s2s_core.cli.tasks import Command, Service, TaskInfo

TASK = TaskInfo(
    name="lm",
    package="s2s_lm",
    configs="lm",
    summary="Language models: the next word, the probability of a text",
    model="s2s_lm.task:LanguageModeling",
    data="s2s_lm.data:LmData",
    serving=Service(("generate", "score"), "s2s_lm.cli.serve:endpoints", "s2s_lm.cli.serve:add_options"),
    convert="s2s_lm.openseq2seq.language_model:convert",
    commands={
        "prepare": Command("text to tokenised files and a vocabulary", "s2s_lm.cli.prepare:main"),
        "generate": Command("go on with a prompt", "s2s_lm.cli.generate:main"),
        "score": Command("log-probability and perplexity of text", "s2s_lm.cli.score:main"),
        "ngram": Command("estimate an n-gram model, in ARPA form", "s2s_lm.cli.ngram:main"),
        "quickstart": Command(
            "train, measure and generate in minutes, from text that comes along", "s2s_lm.cli.quickstart:main"
        ),
    },
)


def main() -> int:
    """The console script ``s2s-lm``."""
    return task_main("lm", "s2s-lm")
