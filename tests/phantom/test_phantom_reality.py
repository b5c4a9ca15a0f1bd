"""The phantom beside real slices, where those lie next to the checkout; skipped elsewhere."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from stroke_utils.base.vocabulary import LABELS
from stroke_utils.phantom import make_phantom, phantom_folder
from stroke_utils.phantom.measure import NUMBERS, measure_slice


@pytest.fixture(scope="module")
def real(real_samples):
    rows = []
    for path in sorted(real_samples.rglob("*.png")):
        if path.parent.name == "OVERLAY":
            continue
        picture, region = np.asarray(Image.open(path)), None
        painted = path.parent.parent / "OVERLAY" / path.name
        kind = {"13239": "ischemia", "14343": "hemorrhage"}.get(path.stem, "none")
        if painted.exists():
            region = (np.asarray(Image.open(painted)) != picture).any(axis=2)
        rows.append({"name": path.stem, "kind": kind, **measure_slice(picture, region)})
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def drawn():
    """Every fifth slice of the quick phantom, which the notebooks' tests need as well."""
    folder = phantom_folder("quick", 0)
    if not folder.exists():
        make_phantom(folder, "quick", 0)
    rows = []
    for path in [path for path in sorted(folder.rglob("*.png")) if path.parent.name.endswith("PNG")][::5]:
        truth = folder / "TRUE_MASKS" / path.name
        mask = np.asarray(Image.open(truth)) if truth.exists() else None
        kind = "none" if mask is None else LABELS[mask.max()]
        rows.append({"kind": kind, **measure_slice(np.asarray(Image.open(path)), None if mask is None else mask > 0)})
    return pd.DataFrame(rows)


@pytest.mark.parametrize("number", NUMBERS)
def test_each_real_value_lies_in_the_phantoms_range(real, drawn, number):
    outside = []
    for row in real.itertuples():
        value = getattr(row, number)
        if np.isnan(value):
            continue
        pool = drawn if number != "lesion_contrast" else drawn[drawn.kind == row.kind]
        low, high = pool[number].quantile([0.05, 0.95])
        if not low <= value <= high:
            outside.append(f"{row.name}: {value:.3g} not in {low:.3g}..{high:.3g}")
    assert not outside
