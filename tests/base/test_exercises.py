"""What a reader is told about an answer."""

import numpy as np
import pytest

from stroke_utils.base import exercises


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (None, "No answer yet: write your prediction in place of None, and run this cell again."),
        ("0.5", "Your answer is '0.5'; a number such as 0.5 is expected."),
        (True, "Your answer is True; a number such as 0.5 is expected."),
        (0.66, "Right: it is 0.67."),
        (np.float32(0.65), "Right: it is 0.67."),
        (0.3, "0.3 is too low. Which class is absent?"),
        (1, "1 is too high. Which class is absent?"),
        (
            float("nan"),
            "Your answer is not a number (nan), as 0 divided by 0 gives it. A number such as 0.5 is expected.",
        ),
    ],
)
def test_an_answer_is_told_what_is_wrong_with_it(capsys, answer, said):
    exercises.check(answer, 2 / 3, hint="Which class is absent?")
    assert capsys.readouterr().out == f"{said}\n"


def test_a_question_without_an_answer_blames_no_reader(capsys):
    exercises.check(0.5, float("nan"))
    assert capsys.readouterr().out == "These data have no answer: the score cannot be computed on them.\n"
