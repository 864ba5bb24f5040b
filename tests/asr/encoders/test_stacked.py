import pytest
import torch

from s2s_asr.encoders.recurrent import RecurrentEncoder
from s2s_asr.encoders.stacked import StackedEncoder
from s2s_asr.encoders.tdnn import TdnnBlock, TdnnEncoder


def test_it_is_its_encoders_in_turn():
    torch.manual_seed(0)
    below, above = TdnnEncoder(4, [TdnnBlock(6, 3, stride=2)]), RecurrentEncoder(6, 4, 1)
    stack = StackedEncoder([below, above]).eval()
    x, lengths = torch.randn(2, 11, 4), torch.tensor([11, 6])
    torch.testing.assert_close(stack(x, lengths)[0], above(*below(x, lengths))[0])
    assert stack.output_lengths(lengths).tolist() == [6, 3]
    assert (stack.in_features, stack.out_features) == (4, 8)


def test_sizes_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match=r"encoders\[1\]\.in_features is 7, the one before gives 6"):
        StackedEncoder([TdnnEncoder(4, [TdnnBlock(6, 3)]), RecurrentEncoder(7, 4, 1)])
    with pytest.raises(ValueError, match="at least one"):
        StackedEncoder([])
