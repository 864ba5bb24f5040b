"""NeMo's side of `asr_train.py`, run by a Python that has NeMo: ``asr_train_nemo.py WORKLOAD PRECISION``.

Prints ``ready``; then does a step for each line on standard input and prints its seconds.
"""

# the peer is in another Python
# pyright: reportMissingImports=false

from __future__ import annotations

import logging
import os
import sys
import time

import torch

torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
logging.disable(logging.WARNING)
from nemo.collections.asr.losses.ctc import CTCLoss  # noqa: E402
from nemo.collections.asr.modules import ConvASRDecoder, ConvASREncoder  # noqa: E402
from omegaconf import OmegaConf  # noqa: E402

LENGTHS, TARGETS, FEATURES, LABELS = [800, 700, 600, 500], [60, 50, 40, 30], 64, 28


def layer(filters, kernel, repeat=1, stride=1, dilation=1, **options):
    common = {"dropout": 0.0, "residual": False, "residual_dense": False, "separable": False}
    sizes = {"kernel": [kernel], "stride": [stride], "dilation": [dilation]}
    return {"filters": filters, "repeat": repeat, **sizes, **common, **options}


def jasper():
    sizes = ((256, 11, 0.2), (384, 13, 0.2), (512, 17, 0.2), (640, 21, 0.3), (768, 25, 0.3))
    dense = [layer(c, k, 3, dropout=drop, residual=True, residual_dense=True) for c, k, drop in sizes]
    ends = [layer(896, 29, dilation=2, dropout=0.4), layer(1024, 1, dropout=0.4)]
    return [layer(256, 11, stride=2, dropout=0.2), *dense, *ends]


def quartznet():
    sizes = ((256, 33), (256, 39), (512, 51), (512, 63), (512, 75))
    blocks = [layer(c, k, 5, residual=True, separable=True) for c, k in sizes]
    return [
        layer(256, 33, stride=2, separable=True),
        *blocks,
        layer(512, 87, dilation=2, separable=True),
        layer(1024, 1),
    ]


def main():
    workload, precision = sys.argv[1:]
    layers = {"asr-train-jasper5x3": jasper, "asr-train-quartznet5x5": quartznet}[workload]()
    torch.manual_seed(0)
    encoder = ConvASREncoder(jasper=OmegaConf.create(layers), activation="relu", feat_in=FEATURES, conv_mask=True)
    vocabulary = [*"abcdefghijklmnopqrstuvwxyz", " ", "'"]
    decoder = ConvASRDecoder(feat_in=1024, num_classes=LABELS, vocabulary=vocabulary)
    criterion = CTCLoss(num_classes=LABELS, zero_infinity=True, reduction="mean_batch")
    optimizer = torch.optim.SGD([*encoder.parameters(), *decoder.parameters()], lr=0.01, momentum=0.9)
    features, lengths = torch.randn(len(LENGTHS), FEATURES, max(LENGTHS)), torch.tensor(LENGTHS)
    tokens, token_lengths = torch.randint(0, LABELS, (len(LENGTHS), max(TARGETS))), torch.tensor(TARGETS)

    def step():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16"):
            encodings, counts = encoder(audio_signal=features, length=lengths)
            log_probs = decoder(encoder_output=encodings)
        loss = criterion(
            log_probs=log_probs.float(), targets=tokens, input_lengths=counts.long(), target_lengths=token_lengths
        )
        loss.backward()
        optimizer.step()

    print("ready", flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        step()
        print(time.perf_counter() - start, flush=True)


if __name__ == "__main__":
    main()
