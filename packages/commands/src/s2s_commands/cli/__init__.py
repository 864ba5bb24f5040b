"""The verbs of sound and image classification on the command line."""

from __future__ import annotations

from s2s_core.cli.main import task_main
from s2s_core.cli.tasks import Command, Service, TaskInfo

COMMANDS = TaskInfo(
    name="commands",
    package="s2s_commands",
    configs="commands",
    summary="Speech commands: one label for a short recording",
    model="s2s_commands.sound_task:SoundClassifier",
    data="s2s_commands.sound_data:SoundData",
    serving=Service(("classify",), "s2s_commands.cli.serve:endpoints", "s2s_commands.cli.serve:add_options"),
    convert="s2s_commands.openseq2seq.sounds:convert",
    commands={
        "prepare": Command("a corpus to manifests", "s2s_commands.cli.prepare:main"),
        "classify": Command("recordings or a live stream to labels", "s2s_commands.cli.classify:main"),
        "quickstart": Command("make speech, train, test and classify in minutes", "s2s_commands.cli.quickstart:main"),
    },
)

IMAGES = TaskInfo(
    name="images",
    package="s2s_commands",
    configs="images",
    summary="Image classification: one label for a picture",
    model="s2s_commands.image_task:ImageClassification",
    data="s2s_commands.image_data:ImageData",
    serving=Service(
        ("classify",), "s2s_commands.cli.serve_images:endpoints", "s2s_commands.cli.serve_images:add_options"
    ),
    convert="s2s_commands.openseq2seq.images:convert",
    commands={
        "prepare": Command("a corpus of pictures to manifests", "s2s_commands.cli.prepare_images:main"),
        "classify": Command("pictures to labels with a trained checkpoint", "s2s_commands.cli.classify_image:main"),
        "quickstart": Command(
            "train on handwritten digits, test and classify in minutes", "s2s_commands.cli.quickstart_images:main"
        ),
    },
)


def commands_main() -> int:
    """The console script ``s2s-commands``."""
    return task_main("commands", "s2s-commands")


def images_main() -> int:
    """The console script ``s2s-images``."""
    return task_main("images", "s2s-images")
