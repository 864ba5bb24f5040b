"""The translator on tiny models: order, company, windows, prefixes, n-best, errors and precisions."""

import functools

import pytest
import torch

from s2s_core.checkpoint import section_of
from s2s_core.decoding.beam_search import BeamSearch
from s2s_core.decoding.sampling import Sampling
from s2s_core.errors import UserError
from s2s_core.nn.recurrent_stack import RecurrentLayers
from s2s_core.nn.transformer import LayerSpec
from s2s_core.text.sentences import WordTokenizer
from s2s_nmt.decoders.rnn import RnnAttention, RnnDecoder
from s2s_nmt.decoders.transformer import TransformerDecoder
from s2s_nmt.encoders.transformer import TransformerEncoder
from s2s_nmt.losses.cross_entropy import CrossEntropyLoss
from s2s_nmt.task import TextToText
from s2s_nmt.translate import BATCHES_AHEAD, Translation, Translator

WORDS = [f"w{i}" for i in range(20)]
SENTENCES = ["w1 w2 w3", "", "w4", "w5 w6 w7 w8 w9 w10", "w3 w2", "   ", "unseen words w1", "w19 w18 w17 w16"]


def make_task(decoder=None, positions="sinusoidal", max_length=64):
    torch.manual_seed(3)
    spec = LayerSpec(features=16, heads=2, inner=24, dropout=0.0)
    vocab = len(WORDS) + 4
    encoder = TransformerEncoder(vocab, layers=2, layer=spec, positions=positions, max_length=max_length)
    task = TextToText(
        encoder=encoder,
        decoder=decoder or TransformerDecoder(16, vocab, layers=2, layer=spec),
        loss=CrossEntropyLoss(),
        source_tokenizer=WordTokenizer(WORDS),
        optimizer=functools.partial(torch.optim.AdamW, lr=1e-3),
        search=BeamSearch(3, max_length_ratio=1.0, max_length_extra=4),
    )
    return task.eval()


def attentive():
    return RnnDecoder(24, 16, 12, RecurrentLayers(16, 1), RnnAttention("luong"))


@pytest.fixture(scope="module")
def translator():
    return Translator(make_task())


def as_row(result):
    return result.source, [(found.text, round(found.score, 4), found.finished) for found in result.candidates]


def test_each_line_has_its_translation_in_order(translator):
    found = translator.translate(SENTENCES)
    assert [result.source for result in found] == SENTENCES
    for result in found:
        assert result.text == (result.candidates[0].text if result.source.strip() else "")
        assert bool(result.candidates) == bool(result.source.strip())
    assert len({result.text for result in found}) > 3


def test_neither_company_nor_batch_size_nor_order_matters(translator):
    together = [as_row(result) for result in translator.translate(SENTENCES)]
    alone = [as_row(translator.translate([sentence])[0]) for sentence in SENTENCES]
    small = [as_row(result) for result in translator.translate(SENTENCES, batch_tokens=1, batch_sentences=2)]
    backwards = [as_row(result) for result in translator.translate(SENTENCES[::-1])]
    assert together == alone == small == backwards[::-1]


def test_the_last_tokens_are_what_the_search_found(translator):
    task = make_task()
    [result] = translator.translate(["w1 w2 w3"], BeamSearch(4, nbest=4))
    tokens = torch.tensor([[*task.source_tokenizer.encode("w1 w2 w3"), 2]])
    [found] = task.decode(tokens, torch.tensor([4]), BeamSearch(4, nbest=4))
    assert [c.text for c in result.candidates] == [task.target_tokenizer.decode(h.tokens) for h in found]
    assert [c.score for c in result.candidates] == pytest.approx([h.score for h in found], abs=1e-4)
    assert [" ".join(c.pieces) for c in result.candidates] == [c.text for c in result.candidates]


def test_prefixes_are_kept(translator):
    found = translator.translate(["w1 w2", "w3", ""], prefixes=["w7 w8", "", "w1"])
    assert found[0].text.startswith("w7 w8")
    assert found[1].text == translator.translate(["w3"])[0].text
    assert found[2].text == ""
    with pytest.raises(ValueError, match="1 prefixes for 2"):
        translator.translate(["w1", "w2"], prefixes=["w1"])


def test_padding_and_beginning_are_never_written(translator):
    task = make_task()
    with torch.no_grad():
        task.decoder.embedding.weight[:2] *= 100
    texts = [c.pieces for r in Translator(task).translate(SENTENCES, BeamSearch(4, nbest=4)) for c in r.candidates]
    assert texts
    assert all("" not in pieces for pieces in texts)


def test_sampling_depends_on_the_line_and_not_on_batches(translator):
    search = Sampling(samples=2, seed=5, max_length_ratio=1.0, max_length_extra=4)
    lines = ["w1 w2 w3"] * 6
    together = [as_row(result) for result in translator.translate(lines, search)]
    apart = [as_row(result) for result in translator.translate(lines, search, batch_sentences=1)]
    assert together == apart
    assert len({str(row) for row in together}) > 3


def test_attention_models_align(translator):
    found = Translator(make_task(attentive())).translate(["w1 w2 w3", "w4"], BeamSearch(2, nbest=2))
    for result, length in zip(found, (3, 1), strict=True):
        assert result.source_pieces == [*result.source.split(), "</s>"]
        for candidate in result.candidates:
            assert candidate.attention.shape == (len(candidate.pieces), length + 1)
            torch.testing.assert_close(candidate.attention.sum(dim=1), torch.ones(len(candidate.pieces)))
            assert len(candidate.alignment) == len(candidate.pieces)
    assert translator.translate(["w1"])[0].candidates[0].alignment is None


def test_results_come_before_the_input_ends_and_nothing_piles_up(translator):
    read = 0

    def endless():
        nonlocal read
        while True:
            read += 1
            yield "w1 w2"

    results = translator.translate_each(endless(), BeamSearch(1), batch_sentences=4)
    window = BATCHES_AHEAD * 4
    for done in range(3 * window):
        assert next(results).source == "w1 w2"
        assert read <= done + window


def test_what_the_model_cannot_take_is_named_and_the_rest_goes_on():
    translator = Translator(make_task(positions="learned", max_length=6))
    lines = ["w1 w2", " ".join(WORDS), "w3", UserError("line 4: broken"), "w4"]
    done = []
    found = list(translator.translate_each(lines, progress=done.append))
    assert [type(result) for result in found] == [Translation, UserError, Translation, UserError, Translation]
    assert str(found[1]).startswith("sentence 2: a sequence of 21 tokens")
    assert str(found[3]) == "line 4: broken"
    assert sum(done) == 5
    assert found[2].text == translator.translate(["w3"])[0].text
    with pytest.raises(UserError, match="sentence 2"):
        translator.translate(lines[:3])


def test_a_string_is_no_list(translator):
    with pytest.raises(TypeError, match="list of sentences"):
        translator.translate("w1 w2")


@pytest.mark.parametrize(("precision", "int8"), [("bf16", False), ("fp32", True), ("bf16", True)])
@pytest.mark.parametrize("decoder", [None, attentive])
def test_other_precisions_score_almost_the_same(precision, int8, decoder):
    task = make_task(decoder and decoder())
    lines = [line for line in SENTENCES if line.strip()]
    full = Translator(task).translate(lines, BeamSearch(1))
    served = Translator(task, precision, int8)
    forced = served.translate(lines, BeamSearch(1), prefixes=[result.text for result in full])
    for ours, theirs in zip(forced, full, strict=True):
        longer = len(ours.candidates[0].pieces) - len(theirs.candidates[0].pieces)
        if longer == 0:
            expected = pytest.approx(theirs.candidates[0].log_probability, rel=0.05, abs=0.1)
            assert ours.candidates[0].log_probability == expected
    assert all(parameter.dtype == torch.float32 for parameter in task.parameters())  # the model itself is untouched


def test_loads_from_a_checkpoint(tmp_path, translator):
    task = make_task()
    path = tmp_path / "model.ckpt"
    torch.save({"state_dict": task.state_dict(), "s2s": section_of(task)}, path)
    loaded = Translator.load(path)
    assert [as_row(r) for r in loaded.translate(SENTENCES)] == [as_row(r) for r in translator.translate(SENTENCES)]
    assert loaded.search.beam_width == 3
    with pytest.raises(UserError, match="device 'cuda:77'"):
        Translator.load(path, device="cuda:77")
