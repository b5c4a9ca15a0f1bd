"""Where the head is on a slice: what may tell a stroke, and what lies around it and may not."""

import numpy as np
from scipy import ndimage

BRIDGE = 3
"""Pixels of a picture 256 wide: bright things thinner than twice this are no head, even where they touch it, as a
head-rest or a tube does."""


def head(grey: np.ndarray) -> np.ndarray:
    """Find the head: the largest bright object, without thin things that touch it, its holes filled.

    Args:
        grey: uint8 array (H, W), about 256 wide, air black.

    Returns:
        bool array (H, W); all False where nothing is bright.
    """
    # Filled first: seen thinly, a skull with dark brain inside is no thicker than a head-rest.
    solid = ndimage.binary_fill_holes(_largest(ndimage.binary_closing(grey > 0, iterations=2)))
    core = _largest(depth(solid) > BRIDGE)
    if not core.any():
        return solid
    return solid & (ndimage.distance_transform_edt(~core) <= BRIDGE + 1)


def depth(region: np.ndarray) -> np.ndarray:
    """Return how many pixels each place of a bool array (H, W) lies inside it, float (H, W), 0 outside."""
    inside = np.pad(region, 1)  # a head that the picture cuts ends at its edge
    return ndimage.distance_transform_edt(inside)[1:-1, 1:-1]


def _largest(mask: np.ndarray) -> np.ndarray:
    labels, found = ndimage.label(mask)
    if not found:
        return mask
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return labels == sizes.argmax()
