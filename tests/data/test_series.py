"""From files to a stack in anatomical order, and from masks to millilitres."""

import dataclasses
import os

import numpy as np
import pytest
from pydicom.dataset import Dataset

from stroke_utils.base.errors import UserError
from stroke_utils.data import dicom, series
from tests import scans
from tests.data.test_odd_dicom import ct, head

AXIAL = [1, 0, 0, 0, 1, 0]


def stack(folder, count=6, distance=5.0, directions=AXIAL, way=(0, 0, 1), **tags):
    """Write a series of small slices, the last first; ``tags`` may be functions of the slice's place from below."""
    usual = {"SeriesInstanceUID": "1.2.3", "PixelSpacing": [0.5, 0.5], "ImageOrientationPatient": directions}
    usual |= {"InstanceNumber": lambda k: k + 1, "ImagePositionPatient": lambda k: list(k * distance * np.array(way))}
    for k in range(count):
        given = {name: value(k) if callable(value) else value for name, value in (usual | tags).items()}
        ct(folder / f"{count - k:03d}.dcm", head(k), **{n: v for n, v in given.items() if v is not None})
    return folder


def only(folder):
    """Read a folder that holds one series."""
    (found,), aside = series.read_series(folder, quiet=True)
    return found, aside


def names(found):
    return [each.path.stem for each in found.slices]


def test_a_tilted_scan_of_shuffled_names_is_read_in_order(scan):
    found, aside = only(scan.folder)
    assert [each.path for each in found.slices] == [f for k, f in enumerate(scan.files) if k != scans.TORN]
    assert found.distance == pytest.approx(scans.DISTANCE, abs=1e-3)
    assert sorted((each.kind, each.path.name) for each in aside) == [
        ("broken", scan.files[scans.TORN].name),
        ("no CT slice", "IM90"),
        ("no CT slice", "IM91"),
        ("no DICOM", "README"),
    ]
    said = " ".join(each.reason for each in aside)
    assert "is truncated: " in said and said.count("a localizer (image type") == 2
    notes = " ".join(found.notes)
    assert "tilted by 20.0°" in notes and "leans by 20.0°" in notes
    assert "Slices are missing, or lie 6.0 mm apart and not 3.0 as most do" in notes


def test_volumes_of_the_scan_are_those_that_were_painted(scan):
    found, _ = only(scan.folder)
    masks = np.delete(scan.truth, scans.TORN, axis=0)
    measured = series.volumes(found, iter(masks))
    for value, name in enumerate(measured, 1):
        true = np.count_nonzero(scan.truth == value) * scans.PIXEL**2 * scans.DISTANCE / 1000
        assert true > 10 and measured[name] == pytest.approx(true, rel=0.05), name


def test_pixels_come_in_order_and_one_at_a_time(scan):
    found, _ = only(scan.folder)
    read = found.hounsfield()
    first, second = next(read), next(read)
    assert first.shape == scans.SHAPE and np.array_equal(second, dicom.read_hounsfield(scan.files[1]))


def test_a_ball_has_its_volume_in_leaning_slices_of_oblong_pixels(tmp_path):
    lean, radius, across = np.radians(25), 9.0, (0.6, 1.1)
    directions = [1, 0, 0, 0, np.cos(lean), np.sin(lean)]
    stack(tmp_path, 22, 1.2, directions, PixelSpacing=list(across))
    found, _ = only(tmp_path)
    assert found.distance == pytest.approx(1.2 * np.cos(lean))
    along, down = np.reshape(directions, (2, 3))
    row, column = np.mgrid[:40, :40]
    middle = 20 * across[1] * along + 20 * across[0] * down + np.array([0, 0, 1.2 * 10.5])
    masks = []
    for each in found.slices:
        places = np.array(each.corner) + column[..., None] * across[1] * along + row[..., None] * across[0] * down
        masks.append((np.linalg.norm(places - middle, axis=-1) <= radius).astype(np.uint8) * 2)
    measured = series.volumes(found, masks)
    assert measured["hemorrhage"] == pytest.approx(4 / 3 * np.pi * radius**3 / 1000, rel=0.02)
    assert measured["ischemia"] == 0


@pytest.mark.parametrize(
    ("directions", "way"),
    [
        (AXIAL, (0, 0, 1)),
        ([1, 0, 0, 0, -1, 0], (0, 0, 1)),
        ([0, 1, 0, 0, 0, -1], (1, 0, 0)),
        ([1, 0, 0, 0, 0, -1], (0, 1, 0)),
    ],
)
def test_the_order_is_from_the_feet_to_the_head_whatever_the_scanner_counts(tmp_path, directions, way):
    stack(tmp_path, 4, 5.0, directions, way, InstanceNumber=lambda k: 9 - k if k else 3)
    found, _ = only(tmp_path)
    assert names(found) == ["004", "003", "002", "001"] and found.distance == 5
    assert [each.position for each in found.slices] == [0, 5, 10, 15] and found.notes == ()


@pytest.mark.parametrize(
    "tags",
    [
        {"ImagePositionPatient": None},
        {"ImageOrientationPatient": None},
        {"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]},
        {"ImagePositionPatient": [0, 0, 7]},
        {"ImagePositionPatient": lambda k: [0, 0, 1e6 * (k + 1)]},
    ],
)
def test_the_scanners_count_is_a_fall_back_that_is_said(tmp_path, tags):
    stack(tmp_path, 5, InstanceNumber=lambda k: None if k == 1 else 10 - k, **tags)
    found, aside = only(tmp_path)
    assert names(found) == ["001", "002", "003", "005", "004"] and aside == []
    assert found.distance is None and found.extents() is None
    assert "The order is that of the instance numbers" in found.notes[0]
    assert series.volumes(found, [np.ones((40, 40))] * 5) == {"ischemia": None, "hemorrhage": None}


def test_series_sizes_directions_and_patients_are_kept_apart(tmp_path):
    stack(tmp_path / "a")
    stack(tmp_path / "b", 3, SeriesInstanceUID="1.2.4")
    stack(tmp_path / "c", 2, directions=[1, 0, 0, 0, 0, -1], way=(0, 1, 0))
    stack(tmp_path / "d", 2, PatientID="P9")
    place = {"ImagePositionPatient": [0, 0, 20], "ImageOrientationPatient": AXIAL, "PixelSpacing": [0.5, 0.5]}
    ct(tmp_path / "e" / "1.dcm", head(size=24), SeriesInstanceUID="1.2.4", **place)
    found, aside = series.read_series(tmp_path, quiet=True)
    assert [(each.uid, len(each)) for each in found] == [
        ("1.2.3", 6),
        ("1.2.3", 2),
        ("1.2.4", 3),
        ("1.2.4", 1),
        ("1.2.3", 2),
    ]
    assert ["another size or direction" in " ".join(each.notes) for each in found] == [True, True, True, True, False]
    assert aside == []


def test_files_that_name_no_series_go_by_their_folder(tmp_path):
    stack(tmp_path / "a", SeriesInstanceUID="")
    stack(tmp_path / "b", 3, SeriesInstanceUID="0")
    found, _ = series.read_series(tmp_path, quiet=True)
    assert [(each.uid, len(each)) for each in found] == [(None, 6), (None, 3)]
    assert all("those of one folder are taken for one" in each.notes[0] for each in found)


def test_doubles_gaps_and_odd_spacings_are_told(tmp_path):
    places = [0, 5, 5.01, 10, 15, 30, 35, 36, 41]
    stack(
        tmp_path,
        len(places),
        ImagePositionPatient=lambda k: [0, 0, places[k]],
        PixelSpacing=lambda k: [0.5 + 0.01 * (k == 4)] * 2,
    )
    found, aside = only(tmp_path)
    assert [each.position for each in found.slices] == [0, 5, 10, 15, 30, 35, 36, 41]
    assert [(each.kind, each.path.name) for each in aside] == [("double", "007.dcm")]
    assert aside[0].reason == "007.dcm lies where 008.dcm does, at 5.0 mm"
    notes = " ".join(found.notes)
    assert "1 slices lie where another does" in notes
    assert "lie 15.0 mm apart and not 5.0 as most do, between 005.dcm and 004.dcm" in notes
    assert "Other distances between slices vary from 1.0 to 5.0 mm" in notes
    assert "The pixel spacing varies from 0.500 to 0.510 mm" in notes
    assert found.extents().tolist() == [5, 5, 5, 10, 10, 3, 3, 5]


def test_volumes_need_a_spacing_and_masks_that_fit(tmp_path):
    stack(tmp_path / "a", 3, PixelSpacing=lambda k: None if k == 1 else [0.5, 0.5])
    stack(tmp_path / "b", 3, PixelSpacing=[0, 0.5])
    stack(tmp_path / "c", 1)
    empty = np.zeros((40, 40), np.uint8)
    for folder, unknown in (("a", "1 of 3 files state no"), ("b", "3 of 3 files state no"), ("c", "One slice alone")):
        found, _ = only(tmp_path / folder)
        assert set(series.volumes(found, [empty] * len(found)).values()) == {None}
        assert unknown in " ".join(found.notes)
    found = dataclasses.replace(found, slices=found.slices * 2)
    for masks in ([empty], [empty] * 3, [empty, empty[:30]]):
        with pytest.raises(ValueError):
            series.volumes(found, masks)


def test_places_of_enhanced_ct_stand_in_groups(tmp_path):
    for k in range(3):
        group = Dataset()
        for name, tag, value in (
            ("PixelMeasuresSequence", "PixelSpacing", [0.4, 0.4]),
            ("PlanePositionSequence", "ImagePositionPatient", [0, 0, 2 * (k - 1) ** 2 + k]),
            ("PlaneOrientationSequence", "ImageOrientationPatient", AXIAL),
        ):
            inside = Dataset()
            setattr(inside, tag, value)
            setattr(group, name, [inside])
        ct(tmp_path / f"{k}.dcm", head(k), PerFrameFunctionalGroupsSequence=[group], SeriesInstanceUID="1.2")
    found, _ = only(tmp_path)
    assert [each.position for each in found.slices] == [1, 2, 4] and names(found) == ["1", "0", "2"]
    assert found.slices[0].pixel == pytest.approx(0.16)


def test_one_file_is_a_series_and_nothing_is_a_message(tmp_path):
    stack(tmp_path, 2)
    found, _ = only(tmp_path / "001.dcm")
    assert len(found) == 1 and found.slices[0].position == 5
    (tmp_path / "empty").mkdir()
    assert series.read_series(tmp_path / "empty") == ([], [])
    with pytest.raises(UserError, match="nowhere is not there"):
        series.read_series(tmp_path / "nowhere")


def test_what_programs_leave_is_set_aside_and_links_are_followed_once(tmp_path):
    root = stack(tmp_path / "in", 2)
    good = (root / "001.dcm").read_bytes()
    for name in ("@eaDir/001.dcm/SYNOPHOTO_THUMB_M.png", "#recycle/9.dcm", "._001.dcm", "001 (1).dcm"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(good)
    ct(tmp_path / "elsewhere" / "a.dcm", head(), SeriesInstanceUID="1.2.9")
    (root / "a-link").symlink_to(tmp_path / "elsewhere")
    (root / "around").symlink_to(root)
    (root / "out").mkdir()
    (root / "out" / "x.dcm").write_bytes(good)
    found, aside = series.read_series(root, quiet=True, skipped=root / "out")
    assert [[each.path.name for each in one.slices] for one in found] == [["002.dcm", "001.dcm"], ["a.dcm"]]
    assert {each.path.name: each.kind for each in aside} == {
        "#recycle": "left over",
        "@eaDir": "left over",
        "._001.dcm": "left over",
        "001 (1).dcm": "double",
    }
    assert "001 (1).dcm is a copy of 001.dcm beside it" in [each.reason for each in aside]


def test_what_cannot_be_read_is_told(tmp_path):
    stack(tmp_path, 2)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "gone.dcm").symlink_to(tmp_path / "nowhere")
    (tmp_path / "empty.dcm").touch()
    ct(tmp_path / "damaged.dcm", ImagePositionPatient=[0, 0, 3])
    data = (tmp_path / "damaged.dcm").read_bytes()
    (tmp_path / "damaged.dcm").write_bytes(data[:-40])
    _, aside = only(tmp_path)
    assert {each.path.name: each.kind for each in aside} == {
        "damaged.dcm": "broken",
        "empty.dcm": "no DICOM",
        "gone.dcm": "no DICOM",
        "pipe": "no DICOM",
    }
    assert all(each.reason.startswith(each.path.name) for each in aside)
