import math

import pytest
import torch

from s2s_core.decoding.beam_search import BeamSearch
from s2s_core.decoding.sampling import Sampling
from s2s_core.decoding.scoring import score_texts
from s2s_core.errors import UserError
from s2s_lm import language_model
from s2s_lm.adaptation import CacheOptions, DynamicOptions, NeuralCache
from s2s_lm.language_model import LanguageModel, total_score

LINES = ["the cat sat", "", "a dog ran on the zebra"]


@pytest.fixture
def model(make_task):
    torch.manual_seed(5)
    return LanguageModel(make_task())


def whole_nll(model, lines):
    tokenizer = model.task.tokenizer
    ids = [n for line in lines for n in (*tokenizer.encode(line), tokenizer.eos_id)]
    encodings, _ = model.task.encoder(
        torch.tensor([[tokenizer.eos_id, *ids[:-1]]]), model.task.encoder.initial_state(1)
    )
    return ids, encodings[0], model.task.decoder.nll(encodings[0], torch.tensor(ids))


def test_a_continuous_text_is_scored_with_all_before_it(model, monkeypatch):
    monkeypatch.setattr(language_model, "SEGMENT", 3)
    _, _, nll = whole_nll(model, LINES)
    scores = model.score(LINES)
    expected = [-float(part.sum().detach()) for part in nll.split([4, 1, 7])]
    assert [score.log_probability for score in scores] == pytest.approx(expected, rel=1e-5)
    assert [(s.tokens, s.words, s.characters, s.unknown) for s in scores] == [
        (4, 4, 12, 0),
        (1, 1, 0, 0),
        (7, 7, 23, 1),
    ]
    total = total_score(scores)
    assert total.perplexity == pytest.approx(math.exp(float(nll.detach().sum()) / 12), rel=1e-5)


def test_lines_alone_do_not_depend_on_each_other(model):
    scores = [s.log_probability for s in model.score(LINES, continuous=False)]
    alone = [model.score([line])[0].log_probability for line in LINES]
    assert scores == pytest.approx(alone, rel=1e-5)
    assert score_texts(model.scorer, LINES) == pytest.approx(alone, rel=1e-5)


def test_a_scorer_steps_as_it_scores(model):
    ids = model.scorer.encode(LINES[2])
    state, token, total = model.scorer.start(1).expand(2), model.scorer.begin_id, 0.0
    for following in [*ids, model.scorer.end_id]:
        log_probs, state = model.scorer.step(torch.tensor([token, token]), state)
        state = state.select(torch.tensor([1, 0]))
        total, token = total + float(log_probs[1, following]), following
    assert total == pytest.approx(model.scorer.score([ids])[0], rel=1e-5)


def test_the_cache_is_the_papers(model, monkeypatch):
    monkeypatch.setattr(language_model, "SEGMENT", 4)
    options = CacheOptions(window=5, flatness=2.0, weight=0.3)
    ids, hidden, nll = whole_nll(model, LINES)
    expected = []
    for t, token in enumerate(ids):
        past = range(max(0, t - 5), t)
        scores = torch.stack([2.0 * hidden[t] @ hidden[i] for i in past]).softmax(0) if t else torch.zeros(0)
        pointed = sum(float(s) for s, i in zip(scores, past, strict=True) if ids[i] == token)
        own = math.exp(-float(nll[t]))
        expected.append(-math.log(0.7 * own + 0.3 * pointed if t else own))
    found = sum(score.log_probability for score in model.score(LINES, cache=options))
    assert found == pytest.approx(-sum(expected), rel=1e-4)
    with pytest.raises(ValueError, match="weight"):
        NeuralCache(CacheOptions(weight=1.0))


def test_dynamic_evaluation_learns_from_what_it_has_scored_and_puts_weights_back(model, monkeypatch):
    monkeypatch.setattr(language_model, "SEGMENT", 4)
    before = [p.clone() for p in model.task.parameters()]
    text = LINES * 6
    static = [s.log_probability for s in model.score(text)]
    dynamic = [s.log_probability for s in model.score(text, dynamic=DynamicOptions(rate=2.0))]
    assert dynamic[0] == pytest.approx(static[0], rel=1e-6)  # the first segment is scored before any step
    assert sum(dynamic) > sum(static) + 1
    assert all(torch.equal(a, b) for a, b in zip(before, model.task.parameters(), strict=True))
    stays = [s.log_probability for s in model.score(text, dynamic=DynamicOptions(rate=2.0, decay=1.0))]
    assert stays == pytest.approx(static, rel=1e-5)
    with pytest.raises(UserError, match="not both"):
        model.score(text, cache=CacheOptions(), dynamic=DynamicOptions())
    with pytest.raises(UserError, match="continuous"):
        model.score(text, continuous=False, cache=CacheOptions())


def test_generation_goes_on_from_the_prompt_and_tells_each_token(model):
    heard = []
    search = Sampling(seed=3, max_length_ratio=0.0, max_length_extra=9)
    text = model.generate("the cat\nsat", search, on_token=heard.append)[0]
    assert "".join(heard).replace("\n", " \n").split() == text.replace("\n", " \n").split()
    assert len(heard) == 9
    assert text == model.generate("the cat\nsat", search)[0]
    ids = [0, *model.scorer.encode("the cat"), 0, *model.scorer.encode("sat")]
    after, _ = model.scorer.step(torch.tensor(ids[-1:]), model.scorer.read(ids[:-1]))
    encodings, _ = model.task.encoder(torch.tensor([ids]), model.task.encoder.initial_state(1))
    torch.testing.assert_close(after, model.task.decoder.log_probs(encodings[0, -1:]))
    assert "<unk>" not in text


def test_a_beam_finds_the_likeliest_line(model):
    search = BeamSearch(3, 0.0, nbest=3, max_length_ratio=0.0, max_length_extra=6)
    found = model.generate("the", search, one_line=True)
    assert len(found) == 3
    assert not any("\n" in text for text in found)


def test_half_the_precision_gives_near_scores(make_task, tmp_path):
    exact = LanguageModel(make_task()).score(LINES)[2].log_probability
    rough = LanguageModel(make_task().to(torch.bfloat16)).score(LINES)[2].log_probability
    assert rough == pytest.approx(exact, rel=0.02)
