import pytest
import torch

BLANK = 3
ARPA = """\\data\\
ngram 1=6
ngram 2=5

\\1-grams:
-99\t<s>\t-0.4
-0.9\t</s>
-1.2\t<unk>\t-0.1
-0.5\ta\t-0.3
-0.7\tab\t-0.2
-1.1\tba\t-0.6

\\2-grams:
-0.3\t<s> a
-0.8\ta ab
-0.4\ta </s>
-0.2\tab ba
-0.1\t<s> ba

\\end\\
"""


@pytest.fixture(scope="session")
def arpa(tmp_path_factory):
    path = tmp_path_factory.mktemp("arpa") / "small.arpa"
    path.write_text(ARPA)
    return str(path)


@pytest.fixture(scope="session")
def frames_of_seed():
    """Log-probabilities of three labels and the blank, flat enough that no pruning of single labels strikes."""

    def make(seed, frames=6):
        return (0.8 * torch.randn(frames, BLANK + 1, generator=torch.Generator().manual_seed(seed))).log_softmax(-1)

    return make
