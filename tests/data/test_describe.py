"""What is said of a cohort, on masks and slices whose answer is known beforehand."""

import dataclasses

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from stroke_utils import figures
from stroke_utils.data import class_masks, describe, masks
from stroke_utils.data.cohort import read_cohort


def png(path, rgb) -> str:
    Image.fromarray(np.uint8(rgb)).save(path)
    return str(path)


def class_mask(path, classes) -> str:
    masks.write_class_mask(path, np.uint8(classes))
    return str(path)


def test_grey_histograms_count_neither_black_white_nor_markers(tmp_path):
    rgb = np.zeros((10, 10, 3))
    rgb[:, 1:4], rgb[:, 4], rgb[:, 5], rgb[0, 6:] = 100, 12, 255, (255, 0, 255)
    slices = pd.DataFrame({"slice_id": ["a", "b"], "label": ["none", "ischemia"]})
    slices["png"] = [png(tmp_path / "a.png", rgb), png(tmp_path / "b.png", np.zeros((4, 4, 3)))]
    table = describe.grey_histograms(slices, quiet=True)
    assert table.loc[("a", "none"), [96, 8]].tolist() == [0.75, 0.25] and table.loc[("a", "none")].sum() == 1
    assert table.loc[("b", "ischemia")].isna().all()
    axis = figures.grey_histograms(table)
    assert [line.get_label() for line in axis.lines] == ["none", "ischemia"]


def test_lesions_are_measured_by_type(tmp_path):
    classes = np.zeros((50, 100))
    classes[10:14, 20:30], classes[40, 90] = 1, 1
    classes[30:32, 60:62] = 2
    table = pd.DataFrame({"slice_id": ["a", "b"], "class_mask": [class_mask(tmp_path / "a.png", classes), None]})
    found = describe.lesions(table, quiet=True).set_index("type")
    assert found["pixels"].to_dict() == {"ischemia": 41, "hemorrhage": 4}
    assert found["components"].to_dict() == {"ischemia": 2, "hemorrhage": 1}
    assert found.loc["hemorrhage", ["x", "y", "percent"]].tolist() == pytest.approx([0.61, 0.62, 0.08])
    bars = figures.lesion_sizes(found.reset_index()).patches
    assert len(bars) == 4


def test_location_maps_are_shares_of_a_types_slices(tmp_path):
    one, two, three = np.zeros((3, 64, 64))
    one[:32], two[:32, :32], three[32:] = 1, 1, 2
    rows = [(name, class_mask(tmp_path / f"{name}.png", c)) for name, c in zip("abc", (one, two, three), strict=True)]
    table = pd.DataFrame(rows, columns=["slice_id", "class_mask"])
    grey = {
        name: png(tmp_path / f"{name}-slice.png", np.full((64, 64, 3), v))
        for name, v in zip("abc", (10, 30, 90), strict=True)
    }
    maps = describe.location_maps(pd.DataFrame({"slice_id": list(grey), "png": list(grey.values())}), table, side=8)
    share, mean, n = maps["ischemia"]
    assert n == 2 and share[0, 0] == 1 and share[0, 7] == 0.5 and share[7, 0] == 0 and (mean == 20).all()
    assert maps["hemorrhage"][2] == 1 and maps["hemorrhage"][0][7, 7] == 1
    assert [a.get_title() for a in figures.location_maps(maps)] == [
        "ischemia, 2 slices",
        "hemorrhage, 1 slices",
    ]


def test_the_data_sheet_says_what_was_counted(tiny_phantom, monkeypatch, tmp_path):
    monkeypatch.setenv("STROKE_DERIVED", str(tmp_path))
    cohort = read_cohort(tiny_phantom, quiet=True)
    areas = describe.lesions(class_masks.write_class_masks(cohort, quiet=True), quiet=True)
    groups = cohort.slices.assign(exact_group=pd.NA, near_group=pd.NA)
    groups.loc[[0, 1], "near_group"] = 0
    sheet = describe.data_sheet(cohort, areas, groups)
    levels = cohort.facts["grey_levels"].dropna().tolist()
    assert f"**Windows** {min(levels)} to {max(levels)} grey levels" in sheet
    assert "phantom" in sheet and f"**Slices** {len(cohort.slices)}" in sheet and cohort.fingerprint in sheet
    assert "0 slices share their pixels with another, 2 nearly so" in sheet
    assert f"**Problems** not_square {cohort.problems['files'].sum()} files." in sheet
    of_type = areas.query("type == 'ischemia'")
    assert f"| ischemia | {len(of_type)} | {round(of_type['pixels'].median())} |" in sheet
    train = (cohort.slices["part"] == "train") & (cohort.slices["label"] == "none")
    assert f"| train | {train.sum()} |" in sheet
    real = describe.data_sheet(dataclasses.replace(cohort, origin={}), areas, groups)
    assert "phantom" not in real.replace(cohort.root.name, "") and "people" in real
