"""Whatever a notebook opens the check has opened before it, and what would stop one was left out."""

import ast
import contextlib
import io
import json
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from PIL import Image
from pydicom import uid
from pydicom.encaps import encapsulate

from stroke_utils.base import vocabulary
from stroke_utils.base.errors import UserError
from stroke_utils.data import class_masks, dicom
from stroke_utils.data.cohort import read_cohort
from stroke_utils.evaluate import extractors
from tests.data.test_cohort import deep_damage
from tests.data.test_dicom import dataset
from tests.data.test_odd_dicom import ct, head
from tests.data.test_odd_png import insert_chunk

ROOT = Path(__file__).resolve().parents[2]

READERS = {
    "open_cohort": "the check itself",
    "read_cohort": "the check itself",
    "read_rgb": "checks._look_at decodes every PNG",
    "Image.open": "of class masks that write_class_masks wrote",
    "add_groups": "checks._look_at decodes every PNG",
    "grey_histograms": "checks._look_at decodes every PNG",
    "location_maps": "checks._look_at decodes every PNG",
    "lesions": "of class masks that write_class_masks wrote",
    "read_class_mask": "of class masks that write_class_masks wrote",
    "write_class_masks": "checks.check_pairs takes every overlay apart; notes what it can't write",
    "compare": "checks.check_pairs takes every overlay apart, checks.check_true_masks reads every true mask",
    "read_hounsfield": "checks.check_pairs decodes every DICOM",
    "tag_by_tag": "checks.check_pairs decodes every DICOM",
    "open_control": "of a phantom that it draws itself",
    "dcmread": "of a disc that notebook 11 draws itself",
    "confirm_window": "checks.check_pairs compares every DICOM with its PNG",
    **dict.fromkeys(
        (
            *("samples", "predictions_gallery", "failure_gallery", "segmentation_demo", "segment", "limits"),
            *("resized", "image_batches", "probabilities", "train_classifier", "augmentation_trials"),
            *("ensure_records", "choose_options", "lesion", "mass_inside", "table", "views", "cause_gallery"),
            *("audit", "small_pictures", "read_slices", "timed"),
        ),
        "checks._look_at decodes every PNG; class masks are those that write_class_masks wrote",
    ),
}
"""What notebooks call that reads a slice's files, and where the check has done the same before."""


def called(tree):
    """Names of what is called somewhere in a tree, or handed to `map`, `partial` or `in_threads`."""
    for node in (n for n in ast.walk(tree) if isinstance(n, ast.Call)):
        name, owner = _name(node.func)
        yield f"{owner}.{name}" if (owner, name) == ("Image", "open") else name
        if name in ("map", "partial", "in_threads") and node.args:
            yield _name(node.args[0])[0]


def _name(node):
    if isinstance(node, ast.Attribute):
        return node.attr, getattr(node.value, "id", "")
    return getattr(node, "id", ""), ""


def package_readers():
    """Names of the package's functions that decode an image or a DICOM, directly or through each other."""
    bodies = {}
    for wing in ("data", "evaluate", "figures", "learn"):
        for path in sorted((ROOT / "stroke_utils" / wing).glob("*.py")):
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.FunctionDef):
                    bodies.setdefault(node.name, set()).update(called(node))
    readers = {"Image.open", "read_dataset", "decode_png", "decode_image", "imread", "dcmread"}
    while more := {name for name, calls in bodies.items() if calls & readers} - readers:
        readers |= more
    return readers


def code_of(notebook):
    return [cell for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]


def test_every_reader_of_the_notebooks_has_its_check():
    readers, used = package_readers(), set()
    assert {"read_rgb", "confirm_window", "location_maps", "compare"} <= readers, "the walk finds known readers"
    for notebook in sorted((ROOT / "notebooks").glob("*.ipynb")):
        code = "\n".join("".join(cell["source"]) for cell in code_of(notebook))
        used |= {name for name in called(ast.parse(code)) if name in readers}
    new = used - READERS.keys()
    assert not new, f"{new}: let data.checks open these files the same way first, then name it in READERS"


@pytest.fixture
def good(tmp_path, monkeypatch):
    """Eight slices of each class with overlays and DICOMs, and masks in session 2: all is well."""
    monkeypatch.setenv("STROKE_DERIVED", str(tmp_path / "derived"))
    monkeypatch.setenv("STROKE_RESULTS", str(tmp_path / "results"))
    root = tmp_path / "data"
    for place, first in (("Normal", 10000), ("Ischemia", 10100), ("Bleeding", 10200), ("session2", 10300)):
        kind = {"Normal": None, "Ischemia": "ischemia"}.get(place, "hemorrhage")
        for number in range(first, first + 8):
            picture(root / place / "PNG" / f"{number}.png", number)
            if kind and place != "session2":
                paint(root / place / "OVERLAY" / f"{number}.png", number, kind)
                ct(root / place / "DICOM" / f"{number}.dcm", head(number))
            if place == "session2":
                mask = np.zeros((40, 40, 3), np.uint8)
                mask[10:20, 10:20] = vocabulary.MASK_COLOURS["hemorrhage"]
                save(root / place / "MASKS" / f"{number}.png", mask)
    return root


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.uint8(pixels)).save(path)


def grey(number):
    return np.repeat(dicom.window(head(number), 40, 80)[..., None], 3, axis=2)


def picture(path, number):
    save(path, np.dstack([grey(number), np.full((40, 40), 255)]))


def painted(number, kind, border=None):
    rgb = grey(number).astype(int)
    for _ in range(1 if kind == "ischemia" else 2):
        rgb[12:22, 14:24] = np.round((128 * np.array([255, 0, 0]) + 127 * rgb[12:22, 14:24]) / 255)
    rgb[12, 14:24] = rgb[21, 14:24] = border or vocabulary.BORDER_COLOURS[kind][0]
    return rgb


def paint(path, number, kind, border=None):
    save(path, painted(number, kind, border))


def saved_anew(path, number, kind):
    """An overlay that went through JPEG, whose border was drawn again."""
    buffer = io.BytesIO()
    Image.fromarray(np.uint8(painted(number, kind))).save(buffer, "JPEG", quality=80)
    rgb = np.array(Image.open(buffer))
    rgb[12, 14:24] = vocabulary.BORDER_COLOURS[kind][0]
    save(path, rgb)


def undecodable(path):
    data = dataset((head() + 1024).astype(np.uint16), Modality="CT", RescaleSlope=1)
    data.file_meta.TransferSyntaxUID = uid.JPEGLSLossless
    data.PixelData = encapsulate([b"\xff\xd8\xff\xf7" + bytes(300)])
    data["PixelData"].VR, data["PixelData"].is_undefined_length = "OB", True
    data.save_as(path, enforce_file_format=True)


ISCHEMIA, BLEEDING = "Ischemia/OVERLAY/10100.png", "Bleeding/OVERLAY/10200.png"
DICOM = "Bleeding/DICOM/10200.dcm"
LOST = (head(200) + 1024).astype(np.uint16)
LOST[:20, ::2] += 40_000
# What is done to the folder, the file that must be left out (None: it is used all the same), the problem it is.
# It is the first of its class, where notebooks look first.
SPOILED = {
    "nothing": (lambda d: None, None, None),
    "overlay saved anew": (lambda d: saved_anew(d / ISCHEMIA, 10100, "ischemia"), ISCHEMIA, "overlay_differs"),
    "another's overlay": (lambda d: paint(d / ISCHEMIA, 10105, "ischemia"), ISCHEMIA, "overlay_differs"),
    "colour-managed overlay": (
        lambda d: paint(d / BLEEDING, 10200, "hemorrhage", (0, 249, 0)),
        BLEEDING,
        "no_type_colour",
    ),
    "overlay without paint": (lambda d: picture(d / BLEEDING, 10200), BLEEDING, "no_type_colour"),
    "overlay of another size": (lambda d: save(d / BLEEDING, np.zeros((50, 40, 3))), BLEEDING, "overlay_size_differs"),
    "damaged overlay": (lambda d: deep_damage(d / BLEEDING), BLEEDING, "unreadable_overlay"),
    "overlay with a large text": (lambda d: insert_chunk(d / BLEEDING), None, "odd_chunks"),
    "undecodable DICOM": (lambda d: undecodable(d / DICOM), DICOM, "unreadable_dicom"),
    "DICOM of another size": (lambda d: ct(d / DICOM, head(10200, 48)), DICOM, "dicom_size_differs"),
    "another's DICOM": (lambda d: ct(d / DICOM, head(3).T[::-1]), DICOM, "dicom_differs"),
    "inverted DICOM": (lambda d: ct(d / DICOM, (-100 - head(10200)).clip(-1000)), DICOM, "dicom_differs"),
    "MR": (lambda d: ct(d / DICOM, head(10200), Modality="MR"), DICOM, "no_ct_slice"),
    "no CT has these": (
        lambda d: ct(d / DICOM, stored=LOST, BitsStored=16, HighBit=15),
        DICOM,
        "unreadable_dicom",
    ),
    "truncated DICOM": (lambda d: (d / DICOM).write_bytes((d / DICOM).read_bytes()[:2000]), DICOM, "unreadable_dicom"),
    "no overlay": (lambda d: (d / ISCHEMIA).unlink(), None, "stroke_without_overlay"),
    "damaged mask": (
        lambda d: deep_damage(d / "session2/MASKS/10300.png"),
        "session2/MASKS/10300.png",
        "unreadable_mask",
    ),
}


@pytest.mark.parametrize("name", SPOILED)
def test_what_would_stop_a_notebook_is_a_problem_and_left_out(good, name):
    change, path, kind = SPOILED[name]
    change(good)
    cohort = read_cohort(good, quiet=True)
    assert len(cohort.slices) == 32 and (kind is None or kind in set(cohort.problems["kind"]))
    files = {str(f) for column in ("overlay", "mask", "dicom") for f in cohort.slices[column].dropna()}
    assert len(files) == 16 * 2 + 8 - (path is not None) - (name == "no overlay")
    assert path is None or str(good / path) not in files
    assert path is None or path in set(cohort.problems["path"])
    open_all(cohort)


def open_all(cohort):
    """Do with every file what some cell of a notebook does with a few."""
    with_overlay = cohort.slices.dropna(subset=["overlay", "label"])
    extractors.compare(cohort, with_overlay, quiet=True)
    table = class_masks.write_class_masks(cohort, quiet=True)
    assert set(table.loc[table["class_mask"].notna(), "slice_id"]) >= set(with_overlay["slice_id"])
    for row in cohort.slices.dropna(subset="dicom").itertuples():
        dicom.read_hounsfield(row.dicom)
        dicom.confirm_window(np.asarray(Image.open(row.png).convert("RGB")), row.dicom)


def test_a_patient_is_known_though_the_pixels_of_the_dicom_are_not(good):
    undecodable(good / DICOM)
    ct(good / "Bleeding/DICOM/10201.dcm", head(10201, 48), PatientID="P8")
    rows = read_cohort(good, quiet=True).slices.set_index("slice_id")
    assert rows.loc["10200", "patient"] == "P7" and rows.loc["10200", "dicom"] is None
    assert rows.loc["10201", "patient"] is None, "another size is another slice's"


def test_a_note_says_why_there_is_no_mask(good):
    saved_anew(good / ISCHEMIA, 10100, "ischemia")
    paint(good / BLEEDING, 10200, "hemorrhage", (0, 249, 0))
    (good / "Bleeding/OVERLAY/10201.png").unlink()
    notes = class_masks.write_class_masks(read_cohort(good, quiet=True), quiet=True).set_index("slice_id")["note"]
    assert "grey pixels of the overlay differ" in notes["10100"] and "colour of either type" in notes["10200"]
    assert notes["10201"] == "It has neither an overlay nor a mask."


def test_what_was_compared_once_is_remembered(good, monkeypatch):
    first = read_cohort(good, quiet=True)
    monkeypatch.setattr(dicom, "check_pair", lambda *_: 1 / 0)
    monkeypatch.setattr("stroke_utils.data.masks.extract", lambda *_: 1 / 0)
    assert read_cohort(good, quiet=True).problems.equals(first.problems)
    picture(good / "Bleeding/PNG/10200.png", 4)
    assert set(read_cohort(good, quiet=True).problems["kind"]) >= {"overlay_differs", "dicom_differs"}


def test_true_masks_are_opened_before_they_are_the_truth(good):
    (good / "TRUE").mkdir()
    (good / "DATASET.json").write_text('{"true_masks": "TRUE"}')
    for number, pixels in ((10100, np.zeros((40, 40))), (10101, np.zeros((40, 41))), (10102, np.zeros((40, 40, 3)))):
        save(good / "TRUE" / f"{number}.png", pixels)
    save(good / "TRUE" / "10103.png", np.zeros((40, 40)))
    deep_damage(good / "TRUE" / "10103.png")
    cohort = read_cohort(good, quiet=True)
    bad = cohort.problems[cohort.problems["kind"] == "bad_true_mask"]
    assert bad["path"].tolist() == [f"TRUE/{number}.png" for number in (10101, 10102, 10103)]
    open_all(cohort)


def test_overlays_of_one_type_alone_get_one_sentence(good):
    assert len(class_masks.painted(read_cohort(good, quiet=True))) == 16
    for path in (good / "Bleeding/OVERLAY").iterdir():
        path.unlink()
    with pytest.raises(UserError, match="no usable overlay of hemorrhage; .*go on with 03"):
        class_masks.painted(read_cohort(good, quiet=True))


def run(name, folder):
    """Run a notebook's code cells on a folder, in this process. Gives the files of the folder that it opened."""
    opened, listening = set(), [False]

    def listen(event, arguments):
        if listening[0] and event == "open" and isinstance(arguments[0], str):
            opened.add(arguments[0])

    sys.addaudithook(listen)
    matplotlib.use("Agg")
    space = {"__name__": "__main__"}
    for cell in code_of(ROOT / "notebooks" / f"{name}.ipynb"):
        code = "".join(cell["source"])
        if "parameters" in cell["metadata"].get("tags", []):
            code += f"\ndata_dir = {str(folder)!r}\n"
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(code, name, "exec"), space)
        listening[0] = listening[0] or "cohort" in space
    listening[0] = False
    matplotlib.pyplot.close("all")
    return {path for path in opened if path.startswith(str(folder))}


@pytest.mark.parametrize("name", ["01_exploration", "02_mask_extraction"])
def test_notebooks_go_on_with_spoiled_optional_files(good, name):
    """Each kind of damage on a slice of its own, the first ones of each class among them."""
    saved_anew(good / ISCHEMIA, 10100, "ischemia")
    paint(good / "Ischemia/OVERLAY/10101.png", 10105, "ischemia")
    save(good / "Ischemia/OVERLAY/10102.png", np.zeros((50, 40, 3)))
    paint(good / BLEEDING, 10200, "hemorrhage", (0, 249, 0))
    insert_chunk(good / "Normal/PNG/10000.png")
    undecodable(good / DICOM)
    ct(good / "Bleeding/DICOM/10201.dcm", head(10201, 48))
    undecodable(good / "Ischemia/DICOM/10100.dcm")
    deep_damage(good / "session2/MASKS/10300.png")
    opened = run(name, good)
    cohort = read_cohort(good, quiet=True)
    columns = ("png", "overlay", "mask", "dicom")
    assert opened and opened <= {path for column in columns for path in cohort.slices[column].dropna()}


def test_exploration_goes_on_without_any_overlay(good):
    for place in ("Ischemia", "Bleeding"):
        for path in (good / place / "OVERLAY").iterdir():
            path.unlink()
    assert run("01_exploration", good)
