"""What runs left, which of it is shown, and the way back from a number to its record."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from stroke_utils.base import files
from stroke_utils.base.errors import UserError
from stroke_utils.data import masks
from stroke_utils.data.cohort import Cohort
from stroke_utils.results import outputs, paper, runs, select, tables

DETECTION, SEGMENTATION = "03_phase1_detection", "05_segmentation"
IDS = [f"{10000 + k}" for k in range(12)]


@pytest.fixture
def cohort():
    slices = pd.DataFrame({"slice_id": IDS, "patient": [f"p{k // 2}" for k in range(12)], "mask": "m.png"})
    return Cohort(Path("/nowhere"), slices, pd.DataFrame(), {"phantom": True}, "abc123")


def score(value):
    return {"value": value, "low": value - 0.1, "high": value + 0.1, "n": 12, "baseline": 0.4, "unit": "patients"}


def leave(cohort, models, seed, value, notebook=DETECTION):
    """Run what a training notebook does to disk: records, histories, predictions, masks."""
    settings = {"profile": "quick", "data_dir": "", "seed": seed, "models": models, "epochs": 2}
    run = runs.Run(notebook, settings)
    folder = run.open(cohort)
    rng, truth = np.random.default_rng(seed), np.arange(12) % 2
    for k, model in enumerate(models):
        files.write_table(folder / model / "history.csv", pd.DataFrame({"epoch": [1], "loss": 1, "val_loss": 1}))
        table = pd.DataFrame({"slice_id": IDS, "split": ["validation", *["test"] * 11], "label": "ischemia"})
        table = table.assign(truth=truth, probability=np.clip(truth * (0.3 - 0.1 * k) + rng.random(12) * 0.7, 0, 1))
        table = table.assign(predicted=(table["probability"] > 0.5).astype(int), lesion_dice=rng.random(12) - 0.3 * k)
        files.write_table(folder / model / "predictions.csv", table)
        if notebook == SEGMENTATION:
            masks.write_class_mask(folder / model / "masks" / f"{IDS[1]}.png", np.zeros((4, 4), np.uint8))
    value = score(value)
    parts = {"validation": {"auc": value, "lesion_dice": value, "soft_f1": value}, "session1": {"macro_f1": value}}
    run.finish(cohort, {model: parts for model in models} | {"slices": {"train": 3}})
    return folder


@pytest.fixture
def three(cohort, tmp_path, monkeypatch):
    """Folders of three seeds of a CNN and a ResNet50, whose macro F1 are 0.9, 0.7 and 0.8."""
    monkeypatch.setenv("STROKE_RESULTS", str(tmp_path))
    return [leave(cohort, ["cnn", "resnet50"], seed, value) for seed, value in enumerate((0.9, 0.7, 0.8))]


def made_of(cohort):
    """Everything that notebook 6 makes of the records."""
    records, _ = select.comparable_records(runs.read_records("quick")[0], cohort)
    made, scores = outputs.inventory(records), runs.scores(records)
    seeds = paper.per_seed(scores)
    return made, scores, seeds, paper.results(seeds, records, cohort)


def f1(results, model="cnn"):
    return results.query("table == 'I' and score == 'f1' and model == @model").iloc[0]


def test_every_run_and_every_missing_model_is_listed(cohort, three):
    made, *_ = made_of(cohort)
    assert made.query("missing == ''")[["model", "seed"]].values.tolist() == [
        ["cnn", 0], ["cnn", 1], ["cnn", 2], ["resnet50", 0], ["resnet50", 1], ["resnet50", 2],
    ]  # fmt: skip
    absent = made[made["missing"] == "no run"]
    assert absent.groupby("notebook").size().tolist() == [3, 3, 2] and absent["seed"].isna().all()


def test_a_file_that_is_gone_or_damaged_is_named_and_nothing_else_is_lost(cohort, three):
    shutil.rmtree(three[0] / "cnn")
    (three[1] / "cnn" / "history.csv").unlink()
    (three[1] / "resnet50" / "predictions.csv").write_text("")
    (three[2] / "cnn" / "predictions.csv").write_text("<html>\nno table, no table\n")
    made, scores, _, results = made_of(cohort)
    missing = made[made["seed"].notna()].set_index(["model", "seed"])["missing"].to_dict()
    assert missing["cnn", 0] == "history.csv, predictions.csv" and missing["cnn", 1] == "history.csv"
    assert missing["resnet50", 1] == "predictions.csv" == missing["cnn", 2] and missing["resnet50", 0] == ""
    assert f1(results)["seeds"] == 3, "the records still stand"
    tested = outputs.read_tables(made, DETECTION, "predictions.csv", "test")
    assert {model: sorted(by_seed) for model, by_seed in tested.items()} == {"cnn": [1], "resnet50": [0, 2]}
    assert paper.paired(made, cohort).empty, "the two have no seed in common"
    assert outputs.shown_run(made, scores, DETECTION) == ("resnet50", 2)
    assert outputs.shown_run(made, scores, DETECTION, "cnn") == ("", -1)


def test_tables_hold_one_split_with_ids_as_text(cohort, three):
    made, *_ = made_of(cohort)
    table = outputs.read_tables(made, DETECTION, "predictions.csv", "test")["cnn"][0]
    assert table["slice_id"].tolist() == IDS[1:] and table.index[0] == 0
    assert outputs.table_of_run({"cnn": {0: table}}, ("cnn", 0)) is table
    nothing = outputs.table_of_run({}, ("", -1))
    assert nothing.empty and {"slice_id", "outcome", "lesion_dice"} <= set(nothing)


def test_the_seed_in_the_middle_is_shown_never_the_best(cohort, three):
    made, scores, *_ = made_of(cohort)
    assert outputs.shown_run(made, scores, DETECTION, "cnn") == ("cnn", 2)
    better = leave(cohort, ["mobilenetv2"], 0, 0.95)
    made, scores, *_ = made_of(cohort)
    assert outputs.shown_run(made, scores, DETECTION) == ("mobilenetv2", 0)
    (better / "record.json").unlink()
    made, scores, *_ = made_of(cohort)
    assert outputs.shown_run(made, scores, DETECTION)[1] == 2


def test_a_number_leads_to_its_record_and_its_place_in_it(cohort, three):
    made, scores, seeds, results = made_of(cohort)
    row = f1(results)
    (traced,) = outputs.trace(row, made).itertuples(index=False)
    assert (row["ours"], traced.value, traced.where) == (0.8, 0.8, "metrics.cnn.session1.macro_f1")
    assert traced.record == f"results/quick/{DETECTION}/{three[2].name}/record.json"
    for _, one in [*seeds.dropna(subset="value").iterrows(), *scores.iterrows()]:
        assert len(outputs.trace(one, made)) == 1
    beside = select.scores_of(scores, DETECTION, "session1", ["macro_f1"])
    assert len(beside) and all(len(outputs.trace(one, made)) == 1 for _, one in beside.iterrows())
    pairs = paper.paired(made, cohort)
    traced = outputs.trace(pairs.iloc[0], made)
    assert len(pairs) == 2 and len(traced) == 6
    assert set(traced["where"]) == {"cnn/predictions.csv", "resnet50/predictions.csv"}
    # A seed that one of the two lacks is no source of the comparison; one whose predictions went has none.
    alone = made[~((made["model"] == "resnet50") & (made["seed"] == 1))]
    assert len(outputs.trace(pairs.iloc[0], alone)) == 4
    (three[0] / "cnn" / "predictions.csv").unlink()
    with pytest.raises(UserError, match=r"predictions.csv is gone. Run its notebook again"):
        outputs.trace(pairs.iloc[0], made)


def test_a_number_whose_record_is_gone_or_changed_has_no_source(cohort, three):
    made, _, _, results = made_of(cohort)
    row, path = f1(results), three[2] / "record.json"
    with pytest.raises(UserError, match="not run"):
        outputs.trace(f1(results, "efficientnetb0"), made)
    path.write_text(path.read_text().replace("0.8,", "0.85,"))
    with pytest.raises(UserError, match="says 0.85 by now. Run notebook 6 again"):
        outputs.trace(row, made)
    path.unlink()
    with pytest.raises(UserError, match="is gone"):
        outputs.trace(row, made)


def test_without_one_of_three_seeds_the_table_is_another_and_says_so(cohort, three, tmp_path):
    _, _, seeds, before = made_of(cohort)
    files.write_table(tmp_path / "figures" / "table_1.csv", seeds[seeds["table"] == "I"])
    assert outputs.removed_runs(seeds, tmp_path / "figures") == []
    (three[2] / "record.json").unlink()
    _, _, seeds, after = made_of(cohort)
    assert (f1(before)["seeds"], f1(before)["ours"], f1(after)["seeds"], f1(after)["ours"]) == (3, 0.8, 2, 0.7)
    assert outputs.removed_runs(seeds, tmp_path / "figures") == [
        f"{three[2].name} was in the last tables and is not in these: its record was removed or replaced."
    ]
    assert [three[2].name in text for text in runs.read_records("quick")[1]] == [True]
    assert outputs.removed_runs(seeds, tmp_path / "none") == []


def test_without_the_only_run_of_a_model_its_row_says_not_run(cohort, three):
    folder = leave(cohort, ["efficientnetb0"], 0, 0.6)
    assert f1(made_of(cohort)[3], "efficientnetb0")["ours"] == 0.6
    shutil.rmtree(folder)
    made, _, _, results = made_of(cohort)
    assert f1(results, "efficientnetb0")["verdict"] == "not run"
    assert ((made["model"] == "efficientnetb0") & (made["missing"] == "no run")).sum() == 1


def test_masks_are_shown_only_where_truth_and_prediction_lie_on_disk(cohort, three):
    leave(cohort, ["resnet50"], 0, 0.6, SEGMENTATION)
    made, scores, *_ = made_of(cohort)
    run = outputs.shown_run(made, scores, SEGMENTATION)
    slices, dices, folder = select.segmented(made, run, cohort)
    assert slices["slice_id"].tolist() == dices["slice_id"].tolist() == [IDS[1]]
    assert (folder / f"{IDS[1]}.png").is_file()
    (folder / f"{IDS[1]}.png").unlink()
    left = outputs.inventory(runs.read_records("quick")[0])
    assert left.query("notebook == @SEGMENTATION")["missing"].iloc[0] == "masks"
    for empty in (select.segmented(made, run, cohort), select.segmented(made, ("", -1), cohort)):
        assert empty[0].empty and empty[1].empty and select.typical_slices(empty[1]) == {}


def test_pairs_are_told_in_one_table_as_text(cohort, three):
    made, *_ = made_of(cohort)
    shown = tables.shown_pairs(paper.paired(made, cohort))
    assert shown["measure"].tolist() == ["accuracy", "AUC"] and (shown["unit"] == "patients").all()
    assert shown["seeds"].str.contains(" of 3").all() and shown["n"].tolist() == [11, 11]
    assert tables.shown_pairs(paper.paired(made[:1], cohort)).empty
