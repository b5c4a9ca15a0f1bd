"""How the networks of notebooks 05 and 10 are trained: the paper's way, with one step more, or with all of them.

A recipe says how, and the other parameters say how much: size, batch, epochs, starting weights. What is done to the
masks afterwards (flips, smallest lesion, vote) is chosen on validation in every recipe, by
:func:`stroke_utils.learn.predict.choose_options`, in notebook 05. In notebook 10 masks are the most probable classes.
"""

from dataclasses import dataclass

from stroke_utils.base.errors import check_known
from stroke_utils.base.vocabulary import RECIPES


@dataclass(frozen=True)
class Recipe:
    """What is done beyond the paper's recipe.

    Attributes:
        patients: no patient has slices in training and in validation, so that choices are made on heads nobody learned.
            Notebook 10 keeps them apart in every recipe.
        crop: the network sees the box around the head (:func:`stroke_utils.data.regions.head_box`), in which a lesion
            has more pixels; what it paints is laid back onto the slice.
        entropy: cross-entropy is added to the Dice loss of masks.
        average: validation and test see a running average of the weights, over a tenth of the steps.
    """

    patients: bool = False
    crop: bool = False
    entropy: bool = False
    average: bool = False


def of(name: str) -> Recipe:
    """Return a recipe by its name.

    Raises:
        UserError: none of ``vocabulary.RECIPES``.
    """
    check_known(name, RECIPES, "recipe")
    return Recipe(**dict.fromkeys(RECIPES[name], True))
