from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from stroke_utils.base.errors import UserError
from stroke_utils.base.vocabulary import PAPER_TABLES, UNET_TITLES, model_title
from stroke_utils.data import masks, splits
from stroke_utils.data.cohort import DataSet
from stroke_utils.evaluate import metrics
from stroke_utils.results import ledger, paper, parameters, select, tables

ROOT = Path(__file__).resolve().parents[2]


PHANTOM = DataSet("abc", {"phantom": True})
REAL = DataSet("abc", {})


def rows(values, notebook="03_phase1_detection", model="cnn", part="session1", metric="macro_f1"):
    return pd.DataFrame(
        [
            {"notebook": notebook, "run_id": f"r{k}", "seed": seed, "model": model, "part": part, "metric": metric,
             "start": "random", "value": v, "low": v - 0.1, "high": v + 0.1, "n": 200, "baseline": 0.39}
            for k, (seed, v) in enumerate(values)
        ]
    )  # fmt: skip


def results_of(scores, records=(), cohort=PHANTOM):
    return paper.results(paper.per_seed(scores), list(records), cohort)


def found(results, table="I", model="cnn", score="f1"):
    return results.query("table == @table and model == @model and score == @score").iloc[0]


def test_every_published_number_has_a_row_and_missing_models_say_so():
    results = results_of(rows([(0, 0.8)]))
    assert len(results) == sum(len(m) for table in PAPER_TABLES.values() for m in table.values()) == 28
    assert found(results)["ours"] == 0.8 and found(results)["paper"] == 0.9256
    absent = found(results, model="resnet50")
    assert np.isnan(absent["ours"]) and (absent["seeds"], absent["verdict"]) == (0, "not run")


def test_ours_is_the_median_seed_with_its_own_interval_and_the_spread_of_all():
    row = found(results_of(rows([(0, 0.9), (1, 0.7), (2, 0.8)])))
    assert (row["ours"], row["low"], row["high"], row["seeds"]) == (0.8, pytest.approx(0.7), pytest.approx(0.9), 3)
    assert (row["lowest"], row["highest"], row["run_id"], row["seed"]) == (0.7, 0.9, "r2", 2)
    twenty = found(results_of(rows(list(enumerate(np.linspace(0.5, 0.88, 20))))))
    assert twenty["seeds"] == 20 and twenty["ours"] == pytest.approx(0.68), "of an even number the lower middle one"


def test_of_two_runs_with_one_seed_the_later_counts():
    row = found(results_of(rows([(0, 0.9), (0, 0.5)])))
    assert (row["ours"], row["seeds"]) == (0.5, 1)


def test_scores_of_other_parts_and_metrics_stay_out():
    for other in (rows([(0, 0.8)], part="validation"), rows([(0, 0.8)], metric="weighted_f1")):
        assert np.isnan(found(results_of(other))["ours"])
    third = results_of(rows([(0, 0.6)], "05_segmentation", "resnet50", "validation", "soft_f1"))
    assert found(third, "III", "resnet50")["ours"] == 0.6
    assert np.isnan(found(results_of(rows([(0, 0.7)], "05_segmentation", "resnet50", "training", "soft_f1")), "III",
                          "resnet50")["ours"])  # fmt: skip


def test_each_row_has_the_average_that_its_printed_digits_fit():
    assert found(results_of(rows([(0, 0.8)], model="mobilenetv2", metric="weighted_f1")), model="mobilenetv2")["seeds"]
    second = rows([(0, 0.9)], "04_phase2_classification", "cnn", "validation", "positive_f1")
    row = found(results_of(second), "II")
    assert row["ours"] == 0.9 and row["convention"].startswith("hemorrhage as the positive class")
    assert "weighted average" in found(results_of(rows([(0, 0.8)])), model="mobilenetv2")["convention"]


def values_of(notebook, profile="quick"):
    return (
        ledger.annotated_parameters(parameters.parameters_file(notebook, profile))
        .set_index("parameter")["value"]
        .to_dict()
    )


def settings(**changed):
    of_paper = values_of("03_phase1_detection", "paper")
    return {"notebook": "03_phase1_detection", "parameters": of_paper | changed, "metrics": {}}


@pytest.mark.parametrize(
    ("cohort", "record", "value", "expected"),
    [
        (PHANTOM, settings(), 0.9, "not comparable: phantom data"),
        (REAL, settings(models=["cnn"], seed=3), 0.9, "inside the interval"),
        (REAL, settings(), 0.8, "outside"),
        (REAL, settings(), 1.05, "outside"),
        (REAL, settings(size=96), 0.9, "not comparable: not the paper's size"),
        (REAL, settings(size=96, batch=16, epochs=8, dropout=0.9), 0.9,
         "not comparable: not the paper's size, batch, epochs, …"),
    ],
)  # fmt: skip
def test_a_verdict_is_given_on_real_data_with_the_papers_settings_only(cohort, record, value, expected):
    assert found(results_of(rows([(0, value)]), [record], cohort))["verdict"] == expected


def test_a_number_without_an_interval_has_no_verdict():
    third = rows([(0, 0.65)], "05_segmentation", "resnet50", "validation", "soft_f1").assign(low=np.nan, high=np.nan)
    record = {"notebook": "05_segmentation", "parameters": values_of("05_segmentation", "paper"), "metrics": {}}
    row = found(results_of(third, [record], REAL), "III", "resnet50")
    assert row["verdict"] == "not comparable: no interval by this convention"


def test_a_run_on_data_without_a_test_is_no_missing_run():
    record = settings() | {"metrics": {"cnn": {"validation": {}}, "slices": {"train": 10}}}
    seeds = rows([(0, 0.9)], part="validation")
    table = results_of(seeds, [record], REAL)
    assert found(table)["verdict"] == "no test: these data have no session 1"
    assert found(table, "I", "resnet50")["verdict"] == "not run"


def test_a_table_shows_interval_spread_and_verdict():
    seeds = results_of(rows([(0, 0.9), (1, 0.7), (2, 0.8)]))
    table = tables.beside_the_paper(seeds, "I").data.set_index(["model", "score"])
    assert table.loc[("CNN", "f1"), "start here"] == "random"
    shown = table.loc[("CNN", "f1"), ["paper", "here", "seeds", "n", "baseline here", "verdict"]].tolist()
    assert shown == ["0.9256", "0.80 (0.70–0.90)", "0.70–0.90 of 3", 200, "0.39", "not comparable: phantom data"]
    assert table.loc[("ResNet50", "f1")].tolist() == ["", "0.9327", "", "", "", "", "not run"]
    caption = tables.beside_the_paper(seeds, "I").caption
    assert "MobileNetV2: weighted average" in caption and "CNN, EfficientNetB0: macro average" in caption


def test_other_scores_are_told_by_model_with_the_spread_of_their_seeds():
    scores = pd.concat([rows([(0, 0.9), (1, 0.7), (2, 0.8)]), rows([(0, 0.5)], metric="auc")])
    table = select.scores_of(scores, "03_phase1_detection", "session1", ["macro_f1"])
    ((model, *numbers),) = table[["model", "value", "low", "lowest", "highest", "seeds"]].values.tolist()
    assert model == "cnn" and numbers == pytest.approx([0.8, 0.7, 0.7, 0.9, 3])
    assert select.scores_of(scores, "05_segmentation", "session1", ["macro_f1"]).empty


def test_optimism_is_the_difference_that_choosing_on_the_test_makes():
    both = [rows([(0, 0.8), (1, 0.7)]), rows([(0, 0.85), (1, 0.72)], part="session1_on_test")]
    table = paper.optimism(pd.concat(both))
    assert {"notebook", "run_id"} <= set(table.columns)
    assert table["seed"].tolist() == [0, 1] and table["optimism"].tolist() == pytest.approx([0.05, 0.02])
    assert paper.optimism(both[0]).empty and "optimism" in paper.optimism(both[0])


def test_the_papers_matrices_are_those_of_notebook_7():
    assert paper.paper_matrix("I", "efficientnetv2b0").tolist() == [[130, 0], [5, 65]]
    assert paper.paper_matrix("I", "mobilenetv2").tolist() == [[126, 4], [14, 56]]
    assert paper.paper_matrix("II", "cnn").tolist() == [[223, 3], [8, 211]]
    counted = tables.counts({"x": paper.paper_matrix("I", "efficientnetv2b0")}, ("none", "stroke"))
    assert counted.values.tolist()[2] == ["x", "stroke", "none", 5] and len(counted) == 4


def test_ours_stands_beside_the_papers_matrix_where_it_ran():
    table = pd.DataFrame({"truth": [0, 1, 1], "predicted": [0, 0, 1]})
    both = paper.matrices({"cnn": {3: table}}, ("cnn", 3), "I", "efficientnetv2b0")
    assert list(both) == ["here: CNN, seed 3", "the paper: EfficientNetV2B0"]
    assert both["here: CNN, seed 3"].tolist() == [[1, 0], [1, 1]]
    assert list(paper.matrices({}, ("", -1), "I", "efficientnetv2b0")) == ["the paper: EfficientNetV2B0"]


def test_a_model_has_its_name_by_the_task_it_is_trained_for():
    both = rows([(0, 0.8)], model="resnet50"), rows([(0, 0.6)], "05_segmentation", "resnet50", "session2", "soft_f1")
    assert tables.titled(pd.concat(both))["model"].tolist() == ["ResNet50", "U-Net-ResNet50"]
    pair = pd.DataFrame({"notebook": ["04_phase2_classification"], "a": ["cnn"], "b": ["my_own"]})
    assert tables.titled(pair)[["a", "b"]].values.tolist() == [["CNN", "my_own"]]
    both = {"always": 0.5, "never": 0.0}
    here = {"cnn": {"validation": {f"positive_{n}": {"value": 0.9} | both for n in ("precision", "recall", "f1")}}}
    here["cnn"]["validation"]["auc"] = {"value": 0.9} | both
    assert paper.as_printed("II", here).loc[["always hemorrhage", "never hemorrhage"], "here f1"].tolist() == [50, 0]
    assert paper.as_printed("II", {"my_own": {}}).index.tolist() == ["CNN", "EfficientNetV2B0", "ResNet-18", "my_own"]


def test_every_model_of_the_papers_tables_has_a_name():
    for table, published in PAPER_TABLES.items():
        assert [model for model in published if model_title(model, table) == model] == []


def test_parameters_files_are_read_with_their_comments(tmp_path):
    file = tmp_path / "x.yaml"
    file.write_text('# head\nsize: 224  # data: 224×224\nnames: [a, b]\ntext: "a # b"  # ours: why\n')
    table = ledger.annotated_parameters(file)
    assert table.values.tolist() == [
        ["size", 224, "data: 224×224"],
        ["names", ["a", "b"], ""],
        ["text", "a # b", "ours: why"],
    ]
    file.write_text("size 224\n")
    with pytest.raises(UserError, match=r"x.yaml, line 1: expected 'key: value  # comment', found 'size 224'"):
        ledger.annotated_parameters(file)


def test_departures_are_the_settings_of_the_run_that_change_what_is_computed():
    here = values_of("03_phase1_detection") | {"size": 64}
    table = ledger.departures("03_phase1_detection", here).set_index("parameter")
    assert table.loc["size", ["here", "paper profile"]].tolist() == [64, 224]
    assert not {"profile", "phantom_size", "recall", "validation"} & set(table.index)


def test_a_run_on_exact_masks_departs_from_the_paper():
    table = ledger.departures("05_segmentation", values_of("05_segmentation")).set_index("parameter")
    assert table.loc["mask_method", ["here", "paper profile"]].tolist() == ["difference", "paper"]


def test_the_ledger_counts_each_choice_of_the_recipe_once_and_no_knob_of_the_kit():
    rows = [
        ("02", "hsv_least", [100, 50], [100, 50], "masks: no numbers; ours"),
        ("05", "hsv_least", [100, 50], [100, 50], "masks: no numbers; ours"),  # the same choice
        ("03", "size", 96, 224, "phase 1: 224×224"),
        ("04", "size", 96, 224, "phase 2: 224×224"),
        ("04", "epochs", 6, 50, "not stated; ours: early stopping ends earlier"),
        ("04", "own", [], [], "not stated; ours"),  # the kit's
        ("04", "deterministic", True, True, "not stated; ours"),
        ("01", "samples", 4, 4, "Fig. 1; how many is ours"),  # what is shown
    ]
    counts = ledger.stated(pd.DataFrame(rows, columns=["notebook", "parameter", "here", "paper profile", "source"]))
    assert counts.to_dict("index") == {
        "02": {"stated": 0, "in part": 1, "not stated": 0},
        "03": {"stated": 1, "in part": 0, "not stated": 0},
        "04": {"stated": 1, "in part": 0, "not stated": 1},
        "all": {"stated": 2, "in part": 1, "not stated": 1},
    }
    ours = ledger.stated(ledger.full_ledger([])).loc["all"]
    assert ours["stated"] > 8 and (ours > 0).all()


def test_the_ledger_covers_every_setting_of_the_papers_notebooks_with_a_source():
    table = ledger.full_ledger([])
    stems = [path.stem for path in (ROOT / "notebooks").glob("*.ipynb")]
    assert set(table["notebook"]) == {stem[:2] for stem in stems if not parameters.goes_beyond(stem)}
    assert (table["source"] != "").all() and table["here"].notna().all()


def test_the_ledger_shows_what_the_run_was_made_with():
    made = record() | {"parameters": values_of("03_phase1_detection") | {"epochs": 99}}
    table = ledger.full_ledger([made]).set_index(["notebook", "parameter"])["here"]
    assert table["03", "epochs"] == 99
    assert table["04", "epochs"] == values_of("04_phase2_classification")["epochs"]


def test_fixed_choices_are_those_of_the_code():
    from stroke_utils.learn import inputs, models, training

    said = {(row[0], row[1]): row[2] for row in ledger.FIXED}

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
    assert said["03, 04", "validation"].startswith(f"{splits.VALIDATION} of the training part")
    assert said["05", "validation"] == f"{splits.VALIDATION_OF_MASKS} of the training part"
    assert f"a recall of at least {metrics.RECALL} on validation" in said["03", "threshold"]
    assert said["03, 04", "rate from random weights"] == f"at least {parameters.RATE_FROM_RANDOM}"
    assert f"by more than {training.MIN_DELTA}" in said["03, 04, 05", "a better epoch"]
    assert said["all", "intervals"].startswith(f"{metrics.BOOTSTRAP} ")


def record(fingerprint="abc", notebook="03_phase1_detection", **settings):
    about = {"notebook": notebook, "run_id": "r", "wall_s": 90, "peak_memory_mib": 1536}
    about |= {"parameters": {"seed": 0, "models": ["cnn"], "reuse": False, "epochs": 8} | settings}
    return about | {"cohort": {"fingerprint": fingerprint}, "git": {"commit": "0123456789", "dirty": True}}


def test_records_of_another_cohort_are_listed_but_not_used():
    cohort = DataSet("abc", {})
    table = tables.run_table([record(), record("other")], cohort)
    assert table["cohort"].tolist() == ["this", "another"]
    assert table.loc[0, ["minutes", "memory, GiB", "commit"]].tolist() == [1.5, 1.5, "0123456+"]
    assert select.comparable_records([record(), record("other")], cohort) == ([record()], [])
    for useless in ([record("other")], [record(notebook="01_exploration")], []):
        with pytest.raises(UserError, match="No run record of this cohort yet .* `make reproduce`"):
            select.comparable_records(useless, cohort)


def test_runs_of_other_settings_are_not_mixed_into_one_table():
    cohort = DataSet("abc", {})
    batch = [record(seed=seed, models=[model]) for seed in (0, 1) for model in ("cnn", "resnet50")]
    old, other = record(epochs=99), record(notebook="04_phase2_classification", epochs=3)
    kept, notes = select.comparable_records([old, other, *batch], cohort)
    assert kept == [other, *batch]
    assert notes == [
        "03_phase1_detection: 1 records of other settings are left out; those of the last run's are shown."
    ]


def score(value=0.871, n=200, unit="patients"):
    return {"value": value, "low": 0.8, "high": 0.93, "n": n, "baseline": 0.394, "unit": unit}


def test_score_table_ends_with_the_baseline_and_the_slices_behind_each_score():
    one = {"macro_f1": score(), "positive_recall": score(n=70), "positive_precision": score(n=64)}
    two = one | {"positive_precision": score(n=81)}
    table = tables.score_table({"cnn": {"session1": one}, "resnet50": {"session1": two}}, "session1", [*one, "absent"])
    assert table["macro f1"].tolist() == ["0.87 (0.80–0.93)", "0.87 (0.80–0.93)", "0.39", "200"]
    assert table.index.tolist() == ["CNN", "ResNet50", "trivial baseline", "n"]
    both = {name: found | {"always": 1.0, "never": 0.25} for name, found in one.items()}
    table_of_both = tables.score_table({"cnn": {"session1": both}}, "session1", [*one], positive="stroke")
    assert table_of_both.index.tolist() == ["CNN", "always stroke", "never stroke", "n"]
    assert table_of_both["macro f1"].tolist()[1:3] == ["1.00", "0.25"]
    masked = tables.score_table({"resnet50": {"session2": one}}, "session2", ["macro_f1"], UNET_TITLES)
    assert masked.index[0] == "U-Net-ResNet50"
    assert table.loc["n", ["positive recall", "positive precision"]].tolist() == ["70", "64–81"]


def test_it_is_said_what_the_intervals_take_for_independent():
    assert "resample patients" in tables.independent_units({"cnn": {"session1": {"auc": score()}}})
    mixed = {"cnn": {"session1": {"auc": score()}, "validation": {"auc": score(unit="slices")}}}
    assert "patients are unknown" in tables.independent_units(mixed)


def test_pixels_are_counted_by_true_and_called_class(tmp_path):
    truth, predicted = np.zeros((10, 10), np.uint8), np.zeros((10, 10), np.uint8)
    truth[:5, :4], predicted[:5, :2], predicted[:5, 2:3] = 1, 1, 2
    masks.write_class_mask(tmp_path / "truth.png", truth)
    masks.write_class_mask(tmp_path / "a.png", predicted)
    table = tables.pixel_confusion(pd.Series(["a"]), pd.Series({"a": tmp_path / "truth.png"}), tmp_path)
    assert table.loc["ischemia"].tolist() == ["25.0%", "50.0%", "25.0%", 20]
    assert table.loc["background"].tolist() == ["100.0%", "0.0%", "0.0%", 80]
    assert table.loc["hemorrhage", "pixels"] == 0


def test_typical_slices_are_good_median_and_worst_of_each_type():
    table = pd.DataFrame(
        {"slice_id": [f"{k}" for k in range(11)], "label": "ischemia", "lesion_dice": np.arange(11) / 10}
    )
    assert select.typical_slices(table) == {"ischemia, good": "9", "ischemia, median": "5", "ischemia, worst": "0"}
