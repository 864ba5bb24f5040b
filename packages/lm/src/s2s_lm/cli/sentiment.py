"""The verbs of sentiment analysis on the command line."""

from __future__ import annotations

from s2s_core.cli.main import task_main
from s2s_core.cli.tasks import Command, Service, TaskInfo

TASK = TaskInfo(
    name="sentiment",
    package="s2s_lm",
    configs="sentiment",
    summary="Sentiment analysis, or any other classes of texts",
    model="s2s_lm.sentiment.task:SentimentClassification",
    data="s2s_lm.sentiment.data:ClassificationData",
    serving=Service(("classify",), "s2s_lm.cli.serve_sentiment:endpoints", "s2s_lm.cli.serve_sentiment:add_options"),
    convert="s2s_lm.openseq2seq.sentiment:convert",
    commands={
        "prepare": Command("labelled texts to tokenised files and a vocabulary", "s2s_lm.cli.prepare_sentiment:main"),
        "classify": Command("texts to classes with their probabilities", "s2s_lm.cli.classify:main"),
        "quickstart": Command(
            "train, test and classify in minutes, on made-up reviews", "s2s_lm.cli.quickstart_sentiment:main"
        ),
    },
)


def main() -> int:
    """The console script ``s2s-sentiment``."""
    return task_main("sentiment", "s2s-sentiment")
