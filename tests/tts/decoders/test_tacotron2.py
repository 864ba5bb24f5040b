"""Tacotron 2's decoder and encoder against torchaudio's with the same weights, and against themselves."""

import pytest
import torch
from torchaudio.models import Tacotron2

from s2s_core.nn.mask import length_mask
from s2s_tts.decoders.tacotron2 import Tacotron2Decoder, Tacotron2Sizes
from s2s_tts.encoders.tacotron2 import Tacotron2Encoder
from s2s_tts.interfaces import Memory, Spectrogram

MELS, TOKENS = 5, [9, 7, 4]
FRAMES = torch.tensor([11, 11, 11])  # torchaudio's post-net lets padding in


def torchaudio_model():
    torch.manual_seed(0)
    model = Tacotron2(
        n_mels=MELS, n_symbol=12, symbol_embedding_dim=16, encoder_embedding_dim=16, decoder_rnn_dim=20,
        attention_rnn_dim=20, attention_hidden_dim=10, attention_location_n_filter=4, attention_location_kernel_size=7,
        prenet_dim=8, postnet_embedding_dim=14, decoder_max_step=13, gate_threshold=2.0,
    )  # fmt: skip
    for name, buffer in model.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_(std=0.3)
        if name.endswith("running_var"):
            buffer.uniform_(0.5, 1.5)
    model.decoder.prenet.forward = lambda x: _without_dropout(model.decoder.prenet, x)
    return model.eval()


def _without_dropout(prenet, x):
    for layer in prenet.layers:
        x = torch.relu(layer(x))
    return x


def ours_like(model):
    """Our encoder and decoder with the weights of torchaudio's."""
    sizes = Tacotron2Sizes(
        prenet=8, prenet_dropout=0.0, rnn=20, attention=10, filters=4, kernel=7, postnet=14, rnn_dropout=0.1
    )
    encoder = Tacotron2Encoder(12, 16, 16, rnn_size=8)
    decoder = Tacotron2Decoder(16, MELS, stop_threshold=2.0, sizes=sizes)
    theirs = model.state_dict()
    encoder.embedding.weight.data = theirs["embedding.weight"]
    _copy_convolutions(encoder, model.encoder.convolutions)
    encoder.rnn.load_state_dict(dict(model.encoder.lstm.state_dict()))
    _copy_convolutions(decoder.postnet, model.postnet.convolutions)
    for ours, name in zip(decoder.prenet.layers, ("0", "1"), strict=True):
        ours.weight.data = theirs[f"decoder.prenet.layers.{name}.weight"]
    decoder.attention_rnn.load_state_dict(model.decoder.attention_rnn.state_dict())
    rnn = {f"{name}_l0": value for name, value in model.decoder.decoder_rnn.state_dict().items()}
    decoder.decoder_rnn.load_state_dict(rnn)
    decoder.projection.load_state_dict(model.decoder.linear_projection.state_dict())
    decoder.stop.load_state_dict(model.decoder.gate_layer.state_dict())
    layer, attention = model.decoder.attention_layer, decoder.attention
    attention.query_weight.data = layer.query_layer.weight.data
    attention.memory_weight.data = layer.memory_layer.weight.data
    attention.score_weight.data = layer.v.weight.data[0]
    attention.location_conv.data = layer.location_layer.location_conv.weight.data
    attention.location_weight.data = layer.location_layer.location_dense.weight.data
    return encoder.eval(), decoder.eval()


def _copy_convolutions(ours, theirs):
    for convolution, norm, (their_convolution, their_norm) in zip(ours.convolutions, ours.norms, theirs, strict=True):
        convolution.weight.data = their_convolution.weight.data.transpose(1, 2).contiguous()
        convolution.bias.data = their_convolution.bias.data
        norm.load_state_dict(their_norm.state_dict())
        norm.eps = their_norm.eps


def texts():
    torch.manual_seed(1)
    tokens = torch.randint(12, (3, 9)).masked_fill(~length_mask(torch.tensor(TOKENS)), 0)
    return tokens, torch.tensor(TOKENS)


def test_teacher_forced_values_are_torchaudios():
    model = torchaudio_model()
    encoder, decoder = ours_like(model)
    tokens, lengths = texts()
    mel = torch.randn(3, 11, MELS)
    with torch.no_grad():
        coarse, fine, stop, alignments = model(tokens, lengths, mel.mT, FRAMES)
        encodings = encoder(tokens, lengths)
        found = decoder(Memory(encodings, lengths), Spectrogram(mel, FRAMES), torch.arange(3))
    # torchaudio's encoder convolves across the padding of short rows: only the longest is comparable there
    row = slice(0, 1)
    torch.testing.assert_close(found.coarse[row], coarse.mT[row], atol=1e-4, rtol=0)
    torch.testing.assert_close(found.spectrogram.mel[row], fine.mT[row], atol=1e-4, rtol=0)
    torch.testing.assert_close(found.stop_logits[row], stop[row], atol=1e-4, rtol=0)
    torch.testing.assert_close(found.alignments[row], alignments[row], atol=1e-4, rtol=0)


def test_decoder_of_a_ragged_batch_is_torchaudios():
    model = torchaudio_model()
    _, decoder = ours_like(model)
    lengths, memory, mel = torch.tensor(TOKENS), torch.randn(3, 9, 16), torch.randn(3, 11, MELS)
    with torch.no_grad():
        coarse, stop, alignments = model.decoder(memory, mel.mT, lengths)
        found = decoder(Memory(memory, lengths), Spectrogram(mel, FRAMES), torch.arange(3))
    torch.testing.assert_close(found.coarse, coarse.mT, atol=1e-4, rtol=0)
    torch.testing.assert_close(found.stop_logits, stop, atol=1e-4, rtol=0)
    torch.testing.assert_close(found.alignments, alignments, atol=1e-4, rtol=0)
    assert not found.alignments[2, :, 4:].any()


def test_synthesised_values_are_torchaudios():
    model = torchaudio_model()
    encoder, decoder = ours_like(model)
    tokens, _ = texts()
    whole = torch.tensor([9, 9, 9])
    with torch.no_grad(), pytest.warns(UserWarning, match="max decoder steps"):
        mel, lengths, _ = model.infer(tokens, whole)
    with torch.no_grad():
        found = decoder.generate(Memory(encoder(tokens, whole), whole), torch.arange(3), torch.full((3,), 13))
    assert found.spectrogram.lengths.tolist() == lengths.tolist() == [13, 13, 13]
    assert not found.finished.any()
    torch.testing.assert_close(found.spectrogram.mel, mel.mT, atol=1e-4, rtol=0)


@pytest.mark.parametrize("index", range(3))
def test_synthesis_is_a_fixed_point_of_teacher_forcing(index):
    """Shown its own frames, a decoder predicts them again: dropout, shifts and reduction agree in both paths."""
    torch.manual_seed(0)
    decoder = Tacotron2Decoder.examples()[index].eval()
    decoder.stop_threshold = 2.0
    memory, seeds = Memory(torch.randn(2, 6, 9), torch.tensor([6, 4])), torch.tensor([3, 8])
    with torch.no_grad():
        made = decoder.generate(memory, seeds, torch.tensor([12, 9]))
        shown = made.spectrogram.mel if made.coarse is None else made.coarse
        again = decoder(memory, Spectrogram(shown, made.spectrogram.lengths), seeds)
    if made.coarse is not None:
        torch.testing.assert_close(again.coarse, made.coarse, atol=1e-5, rtol=0)
    torch.testing.assert_close(again.spectrogram.mel, made.spectrogram.mel, atol=1e-5, rtol=0)


def test_published_size():
    encoder, decoder = Tacotron2Encoder(148), Tacotron2Decoder(512)
    ours = sum(p.numel() for module in (encoder, decoder) for p in module.parameters())
    theirs = sum(p.numel() for p in Tacotron2().parameters())
    assert ours == theirs + 128  # the attention's bias


def test_stop_ends_an_utterance_where_its_probability_passes_the_threshold():
    torch.manual_seed(0)
    decoder = Tacotron2Decoder.examples()[0].eval()
    decoder.stop.weight.data.zero_()
    decoder.stop.bias.data.fill_(3.0)
    memory = Memory(torch.randn(2, 6, 9), torch.tensor([6, 4]))
    made = decoder.generate(memory, torch.tensor([0, 1]), torch.tensor([7, 7]))
    assert made.spectrogram.lengths.tolist() == [1, 1]
    assert made.finished.all()
