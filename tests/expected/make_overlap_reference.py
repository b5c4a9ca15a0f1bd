"""Make ``overlap_medpy.csv``: Dice and HD95 of 200 random pairs of masks by MedPy, which is no part of the lock.

    python -m venv medpy && medpy/bin/pip install medpy==0.5.2
    medpy/bin/python tests/expected/make_overlap_reference.py

The masks are not kept: :func:`pair` draws them again from the number of the pair.
"""

from pathlib import Path

import numpy as np


def pair(number):
    """Draw two bool masks: blobs that overlap more or less, some with specks or at the picture's edge."""
    rng = np.random.default_rng(number)
    height, width = rng.integers(20, 70, 2)
    y, x = np.mgrid[:height, :width]
    masks, centre = [], rng.uniform(0, 1, 2) * (height, width)
    for shift in (0, rng.uniform(0, 12)):
        mask = np.zeros((height, width), bool)
        for _ in range(rng.integers(1, 4)):
            (v, u), (a, b) = centre + rng.normal(0, 6, 2) + shift, rng.uniform(1, 14, 2)
            mask |= ((y - v) / a) ** 2 + ((x - u) / b) ** 2 < 1
        if rng.random() < 0.3:
            mask ^= rng.random(mask.shape) < 0.01
        mask[rng.integers(height), rng.integers(width)] = True  # never empty
        masks.append(mask)
    return masks


if __name__ == "__main__":
    from medpy.metric import binary

    lines = ["pair,dice,hd95"]
    for number in range(200):
        a, b = pair(number)
        lines.append(f"{number},{float(binary.dc(a, b))!r},{float(binary.hd95(a, b))!r}")
    Path(__file__).with_name("overlap_medpy.csv").write_text("\n".join(lines) + "\n")
