import pytest
from lightning.pytorch.trainer.states import TrainerFn

from s2s_core.errors import UserError
from s2s_lm.data import LmData
from s2s_lm.sentiment.data import ClassificationData


@pytest.mark.parametrize("data", [LmData, ClassificationData])
@pytest.mark.parametrize(
    ("stage", "complaint"),
    [
        (TrainerFn.FITTING, r"data\.init_args\.train: expected a prepared file to fit with"),
        (TrainerFn.VALIDATING, r"data\.init_args\.validation: expected a prepared file to validate with"),
        (TrainerFn.TESTING, r"data\.init_args\.test: expected a prepared file to test with"),
        ("predict", r"data\.init_args\.predict: expected a prepared file to predict with"),
    ],
)
def test_a_file_that_is_not_given_is_named_with_what_it_is_for(data, stage, complaint):
    with pytest.raises(UserError, match=complaint):
        data().setup(stage)
