"""Segmentation by brightness alone, without learning: the trivial answers that a network's masks have to beat.

Fresh blood is brighter than brain, a fresh infarct darker. So there is one rule a type: inside the head, what is at or
above one grey level is hemorrhage; or, what is below another one is ischemia. Both levels come from training slices.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import ndimage

from stroke_utils.base.errors import UserError
from stroke_utils.base.vocabulary import MASK_CLASSES, TYPES

LEVELS = np.arange(0, 257, 4)
"""Grey levels that are tried. Nothing is below the first, and nothing is at or above the last."""

AIR, BONE = 12, 240
"""Grey levels below which a pixel is no tissue, and from which on it is bone; the edges of bone are partly brain."""


def inside_head(grey: np.ndarray) -> np.ndarray:
    """Return the inside of the skull of a grey picture (H, W), 0 to 255, as bool; meant for some hundred pixels a side.

    It is the largest stretch of what is neither air nor bone, one pixel off both, with its holes filled.
    """
    regions, _ = ndimage.label(ndimage.binary_erosion((grey >= AIR) & (grey < BONE)))
    sizes = np.bincount(regions.ravel())
    sizes[0] = 0
    return ndimage.binary_fill_holes(regions == sizes.argmax()) if sizes.any() else np.zeros(grey.shape, bool)


@dataclass(frozen=True)
class Threshold:
    """One grey level, and with it a function from pixels to class probabilities, as a network is.

    Attributes:
        label: what it calls a pixel inside the head: ``hemorrhage`` at or above the level, ``ischemia`` below it.
        level: grey level, 0 to 255.
    """

    label: str
    level: int

    def __str__(self) -> str:
        sign = "≥" if self.label == "hemorrhage" else "<"
        return f"grey {sign} {self.level}: {self.label}"

    def class_mask(self, grey: np.ndarray) -> np.ndarray:
        """Return the class mask of a grey picture (H, W), 0 to 255: uint8 of 0/1/2."""
        found = grey >= self.level if self.label == "hemorrhage" else grey < self.level
        return np.uint8(MASK_CLASSES.index(self.label)) * (found & inside_head(grey))

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """Return the probabilities, 0 or 1, of pictures (b, H, W, 3), 0 to 255: float32 of the same shape."""
        return np.stack([np.eye(3, dtype=np.float32)[self.class_mask(grey)] for grey in np.asarray(batch)[..., 0]])


def dice_by_level(pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> pd.DataFrame:
    """Score every threshold on the slices of its type. Give it training slices, if a level is to be chosen.

    Args:
        pairs: grey pictures (H, W), 0 to 255, and class masks (H, W) of 0/1/2. A slice's type is the one that most of
            its lesion pixels have; slices without a lesion are left out.

    Returns:
        Mean lesion Dice over the slices of a type: rows :data:`LEVELS`, a column for each type that occurs.
    """
    scores = {}
    for grey, truth in pairs:
        if not truth.any():
            continue
        label, inside = MASK_CLASSES[np.bincount(truth[truth > 0]).argmax()], inside_head(grey)
        found, agreed = (np.searchsorted(np.sort(v), LEVELS) for v in (grey[inside], grey[inside & (truth > 0)]))
        if label == "hemorrhage":  # what is not below the level
            found, agreed = found[-1] - found, agreed[-1] - agreed
        scores.setdefault(label, []).append(2 * agreed / (np.count_nonzero(truth) + found))
    columns = {label: np.mean(scores[label], axis=0) for label in TYPES if label in scores}
    return pd.DataFrame(columns, index=pd.Index(LEVELS, name="level"))


def choose(by_level: pd.DataFrame) -> dict[str, Threshold]:
    """Return the best threshold of each type by a table of :func:`dice_by_level`; among equal ones the lowest level.

    Raises:
        UserError: the table has no type, because no slice had a lesion.
    """
    if not len(by_level.columns):
        raise UserError("No slice with a lesion to choose a threshold on.")
    return {label: Threshold(label, int(by_level[label].idxmax())) for label in by_level}
