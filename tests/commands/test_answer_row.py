import json

from s2s_commands.answer_row import answer_row
from s2s_commands.classify_image import ImageLabel


def test_probabilities_are_rounded_and_keep_their_order():
    row = answer_row(ImageLabel("a.png", "cat", 0.66666666, {"cat": 0.66666666, "ant": 0.33333333}))
    assert json.dumps(row) == (
        '{"label": "cat", "probability": 0.666667, "probabilities": {"cat": 0.666667, "ant": 0.333333}}'
    )
