"""`test` as a user types it, with a recogniser that judges."""

import json

from s2s_tts.cli.test import main as measure


class Parrot:
    """Hears the same words whatever is said, and counts the samples that it was given."""

    def __init__(self):
        self.samples = []

    def recognise(self, recordings, sample_rate_hz):
        assert sample_rate_hz == 8000
        self.samples.append([len(recording) for recording in recordings])
        return ["two one", "one"]

    def spell(self, text):
        return text.lower()


def test_a_recogniser_judges_speech_and_recordings(checkpoint, manifests, capsys, monkeypatch):
    parrot, asked = Parrot(), []

    def load(path, device):
        asked.append((path, device))
        return parrot

    monkeypatch.setattr("s2s_core.recognition.load_recogniser", load)
    manifest = str(manifests / "validation.jsonl.gz")  # "two one", which is longer, and "one eight"
    given = ["--ckpt_path", str(checkpoint), "--data.test", manifest, "--data.details.eval_batch_frames", "100000"]
    assert measure([*given, "--recogniser", "asr.ckpt"]) == 0
    figures = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    assert asked == [("asr.ckpt", "cpu")]
    assert (figures["test/wer"], figures["test/recorded_wer"]) == (0.25, 0.25)
    spoken, recorded = parrot.samples
    assert recorded == [4400, 4000]
    assert all(samples > 0 for samples in spoken)
    assert measure(given) == 0
    assert "test/wer" not in json.loads(capsys.readouterr().out.strip().splitlines()[-1])


def test_its_help_names_the_recogniser(capsys):
    assert measure(["--help"]) == 0
    assert "--recogniser FILE" in capsys.readouterr().out
