"""Why a detector may have failed on a slice: what can be measured about a missed lesion, and what else lies there."""

import numpy as np
from scipy import ndimage

from stroke_utils.data.pixels import grey_levels

SMALL = 2000
"""Lesions of fewer pixels are called small; ours. Most slices have 512 × 512."""

FAINT = 6.0
"""A lesion is called faint where it differs from its surroundings by fewer Hounsfield units; ours."""

RING = 8
"""Width in pixels of what counts as a lesion's surroundings."""

ENOUGH = 100
"""Pixels from which something else on a slice is named as a possible cause of a false alarm."""


def visibility(rgb: np.ndarray, classes: np.ndarray) -> dict[str, float]:
    """Measure how well a lesion can be seen.

    Args:
        rgb: the slice, uint8 (H, W, 3).
        classes: its class mask, (H, W) of 0/1/2.

    Returns:
        ``pixels`` of the lesion; ``contrast``, the mean of the lesion minus that of a ring around it, in Hounsfield
        units (a slice has one grey level for each; pixels at the ends of the window are left out), nan where nothing
        is left to compare.
    """
    grey, lesion = rgb[..., 0].astype(float), classes > 0
    inside = (grey > 0) & (grey < 255)
    ring = ndimage.binary_dilation(lesion, iterations=RING) & ~lesion & inside
    unit = 255 / max(1, grey_levels(rgb) - 1)
    if not ring.any() or not (lesion & inside).any():
        return {"pixels": int(lesion.sum()), "contrast": np.nan}
    return {"pixels": int(lesion.sum()), "contrast": (grey[lesion & inside].mean() - grey[ring].mean()) / unit}


def of_miss(pixels: float, contrast: float) -> str:
    """Name what makes a missed lesion hard to see, by :func:`visibility`."""
    found = ["small"] if pixels < SMALL else []
    found += ["faint"] if abs(contrast) < FAINT else []
    return " and ".join(found) or "neither small nor faint"


def of_false_alarm(tissue: np.ndarray | None, names: tuple[str, ...]) -> str:
    """Name what a network may have taken for a lesion.

    Args:
        tissue: places in ``names``, (H, W); None where nobody knows, as on real data.
        names: of the tissues; those that are looked for are ``old infarct`` and ``calcium``.
    """
    if tissue is None:
        return "unknown"
    there = [name for name in ("old infarct", "calcium") if (tissue == names.index(name)).sum() >= ENOUGH]
    return " and ".join(there) or "nothing like a lesion"
