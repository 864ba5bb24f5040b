"""A small n-gram model over words."""

import pytest

from s2s_core.decoding.arpa import ArpaScorer

ARPA = """\\data\\
ngram 1=6
ngram 2=6
ngram 3=2

\\1-grams:
-99 <s> -0.4
-0.9 </s>
-1.2 <unk> -0.1
-0.5 a -0.3
-0.7 ab -0.2
-1.1 ba -0.6

\\2-grams:
-0.3 <s> a -0.1
-0.8 a ab -0.2
-0.4 a </s>
-0.2 ab ba
-0.6 ba a -0.5
-0.1 <s> ba

\\3-grams:
-0.05 <s> a ab
-0.15 ba a </s>

\\end\\
"""


@pytest.fixture(scope="module")
def arpa(tmp_path_factory):
    """Its file."""
    path = tmp_path_factory.mktemp("arpa") / "small.arpa"
    path.write_text(ARPA)
    return path


@pytest.fixture(scope="module")
def scorer(arpa):
    return ArpaScorer.load(arpa)
