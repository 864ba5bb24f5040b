"""Every back end against the sum, or the best, over all paths of small cases."""

import itertools
import math
from pathlib import Path

import pytest
import torch

from s2s_asr.search.searcher import Searcher
from s2s_asr.search.settings import SearchSettings
from s2s_core.decoding.arpa import ArpaScorer
from s2s_core.errors import UserError
from s2s_core.text.tokenizers import CharTokenizer

LABELS = " ab"
BLANK = len(LABELS)
TOKENIZER = CharTokenizer(LABELS)
PACKAGES = {"tensors": [], "pyctcdecode": ["pyctcdecode", "kenlm"], "flashlight": ["flashlight.lib.text", "kenlm"]}


@pytest.fixture(params=PACKAGES)
def decoder(request):
    for package in PACKAGES[request.param]:
        pytest.importorskip(package, reason=f"the package {package} is not installed")
    return request.param


def words_of(tokens):
    return "".join(LABELS[token] for token in tokens).split()


def truths(log_probs, decoder):
    """For each text its acoustic score as the back end defines it: our own search ranks label sequences by all their
    paths, pyctcdecode texts by all theirs, flashlight texts by their best path."""
    sums: dict[object, float] = {}
    rows = log_probs.double().tolist()
    for path in itertools.product(range(BLANK + 1), repeat=len(rows)):
        tokens = tuple(label for label, _ in itertools.groupby(path) if label != BLANK)
        chance = math.exp(sum(row[label] for row, label in zip(rows, path, strict=True)))
        key = tokens if decoder == "tensors" else " ".join(words_of(tokens))
        sums[key] = max(sums.get(key, 0.0), chance) if decoder == "flashlight" else sums.get(key, 0.0) + chance
    best: dict[str, float] = {}
    for key, chance in sums.items():
        text = key if isinstance(key, str) else " ".join(words_of(key))
        best[text] = max(best.get(text, -math.inf), math.log(chance))
    return best


@pytest.mark.parametrize("seed", range(3))
def test_the_best_texts_are_those_of_exhaustive_search(decoder, arpa, seed, frames_of_seed):
    alpha, beta, penalty = 0.6, 0.9, -1.5
    scorer, log_probs = ArpaScorer.load(arpa), frames_of_seed(seed)
    ranked = {}
    for text, acoustic in truths(log_probs, decoder).items():
        unknown = sum(word not in scorer.words for word in text.split())
        if unknown and decoder == "flashlight":
            continue
        value = scorer.score([scorer.encode(text)])[0]
        ranked[text] = (acoustic, alpha * value + beta * len(text.split()) + penalty * unknown)
    order = sorted(ranked, key=lambda text: -sum(ranked[text]))
    settings = SearchSettings(decoder, arpa, None, alpha, beta, penalty, beam_width=2000, beam_threshold=1e3, nbest=5)
    with Searcher(settings, TOKENIZER) as searcher:
        found = searcher.submit(log_probs).hypotheses
    expected = order[:5]
    if decoder == "flashlight":  # no word at all is no ending that it likes
        expected = [text for text in order if text][:5]
        found = [one for one in found if one.text][:5]
        expected = expected[: len(found)]
    if decoder == "pyctcdecode":  # its scores of texts that can end in a space depend on which of the two came first
        assert found[0].text == expected[0]
        found = found[:1]
    else:
        assert [one.text for one in found] == expected
    for one in found:
        torch.testing.assert_close((one.acoustic, one.words_score), ranked[one.text], rtol=0, atol=1e-3)


def test_without_a_model_the_text_with_the_most_probable_labels_wins(decoder, frames_of_seed):
    log_probs = frames_of_seed(11)
    best = max((score, text) for text, score in truths(log_probs, decoder).items())
    settings = SearchSettings(decoder, beam_width=2000, beam_threshold=1e3, nbest=2)
    with Searcher(settings, TOKENIZER) as searcher:
        found = searcher.submit(log_probs).hypotheses[0]
    assert found.text == best[1]
    assert found.acoustic == pytest.approx(best[0], abs=1e-3)


def test_spans_say_which_frames_spell_the_text(decoder, arpa):
    path = [3, 1, 1, 3, 0, 0, 2, 3, 3, 1, 3]
    log_probs = torch.full((len(path), BLANK + 1), -6.0)
    log_probs[torch.arange(len(path)), torch.tensor(path)] = 0.0
    log_probs = log_probs.log_softmax(-1)
    with Searcher(SearchSettings(decoder, arpa, nbest=3), TOKENIZER) as searcher:
        found = searcher.submit(log_probs).hypotheses
    assert found[0].text == "a ba"
    assert [(LABELS[s.token], s.start, s.end) for s in found[0].spans] == [
        ("a", 1, 3),
        (" ", 4, 6),
        ("b", 6, 7),
        ("a", 9, 10),
    ]
    assert all(span.probability == pytest.approx(log_probs[1, 1].exp().item()) for span in found[0].spans)
    assert len({one.text for one in found}) == len(found)


def test_an_empty_utterance_is_empty(decoder, arpa):
    with Searcher(SearchSettings(decoder, arpa), TOKENIZER) as searcher:
        found = searcher.submit(torch.zeros(0, BLANK + 1)).hypotheses
    assert [one.text for one in found] == [""]
    assert found[0].spans == []


def test_scores_that_are_no_numbers_are_refused(decoder):
    log_probs = torch.zeros(1, 5, BLANK + 1).log_softmax(-1)
    log_probs[0, 3, 1] = torch.nan
    with Searcher(SearchSettings(decoder=decoder), TOKENIZER) as searcher:
        for search in (
            lambda: searcher.submit(log_probs[0]),
            lambda: searcher.search_batch(log_probs, torch.tensor([5])),
            lambda: list(searcher.each([(log_probs[0], (0.5, 1.0))])),
        ):
            with pytest.raises(UserError, match="scores that are no numbers"):
                search()


def test_a_noisy_head_capitals_and_compression_make_no_difference(decoder, arpa, tmp_path, frames_of_seed):
    import gzip

    capitals = (
        Path(arpa)
        .read_text()
        .replace("a", "A")
        .replace("b", "B")
        .replace("\\dAtA\\", "\\data\\")
        .replace("ngrAm", "ngram")
    )
    noisy = "A comment\n\\1-grams:\nnot yet\n" + capitals.replace("-grAms", "-grams").replace("</S>", "</s>")
    with gzip.open(tmp_path / "noisy.arpa.gz", "wt") as file:
        file.write(noisy)
    results = []
    for path in (arpa, str(tmp_path / "noisy.arpa.gz")):
        with Searcher(SearchSettings(decoder, path, nbest=3), TOKENIZER) as searcher:
            results.append(searcher.submit(frames_of_seed(4, 9)).hypotheses)
    assert results[0] == results[1]


def test_a_lexicon_limits_what_is_known(decoder, arpa, tmp_path, frames_of_seed):
    (tmp_path / "words.txt").write_text("ab\nba\n")
    settings = SearchSettings(decoder, arpa, str(tmp_path / "words.txt"), unknown_penalty=-1e3, beam_threshold=1e4)
    with Searcher(settings, TOKENIZER) as searcher:
        texts = [searcher.submit(frames_of_seed(seed, 8)).hypotheses[0].text for seed in range(4)]
    assert {word for text in texts for word in text.split()} == {"ab", "ba"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"decoder": "magic"}, "--decoder 'magic': expected one of"),
        ({"nbest": 5, "beam_width": 4}, "--nbest is 5, expected 1 to the beam width"),
        ({"alpha": -1.0}, "--alpha is -1"),
        ({"hotwords": ("a",), "decoder": "tensors"}, "--hotwords: tensors has none"),
        ({"lm": "m.binary", "decoder": "tensors"}, "tensors read ARPA only"),
        ({"lexicon": "none"}, "needs --decoder flashlight"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, message):
    with pytest.raises(UserError, match=message):
        SearchSettings(**settings)


def test_a_missing_or_broken_model_is_named(decoder, tmp_path, frames_of_seed):
    broken = tmp_path / "broken.arpa"
    broken.write_text("hello\n")
    for path in (tmp_path / "absent.arpa", broken):
        with (
            pytest.raises(UserError, match=path.name),
            Searcher(SearchSettings(decoder, str(path)), TOKENIZER) as searcher,
        ):
            assert searcher.submit(frames_of_seed(1)).hypotheses
