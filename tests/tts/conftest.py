"""A corpus of hums and a synthesiser small enough to train on it in a test."""

import numpy as np
import pytest
import soundfile
import torch
import yaml

RATE = 8000
WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight")

RECIPE = """
model:
  class_path: s2s_tts.task.TextToSpeech
  init_args:
    tokenizer: {class_path: s2s_tts.tokenizers.CharacterTokenizer}
    features: {class_path: s2s_tts.spectrogram.MelSpectrogram,
      init_args: {num_features: 10, sample_rate_hz: 8000, n_fft: 128}}
    encoder: {class_path: s2s_tts.encoders.tacotron2.Tacotron2Encoder,
      init_args: {vocab_size: 39, embedding_size: 8, channels: 8, conv_layers: 1, rnn_size: 4}}
    style: {class_path: s2s_tts.encoders.style_tokens.StyleTokens,
      init_args: {num_mels: 10, out_features: 4, tokens: 3, heads: 2, channels: [4, 4], rnn_size: 4}}
    speakers: {class_path: s2s_tts.speakers.Speakers, init_args: {count: 2, features: 3, names_file: SPEAKERS}}
    vocoder:
      class_path: s2s_tts.vocoders.griffin_lim.GriffinLim
      init_args:
        features: {class_path: s2s_tts.spectrogram.MelSpectrogram,
          init_args: {num_features: 10, sample_rate_hz: 8000, n_fft: 128}}
        iterations: 2
    decoder:
      class_path: s2s_tts.decoders.tacotron2.Tacotron2Decoder
      init_args:
        in_features: 15
        num_mels: 10
        reduction_factor: 3
        sizes: {prenet: 8, rnn: 12, attention: 6, filters: 2, kernel: 5, postnet: 8, postnet_layers: 2}
    loss: {class_path: s2s_tts.losses.spectrogram.SpectrogramLoss, init_args: {guide_weight: 1.0}}
    optimizer: {class_path: torch.optim.Adam, init_args: {lr: 0.01}}
data:
  class_path: s2s_tts.data.SpeechSynthesisData
  init_args: {batch_size: 4}
trainer: {max_epochs: 2, accelerator: cpu, devices: 1, log_every_n_steps: 1}
"""


@pytest.fixture(scope="session")
def hums(tmp_path_factory):
    """A folder with ``train.csv`` and ``validation.csv`` of hums by two speakers."""
    folder = tmp_path_factory.mktemp("hums")
    rows = ["wav_filename,wav_filesize,transcript,speaker"]
    for number, word in enumerate(WORDS):
        time = np.arange(RATE // 2 + 400 * number) / RATE
        soundfile.write(folder / f"{word}.wav", 0.3 * np.sin(2 * np.pi * (200 + 50 * number) * time), RATE)
        rows.append(f"{word}.wav,1,{word} {WORDS[number - 1]},{'ann' if number % 2 else 'bob'}")
    (folder / "train.csv").write_text("\n".join(rows))
    (folder / "validation.csv").write_text("\n".join([rows[0], *rows[1:3]]))
    return folder


@pytest.fixture(scope="session")
def manifests(hums, tmp_path_factory):
    """The corpus as ``prepare csv`` writes it."""
    from s2s_tts.cli.prepare import main

    output = tmp_path_factory.mktemp("manifests")
    assert main(["csv", "--input", str(hums), "--output", str(output)]) == 0
    return output


@pytest.fixture(scope="session")
def recipe(manifests, tmp_path_factory):
    """The recipe's file, with the corpus' paths."""
    config = yaml.safe_load(RECIPE.replace("SPEAKERS", str(manifests / "speakers.txt")))
    config["data"]["init_args"]["train"] = str(manifests / "train.jsonl.gz")
    config["data"]["init_args"]["validation"] = str(manifests / "validation.jsonl.gz")
    path = tmp_path_factory.mktemp("recipe") / "tiny.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.fixture(scope="session")
def checkpoint(recipe, tmp_path_factory):
    """Trained for two epochs, and then told to end after six steps."""
    from s2s_core.cli.main import run_task
    from s2s_tts.cli import TASK

    run = tmp_path_factory.mktemp("run") / "run"
    assert run_task(TASK, ["fit", "--config", str(recipe), "--output", str(run)], "lightning run tts") == 0
    return run / "checkpoints" / "last.ckpt"


@pytest.fixture
def ending():
    """Makes a task's decoder end: its stop token grows with every step, and attention walks along the text."""

    def end(task, steps=6):
        decoder = task.decoder
        decoder.stop_threshold = 2.0
        original = decoder.generate

        def generate(memory, seeds, max_frames):
            made = original(memory, seeds, torch.minimum(max_frames, torch.tensor(steps * 3)))
            made.finished[:] = True
            made.alignments[:] = 1.0
            return made

        decoder.generate = generate
        return task

    return end
