from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from stroke_utils import masks, metrics, report, runs
from stroke_utils.cohort import Cohort
from stroke_utils.files import UserError
from stroke_utils.vocabulary import PAPER_TABLES

ROOT = Path(__file__).resolve().parents[1]


def rows(values, notebook="03_phase1_detection", model="cnn", part="session1", metric="macro_f1"):
    return pd.DataFrame(
        [
            {"notebook": notebook, "run_id": f"r{k}", "seed": seed, "model": model, "part": part, "metric": metric,
             "value": v, "low": v - 0.1, "high": v + 0.1, "n": 200, "baseline": 0.39}
            for k, (seed, v) in enumerate(values)
        ]
    )  # fmt: skip


def found(results, table="I", model="cnn", metric="f1"):
    return results.query("table == @table and model == @model and metric == @metric").iloc[0]


def test_every_published_number_has_a_row_and_missing_models_say_so():
    results = report.results(rows([(0, 0.8)]))
    assert len(results) == sum(len(m) for table in PAPER_TABLES.values() for m in table.values()) == 28
    assert found(results)["ours"] == 0.8 and found(results)["paper"] == 0.9256
    assert np.isnan(found(results, model="resnet50")["ours"]) and found(results, model="resnet50")["seeds"] == 0


def test_ours_is_the_median_seed_with_its_own_interval():
    row = found(report.results(rows([(0, 0.9), (1, 0.7), (2, 0.8)])))
    assert (row["ours"], row["low"], row["high"], row["seeds"]) == (0.8, pytest.approx(0.7), pytest.approx(0.9), 3)


def test_of_two_runs_with_one_seed_the_later_counts():
    row = found(report.results(rows([(0, 0.9), (0, 0.5)])))
    assert (row["ours"], row["seeds"]) == (0.5, 1)


def test_scores_of_other_parts_and_metrics_stay_out():
    for other in (rows([(0, 0.8)], part="validation"), rows([(0, 0.8)], metric="weighted_f1")):
        assert np.isnan(found(report.results(other))["ours"])
    third = report.results(rows([(0, 0.6)], "05_segmentation", "resnet50", "validation", "soft_f1"))
    assert found(third, "III", "resnet50")["ours"] == 0.6


def test_parameters_files_are_read_with_their_comments(tmp_path):
    file = tmp_path / "x.yaml"
    file.write_text('# head\nsize: 224  # data: 224×224\nnames: [a, b]\ntext: "a # b"  # ours: why\n')
    table = report.annotated_parameters(file)
    assert table.values.tolist() == [
        ["size", 224, "data: 224×224"],
        ["names", ["a", "b"], ""],
        ["text", "a # b", "ours: why"],
    ]
    file.write_text("size 224\n")
    with pytest.raises(UserError, match=r"x.yaml, line 1: expected 'key: value  # comment', found 'size 224'"):
        report.annotated_parameters(file)


def parameters(notebook, profile="quick"):
    return (
        report.annotated_parameters(runs.parameters_file(notebook, profile)).set_index("parameter")["value"].to_dict()
    )


def test_departures_are_the_settings_of_the_run_that_change_what_is_computed():
    here = parameters("03_phase1_detection") | {"size": 64}
    table = report.departures("03_phase1_detection", here).set_index("parameter")
    assert table.loc["size", ["here", "paper profile"]].tolist() == [64, 224]
    assert not {"profile", "phantom_size", "dropout", "validation"} & set(table.index)


def test_the_ledger_covers_every_setting_of_every_notebook_with_a_source():
    ledger = report.full_ledger([])
    assert set(ledger["notebook"]) == {path.name[:2] for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert (ledger["source"] != "").all() and ledger["here"].notna().all()


def test_the_ledger_shows_what_the_run_was_made_with():
    made = record() | {"parameters": parameters("03_phase1_detection") | {"epochs": 99}}
    ledger = report.full_ledger([made]).set_index(["notebook", "parameter"])["here"]
    assert ledger["03", "epochs"] == 99
    assert ledger["04", "epochs"] == parameters("04_phase2_classification")["epochs"]


def test_fixed_choices_are_those_of_the_code():
    from stroke_utils import inputs, models, training

    said = {(row[0], row[1]): row[2] for row in report.FIXED}

    def widths(model):
        return ", ".join(str(layer.filters) for layer in model.layers if type(layer).__name__ == "Conv2D")

    assert f"of {widths(models.detector('cnn', 32))}, each" in said["03", "CNN"]
    assert f"of {widths(models.type_classifier('cnn', 32))}; dense 128" in said["04", "CNN"]
    for name in ("light", "strong"):
        amount = inputs.AUGMENTATIONS[name]
        text = f"mirrored, ± {amount.degrees}°, ± {amount.zoom:.0%} zoom, ± {amount.shift:.0%} shift".replace("%", " %")
        text += f", ± {amount.contrast:.0%} contrast".replace("%", " %") if amount.contrast else ""
        assert amount.flip and said["03, 04", f"{name} augmentation"] == text
    assert said["03, 04, 05", "rate after a plateau"] == f"× {training.Schedule(1, 1, 1).reduce_by}"
    assert f"by more than {training.MIN_DELTA}" in said["03, 04, 05", "a better epoch"]
    assert said["all", "intervals"].startswith(f"{metrics.BOOTSTRAP} ")


def record(fingerprint="abc", notebook="03_phase1_detection", **settings):
    about = {"notebook": notebook, "run_id": "r", "wall_s": 90, "peak_memory_mib": 1536}
    about |= {"parameters": {"seed": 0, "models": ["cnn"], "reuse": False, "epochs": 8} | settings}
    return about | {"cohort": {"fingerprint": fingerprint}, "git": {"commit": "0123456789", "dirty": True}}


def test_records_of_another_cohort_are_listed_but_not_used():
    cohort = Cohort(None, None, None, {}, "abc")
    table = report.run_table([record(), record("other")], cohort)
    assert table["cohort"].tolist() == ["this", "another"]
    assert table.loc[0, ["minutes", "memory, GiB", "commit"]].tolist() == [1.5, 1.5, "0123456+"]
    assert report.usable([record(), record("other")], cohort) == ([record()], [])
    for useless in ([record("other")], [record(notebook="01_exploration")], []):
        with pytest.raises(UserError, match="No run record of this cohort yet .* `make reproduce`"):
            report.usable(useless, cohort)


def test_runs_of_other_settings_are_not_mixed_into_one_table():
    cohort = Cohort(None, None, None, {}, "abc")
    batch = [record(seed=seed, models=[model]) for seed in (0, 1) for model in ("cnn", "resnet50")]
    old, other = record(epochs=99), record(notebook="04_phase2_classification", epochs=3)
    kept, notes = report.usable([old, other, *batch], cohort)
    assert kept == [other, *batch]
    assert notes == [
        "03_phase1_detection: 1 records of other settings are left out; those of the last run's are shown."
    ]


def score(value=0.871, n=200, unit="patients"):
    return {"value": value, "low": 0.8, "high": 0.93, "n": n, "baseline": 0.394, "unit": unit}


def test_score_table_ends_with_the_baseline_and_the_slices_behind_each_score():
    one = {"macro_f1": score(), "positive_recall": score(n=70), "positive_precision": score(n=64)}
    two = one | {"positive_precision": score(n=81)}
    table = report.score_table({"cnn": {"session1": one}, "resnet50": {"session1": two}}, "session1", [*one, "absent"])
    assert table["macro f1"].tolist() == ["0.87 (0.80–0.93)", "0.87 (0.80–0.93)", "0.39", "200"]
    assert table.index[-2:].tolist() == ["trivial baseline", "n"]
    assert table.loc["n", ["positive recall", "positive precision"]].tolist() == ["70", "64–81"]


def test_it_is_said_what_the_intervals_take_for_independent():
    assert "resample patients" in report.independent_units({"cnn": {"session1": {"auc": score()}}})
    mixed = {"cnn": {"session1": {"auc": score()}, "validation": {"auc": score(unit="slices")}}}
    assert "patients are unknown" in report.independent_units(mixed)


def test_pixels_are_counted_by_true_and_called_class(tmp_path):
    truth, called = np.zeros((10, 10), np.uint8), np.zeros((10, 10), np.uint8)
    truth[:5, :4], called[:5, :2], called[:5, 2:3] = 1, 1, 2
    masks.write_class_mask(tmp_path / "truth.png", truth)
    masks.write_class_mask(tmp_path / "a.png", called)
    table = report.pixel_confusion(pd.Series(["a"]), pd.Series({"a": tmp_path / "truth.png"}), tmp_path)
    assert table.loc["ischemia"].tolist() == ["25.0%", "50.0%", "25.0%", 20]
    assert table.loc["background"].tolist() == ["100.0%", "0.0%", "0.0%", 80]
    assert table.loc["hemorrhage", "pixels"] == 0


def test_typical_slices_are_good_median_and_worst_of_each_type():
    table = pd.DataFrame(
        {"slice_id": [f"{k}" for k in range(11)], "label": "ischemia", "lesion_dice": np.arange(11) / 10}
    )
    assert report.typical_slices(table) == {"ischemia, good": "9", "ischemia, median": "5", "ischemia, worst": "0"}
