"""A checkpoint of an untrained model that searches, and what it needs."""

import numpy as np
import pytest
import soundfile

from untrained import write_recogniser

ARPA = """Noise of a toolkit
\\data\\
ngram 1=5
ngram 2=1

\\1-grams:
-99\t<s>\t0
-1\t</s>
-0.5\tAB\t0
-0.7\tBA\t0
-1\tA\t0

\\2-grams:
-0.1\tAB BA

\\end\\
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Checkpoints, three recordings of noise, a manifest with transcripts and a language model."""
    folder = tmp_path_factory.mktemp("search")
    write_recogniser(folder / "model.ckpt", " ab")
    for family in ("joint", "transducer"):
        write_recogniser(folder / f"{family}.ckpt", " ab", family)
    rng = np.random.default_rng(0)
    rows = ["wav_filename,wav_filesize,transcript"]
    for number in range(3):
        soundfile.write(folder / f"{number}.wav", 0.1 * rng.standard_normal(8000 + 4000 * number), 16_000)
        rows.append(f"{number}.wav,1,ab ba")
    (folder / "data.csv").write_text("\n".join(rows) + "\n")
    (folder / "model.arpa").write_text(ARPA)
    return folder


@pytest.fixture
def run(capsys):
    """Calls a verb; gives its status, output and messages."""

    def call(verb, *arguments):
        status = verb([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call
