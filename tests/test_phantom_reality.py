"""The phantom beside real slices, where those lie next to the checkout; skipped elsewhere."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from stroke_utils.phantom import PhantomSpec, writer
from stroke_utils.phantom.lesions import draw_lesion
from stroke_utils.phantom.measure import NUMBERS, measure_slice
from stroke_utils.phantom.render import draw_slice
from stroke_utils.phantom.spec import plan

REAL = Path(__file__).resolve().parents[2] / "shared" / "real_samples"
SPEC = PhantomSpec()


@pytest.fixture(scope="module")
def real():
    if not REAL.is_dir():
        pytest.skip("no real samples beside this checkout")
    rows = []
    for path in sorted(REAL.rglob("*.png")):
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
    """One middle slice of many patients: half without stroke, a quarter of each type."""
    patients, rows = sorted(plan("quick", 0, SPEC), key=lambda p: p.number), []
    for kind, count in (("none", 100), ("ischemia", 50), ("hemorrhage", 50)):
        for planned in [p for p in patients if p.label == kind][:count]:
            patient = writer.patient_of(planned, 0, SPEC)
            lesion = draw_lesion(0, planned.number, kind, patient, SPEC)
            which = planned.slices[len(planned.slices) // 2]
            slice_ = draw_slice(patient, planned, which, lesion, 0, SPEC)
            region = slice_.truth > 0 if lesion else None
            rows.append({"kind": kind, **measure_slice(slice_.png(), region)})
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
