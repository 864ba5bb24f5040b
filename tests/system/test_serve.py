"""``serve`` as a process of its own: what it answers over loopback is what the verb prints, and Ctrl-C ends it."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from s2s_core.checkpoint import SECTION, section_of

pytestmark = pytest.mark.slow
LIGHTNING = str(Path(sys.executable).with_name("lightning"))
ENDS_WITHIN_S = 30
"""It takes a second; a machine that is busy with other tests takes more."""


@pytest.fixture
def start(tmp_path):
    """Starts ``lightning run TASK serve`` and waits for its address; returns the process and the port."""
    running = []

    def run(task, *arguments):
        command = [LIGHTNING, "run", task, "serve", *map(str, arguments), "--port", "0", "--device", "cpu"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        # a background job's ignored SIGINT would be handed on
        heeding = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        process = subprocess.Popen(command, cwd=tmp_path, env=environment, **pipes, **heeding)
        running.append(process)
        line = process.stdout.readline()
        assert "http://127.0.0.1:" in line, line + process.stderr.read()
        return process, int(line.split("http://127.0.0.1:")[1].split("/")[0])

    yield run
    for process in running:
        process.kill()
        process.communicate()


def ask(port, path, body, content_type):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("POST", path, body, {"Content-Type": content_type})
    reply = connection.getresponse()
    return reply.status, json.loads(reply.read())


def upload(port, path, file):
    head = f'--b\r\nContent-Disposition: form-data; name="file"; filename="{file.name}"\r\n\r\n'.encode()
    return ask(port, path, head + file.read_bytes() + b"\r\n--b--\r\n", "multipart/form-data; boundary=b")


def ends(process):
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=ENDS_WITHIN_S)
    return process.returncode, out, err


def save(task, path):
    torch.save({SECTION: section_of(task), "state_dict": task.state_dict()}, path)
    return path


@pytest.fixture
def recogniser(tmp_path):
    from s2s_asr.decoders.ctc import CtcDecoder
    from s2s_asr.encoders.tdnn import TdnnBlock, TdnnEncoder
    from s2s_asr.losses.ctc import CtcLoss
    from s2s_asr.task import SpeechToText
    from s2s_core.audio.features import LogMel
    from s2s_core.text.tokenizers import CharTokenizer

    torch.manual_seed(3)
    decoder = CtcDecoder(16, 28)
    torch.nn.init.normal_(decoder.linear.weight, std=3.0)
    encoder = TdnnEncoder(16, [TdnnBlock(16, 5, stride=2)])
    optimizer = partial(torch.optim.SGD, lr=0.1)
    task = SpeechToText(LogMel(16), encoder, decoder, CtcLoss(), CharTokenizer(), optimizer)
    return save(task, tmp_path / "asr.ckpt")


@pytest.fixture
def language_model(tmp_path):
    from s2s_lm.decoders.linear import LinearDecoder
    from s2s_lm.encoders.recurrent import AwdLstmEncoder
    from s2s_lm.losses.cross_entropy import CrossEntropy
    from s2s_lm.task import LanguageModeling
    from s2s_lm.tokenizers import VocabularyTokenizer

    (tmp_path / "vocab.txt").write_text("\n".join(["<eos>", "<unk>", *"abcdefgh"]) + "\n")
    tokenizer = VocabularyTokenizer(str(tmp_path / "vocab.txt"))
    size = tokenizer.vocab_size
    encoder, optimizer = AwdLstmEncoder(size, 8, 8, 1), partial(torch.optim.SGD, lr=0.1)
    task = LanguageModeling(encoder, LinearDecoder(8, size), CrossEntropy(), tokenizer, optimizer)
    return save(task, tmp_path / "lm.ckpt")


def test_concurrent_requests_get_what_the_verb_prints(start, recogniser, tmp_path, capsys):
    from s2s_core.cli.main import main

    files = [tmp_path / f"{number}.wav" for number in range(8)]
    for number, file in enumerate(files):
        samples = np.random.default_rng(number).standard_normal(4000 + 3000 * number)
        soundfile.write(file, 0.3 * samples, 16_000)
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"RIFF and no more")
    process, port = start("asr", recogniser, "--max-batch", "4", "--max-wait-ms", "200")
    with ThreadPoolExecutor(9) as pool:
        replies = list(pool.map(partial(upload, port, "/transcribe"), [*files, bad]))
    assert [status for status, _ in replies] == [200] * 8 + [422]
    assert replies[8][1]["detail"].startswith("bad.wav: not readable audio")
    words = ["--checkpoint", str(recogniser), "--device", "cpu", "--format", "json", *map(str, files)]
    assert main(["run", "asr", "transcribe", *words]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    for row, (_, answer) in zip(rows, replies, strict=False):
        assert row.pop("path")
        assert row["text"] == answer["text"]
        confidences = [[word.pop("confidence") for word in found["words"]] for found in (row, answer)]
        assert row == answer
        assert confidences[0] == pytest.approx(confidences[1], abs=1e-3)
    status, _, err = ends(process)
    assert (status, err) == (130, "\ninterrupted\n")


def test_ctrl_c_ends_it_in_the_middle_of_a_batch_and_of_an_upload(start, language_model):
    process, port = start("lm", language_model, "--max-tokens", "1000000")
    question = json.dumps({"prompt": "a b", "tokens": 1_000_000})
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(ask, port, "/generate", question, "application/json")
        time.sleep(2)  # a million tokens take minutes
        assert not asking.done()
        hanging = socket.create_connection(("127.0.0.1", port))
        head = "POST /generate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 50\r\n"
        hanging.sendall(f"{head}\r\n{{".encode())
        # answered after the connection before it was taken; one that was not gets no word
        urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=60).close()
        status, _, err = ends(process)
        assert (status, err) == (130, "\ninterrupted\n")
        assert b"503" in hanging.recv(1000).split(b"\r\n")[0]
        hanging.close()
        assert asking.result() == (503, {"detail": "the server is being stopped"})
