import numpy as np
import pandas as pd
import pytest

from stroke_utils.base.errors import UserError
from stroke_utils.data import splits


def table(none=60, ischemia=25, hemorrhage=15, session=10):
    labels = ["none"] * none + ["ischemia"] * ischemia + ["hemorrhage"] * hemorrhage + [None] * session
    parts = ["train"] * (none + ischemia + hemorrhage) + ["session1"] * session
    stroke = [int(label not in ("none", None)) for label in labels]
    ids = [f"{10000 + 7 * i % 997}" for i in range(len(labels))]
    return pd.DataFrame({"slice_id": ids, "label": labels, "stroke": stroke, "part": parts})


def test_stratified_split_has_the_published_proportions_and_no_overlap():
    slices = splits.split(table(), "label", 0.2, seed=0, test_part="session1")
    counts = slices.groupby(["split", "label"], dropna=False).size()
    assert counts["validation", "none"] == 12
    assert counts["validation", "ischemia"] == 5
    assert counts["validation", "hemorrhage"] == 3
    assert (slices["split"] == "test").sum() == 10
    assert slices["slice_id"].is_unique and len(slices) == 110


def test_split_follows_from_ids_and_seed_not_from_the_order_of_rows():
    slices = table()
    mixed = slices.sample(frac=1, random_state=5)
    one = splits.split(slices, "stroke", 0.2, seed=3).set_index("slice_id")["split"]
    two = splits.split(mixed, "stroke", 0.2, seed=3).set_index("slice_id")["split"]
    pd.testing.assert_series_equal(one.sort_index(), two.sort_index())
    other = splits.split(slices, "stroke", 0.2, seed=4).set_index("slice_id")["split"]
    assert not one.sort_index().equals(other.sort_index())


def test_test_slices_are_left_out_unless_asked_for():
    assert set(splits.split(table(), "label", 0.1, seed=0)["split"]) == {"train", "validation"}


def test_a_class_of_one_slice_and_an_empty_part_are_refused():
    with pytest.raises(UserError, match="'hemorrhage' has 1 training slice"):
        splits.split(table(hemorrhage=1), "label", 0.2, seed=0)
    with pytest.raises(UserError, match="0 usable training slices"):
        splits.split(table(0, 0, 0), "label", 0.2, seed=0)


def test_a_missing_test_part_is_noticed_before_training():
    with pytest.raises(UserError, match="No usable slice of session2, which is the test"):
        splits.split(table(), "label", 0.2, seed=0, test_part="session2")


def test_class_weights_make_both_classes_count_alike():
    found = splits.class_weights(np.array([0] * 44 + [1] * 23))
    assert found == {0: 67 / (2 * 44), 1: 67 / (2 * 23)}
    assert [type(k) for k in found] == [int, int] and [type(w) for w in found.values()] == [float, float]


def test_one_class_alone_cannot_be_weighed():
    with pytest.raises(UserError, match=r"two classes; found 3 slices of class \[1\] only"):
        splits.class_weights([1, 1, 1])


def test_an_optional_test_that_is_missing_or_lacks_a_class_leaves_training_and_validation():
    given = {"by": "stroke", "validation": 0.2, "seed": 0, "classes": "stroke", "test_optional": True}
    assert set(splits.split(table(), **given, test_part="session2")["split"]) == {"train", "validation"}
    assert set(splits.split(table(), **given, test_part="session1")["split"]) == {"train", "validation"}, "one class"
    slices = table()
    slices.loc[slices.index[-5:], "stroke"] = 1
    assert (splits.split(slices, **given, test_part="session1")["split"] == "test").sum() == 10
    with_test, without = (splits.split(s, **given, test_part="session1") for s in (slices, table()))
    assert list(splits.parts(with_test, "session1")) == ["validation", "session1"]
    assert list(splits.parts(without, "session1")) == ["validation"]
    assert with_test[splits.parts(with_test, "session1")["session1"]]["part"].unique().tolist() == ["session1"]
