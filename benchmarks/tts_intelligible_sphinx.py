"""PocketSphinx's side of `tts_intelligible.py`, for a Python that has it.

    tts_intelligible_sphinx.py FOLDER COUNT

Prints a JSON list of what it hears in FOLDER/0.wav and so on, 16 kHz, 16 bits.
"""

# the peer is in another Python
# pyright: reportMissingImports=false

from __future__ import annotations

import json
import sys
import wave
from pathlib import Path

from pocketsphinx import Decoder


def main() -> None:
    folder, count = Path(sys.argv[1]), int(sys.argv[2])
    decoder = Decoder(samprate=16_000, loglevel="FATAL")
    heard = []
    for number in range(count):
        with wave.open(str(folder / f"{number}.wav"), "rb") as file:
            samples = file.readframes(file.getnframes())
        decoder.start_utt()
        decoder.process_raw(samples, full_utt=True)
        decoder.end_utt()
        hypothesis = decoder.hyp()
        heard.append("" if hypothesis is None else hypothesis.hypstr)
    json.dump(heard, sys.stdout)


if __name__ == "__main__":
    main()
