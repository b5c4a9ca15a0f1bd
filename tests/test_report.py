import numpy as np
import pandas as pd
import pytest

from stroke_utils import masks, report
from stroke_utils.cohort import Cohort
from stroke_utils.files import UserError
from stroke_utils.vocabulary import PAPER_TABLES


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


def test_departures_are_the_settings_that_change_what_is_computed():
    table = report.departures("03_phase1_detection").set_index("parameter")
    assert table.loc["size", ["here", "paper profile"]].tolist() == [96, 224]
    assert not {"profile", "phantom_size", "dropout", "validation"} & set(table.index)


def test_the_ledger_covers_every_setting_of_every_notebook_with_a_source():
    ledger = report.full_ledger()
    assert set(ledger["notebook"]) == {f"{k:02}" for k in range(1, 8)}
    assert (ledger["source"] != "").all() and ledger["here"].notna().all()


def record(fingerprint="abc", notebook="03_phase1_detection"):
    about = {"notebook": notebook, "run_id": "r", "wall_s": 90, "peak_memory_mib": 1536}
    return about | {"cohort": {"fingerprint": fingerprint}, "git": {"commit": "0123456789", "dirty": True}}


def test_records_of_another_cohort_are_listed_but_not_used():
    cohort = Cohort(None, None, None, {}, "abc")
    table = report.run_table([record(), record("other")], cohort)
    assert table["cohort"].tolist() == ["this", "another"]
    assert table.loc[0, ["minutes", "memory, GiB", "commit"]].tolist() == [1.5, 1.5, "0123456+"]
    assert report.usable([record(), record("other")], cohort) == [record()]
    for useless in ([record("other")], [record(notebook="01_exploration")], []):
        with pytest.raises(UserError, match="No run record of this cohort yet .* `make reproduce`"):
            report.usable(useless, cohort)


def test_score_table_ends_with_the_baseline():
    score = {"value": 0.871, "low": 0.8, "high": 0.93, "n": 200, "baseline": 0.394}
    table = report.score_table({"cnn": {"session1": {"macro_f1": score}}}, "session1", ["macro_f1"])
    assert table["macro f1"].to_dict() == {"cnn": "0.87 (0.80–0.93)", "trivial baseline": "0.39"}


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
