"""OpenNMT-py's side of nmt_train_gnmt.py; runs in a Python that has OpenNMT-py 3.0.4."""

# the peer is in another Python
# pyright: reportMissingImports=false

import sys
import tempfile
import time

import onmt.opts
import pyonmttok
import torch
from nmt_batch import VOCAB, sentences
from onmt.model_builder import build_base_model
from onmt.utils.loss import LossCompute
from onmt.utils.parse import ArgumentParser

PAD, BOS, EOS = 1, 2, 3
MODEL = (
    "-encoder_type brnn -decoder_type rnn -rnn_type LSTM -layers 4 -hidden_size 1024 -word_vec_size 1024 "
    "-global_attention general -share_vocab -share_embeddings -share_decoder_embeddings -label_smoothing 0.1 "
    "-dropout 0.1 -attention_dropout 0.1 -data {} -input_feed "
)


def build(feeding):
    words = [f"t{i}" for i in range(4, VOCAB)]
    vocab = pyonmttok.build_vocab_from_tokens(words, maximum_size=0, special_tokens=["<unk>", "<blank>", "<s>", "</s>"])
    vocab.default_id = 0
    parser = ArgumentParser()
    onmt.opts.train_opts(parser)
    place = tempfile.mkdtemp()
    files = ["-src_vocab", place, "-tgt_vocab", place, "-save_model", place]
    options, _ = parser.parse_known_args([*(MODEL + feeding).split(), *files])
    options = ArgumentParser.ckpt_model_opts(options)
    ArgumentParser.update_model_opts(options)
    options.dropout, options.attention_dropout = [0.1], [0.1]
    vocabs = {"src": vocab, "tgt": vocab, "data_task": "seq2seq"}
    model = build_base_model(options, vocabs, False)
    return model, LossCompute.from_opts(options, model, vocab)


def padded(rows):
    longest = max(map(len, rows))
    return torch.tensor([row + [PAD] * (longest - len(row)) for row in rows])[:, :, None]


def main():
    precision, feeding = sys.argv[1:]
    torch.manual_seed(0)
    model, loss_of = build(feeding)
    model.train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, betas=(0.9, 0.998))
    source, target = sentences(EOS)
    tokens = sum(map(len, target))
    batch = {"src": padded(source), "srclen": torch.tensor([len(row) for row in source])}
    batch["tgt"] = padded([[BOS, *row] for row in target])
    batch["tgtlen"] = torch.tensor([len(row) + 1 for row in target])

    def step():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16"):
            out, attentions = model(batch["src"], batch["tgt"], batch["srclen"], bptt=False, with_align=False)
            loss, _ = loss_of(batch, out, attentions)
        (loss / tokens).backward()
        optimizer.step()

    print("ready", flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        step()
        print(time.perf_counter() - start, flush=True)


if __name__ == "__main__":
    main()
