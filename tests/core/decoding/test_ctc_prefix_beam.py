"""Both searches against the sum over every path, and one against the other."""

import itertools
import math

import pytest
import torch

from s2s_core.decoding import native_prefix_beam, tensor_prefix_beam
from s2s_core.decoding.arpa import ArpaScorer
from s2s_core.decoding.ctc_prefix_beam import CtcPrefixBeam
from s2s_core.decoding.word_fusion import WordFusion, label_lexicon

LABELS = " ab"
BLANK = len(LABELS)
SEARCHES = {"native": native_prefix_beam.search, "tensors": tensor_prefix_beam.search}


@pytest.fixture(params=SEARCHES)
def search(request):
    if request.param == "native" and not native_prefix_beam.available():
        pytest.skip("this machine has no C++ compiler")
    return SEARCHES[request.param]


def fusion_of(scorer, **weights):
    labels = [("" if c == " " else c, c == " ") for c in LABELS]
    return WordFusion(scorer, label_lexicon(scorer, labels, str.lower), **weights)


def random_log_probs(seed, *shape):
    scores = 2 * torch.randn(*shape, BLANK + 1, generator=torch.Generator().manual_seed(seed))
    return scores.log_softmax(-1)


def all_sequences(log_probs):
    """Every label sequence with the summed probability of its paths."""
    found: dict[tuple[int, ...], float] = {}
    table = log_probs.double().tolist()
    for path in itertools.product(range(BLANK + 1), repeat=len(table)):
        tokens = tuple(label for label, _ in itertools.groupby(path) if label != BLANK)
        found[tokens] = found.get(tokens, 0.0) + math.exp(sum(row[c] for row, c in zip(table, path, strict=True)))
    return {tokens: math.log(value) for tokens, value in found.items()}


def words_score(tokens, scorer, weight, bonus, penalty):
    words = "".join(LABELS[t] for t in tokens).split()
    unknown = sum(word not in scorer.words for word in words)
    value = scorer.score([scorer.encode(" ".join(words))])[0]
    return weight * value + bonus * len(words) + penalty * unknown


@pytest.mark.parametrize("frames", [1, 3, 6])
def test_all_sequences_come_in_the_order_of_their_probability(search, frames):
    log_probs = random_log_probs(frames, frames)
    truth = sorted(all_sequences(log_probs).items(), key=lambda item: -item[1])
    settings = CtcPrefixBeam(beam_width=400, nbest=len(truth))
    found = search(settings, log_probs[None], torch.tensor([frames]), None)[0]
    assert [tuple(h.tokens) for h in found] == [tokens for tokens, _ in truth]
    torch.testing.assert_close([h.score for h in found], [score for _, score in truth], rtol=0, atol=1e-5)


@pytest.mark.parametrize("weights", [(0.7, 1.3, -2.0), (2.0, -0.5, -10.0), (0.0, 0.0, 0.0)])
def test_words_count_as_the_language_model_scores_whole_texts(search, scorer, weights):
    log_probs = random_log_probs(7, 6)
    truth = {tokens: (a, words_score(tokens, scorer, *weights)) for tokens, a in all_sequences(log_probs).items()}
    ranked = sorted(truth.items(), key=lambda item: -sum(item[1]))
    fusion = fusion_of(scorer, weight=weights[0], bonus=weights[1], unknown_penalty=weights[2])
    settings = CtcPrefixBeam(beam_width=400, nbest=len(truth))
    found = search(settings, log_probs[None], torch.tensor([6]), fusion)[0]
    assert len(found) == len(ranked)
    torch.testing.assert_close([h.score for h in found], [sum(both) for _, both in ranked], rtol=0, atol=1e-5)
    for hypothesis in found:
        torch.testing.assert_close(
            (hypothesis.acoustic, hypothesis.words), truth[tuple(hypothesis.tokens)], rtol=0, atol=1e-5
        )


@pytest.mark.parametrize("with_words", [False, True])
@pytest.mark.parametrize("beam", [1, 2, 5, 12])
def test_narrow_beams_find_the_same_in_both_searches(scorer, beam, with_words):
    if not native_prefix_beam.available():
        pytest.skip("this machine has no C++ compiler")
    log_probs, lengths = random_log_probs(beam, 6, 25), torch.tensor([25, 3, 0, 17, 24, 1])
    fusion = fusion_of(scorer) if with_words else None
    settings = CtcPrefixBeam(beam_width=beam, nbest=min(3, beam), beam_threshold=9.0)
    native, tensors = (search(settings, log_probs, lengths, fusion) for search in SEARCHES.values())
    assert [[h.tokens for h in row] for row in native] == [[h.tokens for h in row] for row in tensors]
    for a, b in zip(itertools.chain(*native), itertools.chain(*tensors), strict=True):
        torch.testing.assert_close((a.acoustic, a.words), (b.acoustic, b.words), rtol=0, atol=1e-4)


def test_an_utterance_does_not_depend_on_its_batch_or_padding(search, scorer):
    log_probs, lengths = random_log_probs(3, 5, 20), torch.tensor([20, 11, 0, 15, 19])
    settings = CtcPrefixBeam(beam_width=7, nbest=4)
    together = search(settings, log_probs, lengths, fusion_of(scorer))
    for row, length in enumerate(lengths.tolist()):
        alone = search(settings, log_probs[row : row + 1, :length], lengths[row : row + 1], fusion_of(scorer))
        assert alone[0] == together[row]


def test_the_number_of_threads_changes_nothing(scorer, set_threads):
    if not native_prefix_beam.available():
        pytest.skip("this machine has no C++ compiler")
    log_probs, lengths = random_log_probs(4, 9, 30), torch.randint(1, 31, (9,), generator=torch.Generator())
    found = []
    for count in (1, 4):
        set_threads(count)
        found.append(CtcPrefixBeam(beam_width=8)(log_probs, lengths, fusion_of(scorer)))
    assert found[0] == found[1]


def test_empty_utterances_and_impossible_frames(search):
    log_probs = random_log_probs(1, 2, 4)
    log_probs[1, 2] = -torch.inf
    found = search(CtcPrefixBeam(beam_width=3), log_probs, torch.tensor([0, 4]), None)
    assert found[0][0].tokens == []
    assert found[0][0].score == 0.0
    assert all(h.acoustic == -math.inf for h in found[1])


def test_words_of_a_model_in_capitals_are_found(search, arpa, tmp_path):
    path = tmp_path / "capitals.arpa"
    path.write_text(arpa.read_text().replace("ab", "AB").replace("ba", "BA").replace(" a", " A"))
    log_probs = random_log_probs(5, 2, 8)
    lower, upper = (
        search(CtcPrefixBeam(20), log_probs, torch.tensor([8, 8]), fusion_of(ArpaScorer.load(p))) for p in (arpa, path)
    )
    assert lower == upper


def test_wrong_settings_and_scores_are_refused(scorer):
    with pytest.raises(ValueError, match="nbest must be from 1 to the beam width"):
        CtcPrefixBeam(beam_width=4, nbest=5)
    with pytest.raises(ValueError, match="beam_threshold"):
        CtcPrefixBeam(beam_threshold=-1.0)
    with pytest.raises(ValueError, match="weight must not be negative"):
        fusion_of(scorer, weight=-0.5)
    with pytest.raises(ValueError, match="not numbers"):
        CtcPrefixBeam()(torch.full((1, 2, 4), torch.nan), torch.tensor([2]))
    with pytest.raises(ValueError, match="lexicon has 3 labels, the scores have 5"):
        CtcPrefixBeam()(torch.zeros(1, 2, 6), torch.tensor([2]), fusion_of(scorer))


def test_without_a_compiler_tensors_search(monkeypatch, scorer):
    log_probs, lengths = random_log_probs(2, 2, 12), torch.tensor([12, 9])
    here = CtcPrefixBeam(10, nbest=2)(log_probs, lengths, fusion_of(scorer))
    monkeypatch.setattr(native_prefix_beam, "available", lambda: False)
    there = CtcPrefixBeam(10, nbest=2)(log_probs, lengths, fusion_of(scorer))
    assert [[h.tokens for h in row] for row in here] == [[h.tokens for h in row] for row in there]
