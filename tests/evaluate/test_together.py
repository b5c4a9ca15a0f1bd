"""Scores of reading as a whole, by examples that can be counted by hand."""

import numpy as np
import pandas as pd
import pytest

from stroke_utils.base.errors import UserError
from stroke_utils.evaluate import compare, together

# label, probability, answer, Dice on all slices, patient
READ = [
    ("ischemia", 0.9, "ischemia", 0.6, "A"),
    ("ischemia", 0.8, "hemorrhage", 0.4, "A"),
    ("ischemia", 0.2, "none", 0.0, "B"),
    ("hemorrhage", 0.9, "hemorrhage", 0.8, "C"),
    ("none", 0.1, "none", 1.0, "D"),
    ("none", 0.7, "ischemia", 0.0, "D"),
    ("none", 0.6, "hemorrhage", 1.0, "E"),
    ("none", 0.3, "none", 1.0, "F"),
]


@pytest.fixture
def table():
    read = pd.DataFrame(READ, columns=["label", "probability", "answer", "all_dice", "patient"])
    return read.assign(slice_id=[str(k) for k in range(8)], truth=(read["label"] != "none").astype(int))


def test_a_missed_stroke_and_a_false_alarm_count_in_the_type_f1(table):
    # Ischemia: one right, two missed (one wrong type, one missed stroke), one false alarm: 2 / (2 + 2 + 1).
    # Hemorrhage: one right, one ischemia and one healthy slice called so: 2 / (2 + 2).
    found = together.scores(table)["type_f1"]
    assert found["value"] == pytest.approx((2 / 5 + 2 / 4) / 2) and found["n"] == 8
    # The best constant answer is ischemia everywhere: 3 right of 8 called, halved because hemorrhage has 0.
    assert found["baseline"] == pytest.approx(2 * 3 / (3 + 8) / 2)
    missed = together.scores(table.assign(answer=table["answer"].where(table.index != 3, "none")))["type_f1"]
    assert missed["value"] == pytest.approx((2 / 5 + 0) / 2)


def test_dice_on_all_slices_counts_false_lesions_and_has_painting_nothing_as_its_baseline(table):
    found = together.scores(table)
    assert found["all_dice"]["value"] == pytest.approx((0.6 + 0.4 + 0 + 0.8 + 1 + 0 + 1 + 1) / 8)
    assert found["all_dice"]["baseline"] == pytest.approx(4 / 8)
    assert (found["stroke_dice"]["value"], found["stroke_dice"]["n"]) == (pytest.approx(1.8 / 4), 4)
    assert (found["stroke_dice"]["baseline"], found["clean"]["baseline"]) == (0, 1)
    assert (found["clean"]["value"], found["clean"]["n"]) == (pytest.approx(3 / 4), 4)


def test_detection_is_ranked_over_all_slices(table):
    # Of 16 pairs of a stroke and a healthy slice three are in the wrong order: 0.2 below 0.7, 0.6 and 0.3.
    found = together.scores(table)["detection_auc"]
    assert found["value"] == pytest.approx(13 / 16) and found["baseline"] == 0.5


def test_intervals_are_of_patients_and_hold_the_value(table):
    for name, found in together.scores(table).items():
        assert found["unit"] == "patients" and found["low"] <= found["value"] <= found["high"], name
    # Four slices of each patient say no more than one: the interval is twice that of slices, were they independent.
    many = pd.concat([table.assign(patient=list("ABCDEFGH"))] * 4, ignore_index=True)
    widths = []
    for patients in (many["patient"], None):
        found = together.scores(many.assign(patient=patients))["all_dice"]
        widths.append(found["high"] - found["low"])
    assert found["unit"] == "slices" and widths[0] == pytest.approx(2 * widths[1], rel=0.15)


def test_what_is_unknown_is_left_out_of_its_measure_alone(table):
    table.loc[0, "label"], table.loc[3, "all_dice"] = None, np.nan
    found = together.scores(table)
    assert [found[name]["n"] for name in together.MEASURES] == [8, 7, 7, 3, 4]
    assert found["type_f1"]["value"] == pytest.approx((0 + 2 / 4) / 2)
    assert found["all_dice"]["baseline"] == pytest.approx(4 / 7)
    no_masks = together.scores(table.assign(all_dice=np.nan))
    assert list(no_masks) == ["detection_auc", "type_f1"]
    strokes = together.scores(table[table["truth"] == 1])
    assert list(strokes) == ["type_f1", "all_dice", "stroke_dice"]
    with pytest.raises(UserError, match="No slice to score"):
        together.scores(table[:0])


def test_two_ways_of_reading_are_compared_on_the_same_patients(table):
    better = table.assign(all_dice=(table["all_dice"] + 0.1).clip(upper=1.0))
    found = together.compared({0: better[::-1], 7: table}, {0: table}).set_index("measure")
    assert list(found.index) == list(together.MEASURES) and (found["seeds"] == 1).all()
    row = found.loc["all_dice"]
    assert row["difference"] == pytest.approx((0.4 + 0.1) / 8) == row["a"] - row["b"]
    assert (row["lowest"], row["highest"], row["n"], row["unit"]) == (
        row["difference"],
        row["difference"],
        8,
        "patients",
    )
    assert 0 < row["low"] < row["difference"] < row["high"]
    # Every stroke gained the same: paired, there is nothing to doubt, though each score alone has a wide interval.
    alone = together.scores(better)["stroke_dice"]
    assert found.loc["stroke_dice", ["low", "high"]].tolist() == pytest.approx([0.1, 0.1])
    assert alone["high"] - alone["low"] > 0.2
    assert found.loc[["detection_auc", "type_f1"], ["difference", "low", "high"]].to_numpy().tolist() == [[0] * 3] * 2


def test_seeds_are_averaged_and_their_spread_is_told(table):
    def with_dice(more):
        return table.assign(all_dice=table["all_dice"].where(table["truth"] == 0, table["all_dice"] + more))

    found = together.compared({0: with_dice(0.1), 1: with_dice(-0.3)}, {0: table, 1: table}).set_index("measure")
    row = found.loc["stroke_dice"]
    assert row[["seeds", "difference", "lowest", "highest"]].tolist() == pytest.approx([2, -0.1, -0.3, 0.1])
    assert row["high"] < 0, "worse beyond its interval"


def test_tables_that_cannot_be_paired_are_refused(table):
    with pytest.raises(UserError, match=r"no seed in common: \[0\] and \[1\]"):
        together.compared({0: table}, {1: table})
    with pytest.raises(UserError, match="the same slices; 2 of them were read by one only"):
        together.compared({0: table}, {0: table[:6]})


def test_its_paired_differences_are_those_of_compare(table):
    patients = table.set_index("slice_id")["patient"]
    other = table.assign(probability=table["probability"].to_numpy()[::-1])
    ours = together.compared({0: table}, {0: other}).set_index("measure").loc["detection_auc"]
    theirs = compare.pairs({"a": {0: table}, "b": {0: other}}, "AUC", patients).iloc[0]
    assert ours["difference"] == pytest.approx(theirs["difference"])
