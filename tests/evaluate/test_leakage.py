"""Splits that keep groups whole, and what the others flatter."""

import numpy as np
import pandas as pd
import pytest

from stroke_utils.base.errors import UserError
from stroke_utils.evaluate import leakage


@pytest.fixture
def slices():
    """Forty patients of four slices; the first two of each are near doubles, and one slice has no patient."""
    patient = np.repeat([f"P{k:02}" for k in range(40)], 4).astype(object)
    patient[0] = None
    near = [k // 4 if k % 4 < 2 else None for k in range(160)]
    table = pd.DataFrame({"slice_id": [str(k) for k in range(160)], "patient": patient})
    return table.assign(near_group=pd.array(near, "Int64"), stroke=np.repeat(np.arange(40) % 2, 4))


def test_each_unit_keeps_its_groups_whole(slices):
    units = leakage.units(slices)
    assert list(units) == list(leakage.UNITS) and units.nunique().tolist() == [160, 120, 41]
    known = {}
    for unit in units:
        split = leakage.split_by(units[unit], slices["stroke"], 0.2, seed=1)
        assert pd.DataFrame({"g": units[unit], "s": split}).groupby("g")["s"].nunique().eq(1).all()
        assert (split == "validation").mean() == pytest.approx(0.2, abs=0.03)
        assert slices.loc[split == "validation", "stroke"].mean() == pytest.approx(0.5, abs=0.1)
        known[unit] = leakage.known_heads(split, slices["patient"])
    assert known["slice"] > 0.9 and known["patient"] == 0
    others = leakage.split_by(units["patient"], slices["stroke"], 0.2, seed=2)
    assert (others != leakage.split_by(units["patient"], slices["stroke"], 0.2, seed=1)).any()


def test_without_patients_no_split_is_by_patient(slices):
    nobody = slices.assign(patient=None)
    assert list(leakage.units(nobody)) == ["slice", "near-duplicates"]
    rng = np.random.default_rng(0)
    found = [answers(nobody, rng, unit, 0, 1) for unit in ("slice", "near-duplicates")]
    assert leakage.compared(pd.concat(found)).loc["near-duplicates", "inflation"] == 0


def test_too_few_groups_are_refused(slices):
    with pytest.raises(UserError, match="needs 5 groups of each class; one class has 2"):
        leakage.split_by(slices["stroke"] * 10 + slices.index % 2, slices["stroke"], 0.2, 0)


def test_known_heads_of_nobody_known(slices):
    split = pd.Series("validation", slices.index)
    assert np.isnan(leakage.known_heads(split, slices["patient"].mask(slices["patient"].notna())))


def test_pairs_are_counted(slices):
    assert leakage.sibling_pairs(slices["near_group"], slices["patient"]) == (3 + 39 * 6, 39, 0)
    mixed = slices["near_group"].mask(slices.index == 159, 1)  # a slice of the last patient among those of the second
    assert leakage.sibling_pairs(mixed, slices["patient"])[2] == 2


def answers(slices, rng, unit, seed, shift):
    rows = slices.sample(60, random_state=seed).assign(split_by=unit, seed=seed)
    return rows.rename(columns={"stroke": "truth"}).assign(probability=rng.normal(rows["stroke"] * shift, 1))


def test_what_a_split_flatters_is_measured_with_its_interval(slices):
    rng = np.random.default_rng(0)
    found = [
        answers(slices, rng, u, s, {"slice": 3, "patient": 0.2}[u]) for u in ("slice", "patient") for s in (0, 1, 2)
    ]
    table = leakage.compared(pd.concat(found))
    assert list(table.index) == ["slice", "patient"] and table["seeds"].eq(3).all()
    row = table.loc["slice"]
    assert row["inflation"] == pytest.approx(row["auc"] - table.loc["patient", "auc"])
    assert 0 < row["inflation_low"] < row["inflation"] < row["inflation_high"]
    assert row["lowest"] <= row["auc"] <= row["highest"] and row["unit"] == "slices"  # one patient is unknown
    assert table.loc["patient", ["inflation", "inflation_low", "inflation_high"]].tolist() == [0, 0, 0]


def test_patients_are_drawn_into_all_splits_at_once(slices):
    one = answers(slices, np.random.default_rng(0), "slice", 0, 1)
    table = leakage.compared(pd.concat([one, one.assign(split_by="patient")]))
    assert table.loc["slice", ["inflation_low", "inflation_high"]].tolist() == [0, 0]


def test_training_and_validation_are_divided_anew_by_patient_and_the_test_stays(slices):
    given = slices.assign(label=slices["stroke"], split=np.where(slices.index % 10 == 0, "test", "train"))
    split = leakage.by_patient(given, 0.2, 0)
    assert (split[given["split"] == "test"] == "test").all() and (split[given["split"] != "test"] != "test").all()
    ours = given[split != "test"]
    people = ours["patient"].fillna(ours["slice_id"])
    assert split[ours.index].groupby(people).nunique().eq(1).all() and (split == "validation").any()
