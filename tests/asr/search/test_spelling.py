"""Decoders that search by themselves, with words of an n-gram model: every family against all texts."""

import itertools

import pytest
import torch
from torch.nn import functional as F

from s2s_asr.decoders.attention import AttentionDecoder, Location
from s2s_asr.decoders.attention_search import AttentionSearch
from s2s_asr.decoders.joint import JointDecoder
from s2s_asr.decoders.transducer import TransducerDecoder
from s2s_asr.losses.transducer import utterance_losses
from s2s_asr.search.ranking import Ranking
from s2s_asr.search.rescoring import Rescorer
from s2s_asr.search.settings import SearchSettings
from s2s_asr.search.spelling import SpellingSearcher
from s2s_core.decoding.arpa import ArpaScorer
from s2s_core.errors import UserError
from s2s_core.nn.recurrent_stack import RecurrentLayers
from s2s_core.testing import draw_sequences, pad
from s2s_core.text.tokenizers import CharTokenizer

LABELS = " ab"
VOCAB = len(LABELS)
TOKENIZER = CharTokenizer(LABELS)
FEATURES, CTC_WEIGHT = 4, 0.3
ALPHA, BETA, PENALTY = 0.6, 0.9, -1.5


def attention(**options):
    return AttentionDecoder(FEATURES, VOCAB, 5, RecurrentLayers(6, 1), Location(5, 3, 5), **options)


def built(family):
    torch.manual_seed(1)
    decoder = {
        "attention": lambda: attention(search=AttentionSearch(end_threshold=0.0)),
        "careful attention": lambda: attention(search=AttentionSearch(end_threshold=3.0)),
        "joint": lambda: JointDecoder(attention(), AttentionSearch(ctc_weight=CTC_WEIGHT)),
        "transducer": lambda: TransducerDecoder(FEATURES, VOCAB, 5, RecurrentLayers(6, 1), joint_size=8),
    }[family]().eval()
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter.normal_(std=0.6)
    return decoder


@pytest.fixture(params=["attention", "joint", "transducer"])
def decoder(request):
    return built(request.param)


def acoustic(decoder, seen, lengths, ids):
    """What a decoder gives one text of an utterance alone."""
    tokens, count = torch.tensor([ids], dtype=torch.int64), torch.tensor([len(ids)])
    scores = decoder.scores(seen, lengths, tokens, count)
    if isinstance(decoder, TransducerDecoder):
        return -float(utterance_losses(scores, lengths, tokens, count))
    labels = scores.labels if isinstance(decoder, JointDecoder) else scores
    log_probs = labels[0].double().log_softmax(-1)
    spelt = sum(float(log_probs[i, k]) for i, k in enumerate([*ids, VOCAB]))
    if not isinstance(decoder, JointDecoder):
        return spelt
    frames = scores.frames.double().log_softmax(-1).transpose(0, 1)
    ctc = -float(F.ctc_loss(frames, tokens, lengths, count, blank=VOCAB, reduction="sum"))
    return (1 - CTC_WEIGHT) * spelt + CTC_WEIGHT * ctc


def may_end(decoder, seen, lengths, ids):
    """Attention alone ends a text, where words have a say, only where the end is likely beside every label."""
    if not isinstance(decoder, AttentionDecoder) or decoder.search.end_threshold == 0:
        return True
    tokens, count = torch.tensor([ids], dtype=torch.int64), torch.tensor([len(ids)])
    *labels, end = decoder.scores(seen, lengths, tokens, count)[0, len(ids)].log_softmax(-1).tolist()
    return end > decoder.search.end_threshold * max(labels)


def words_score(ids, scorer, alpha=ALPHA, beta=BETA):
    words = "".join(LABELS[k] for k in ids).split()
    unknown = sum(word not in scorer.words for word in words)
    return alpha * scorer.score([scorer.encode(" ".join(words))])[0] + beta * len(words) + PENALTY * unknown


def text_of(ids):
    return " ".join("".join(LABELS[k] for k in ids).split())


def truths(decoder, encodings, length, scorer, alpha=ALPHA, beta=BETA):
    """For each text its best spelling's parts, the best first."""
    lengths = torch.tensor([length])
    seen = decoder(encodings[None, :length], lengths)
    longest = length if isinstance(decoder, TransducerDecoder) else length - 1
    best = {}
    for ids in (ids for n in range(longest + 1) for ids in itertools.product(range(VOCAB), repeat=n)):
        if not may_end(decoder, seen, lengths, ids):
            continue
        parts = (acoustic(decoder, seen, lengths, ids), words_score(ids, scorer, alpha, beta))
        best[text_of(ids)] = max(best.get(text_of(ids), parts), parts, key=sum)
    return sorted(best.items(), key=lambda item: -sum(item[1]))


def settings_of(arpa, **options):
    wide = {"alpha": ALPHA, "beta": BETA, "unknown_penalty": PENALTY, "beam_width": 130, "beam_threshold": 100.0}
    return SearchSettings(lm=arpa, **{**wide, **options})


def searcher_of(decoder, settings):
    return SpellingSearcher(settings, decoder, TOKENIZER, torch.device("cpu"))


@torch.no_grad()
def test_the_best_texts_are_those_of_exhaustive_search(decoder, arpa):
    encodings, lengths = pad(draw_sequences([4, 2], FEATURES))
    scorer = ArpaScorer.load(arpa)
    found = searcher_of(decoder, settings_of(arpa, nbest=4)).search_batch(decoder(encodings, lengths), lengths)
    alone = searcher_of(decoder, settings_of(arpa, nbest=4, alpha=0.0, beta=0.0, unknown_penalty=0.0))
    without = alone.search_batch(decoder(encodings, lengths), lengths)
    for row, length in enumerate(lengths.tolist()):
        expected = truths(decoder, encodings[row], length, scorer)[:4]
        assert [one.text for one in found[row]] == [text for text, _ in expected]
        scores = [(one.acoustic, one.words_score) for one in found[row]]
        torch.testing.assert_close(scores, [parts for _, parts in expected], rtol=0, atol=1e-4)
    assert [one.text for one in without[0]] != [one.text for one in found[0]], "the words must have a say"


@torch.no_grad()
def test_attention_ends_texts_where_the_end_is_likely(arpa):
    encodings, lengths = pad(draw_sequences([4], FEATURES))
    scorer = ArpaScorer.load(arpa)
    careful, careless = (built(family) for family in ("careful attention", "attention"))
    expected = truths(careful, encodings[0], 4, scorer)
    assert 1 < len(expected) < len(truths(careless, encodings[0], 4, scorer))
    (found,) = searcher_of(careful, settings_of(arpa, nbest=40)).search_batch(careful(encodings, lengths), lengths)
    assert [one.text for one in found] == [text for text, _ in expected]


@torch.no_grad()
def test_what_is_found_does_not_depend_on_the_batch(decoder, arpa):
    encodings, lengths = pad(draw_sequences([9, 4, 7, 1], FEATURES, seed=3))
    searcher = searcher_of(decoder, settings_of(arpa, beam_width=3, nbest=3, beam_threshold=5.0))
    together = searcher.search_batch(decoder(encodings, lengths), lengths)
    for row, length in enumerate(lengths.tolist()):
        one = lengths[row : row + 1]
        (alone,) = searcher.search_batch(decoder(encodings[row : row + 1, :length], one), one)
        assert [(h.text, round(h.score, 3)) for h in alone] == [(h.text, round(h.score, 3)) for h in together[row]]


@torch.no_grad()
def test_weights_that_are_not_given_are_the_decoders(decoder, arpa):
    encodings, lengths = pad(draw_sequences([4, 2], FEATURES))
    seen = decoder(encodings, lengths)
    alpha, beta = decoder.lm_weights
    left_out = searcher_of(decoder, SearchSettings(lm=arpa, nbest=4)).search_batch(seen, lengths)
    given = searcher_of(decoder, SearchSettings(lm=arpa, nbest=4, alpha=alpha, beta=beta)).search_batch(seen, lengths)
    assert left_out == given


@torch.no_grad()
def test_weights_can_be_tried_one_after_the_other(decoder, arpa):
    sequences = draw_sequences([4, 3], FEATURES)
    encodings, lengths = pad(sequences)
    weights = [(0.6, 0.9), (0.1, -2.0)]
    searcher = searcher_of(decoder, settings_of(arpa, rescore=arpa, beam_width=50))
    tried = list(searcher.each((one, pair) for pair in weights for one in sequences))
    for number, (alpha, beta) in enumerate(weights):
        settings = settings_of(arpa, alpha=alpha, beta=beta, nbest=50, beam_width=50)
        expected = searcher_of(decoder, settings).search_batch(decoder(encodings, lengths), lengths)
        for row in range(2):
            got = sorted(tried[2 * number + row], key=lambda one: -(one.acoustic + one.words_score))
            assert [one.text for one in got] == [one.text for one in expected[row]]
            assert all(one.rescoring < 0 for one in got)


class Likes:
    """A language model that likes one text."""

    def __init__(self, text):
        self.text = text

    def encode(self, text):
        return [int(text == self.text)]

    def score(self, sequences, ends=True):
        return [100.0 * ids[0] for ids in sequences]


@torch.no_grad()
def test_a_rescoring_model_ranks_anew(decoder, arpa):
    encodings, lengths = pad(draw_sequences([4], FEATURES))
    plain = searcher_of(decoder, settings_of(arpa, nbest=3)).search_batch(decoder(encodings, lengths), lengths)[0]
    settings = settings_of(arpa, rescore=arpa, rescore_weight=1.0)
    searcher = searcher_of(decoder, settings)
    searcher._ranking = Ranking(settings, Rescorer(Likes(plain[2].text)))
    (found,) = searcher.search_batch(decoder(encodings, lengths), lengths)
    assert [one.text for one in found] == [plain[2].text]
    assert found[0].score == pytest.approx(plain[2].score + 100.0, abs=1e-4)


@torch.no_grad()
def test_labels_are_located_in_the_frames_that_are_kept(decoder, arpa):
    encodings, lengths = pad(draw_sequences([8, 6], FEATURES, seed=2))
    searcher = searcher_of(decoder, settings_of(arpa, beam_width=4, nbest=2, beta=3.0))
    seen = decoder(encodings, lengths)
    whole = searcher.search_parts(seen, lengths, [slice(0, None)] * 2)
    assert [[one.text for one in row] for row in whole] == [
        [one.text for one in row] for row in searcher.search_batch(seen, lengths)
    ]
    cut = searcher.search_parts(seen, lengths, [slice(2, 5)] * 2)
    for row, full in zip(cut, whole, strict=True):
        for one, all_of_it in zip(row, full, strict=True):
            inside = [(s.token, s.start - 2) for s in all_of_it.spans if 2 <= s.start < 5]
            assert [(s.token, s.start) for s in one.spans] == inside
            assert one.text == text_of([token for token, _ in inside])


def test_a_width_is_chosen_where_none_is_given(arpa):
    decoder = JointDecoder(attention(), AttentionSearch(24, ctc_weight=CTC_WEIGHT))
    for settings, width, nbest in [
        (SearchSettings(lm=arpa), 24, 1),
        (SearchSettings(lm=arpa, beam_width=3), 3, 1),
        (SearchSettings(nbest=30), 30, 30),
    ]:
        plan = searcher_of(decoder, settings)._plan
        assert (plan.beam_width, plan.nbest) == (width, nbest)
    assert searcher_of(attention(), SearchSettings(lm=arpa))._plan.beam_width == 16


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"hotwords": ("a",)}, "--hotwords: need a CTC model, this one has a AttentionDecoder"),
        ({"lexicon": "none", "decoder": "flashlight"}, "--lexicon none: needs a CTC model"),
        ({"decoder": "flashlight"}, "--decoder flashlight: needs a CTC model; this one has a AttentionDecoder, which"),
        ({"lm": "words.binary"}, r"--lm words\.binary: binaries need a CTC model"),
        ({"lm": "nowhere.arpa"}, r"nowhere\.arpa: "),
    ],
)
def test_settings_of_other_searches_are_refused(settings, what):
    with pytest.raises(UserError, match=what):
        searcher_of(attention(), SearchSettings(**settings))
