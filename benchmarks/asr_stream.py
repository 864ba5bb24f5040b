"""Word error rates of a checkpoint's stream against the same checkpoint's offline transcripts, in the same run.

    python benchmarks/asr_stream.py --checkpoint best.ckpt --manifest test.jsonl.gz

Utterances are streamed one by one, first by themselves and then, because a stream has no end to normalise by, as one
recording in which ``--together`` of them follow each other with pauses of a second. Each row has its latency (a chunk
and what a frame waits for, computing aside), the WER against the references, the share of words that differ from the
offline transcript, and the real-time factor.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import torch

from s2s_asr.streaming import StreamingTranscriber, StreamOptions, stream_blocks
from s2s_asr.transcribe import Transcriber
from s2s_core.data.speech import CutTable
from s2s_core.error_rate import ErrorRate
from s2s_core.errors import UserError

WAYS = {
    "exact": StreamOptions(mode="exact"),
    "buffered 6 s, 1 s": StreamOptions(mode="buffered", left_s=6.0, right_s=1.0),
    "buffered 2 s, 0.5 s": StreamOptions(mode="buffered", left_s=2.0, right_s=0.5),
    "buffered 1 s, 0.2 s": StreamOptions(mode="buffered", left_s=1.0, right_s=0.2),
    "buffered 0.5 s, 0.1 s": StreamOptions(mode="buffered", left_s=0.5, right_s=0.1),
}


def joined(audio: list[torch.Tensor], texts: list[str], count: int, pause: int) -> tuple[list[torch.Tensor], list[str]]:
    """Every ``count`` utterances as one recording, with the soft noise of a room between."""
    quiet = 1e-3 * torch.randn(pause, generator=torch.Generator().manual_seed(0))
    groups = range(0, len(audio), count)
    sounds = [torch.cat([p for x in audio[g : g + count] for p in (x, quiet)]) for g in groups]
    return sounds, [" ".join(texts[g : g + count]) for g in groups]


def rate(found: list[str], expected: list[str]) -> float:
    metric = ErrorRate("word")
    metric.update(found, expected)
    return float(metric.compute())


def measure(transcriber: Transcriber, audio: list[torch.Tensor], texts: list[str], which: str) -> list[dict]:
    seconds = sum(map(len, audio)) / transcriber.sample_rate_hz
    began = time.perf_counter()
    offline = [result.text for result in transcriber.transcribe(audio, chunk_s=None)]
    rows = [
        {"audio": which, "way": "offline", "wer": rate(offline, texts), "rtf": (time.perf_counter() - began) / seconds}
    ]
    for way, options in WAYS.items():
        try:
            latency_s = StreamingTranscriber(transcriber, options).latency_s
        except UserError as error:  # the model needs the whole recording
            print(f"{way}: {error}", file=sys.stderr)
            continue
        began = time.perf_counter()
        found = []
        for samples in audio:
            stream = StreamingTranscriber(transcriber, options)
            results = stream_blocks(stream, samples.split(transcriber.sample_rate_hz // 10))
            found.append(" ".join(result.text for result in results if result.final))
        rows.append(
            {
                "audio": which,
                "way": way,
                "latency_s": round(latency_s, 3),
                "wer": rate(found, texts),
                "differs": rate(found, offline),
                "rtf": (time.perf_counter() - began) / seconds,
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--together", type=int, default=10)
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "asr_stream.json")
    options = parser.parse_args()
    transcriber = Transcriber.load(options.checkpoint)
    table = CutTable.load([options.manifest])
    audio = [table.audio(i, transcriber.sample_rate_hz) for i in range(len(table))]
    texts = [transcriber.task.tokenizer.normalise(table.info(i).text) for i in range(len(table))]
    rows = measure(transcriber, audio, texts, "utterances")
    long = joined(audio, texts, options.together, transcriber.sample_rate_hz)
    rows += measure(transcriber, *long, f"{options.together} together")
    for row in rows:
        latency, differs = row.get("latency_s", ""), f"{row['differs']:.2%}" if "differs" in row else ""
        start = f"{row['audio']:<12} {row['way']:<22} {latency!s:<8}"
        print(f"{start} WER {row['wer']:<7.2%} {differs:<7} RTF {row['rtf']:.4f}")
    options.output.write_text(json.dumps({"utterances": len(audio), "rows": rows}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
