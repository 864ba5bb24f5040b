"""What a user says about a search, and what stands where nothing was said."""

import pytest

from s2s_asr.search.settings import FRAMES_WEIGHTS, OWN_WEIGHTS, SearchSettings, load_settings
from s2s_core.errors import UserError


def test_each_weight_that_is_not_given_has_its_searchs_default():
    assert FRAMES_WEIGHTS != OWN_WEIGHTS
    nothing = SearchSettings()
    assert (nothing.frames_weights, nothing.own_weights) == (FRAMES_WEIGHTS, OWN_WEIGHTS)
    one = SearchSettings(alpha=0.0)
    assert (one.frames_weights, one.own_weights) == ((0.0, FRAMES_WEIGHTS[1]), (0.0, OWN_WEIGHTS[1]))
    both = SearchSettings(alpha=2.0, beta=-1.0)
    assert both.frames_weights == both.own_weights == (2.0, -1.0)
    with pytest.raises(UserError, match="--alpha is -1, expected at least 0"):
        SearchSettings(alpha=-1.0)


@pytest.mark.parametrize("given", [{}, {"alpha": 0.1}, {"alpha": 0.1, "beta": -0.5, "hotwords": ("a", "b")}])
def test_settings_come_back_from_their_file(tmp_path, given):
    settings = SearchSettings(**given)
    settings.save(tmp_path / "search.json")
    assert SearchSettings(**load_settings(tmp_path / "search.json")) == settings


def test_a_file_of_something_else_is_refused(tmp_path):
    path = tmp_path / "search.json"
    for text, message in (("{", "not JSON"), ("[]", "not an object"), ('{"alhpa": 1}', "unexpected 'alhpa'")):
        path.write_text(text)
        with pytest.raises(UserError, match=message):
            load_settings(path)
    with pytest.raises(UserError, match="No such file"):
        load_settings(tmp_path / "absent.json")
