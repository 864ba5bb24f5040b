"""Hugging Face Marian's side of `nmt_train.py`, run by a Python that has transformers: ``nmt_train_marian.py fp32``.

Prints ``ready``; then does a step for each line on standard input and prints its seconds. ``logits PATH`` writes random
weights and the logits that they give.
"""

# the peer is in another Python
# pyright: reportMissingImports=false

from __future__ import annotations

import os
import sys
import time

import numpy as np
import torch

torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
from transformers import MarianConfig, MarianMTModel  # noqa: E402
from transformers.trainer_pt_utils import LabelSmoother  # noqa: E402

VOCAB, PAIRS, EOS, IGNORED = 32768, 64, 0, -100
PAD = VOCAB - 1


def sentences():
    rng = np.random.default_rng(0)
    lengths = [rng.integers(5, 51, PAIRS) for _ in range(2)]
    return [[rng.integers(4, VOCAB - 8, n).tolist() for n in side] for side in lengths]


def padded(rows, filler):
    longest = max(len(row) for row in rows)
    return torch.tensor([row + [filler] * (longest - len(row)) for row in rows])


def build():
    torch.manual_seed(0)
    config = MarianConfig(
        vocab_size=VOCAB,
        decoder_vocab_size=VOCAB,
        d_model=512,
        encoder_layers=6,
        decoder_layers=6,
        encoder_attention_heads=8,
        decoder_attention_heads=8,
        encoder_ffn_dim=2048,
        decoder_ffn_dim=2048,
        dropout=0.1,
        attention_dropout=0.1,
        activation_dropout=0.0,
        activation_function="relu",
        max_position_embeddings=256,
        pad_token_id=PAD,
        eos_token_id=EOS,
        decoder_start_token_id=PAD,
        forced_eos_token_id=None,
        scale_embedding=True,
        share_encoder_decoder_embeddings=True,
        attn_implementation="sdpa",
    )
    return MarianMTModel(config)


def inputs():
    source, target = sentences()
    tokens, labels = padded([[*row, EOS] for row in source], PAD), padded([[*row, EOS] for row in target], IGNORED)
    start = torch.full((PAIRS, 1), PAD)
    shifted = torch.cat([start, labels[:, :-1].masked_fill(labels[:, :-1] == IGNORED, PAD)], dim=1)
    arguments = {"input_ids": tokens, "attention_mask": (tokens != PAD).long(), "decoder_input_ids": shifted}
    return arguments, labels


def write_logits(path):
    model, (arguments, labels) = build().eval(), inputs()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:  # biases and norms begin as zeros and ones, behind which errors hide
                parameter.add_(0.1 * torch.randn_like(parameter))
        real = labels != IGNORED
        logits = model(**arguments, use_cache=False).logits[real]
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    for part in (model.model.encoder, model.model.decoder):
        name = "encoder" if part is model.model.encoder else "decoder"
        weights[f"model.{name}.embed_positions.weight"] = part.embed_positions.weight.detach().clone()
    batch = {"source": arguments["input_ids"], "source_lengths": arguments["attention_mask"].sum(1)}
    batch |= {"shifted": arguments["decoder_input_ids"], "target_lengths": real.sum(1)}
    torch.save({"weights": weights, "logits": logits, **batch}, path)


def train(precision):
    model, (arguments, labels) = build().train(), inputs()
    adam = torch.optim.Adam(model.parameters(), lr=1e-4, betas=(0.9, 0.998))
    smoother = LabelSmoother(0.1)

    def step():
        adam.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16"):
            output = model(**arguments, use_cache=False)
        smoother({"logits": output.logits.float()}, labels).backward()
        adam.step()

    print("ready", flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        step()
        print(time.perf_counter() - start, flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "logits":
        write_logits(sys.argv[2])
    else:
        train(sys.argv[1])
