"""Where the head is on a slice: what may tell a stroke, and what lies around it and may not."""

import numpy as np
from PIL import Image
from scipy import ndimage

SIDE = 256
"""Side of the square picture in which a head is looked for, pixels."""

BRIDGE = 3
"""Pixels of a picture 256 wide: bright things thinner than twice this are no head, even where they touch it, as a
head-rest or a tube does."""

MARGIN = 8
"""Pixels of a slice that are left around the head's box."""


def head(grey: np.ndarray) -> np.ndarray:
    """Find the head: the largest bright object, without thin things that touch it, its holes filled.

    Args:
        grey: uint8 array (H, W), about 256 wide, air black.

    Returns:
        bool array (H, W); all False where nothing is bright.
    """
    # Filled first: seen thinly, a skull with dark brain inside is no thicker than a head-rest.
    bright = np.pad(grey > 0, 2, mode="edge")  # else closing would take a cut head off the picture's edge
    solid = ndimage.binary_fill_holes(_largest(ndimage.binary_closing(bright, iterations=2)[2:-2, 2:-2]))
    core = _largest(depth(solid) > BRIDGE)
    if not core.any():
        return solid
    return solid & (ndimage.distance_transform_edt(~core) <= BRIDGE + 1)


def whole_head(grey: np.ndarray) -> np.ndarray:
    """Find the head of a slice of any size: :func:`head` of the slice squeezed to a square, bool (H, W)."""
    found = Image.fromarray(head(squeezed(grey, SIDE))).resize(grey.shape[::-1], Image.Resampling.NEAREST)
    return np.asarray(found)


def head_box(image: np.ndarray) -> tuple[slice, slice]:
    """Find the box around the head of a slice, from its pixels alone.

    Args:
        image: uint8 RGB array (H, W, 3); of a coloured marker the darkest colour counts, which is black.

    Returns:
        Rows and columns, with :data:`MARGIN` around the head, cut at the slice's edges; the whole slice where there is
        no head.
    """
    grey = image.min(axis=-1)
    found = head(squeezed(grey, SIDE))
    if not found.any():
        return slice(0, grey.shape[0]), slice(0, grey.shape[1])
    box = []
    for axis, length in enumerate(grey.shape):
        on = np.flatnonzero(found.any(axis=1 - axis)) * length / SIDE
        box.append(slice(max(0, int(on[0] - MARGIN)), min(length, int(on[-1] + length / SIDE + MARGIN) + 1)))
    return box[0], box[1]


def squeezed(grey: np.ndarray, side: int) -> np.ndarray:
    """Return a slice, uint8 (H, W), as a square of ``side`` pixels: each is the mean of what it covers."""
    return np.asarray(Image.fromarray(grey).resize((side, side), Image.Resampling.BOX))


def depth(region: np.ndarray, cut: bool = True) -> np.ndarray:
    """Return how many pixels each place of a bool array (H, W) lies inside it, float (H, W), 0 outside.

    Args:
        region: bool (H, W).
        cut: whether a region that reaches the edge of the picture ends there; if not, it goes on beyond it, and the
            depth of one that fills the picture is infinite.
    """
    if not cut:
        return np.full(region.shape, np.inf) if region.all() else ndimage.distance_transform_edt(region)
    return ndimage.distance_transform_edt(np.pad(region, 1))[1:-1, 1:-1]


def _largest(mask: np.ndarray) -> np.ndarray:
    labels, found = ndimage.label(mask)
    if not found:
        return mask
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return labels == sizes.argmax()
