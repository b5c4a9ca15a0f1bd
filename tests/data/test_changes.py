"""Changed slices and what makes a slice hard: known answers on drawn squares."""

from types import SimpleNamespace

import numpy as np
import pytest

from stroke_utils.data import causes, changes, dicom
from stroke_utils.data.opening import TISSUES, drawn_tissue, open_cohort
from stroke_utils.data.pixels import read_rgb


def slice_of(levels=100, side=200):
    """Brain in the middle of a window of ``levels`` HU, bone to the left, air to the right."""
    grey = np.full((side, side), 255 // 2, np.uint8)
    comb = np.round(np.arange(levels) * 255 / (levels - 1)).astype(np.uint8)
    grey[: len(comb) // 10, :] = np.resize(comb, (len(comb) // 10, side))  # so that all levels occur
    grey[:, :20], grey[:, -20:] = 255, 0
    return np.repeat(grey[..., None], 3, axis=-1)


def test_noise_is_in_hounsfield_units_and_spares_air_and_bone():
    picture = slice_of(levels=100)
    noisy = changes.noisier(picture, 4, seed=1)
    assert (noisy[:, :20] == 255).all() and (noisy[:, -20:] == 0).all()
    middle = noisy[50:150, 50:150, 0].astype(float)
    assert middle.std() == pytest.approx(4 * 255 / 99, rel=0.05) and middle.mean() == pytest.approx(127, abs=0.5)
    assert (changes.noisier(picture, 4, 1) == noisy).all() and (changes.noisier(picture, 4, 2) != noisy).any()
    assert (noisy[..., 0] == noisy[..., 2]).all() and (changes.noisier(picture, 0) == picture).all()


def test_turning_a_quarter_moves_the_left_edge_to_another_and_keeps_the_size():
    picture = np.zeros((60, 60, 3), np.uint8)
    picture[:, :10] = 200
    turned = changes.turned(picture, 90)
    assert turned.shape == picture.shape and (turned == 200).sum() == (picture == 200).sum()
    assert (turned[:10] == 200).all() or (turned[-10:] == 200).all()


@pytest.fixture(scope="module")
def cohort():
    return open_cohort(size="tiny", quiet=True)


def test_a_window_is_made_from_the_dicom_file(cohort):
    row = next(cohort.slices.dropna(subset=["dicom"]).itertuples())
    narrow = changes.windowed(row, 40, 40)
    hounsfield = dicom.read_hounsfield(row.dicom)
    assert narrow.shape == (*hounsfield.shape, 3)
    assert (narrow[hounsfield <= 20] == 0).all() and (narrow[hounsfield >= 60] == 255).all()
    assert len(np.unique(narrow)) == 40


def test_windows_need_dicom_files(cohort):
    session = cohort.slices[cohort.slices["part"] == "session1"]
    assert changes.possible(session) == list(changes.CHANGES)
    without = session.assign(dicom=None)
    assert [name for name in changes.CHANGES if name not in changes.possible(without)] == [
        "narrow window, 40 HU",
        "wide window, 200 HU",
    ]
    row = next(session.itertuples())
    for name in changes.possible(session):
        assert changes.CHANGES[name](row).shape == (row.height, row.width, 3), name
    assert (changes.CHANGES["as it is"](row) == read_rgb(row.png)).all()


def test_contrast_is_in_hounsfield_units():
    picture = slice_of(levels=100)
    classes = np.zeros(picture.shape[:2], np.uint8)
    classes[80:120, 80:120] = 1
    picture[80:120, 80:120] = round(127 - 8 * 255 / 99)
    found = causes.visibility(picture, classes)
    assert found["pixels"] == 1600 and found["contrast"] == pytest.approx(-8, abs=0.3)  # a grey is a whole number
    picture[80:120, 80:120] = 255  # beyond the window: nothing can be compared
    assert np.isnan(causes.visibility(picture, classes)["contrast"])


@pytest.mark.parametrize(
    ("pixels", "contrast", "cause"),
    [
        (causes.SMALL - 1, 20, "small"),
        (causes.SMALL, -causes.FAINT + 0.1, "faint"),
        (10, 1, "small and faint"),
        (causes.SMALL, -causes.FAINT, "neither small nor faint"),
        (causes.SMALL, np.nan, "neither small nor faint"),
    ],
)
def test_causes_of_misses(pixels, contrast, cause):
    assert causes.of_miss(pixels, contrast) == cause


def test_causes_of_false_alarms():
    tissue = np.zeros((50, 50), np.uint8)
    assert causes.of_false_alarm(tissue, TISSUES) == "nothing like a lesion"
    tissue[:20, :20] = TISSUES.index("old infarct")
    assert causes.of_false_alarm(tissue, TISSUES) == "old infarct"
    tissue[30:, 30:] = TISSUES.index("calcium")
    assert causes.of_false_alarm(tissue, TISSUES) == "old infarct and calcium"
    assert causes.of_false_alarm(None, TISSUES) == "unknown"


def test_the_phantom_says_what_it_drew(cohort):
    stroke = cohort.slices[cohort.slices["label"] == "hemorrhage"].iloc[0]
    none = cohort.slices[cohort.slices["label"] == "none"].iloc[0]
    found = drawn_tissue(cohort, [stroke["slice_id"], none["slice_id"]])
    assert set(found) == {stroke["slice_id"], none["slice_id"]}
    truth = read_rgb(cohort.true_masks / f"{stroke['slice_id']}.png")[..., 0]
    assert ((found[stroke["slice_id"]] == TISSUES.index("hemorrhage")) == (truth == 2)).all()
    assert not np.isin(found[none["slice_id"]], [1, 2]).any()
    assert (found[none["slice_id"]] == TISSUES.index("fluid")).any()


def test_nobody_knows_of_real_data_or_another_phantom():
    for origin in ({}, {"phantom": True, "spec_version": 1, "size": "tiny", "seed": 0, "shortcut": False}):
        assert drawn_tissue(SimpleNamespace(origin=origin), ["10000"]) == {}
