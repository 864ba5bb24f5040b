"""Is synthetic speech understood? PocketSphinx, which has never heard it, on unseen texts spoken and as recorded.

    python benchmarks/tts_intelligible.py --peer-python PYTHON_WITH_POCKETSPHINX
        --manifest data/ljspeech/validation.jsonl.gz --checkpoint runs/ljspeech/checkpoints/last.ckpt

A judge from outside: its acoustic model and trigram of general US English come with its wheel. Its error on the
recordings is what synthetic speech can reach. ``vocoded`` are the recordings' own spectrograms through Griffin-Lim:
what of the loss is the vocoder's. A text that the model cannot bring to an end counts as silence. Words are compared
without case and punctuation.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Literal

import soundfile
import torch
from timing import print_table
from torch import Tensor

from s2s_core.data.audio_files import resample
from s2s_core.data.speech import CutTable
from s2s_core.error_rate import ErrorRate
from s2s_core.errors import UserError
from s2s_tts.pictures import over_time, png, stacked
from s2s_tts.synthesize import Speech, Synthesizer

HERE = Path(__file__).parent
JUDGE_RATE_HZ = 16_000


def words(text: str) -> str:
    return " ".join(re.findall(r"[a-z']+", text.lower()))


def vocoded(synthesizer: Synthesizer, audio: Tensor) -> Tensor:
    """A recording's spectrogram made audible again."""
    lengths = torch.tensor([len(audio)])
    with torch.inference_mode():
        return synthesizer.vocoder(synthesizer.task.target(audio[None], lengths))[0]


def picture(speech: Speech) -> bytes:
    """The spectrogram of a text's first sentence, and below it which letters each step attended to."""
    first = speech.sentences[0]
    return png(stacked([over_time(first.mel), over_time(first.alignment, 0.0, 1.0)]))


def heard(peer_python: str, spoken: list[Tensor], rate_hz: int) -> list[str]:
    """What the judge takes each recording for."""
    with tempfile.TemporaryDirectory() as folder:
        for number, audio in enumerate(spoken):
            samples = resample(audio, rate_hz, JUDGE_RATE_HZ)
            soundfile.write(Path(folder) / f"{number}.wav", samples.numpy(), JUDGE_RATE_HZ, subtype="PCM_16")
        command = [peer_python, str(HERE / "tts_intelligible_sphinx.py"), folder, str(len(spoken))]
        return json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)


def error_rate(unit: Literal["word", "char"], hypotheses: list[str], references: list[str]) -> float:
    errors = ErrorRate(unit)
    errors.update(hypotheses, references)
    return round(float(errors.compute()), 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", required=True)
    parser.add_argument("--manifest", type=Path, required=True, help="recordings of texts unseen in training")
    parser.add_argument("--peer-python", required=True, help="a Python that has pocketsphinx 5")
    parser.add_argument("--picture", type=Path, help="a PNG of the first text that comes to an end")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "tts_intelligible.json")
    args = parser.parse_args()
    synthesizer = Synthesizer.load(args.checkpoint)
    tokenizer, rate_hz = synthesizer.task.tokenizer, synthesizer.task.features.sample_rate_hz
    table = CutTable.load([args.manifest])
    texts = [table.info(i).text for i in range(len(table))]
    recordings = [table.audio(i, rate_hz) for i in range(len(table))]
    speech = list(synthesizer.synthesize_each(texts))
    spoken_texts = [one for one in speech if not isinstance(one, UserError)]
    if args.picture is not None and spoken_texts:
        args.picture.write_bytes(picture(spoken_texts[0]))
    silence = torch.zeros(rate_hz)
    systems = {
        "recordings": recordings,
        "recordings, vocoded": [vocoded(synthesizer, audio) for audio in recordings],
        "synthetic": [silence if isinstance(one, UserError) else torch.from_numpy(one.audio) for one in speech],
    }
    rows = []
    references = [words(tokenizer.normalise(text)) for text in texts]
    for name, spoken in systems.items():
        texts_heard = [words(text) for text in heard(args.peer_python, spoken, rate_hz)]
        rates = {"WER": error_rate("word", texts_heard, references), "CER": error_rate("char", texts_heard, references)}
        rows.append({"speech": name, **rates})
    print_table(rows, ["speech", "WER", "CER"])
    about = {"texts": len(texts), "words": sum(len(text.split()) for text in references)}
    about["not brought to an end"] = len(speech) - len(spoken_texts)
    args.output.write_text(json.dumps({**about, "rows": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
