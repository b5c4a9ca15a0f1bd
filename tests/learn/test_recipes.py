"""Recipes: the paper's has no step, each step can be taken alone, and the strong one takes all."""

import re
from collections import Counter
from dataclasses import asdict, fields

import pytest

from stroke_utils.base.errors import UserError
from stroke_utils.base.vocabulary import RECIPE_STEPS, RECIPES
from stroke_utils.learn import recipes
from stroke_utils.results import runs


def test_each_step_can_be_taken_alone_and_strong_takes_all():
    assert tuple(field.name for field in fields(recipes.Recipe)) == RECIPE_STEPS
    assert not any(asdict(recipes.of("paper")).values()) and all(asdict(recipes.of("strong")).values())
    for step in RECIPE_STEPS:
        assert [name for name, on in asdict(recipes.of(f"paper+{step}")).items() if on] == [step]
    assert len(RECIPES) == len(RECIPE_STEPS) + 2


# How often the cells that train take a step: crop for records and checkpoint, in 10 also for what reads slices.
# Notebook 10 keeps patients apart in any case.
TAKEN = {
    "05_segmentation": {"patients": 1, "crop": 2, "entropy": 1, "average": 1},
    "10_one_model": {"crop": 3, "entropy": 1, "average": 1},
}


@pytest.mark.parametrize("notebook", TAKEN)
def test_the_cells_that_train_take_each_step(notebook):
    assert Counter(re.findall(r"how\.(\w+)", "\n".join(runs.training_cells(notebook)))) == TAKEN[notebook]


def test_an_unknown_recipe_is_refused():
    with pytest.raises(UserError, match="'best' is no recipe. Known: paper, paper\\+patients"):
        recipes.of("best")
