"""The table of a study: what it takes from the runs' records, and what it refuses."""

import json

import numpy as np
import pandas as pd
import pytest

from stroke_utils.base.errors import UserError
from stroke_utils.base.vocabulary import VARIANTS
from stroke_utils.results import runs, studies

COST = {"one network": (3.0, 40.0), "pipeline": (6.0, 100.0)}


def table(better, masks=True):
    """Twelve slices of six patients; ``better`` of the strokes are called."""
    label = np.array(["none", "ischemia", "hemorrhage"] * 4)
    truth = (label != "none").astype(int)
    called = truth * (np.cumsum(truth) <= better)
    return pd.DataFrame(
        {
            "slice_id": [f"{i:05d}" for i in range(12)],
            "split": "test",
            "label": label,
            "patient": [str(i // 2) for i in range(12)],
            "truth": truth,
            "probability": np.where(called, 0.9, 0.2) + np.arange(12) / 1000,
            "predicted": called,
            "answer": np.where(called, label, "none"),
            "all_dice": np.where(truth == 1, 0.8 * called, 1.0) if masks else np.nan,
        }
    )


@pytest.fixture
def records(tmp_path, monkeypatch):
    """Three seeds of a finished study, as the notebook leaves them; an older run of seed 0 made no variants."""
    monkeypatch.setenv("STROKE_RESULTS", str(tmp_path))
    found = []
    for seed, variants in ((0, []), *((seed, list(VARIANTS)) for seed in range(3))):
        run_id = f"seed{seed}-{len(variants)}"
        place = tmp_path / "quick" / studies.NOTEBOOK / run_id
        for name in (studies.ONE, studies.THREE, *variants):
            read = table({studies.ONE: 8, studies.THREE: 6 - seed}.get(name, 7), name != "no-mask")
            (place / name).mkdir(parents=True)
            read.to_csv(place / name / studies.READ, index=False)
        cost = {name: {"minutes": m + seed, "milliseconds": ms} for name, (m, ms) in COST.items()}
        cost |= {name: {"minutes": 2.0 + seed} for name in variants}
        about = {"profile": "quick", "run_id": run_id, "seed": seed, "parameters": {"variants": variants}}
        found.append(about | {"metrics": {"cost": cost}})
    monkeypatch.setattr(runs, "read_records", lambda profile, notebook: (found, []))
    return found


def test_each_comparison_has_its_measures_and_its_costs(records):
    found = studies.one_model()
    assert dict(found.groupby(["of", "beside"], sort=False).size()) == {
        ("one network", "pipeline"): 7,
        ("no-detection", "one network"): 6,
        ("no-type", "one network"): 6,
        ("no-mask", "one network"): 3,  # neither of the three scores of masks
        ("uncertainty", "one network"): 6,
    }
    assert set(found["seeds"]) == {3} and json.loads(found.to_json())


def test_differences_and_ratios_are_of_the_same_seed(records):
    found = studies.one_model().query("beside == 'pipeline'").set_index("measure")
    # The pipeline calls 6, 5 and 4 of the eight strokes; the one network all.
    assert found.loc["stroke_dice", "difference"] == pytest.approx(0.8 * np.mean([2, 3, 4]) / 8)
    assert found.loc["stroke_dice", ["lowest", "highest"]].tolist() == pytest.approx([0.2, 0.4])
    assert found.loc["minutes", "ratio"] == pytest.approx(np.mean([3 / 6, 4 / 7, 5 / 8]))
    assert found.loc["milliseconds", ["a", "b", "ratio"]].tolist() == pytest.approx([40, 100, 0.4])
    fewer = studies.one_model(seeds=(0,)).query("beside == 'pipeline'").set_index("measure")
    assert fewer.loc["stroke_dice", "difference"] == pytest.approx(0.2) and set(fewer["seeds"]) == {1}


def test_a_seed_without_all_variants_is_refused(records):
    records[2]["parameters"]["variants"] = ["no-mask"]
    with pytest.raises(UserError, match=r"has seed 1 in .*make study"):
        studies.one_model()


def test_a_newer_record_of_another_study_does_not_count(records):
    with pytest.raises(UserError, match="has seed 0 in"):
        studies.one_model(counts=lambda record: record["seed"])


def test_the_stored_table_is_that_of_three_seeds_or_is_not_there():
    kept = studies.stored()
    assert kept is None or set(kept["seeds"]) == {len(studies.SEEDS)}
