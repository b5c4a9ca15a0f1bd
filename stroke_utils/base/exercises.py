"""Answers to exercises: what a reader predicted beside what comes out."""

import math
from numbers import Real


def check(answer: float | None, right: float, within: float = 0.02, hint: str = "") -> None:
    """Say whether a predicted number is right, and if not, what is wrong with it; nothing is raised.

    The right number is given away only by an answer that meets it.

    Args:
        answer: the reader's number, None as long as there is none.
        right: the number that comes out.
        within: how far off still counts as right.
        hint: what to think of again, for a wrong answer.
    """
    if answer is None:
        print("No answer yet: write your prediction in place of None, and run this cell again.")
    elif isinstance(answer, bool) or not isinstance(answer, Real):
        print(f"Your answer is {answer!r}; a number such as 0.5 is expected.")
    elif math.isnan(right):
        print("These data have no answer: the score cannot be computed on them.")
    elif math.isnan(answer):
        print("Your answer is not a number (nan), as 0 divided by 0 gives it. A number such as 0.5 is expected.")
    elif abs(answer - right) <= within:
        print(f"Right: it is {right:.2f}.")
    else:
        print(f"{answer} is too {'low' if answer < right else 'high'}. {hint}".strip())
