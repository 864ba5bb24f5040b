"""What a user says about a search, and what stands where nothing was said."""

import pytest

from s2s_asr.search.settings import DEFAULT_WEIGHTS, SearchSettings, load_settings
from s2s_core.errors import UserError


def test_each_weight_that_is_not_given_has_its_searchs_default():
    nothing = SearchSettings()
    assert (nothing.weights(), nothing.weights((3.0, 4.0))) == (DEFAULT_WEIGHTS, (3.0, 4.0))
    assert SearchSettings(alpha=0.0).weights((3.0, 4.0)) == (0.0, 4.0)
    assert SearchSettings(alpha=2.0, beta=-1.0).weights((3.0, 4.0)) == (2.0, -1.0)
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
