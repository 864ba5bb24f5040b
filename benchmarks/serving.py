"""Requests a second of concurrent clients: batches formed as requests come, against one request at a time.

    python benchmarks/serving.py

Two untrained models of modest size, a translator (Transformer, 2 x 3 layers of 256, beam 4) and a recogniser (12
convolutions of 256 channels), each behind the real server over loopback, with clients in a process of their own that
ask again as soon as they are answered. Both servers take turns, ``--rounds`` times; the median is reported, and the
latency that half of the requests stay below.
"""

from __future__ import annotations

import argparse
import functools
import http.client
import io
import json
import multiprocessing
import os
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import machine
import numpy as np
import soundfile
import torch
import uvicorn

from s2s_asr.decoders.ctc import CtcDecoder
from s2s_asr.encoders.tdnn import TdnnBlock, TdnnEncoder
from s2s_asr.losses.ctc import CtcLoss
from s2s_asr.serving import TranscribeEndpoint
from s2s_asr.task import SpeechToText
from s2s_asr.transcribe import Transcriber
from s2s_core.audio.features import LogMel
from s2s_core.decoding.beam_search import BeamSearch
from s2s_core.nn.transformer import LayerSpec
from s2s_core.serving.app import Serving, make_app
from s2s_core.serving.server import bind
from s2s_core.text.sentences import WordTokenizer
from s2s_core.text.tokenizers import CharTokenizer
from s2s_nmt.decoders.transformer import TransformerDecoder
from s2s_nmt.encoders.transformer import TransformerEncoder
from s2s_nmt.losses.cross_entropy import CrossEntropyLoss
from s2s_nmt.serving import TranslateEndpoint
from s2s_nmt.task import TextToText
from s2s_nmt.translate import Translator

WORDS = [f"w{i}" for i in range(8000)]
LARGEST = 16
SGD = functools.partial(torch.optim.SGD, lr=0.1)


def translator() -> TranslateEndpoint:
    torch.manual_seed(0)
    spec = LayerSpec(features=256, heads=4, inner=1024, dropout=0.0)
    encoder, decoder = TransformerEncoder(8004, layers=3, layer=spec), TransformerDecoder(256, 8004, 3, spec)
    search = BeamSearch(4, max_length_ratio=1.0, max_length_extra=0)
    task = TextToText(encoder, decoder, CrossEntropyLoss(), WordTokenizer(WORDS), SGD, search=search)
    return TranslateEndpoint(Translator(task.eval()), 5000)


def recogniser() -> TranscribeEndpoint:
    torch.manual_seed(0)
    blocks = [TdnnBlock(256, 11, stride=2), TdnnBlock(256, 13, repeat=11, residual=True, separable=True)]
    task = SpeechToText(LogMel(64), TdnnEncoder(64, blocks), CtcDecoder(256, 28), CtcLoss(), CharTokenizer(), SGD)
    return TranscribeEndpoint(Transcriber(task.eval()), 60)


def question(verb: str, number: int) -> tuple[bytes, str]:
    """Body and content type of a client's request: 8 to 15 words, or 2 to 5 seconds."""
    draw = np.random.default_rng(number)
    if verb == "translate":
        text = " ".join(WORDS[i] for i in draw.integers(len(WORDS), size=draw.integers(8, 16)))
        return json.dumps({"text": text}).encode(), "application/json"
    held = io.BytesIO()
    soundfile.write(held, 0.1 * draw.standard_normal(draw.integers(32_000, 80_000)), 16_000, format="WAV")
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
    return head + held.getvalue() + b"\r\n--b--\r\n", "multipart/form-data; boundary=b"


def clients(port: int, verb: str, count: int, seconds: float) -> list[float]:
    """Ask with ``count`` clients for so long; returns the latency of each request that was answered in the time."""
    end = time.monotonic() + seconds

    def client(number: int) -> list[float]:
        body, kind = question(verb, number)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        took = []
        while (began := time.monotonic()) < end:
            connection.request("POST", f"/{verb}", body, {"Content-Type": kind})
            reply = connection.getresponse()
            reply.read()
            assert reply.status == 200, reply.status
            if (done := time.monotonic()) < end:
                took.append(done - began)
        return took

    with ThreadPoolExecutor(count) as pool:
        return [latency for took in pool.map(client, range(count)) for latency in took]


def serve(endpoint, max_batch: int) -> int:
    """Serve an endpoint on a thread; returns the port."""
    taken = bind("127.0.0.1", 0)
    app = make_app(Serving("bench", "untrained", max_batch=max_batch, max_requests=256), [endpoint])
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", ws="none"))
    threading.Thread(target=server.run, kwargs={"sockets": [taken]}, daemon=True).start()
    while not server.started:
        time.sleep(0.01)
    return taken.getsockname()[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "serving.json")
    options = parser.parse_args()
    rows = []
    with multiprocessing.get_context("spawn").Pool(1) as others:
        for endpoint in (translator(), recogniser()):
            ports = {size: serve(endpoint, size) for size in (1, LARGEST)}
            for size, port in ports.items():
                others.apply(clients, (port, endpoint.name, size, 1.0))  # warm up
            for count in options.clients:
                took = {size: [] for size in ports}
                for _ in range(options.rounds):
                    for size, port in ports.items():
                        took[size].append(others.apply(clients, (port, endpoint.name, count, options.seconds)))
                rows += [row_of(endpoint.name, count, size, took[size], options.seconds) for size in ports]
                alone, batched = (row["requests_per_s"] for row in rows[-2:])
                print(
                    f"{endpoint.name:<10} {count:>3} clients   one at a time {alone:7.1f} requests/s   "
                    f"batches up to {LARGEST} {batched:7.1f}   ratio {batched / alone:.2f}   latency "
                    f"{rows[-2]['latency_ms']:.0f} and {rows[-1]['latency_ms']:.0f} ms"
                )
    result = {"cpu": machine.cpu_name(), "threads": torch.get_num_threads(), "cores": os.cpu_count(), "rows": rows}
    options.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def row_of(verb: str, count: int, size: int, rounds: list[list[float]], seconds: float) -> dict:
    return {
        "verb": verb,
        "clients": count,
        "max_batch": size,
        "requests_per_s": round(statistics.median(len(took) / seconds for took in rounds), 2),
        "latency_ms": round(1000 * statistics.median(latency for took in rounds for latency in took), 1),
    }


if __name__ == "__main__":
    main()
