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
        ("mask-alone", "one network"): 6,
        ("uncertainty", "one network"): 6,
        ("mask-alone", "pipeline"): 6,
    }
    assert set(found["seeds"]) == {3} and json.loads(found.to_json())


def test_differences_and_ratios_are_of_the_same_seed(records):
    found = studies.one_model().query("of == 'one network' and beside == 'pipeline'").set_index("measure")
    # The pipeline calls 6, 5 and 4 of the eight strokes; the one network all.
    assert found.loc["stroke_dice", "difference"] == pytest.approx(0.8 * np.mean([2, 3, 4]) / 8)
    assert found.loc["stroke_dice", ["lowest", "highest"]].tolist() == pytest.approx([0.2, 0.4])
    assert found.loc["minutes", "ratio"] == pytest.approx(np.mean([3 / 6, 4 / 7, 5 / 8]))
    assert found.loc["milliseconds", ["a", "b", "ratio"]].tolist() == pytest.approx([40, 100, 0.4])
    fewer = studies.one_model(seeds=(0,)).query("of == 'one network' and beside == 'pipeline'").set_index("measure")
    assert fewer.loc["stroke_dice", "difference"] == pytest.approx(0.2) and set(fewer["seeds"]) == {1}


def test_a_seed_without_all_variants_is_refused(records):
    records[2]["parameters"]["variants"] = ["no-mask"]
    with pytest.raises(UserError, match=r"has seed 1 in .*make study"):
        studies.one_model()


def test_seeds_that_differ_in_how_something_is_computed_are_no_study(records):
    for record, recipe in zip(records, ("strong", "paper", "paper", "strong"), strict=True):
        record["parameters"] |= {"recipe": recipe, "profile": f"of seed {record['seed']}", "seed": record["seed"]}
    with pytest.raises(UserError, match="with all variants differ in more than the seed: recipe. Run the study"):
        studies.one_model()
    assert set(studies.one_model(seeds=(0, 1))["seeds"]) == {2}, "an older run does not count, nor where a run lies"
    del records[-1]["parameters"]["recipe"]  # as in a record from before there was one
    with pytest.raises(UserError, match="more than the seed: recipe"):
        studies.one_model()


def test_a_newer_record_of_another_study_does_not_count(records):
    with pytest.raises(UserError, match="has seed 0 in"):
        studies.one_model(counts=lambda record: record["seed"])


def test_the_stored_table_is_that_of_three_seeds_or_is_not_there():
    kept = studies.stored()
    assert kept is None or set(kept["seeds"]) == {len(studies.SEEDS)}


@pytest.fixture
def recipe_runs(tmp_path, monkeypatch):
    """Two seeds of each recipe on six slices of three patients; an older run of the paper's recipe says nonsense."""
    monkeypatch.setenv("STROKE_RESULTS", str(tmp_path))
    gains, found = {"paper+crop": 0.2, "strong": 0.25, "paper+start": 0.05, "strong+start": 0.3}, []
    ways = [("paper", 0, "old", 0.0), *((way, s, "new", gains.get(way, 0.0)) for s in (0, 1) for way in studies.WAYS)]
    for recipe, seed, age, gain in ways:
        record = {"profile": studies.RECIPE_RUNS, "notebook": studies.SEGMENTATION, "run_id": f"{recipe}{seed}{age}"}
        asked = studies.WAYS[recipe]
        record["parameters"] = {
            "size": 128,
            "epochs": 6,
            "hsv_least": [100, 50],
            **asked,
            "models": [asked["models"]],
            "seed": seed,
        }
        place = studies._folder(record)
        place.mkdir(parents=True)
        for name, more in (("predictions", 0.0), ("predictions_chosen", 0.1)):
            label = np.array(["ischemia", "hemorrhage"] * 4)
            dice = np.where(label == "ischemia", 0.3 + gain + more, 0.6) + 0.01 * np.arange(8) + (age == "old")
            dice[6:] += gain  # in validation both types gain so much more
            about = {"slice_id": [f"{i:05d}" for i in range(8)], "split": ["test"] * 6 + ["validation"] * 2}
            patient = [str(i // 2) for i in range(8)]
            table = pd.DataFrame(about | {"label": label, "patient": patient, "lesion_dice": dice})
            if asked["recipe"] in ("paper+patients", "strong"):  # which have others in validation
                table.loc[6:, "slice_id"] = ["00008", "00009"]
            table.to_csv(place / f"{name}.csv", index=False)
        seconds = [60.0, 60.0 + 12 * (recipe == "strong")]
        pd.DataFrame({"epoch": [1, 2], "seconds": seconds}).to_csv(place / "history.csv", index=False)
        found.append(record | {"seed": seed})
    monkeypatch.setattr(runs, "read_records", lambda profile, notebook: (found, []))
    return found


def test_each_step_is_set_beside_the_papers_recipe_by_type(recipe_runs):
    table = studies.recipes(seeds=(0, 1))
    assert set(table["step"]) == {*studies.WAYS, "choice"} - {"paper"} and set(table["n"]) == {6, 3}
    starts = table[table["beside"] == "paper+start"].set_index("slices")
    assert set(starts["step"]) == {"strong+start"} and starts.loc["ischemia", "difference"] == pytest.approx(0.35)
    found = table[table["beside"] == "paper"].set_index(["step", "slices"])
    for step, gain in (
        ("paper+crop", 0.2),
        ("paper+entropy", 0),
        ("choice", 0.1),
        ("strong", 0.35),
        ("strong+start", 0.4),
    ):
        assert found.loc[(step, "ischemia"), "difference"] == pytest.approx(gain)
        assert found.loc[(step, "all"), "difference"] == pytest.approx(gain / 2)
        assert found.loc[(step, "hemorrhage"), "difference"] == pytest.approx(0)
        assert found.loc[(step, "ischemia"), "with"] == pytest.approx(0.32 + gain)
        if step.startswith("strong"):
            assert found.loc[step, "validation"].isna().all()
            continue
        more = gain - 0.1 * (step == "choice")  # the choice itself adds 0.1 to ischemias
        assert found.loc[(step, "hemorrhage"), "validation"] == pytest.approx(more)
        assert found.loc[(step, "ischemia"), "validation"] == pytest.approx(gain + more)
    assert found.loc["paper+patients", "validation"].isna().all()
    assert found.loc[("strong", "all"), "minutes"] == pytest.approx(1.1)
    assert found.loc[("choice", "all"), "minutes"] == 1.0 and set(table["unit"]) == {"patients"}


def test_runs_that_differ_in_more_than_the_recipe_are_no_study(recipe_runs):
    with pytest.raises(UserError, match=r"No run of the recipe 'paper' has seed 2. Run the study: make recipes"):
        studies.recipes(seeds=(0, 1, 2))
    kept = recipe_runs[-1]["parameters"].pop("size")
    with pytest.raises(UserError, match="differ in more than recipe and seed"):
        studies.recipes(seeds=(0, 1))
    recipe_runs[-1]["parameters"]["size"] = 96 if kept == 128 else 128
    with pytest.raises(UserError, match="differ in more than recipe and seed"):
        studies.recipes(seeds=(0, 1))


def test_a_run_of_another_study_is_not_of_the_study_of_recipes(recipe_runs):
    with pytest.raises(UserError, match=r"No run of the recipe 'paper' has seed 0. Run the study: make recipes"):
        studies.recipes(seeds=(0, 1), counts=lambda record: record["seed"])


def test_every_study_has_a_table_and_ways_that_differ():
    assert set(studies.STUDIES) == {"one_model", "recipes"} and studies.STUDIES["recipes"].runs == studies.RECIPE_RUNS
    for study in studies.STUDIES.values():
        assert len({str(sorted(way.items())) for way in study.ways.values()}) == len(study.ways)
