"""The phantom cohort: files, pixel rules, DICOM, reproducibility, and that no trick tells stroke from none."""

import hashlib
import json
import shutil
import threading
import time
import unicodedata

import numpy as np
import pandas as pd
import pydicom
import pytest
from PIL import Image
from scipy import ndimage
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from stroke_utils.base import errors, files, vocabulary
from stroke_utils.course.commands import main
from stroke_utils.data import dicom, open_cohort
from stroke_utils.phantom import SIZES, PhantomSpec, anatomy, make_phantom, phantom_folder, skull, window, writer
from stroke_utils.phantom.lesions import draw_lesion, stamp
from stroke_utils.phantom.measure import find_head, measure_slice
from stroke_utils.phantom.render import draw_slice
from stroke_utils.phantom.spec import plan

SPEC = PhantomSpec()
FOLDERS = {
    "İskemi Veri Seti/DICOM": ".dcm",
    "İskemi Veri Seti/PNG": ".png",
    "İskemi Veri Seti/OVERLAY": ".png",
    "Kanama Veri Seti/DICOM": ".dcm",
    "Kanama Veri Seti/PNG": ".png",
    "Kanama Veri Seti/OVERLAY": ".png",
    "İnme Yok_kronik süreç_diğer Veri Set_PNG": ".png",
    "YarısmaVeriSeti_1.Oturum/Test Veri Seti_1/PNG": ".png",
    "YarısmaVeriSeti_1.Oturum/Test Veri Seti_1/DICOM": ".dcm",
    "YarısmaVeriSeti_2_Oturum/DICOM": ".dcm",
    "YarısmaVeriSeti_2_Oturum/MASKS": ".png",
    "YarısmaVeriSeti_2_Oturum/OVERLAY": ".png",
    "YarısmaVeriSeti_2_Oturum/PNG": ".png",
}

TYPE_2 = [
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
    "StudyID",
    "AccessionNumber",
    "SeriesNumber",
    "PositionReferenceIndicator",
    "Manufacturer",
    "SliceThickness",
    "KVP",
    "AcquisitionNumber",
    "InstanceNumber",
]

TYPE_1 = [
    "ImageType",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "FrameOfReferenceUID",
    "Modality",
    "PatientPosition",
    "PixelSpacing",
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "RescaleSlope",
    "RescaleIntercept",
]


def pixels(path):
    return np.asarray(Image.open(path))


def pictures(root):
    """All original PNGs of a cohort, by slice id."""
    return {path.stem: path for path in sorted(root.rglob("*.png")) if path.parent.name.endswith("PNG")}


def overlays(root):
    """(id, original, overlay, true mask) of every slice with an overlay."""
    found = pictures(root)
    for path in sorted(root.glob("*/OVERLAY/*.png")):
        yield path.stem, pixels(found[path.stem]), pixels(path), pixels(root / "TRUE_MASKS" / path.name)


def digests(root):
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


# Files


def test_folders_names_and_stems(tiny_phantom):
    for folder, suffix in FOLDERS.items():
        assert folder == unicodedata.normalize("NFC", folder)
        held = [path for path in (tiny_phantom / folder).iterdir() if path.is_file()]
        assert held and {path.suffix for path in held} == {suffix}, folder
        assert all(len(path.stem) == 5 and 10000 <= int(path.stem) <= 17033 for path in held)
    for group in ("İskemi Veri Seti", "Kanama Veri Seti", "YarısmaVeriSeti_2_Oturum"):
        stems = [{path.stem for path in kind.iterdir()} for kind in (tiny_phantom / group).iterdir()]
        assert all(one == stems[0] for one in stems)
    known = {*FOLDERS, "TRUE_MASKS"}
    folders = {
        path.relative_to(tiny_phantom).as_posix()
        for path in tiny_phantom.rglob("*")
        if path.is_dir() and any(child.is_file() and child.suffix in (".png", ".dcm") for child in path.iterdir())
    }
    assert folders == known


def test_counts_labels_and_true_masks(tiny_phantom):
    found = pictures(tiny_phantom)
    assert len(found) == sum(sum(classes.values()) for classes in SIZES["tiny"].values())
    answers = (tiny_phantom / "YarısmaVeriSeti_1.Oturum/Test Veri Seti_1/ASAMA1_Cevaplar.txt").read_bytes()
    assert answers.startswith("Image Id\tİnme Var mı?\r\n".encode()) and answers.endswith(b"\r\n")
    rows = [line.split("\t") for line in answers.decode().split("\r\n")[1:-1]]
    session = {path.stem for path in found.values() if "Test Veri Seti_1" in str(path)}
    assert {stem for stem, _ in rows} == session and len(rows) == len(session)
    truth = {path.stem for path in (tiny_phantom / "TRUE_MASKS").iterdir()}
    assert {stem for stem, stroke in rows if stroke == "1"} == truth & session
    lesions = SIZES["tiny"]
    assert len(truth) == sum(count for part in lesions.values() for label, count in part.items() if label != "none")
    for stem in truth:
        mask = Image.open(tiny_phantom / "TRUE_MASKS" / f"{stem}.png")
        assert mask.mode == "L" and mask.size == Image.open(found[stem]).size
        values = set(np.unique(np.asarray(mask)).tolist())
        assert values in ({0, 1}, {0, 2})
        assert (np.asarray(mask) > 0).sum() >= 90


def test_patients_belong_to_one_part_and_class(tiny_phantom):
    table = pd.read_csv(tiny_phantom / "patients.csv", dtype=str)
    assert list(table.columns) == ["slice_id", "patient"] and table.slice_id.is_unique
    found = pictures(tiny_phantom)
    assert set(table.slice_id) == set(found)
    table["folder"] = [found[stem].parent.parent.name + found[stem].parent.name for stem in table.slice_id]
    assert (table.groupby("patient").folder.nunique() == 1).all()
    assert table.groupby("patient").size().between(3, 8).all()


def test_dataset_json(tiny_phantom):
    record = json.loads((tiny_phantom / "DATASET.json").read_text(encoding="utf-8"))
    assert record["phantom"] is True and record["size"] == "tiny" and record["seed"] == 0
    assert record["true_masks"] == "TRUE_MASKS" and record["spec_version"] == writer.SPEC_VERSION


def test_session_2_masks_are_the_truth_in_colour(tiny_phantom):
    for path in (tiny_phantom / "YarısmaVeriSeti_2_Oturum/MASKS").iterdir():
        mask, truth = pixels(path), pixels(tiny_phantom / "TRUE_MASKS" / path.name)
        assert mask.ndim == 3 and mask.shape[2] == 3
        for value, name in enumerate(vocabulary.MASK_CLASSES):
            assert (mask[truth == value] == vocabulary.MASK_COLOURS[name]).all()


# Pixels


def test_pictures_are_opaque_grey_with_the_windows_levels(tiny_phantom):
    marked = odd = 0
    for path in pictures(tiny_phantom).values():
        picture = pixels(path)
        assert picture.dtype == np.uint8 and picture.shape[2] == 4 and (picture[..., 3] == 255).all()
        marker = (picture[..., :3] == vocabulary.MARKER_COLOUR).all(axis=2)
        rest = picture[~marker]
        assert (rest[:, 0] == rest[:, 1]).all() and (rest[:, 0] == rest[:, 2]).all()
        levels = set(np.unique(rest[:, 0]).tolist())
        widths = [w for w in SPEC.window_widths if levels <= set(np.round(np.arange(w) * 255 / (w - 1)).astype(int))]
        assert any(w - 3 <= len(levels) <= w for w in widths)
        marked += marker.any()
        odd += picture.shape[:2] != (512, 512)
    assert marked >= 1 and odd >= 1


def test_window_by_hand():
    hu = np.array([[-1000, -5, -4, 0, 40, 73, 74, 75, 3000]], np.int16)
    assert window(hu, 80, -5).tolist() == [[0, 0, 3, 16, 145, 252, 255, 255, 255]]


def test_the_phantom_and_the_reader_of_dicom_have_one_window():
    hu = np.arange(-1100, 3100, dtype=np.int16)
    for width in range(2, 400):  # the phantom imports no reader, so that each has a window of its own
        for low in (-40, 0, 7):
            assert (window(hu, width, low) == dicom.window(hu, low + width / 2, width)).all(), (width, low)


def test_png_follows_from_dicom(tiny_phantom):
    found, seen = pictures(tiny_phantom), 0
    for path in sorted(tiny_phantom.rglob("*.dcm")):
        data = pydicom.dcmread(path)
        hu = data.pixel_array.astype(np.int32) * int(data.RescaleSlope) + int(data.RescaleIntercept)
        width = int(data.WindowWidth)
        low = float(data.WindowCenter) - width / 2
        assert low == int(low) and width in SPEC.window_widths
        # The standard's own words: ((x - (c - 0.5)) / (w - 1) + 0.5) * 255, clipped, here rounded half up.
        standard = ((hu - (float(data.WindowCenter) - 0.5)) / (width - 1) + 0.5) * 255
        expected = np.floor(np.clip(standard, 0, 255) + 0.5 + 1e-9).astype(np.uint8)
        assert (expected == window(hu, width, int(low))).all()
        picture = pixels(found[path.stem])
        marker = (picture[..., :3] == vocabulary.MARKER_COLOUR).all(axis=2)
        assert (picture[..., 0][~marker] == expected[~marker]).all()
        assert hu.min() >= -1024 and hu.max() > 400
        seen += 1
    assert seen == 30


def test_dicoms_are_ct_images_of_anonymous_patients(tiny_phantom):
    table = pd.read_csv(tiny_phantom / "patients.csv", dtype=str).set_index("slice_id").patient
    rows = []
    for path in sorted(tiny_phantom.rglob("*.dcm")):
        data = pydicom.dcmread(path)
        assert data.SOPClassUID == data.file_meta.MediaStorageSOPClassUID == pydicom.uid.CTImageStorage
        assert data.SOPInstanceUID == data.file_meta.MediaStorageSOPInstanceUID
        for name in TYPE_1:
            assert data[name].value not in (None, ""), name
        for name in TYPE_2:
            assert name in data, name
        assert data.Modality == "CT" and data.PatientIdentityRemoved == "YES"
        assert data.PixelRepresentation == 1 and data.pixel_array.dtype == np.int16
        assert data.PatientID == table[path.stem]
        assert all(len(value) <= 64 for value in (data.SOPInstanceUID, data.StudyInstanceUID))
        rows.append(
            (data.PatientID, data.StudyInstanceUID, data.SeriesInstanceUID, data.SOPInstanceUID,
             int(data.InstanceNumber), float(data.ImagePositionPatient[2]))
        )  # fmt: skip
    frame = pd.DataFrame(rows, columns=["patient", "study", "series", "image", "number", "z"])
    assert frame.image.is_unique
    assert (frame.groupby("patient")[["study", "series"]].nunique() == 1).all(axis=None)
    assert frame.study.nunique() == frame.patient.nunique()
    for _, group in frame.groupby("patient"):
        group = group.sort_values("number")
        assert group.number.tolist() == list(range(1, len(group) + 1)) and group.z.is_monotonic_increasing


def test_overlay_paints_exactly_the_true_region(tiny_phantom):
    classes, gaps = set(), 0
    for stem, original, painted, truth in overlays(tiny_phantom):
        value = int(truth.max())
        label = vocabulary.MASK_CLASSES[value]
        classes.add(value)
        region = truth > 0
        assert ((original != painted).any(axis=2) == region).all(), stem
        grey = original[..., 0].astype(float)
        red, rest = grey, grey
        for _ in range(value):
            red, rest = np.floor((255 * 128 + 127 * red) / 255 + 0.5), np.floor(127 * rest / 255 + 0.5)
        fill = np.stack([red, rest, rest], axis=2)
        border = region & ~ndimage.binary_erosion(region)
        colours = painted[..., :3].astype(int)
        assert (colours[region & ~border] == fill[region & ~border]).all()
        first, second = ((colours == colour).all(axis=2) & border for colour in vocabulary.BORDER_COLOURS[label])
        assert first.any() and second.any()
        open_ = border & ~first & ~second
        assert (colours[open_] == fill[open_]).all()
        if label == "hemorrhage":
            assert not open_.any()
        gaps += open_.any()
        assert open_.sum() <= 0.04 * border.sum() + 1
        assert (painted[..., 3] == 255).all()
    assert classes == {1, 2}


# Sizes and reproducibility


@pytest.mark.parametrize("size", ["quick", "paper"])
def test_plan_counts(size):
    patients = plan(size, 0, SPEC)
    rows = [(p.part, p.label, s) for p in patients for s in p.slices]
    for part, classes in SIZES[size].items():
        for label, count in classes.items():
            assert sum(1 for r in rows if r[:2] == (part, label)) == count
    assert all(3 <= len(p.slices) <= 8 for p in patients)
    assert len({s.slice_id for _, _, s in rows}) == len(rows)
    assert len({p.number for p in patients}) == len(patients)
    assert 0.02 <= np.mean([s.shape != (512, 512) for _, _, s in rows]) <= 0.04
    assert max(s.shape[1] for _, _, s in rows) <= 611
    if size == "paper":
        assert len(rows) == 6951


def test_same_bytes_for_any_number_of_workers(tiny_phantom, tmp_path):
    together = make_phantom(tmp_path / "together", "tiny", 0, quiet=True, workers=2)
    assert digests(together) == digests(tiny_phantom), "which one process alone has drawn"


def test_seeds_differ():
    first, second = (plan("tiny", seed, SPEC)[0] for seed in (0, 1))
    assert first.slices[0].slice_id != second.slices[0].slice_id
    one, two = (draw(plan("tiny", 0, SPEC)[0], seed=seed) for seed in (0, 1))
    assert (one.hu != two.hu).mean() > 0.1


def draw(planned, index=0, seed=0, shortcut=False):
    patient = writer.patient_of(planned, seed, SPEC, shortcut)
    lesion = draw_lesion(seed, planned.number, planned.label, patient, SPEC)
    return draw_slice(patient, planned, planned.slices[index], lesion, seed, SPEC)


def test_spec_is_frozen():
    """Raise SPEC_VERSION and store the new numbers if the drawing was changed on purpose."""
    patients = plan("tiny", 0, SPEC)
    assert EXPECTED["version"] == writer.SPEC_VERSION
    for label, numbers in EXPECTED["slices"].items():
        planned = next(p for p in patients if p.label == label)
        drawn = draw(planned)
        found = [float(drawn.grey.mean()), float((drawn.truth > 0).sum())]
        found += [float(block.mean()) for block in np.array_split(drawn.grey[200:320, 120:400], 4, axis=1)]
        assert found == pytest.approx(numbers, rel=0.01, abs=0.6), label


def test_low_slices_are_frozen_too():
    """The skull base is drawn by code that the slices above may not reach."""
    patient = writer.patient_of(plan("tiny", 0, SPEC)[0], 0, SPEC)
    for height, expected in EXPECTED["low"].items():
        head = anatomy.build(patient, height, (512, 512))
        skull.add_skull_base(head)
        grey = window(head.compose(), 100, -10).astype(float)
        rows = np.array_split(grey[head.crop], 5, axis=0)
        assert [float(part.mean()) for part in rows] == pytest.approx(expected, rel=0.004, abs=0.2), height


@pytest.mark.parametrize("label", ["ischemia", "hemorrhage"])
def test_lesion_without_room_moves_into_the_brain(label):
    planned = next(p for p in plan("quick", 0, SPEC) if p.label == label)
    patient = writer.patient_of(planned, 0, SPEC)
    lesion = draw_lesion(0, planned.number, label, patient, SPEC)
    lesion.kind, lesion.centre, lesion.satellites, lesion.flooded = "blob", (150.0, 0.0), (), 0
    head = anatomy.build(patient, 60.0, (512, 512))
    lesion.middle = 60.0
    region = stamp(head, lesion)
    assert region.sum() >= 90 and (head.inside[region] > 0.5).all()


def test_measure_finds_known_noise_and_contrast():
    generator = np.random.default_rng(0)
    rows, columns = np.mgrid[:512, :512] - 256
    away = np.hypot(rows, columns)
    picture = np.where(away < 180, 100 + generator.normal(0, 9, away.shape), 0)
    region = np.hypot(rows - 60, columns) < 25
    picture[region] += 60
    picture[(away >= 180) & (away < 200)] = 255
    numbers = measure_slice(np.clip(picture.round(), 0, 255).astype(np.uint8), region)
    assert numbers["noise_sd"] == pytest.approx(9, rel=0.1)
    assert abs(numbers["noise_lag1"]) < 0.08 and abs(numbers["noise_lag2"]) < 0.08
    assert numbers["lesion_contrast"] == pytest.approx(60, abs=2)
    assert numbers["head_fraction"] == pytest.approx(np.pi * 200**2 / 512**2, rel=0.02)
    assert numbers["skull_saturation"] == pytest.approx(1 - 0.9**2, rel=0.05)
    assert numbers["brain_grey"] == pytest.approx(100, abs=2)


# Errors


def test_existing_target_is_left_alone(tmp_path):
    target = tmp_path / "mine"
    target.mkdir()
    (target / "notes.txt").write_text("keep")
    with pytest.raises(errors.UserError, match="exists already"):
        make_phantom(target, "tiny", 0, quiet=True)
    assert (target / "notes.txt").read_text() == "keep"
    assert main(["phantom", "--out", str(target), "--size", "tiny"]) == 2


def test_unknown_size():
    with pytest.raises(errors.UserError, match="tiny, quick, paper"):
        make_phantom("anywhere", "huge")


def test_disk_without_room(tmp_path, monkeypatch):
    class Full:
        f_bavail, f_frsize = 1000, 4096

    monkeypatch.setattr(writer.os, "statvfs", lambda path: Full)
    with pytest.raises(errors.UserError, match="4 MB left"):
        make_phantom(tmp_path / "new", "tiny", 0, quiet=True)
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]


def test_disk_that_fills_up_on_the_way(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writer, "_save", full)
    with pytest.raises(errors.UserError, match="No space left"):
        make_phantom(tmp_path / "new", "tiny", 0, quiet=True, workers=1)
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]


def test_second_maker_waits(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(writer, "_write_all", lambda *_: [])
    target, started = tmp_path / "shared", threading.Event()

    def second():
        started.set()
        make_phantom(target, "tiny", 0, quiet=True)

    with files.lock(target, "the phantom"):
        thread = threading.Thread(target=second)
        thread.start()
        started.wait()
        time.sleep(0.3)
        assert not target.exists()
    thread.join(20)
    assert (target / "DATASET.json").is_file() and "waiting" in capsys.readouterr().out


def test_a_notebook_that_waited_uses_what_the_first_maker_made(tiny_phantom, tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("STROKE_DATA", raising=False)
    monkeypatch.setenv("STROKE_HOME", str(tmp_path))
    folder, found = writer.phantom_folder("tiny", 0), []
    thread = threading.Thread(target=lambda: found.append(open_cohort(size="tiny", quiet=True)))
    with files.lock(folder, "the phantom"):  # held by whoever is drawing the very same phantom
        thread.start()
        time.sleep(0.3)
        shutil.copytree(tiny_phantom, folder)
        made = (folder / "DATASET.json").stat().st_mtime_ns
    thread.join(60)
    assert len(found[0].slices) == 42 and "waiting" in capsys.readouterr().out
    assert (folder / "DATASET.json").stat().st_mtime_ns == made


def test_command_line_says_where_and_how_much(tiny_phantom, tmp_path, monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(writer, "make_phantom", lambda *given, **more: asked.append(given) or tiny_phantom)
    words = ["phantom", "--out", str(tmp_path / "cohort"), "--size", "tiny", "--seed", "3", "--quiet"]
    assert main(words) == 0 and asked == [(str(tmp_path / "cohort"), "tiny", 3, True)]
    said = capsys.readouterr().out
    count = sum(path.is_file() for path in tiny_phantom.rglob("*"))
    assert said.startswith(f"{tiny_phantom}: {count} files, ") and "MB" in said


# What a trick could learn, on the quick cohort


@pytest.fixture(scope="module")
def quick():
    """Numbers of every other slice of the quick phantom, which the notebooks' tests need as well."""
    folder = phantom_folder("quick", 0)
    if not folder.exists():
        make_phantom(folder, "quick", 0)
    patients = pd.read_csv(folder / "patients.csv", dtype=str).set_index("slice_id").patient
    rows = []
    for stem, path in list(pictures(folder).items())[::2]:  # ids say nothing of class or patient
        picture = pixels(path)
        marker = picture[..., 0] != picture[..., 1]
        grey = np.where(marker, 0, picture[..., 0]).astype(np.uint8)
        shares = [
            (grey == 0).mean(),
            (grey < 30).mean(),
            (grey > 150).mean(),
            (grey > 200).mean(),
            (grey == 255).mean(),
        ]
        percentiles = np.percentile(grey, [5, 25, 50, 60, 70, 75, 80, 85, 90, 95])
        outside = Image.fromarray(np.where(find_head(grey), 0, grey).astype(np.uint8)).resize((32, 32), Image.BOX)
        truth = folder / "TRUE_MASKS" / f"{stem}.png"
        mask = pixels(truth) if truth.exists() else None
        rows.append(
            {
                "patient": patients[stem],
                "label": 0 if mask is None else int(mask.max()),
                "area": 0 if mask is None else int((mask > 0).sum()),
                "global": np.array([grey.mean(), grey.std(), *percentiles, *shares]),
                "outside": np.asarray(outside, float).ravel(),
                "file": np.array([len(np.unique(grey)), *grey.shape, marker.any(), path.stat().st_size], float),
                "path": path,
                "mask": truth,
            }
        )
    return pd.DataFrame(rows)


def linear():
    return make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=3000))


def forest():
    return RandomForestClassifier(200, random_state=0, n_jobs=-1)


def guesses(table, column, model):
    """Stroke probability of each slice from a model that never saw its patient."""
    x, y = np.stack(table[column]), (table.label > 0).astype(int)
    return y, cross_val_predict(model, x, y, groups=table.patient, cv=GroupKFold(5), method="predict_proba")[:, 1]


def test_global_grey_statistics_do_not_tell_stroke(quick):
    y, p = guesses(quick, "global", linear())
    assert balanced_accuracy_score(y, p > 0.5) < 0.80


@pytest.mark.parametrize("model", [linear, forest])
@pytest.mark.parametrize("column", ["outside", "file"])
def test_nothing_beside_the_brain_tells_stroke(quick, column, model):
    y, p = guesses(quick, column, model())
    assert abs(roc_auc_score(y, p) - 0.5) < 0.10


def test_lesion_areas_cover_the_real_range(quick):
    area = quick.area[quick.label > 0]
    assert area.between(500, 9000).mean() > 0.75
    assert area.min() < 1443 and area.quantile(0.95) > 7287


def test_a_fifth_of_the_ischemias_is_fainter_than_the_noise(quick):
    rows = quick[quick.label == 1].iloc[::2]
    numbers = pd.DataFrame([measure_slice(pixels(r.path), pixels(r.mask) > 0) for r in rows.itertuples()])
    assert (numbers.lesion_contrast.abs() < numbers.noise_sd).mean() >= 0.20
    assert numbers.lesion_contrast.median() < -8


def test_planted_shortcut_is_seen_outside_the_head():
    rows = []
    for planned in [p for p in plan("quick", 0, SPEC) if p.part == "train"][::6]:
        grey = draw(planned, shortcut=True).grey
        outside = Image.fromarray(np.where(find_head(grey), 0, grey).astype(np.uint8)).resize((32, 32), Image.BOX)
        rows.append((planned.number, int(planned.label != "none"), np.asarray(outside, float).ravel()))
    table = pd.DataFrame(rows, columns=["patient", "label", "outside"])
    assert roc_auc_score(*guesses(table, "outside", forest())) > 0.9


EXPECTED = {
    "version": 4,
    "slices": {
        "none": [53.11, 0, 112.945, 111.04, 111.188, 146.11],
        "ischemia": [54.162, 2128, 148.886, 101.031, 104.264, 126.524],
        "hemorrhage": [94.495, 3831, 194.216, 174.411, 178.523, 175.623],
    },
    "low": {2.0: [24.831, 82.418, 97.137, 81.309, 20.102], 14.0: [23.549, 84.376, 93.921, 78.409, 35.045]},
}
