"""The peers' side of `nmt_translate.py`, for a Python that has them.

    nmt_translate_peers.py SYSTEM PRECISION TOKENS

Prints ``ready``; then translates the batch for each line on standard input and prints the seconds. The system is
``HF generate`` or ``CTranslate2``, which takes the same Hugging Face weights, converted.
"""

# the peer is in another Python
# pyright: reportMissingImports=false

from __future__ import annotations

import os
import sys
import tempfile
import time

import numpy as np
import torch

torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
from transformers import MarianConfig, MarianMTModel  # noqa: E402

VOCAB, SENTENCES, BEAM = 32768, 64, 4
EOS, PAD = 0, VOCAB - 1


def sources():
    rng = np.random.default_rng(0)
    lengths, _ = rng.integers(5, 51, SENTENCES), rng.integers(5, 51, SENTENCES)
    return [rng.integers(4, 32760, length).tolist() for length in lengths]


def marian():
    torch.manual_seed(0)
    sizes = {"d_model": 512, "encoder_layers": 6, "decoder_layers": 6, "max_position_embeddings": 256}
    sizes |= {f"{side}_{name}": size for side in ("encoder", "decoder") for name, size in HEADS_AND_INNER}
    config = MarianConfig(
        vocab_size=VOCAB,
        decoder_vocab_size=VOCAB,
        activation_function="relu",
        pad_token_id=PAD,
        eos_token_id=EOS,
        decoder_start_token_id=PAD,
        forced_eos_token_id=None,
        scale_embedding=True,
        share_encoder_decoder_embeddings=True,
        attn_implementation="sdpa",
        **sizes,
    )
    return MarianMTModel(config).eval()


HEADS_AND_INNER = (("attention_heads", 8), ("ffn_dim", 2048))


def hugging_face(precision, tokens):
    model = marian().to(torch.bfloat16 if precision == "bf16" else torch.float32)
    rows = [[*row, EOS] for row in sources()]
    longest = max(map(len, rows))
    ids = torch.tensor([row + [PAD] * (longest - len(row)) for row in rows])
    length = {"min_new_tokens": tokens, "max_new_tokens": tokens}

    @torch.inference_mode()
    def step():
        out = model.generate(ids, attention_mask=ids.ne(PAD).long(), num_beams=BEAM, do_sample=False, **length)
        assert out.shape[1] == tokens + 1

    return step


def ctranslate2(precision, tokens):
    from ctranslate2 import Translator
    from ctranslate2.converters.transformers import MarianMTLoader

    compute = {"fp32": "float32", "int8": "int8"}[precision]
    spec = MarianMTLoader().get_model_spec(marian())
    vocabulary = ["</s>", "<unk>"] + [f"t{i}" for i in range(2, VOCAB - 1)]
    spec.register_source_vocabulary(vocabulary)
    spec.register_target_vocabulary(vocabulary)
    spec.config.eos_token, spec.config.unk_token, spec.config.decoder_start_token = "</s>", "<unk>", "</s>"
    spec.validate()
    spec.optimize(quantization=compute)
    folder = tempfile.mkdtemp()
    spec.save(folder)
    threads = torch.get_num_threads()
    translator = Translator(folder, device="cpu", compute_type=compute, inter_threads=1, intra_threads=threads)
    rows = [[f"t{i}" for i in row] + ["</s>"] for row in sources()]
    length = {"min_decoding_length": tokens, "max_decoding_length": tokens}

    def step():
        out = translator.translate_batch(rows, beam_size=BEAM, max_batch_size=SENTENCES, **length)
        assert {len(row.hypotheses[0]) for row in out} == {tokens}

    return step


def main():
    system, precision, tokens = sys.argv[1:]
    step = {"HF generate": hugging_face, "CTranslate2": ctranslate2}[system](precision, int(tokens))
    print("ready", flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        step()
        print(time.perf_counter() - start, flush=True)


if __name__ == "__main__":
    main()
