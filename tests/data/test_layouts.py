"""The phantom in every layout and spelling of its folders' names gives the same slices table."""

import os
import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stroke_utils.base import errors, identity, vocabulary
from stroke_utils.course import commands
from stroke_utils.data import masks
from stroke_utils.data.cohort import read_cohort
from stroke_utils.data.layouts import recognise
from stroke_utils.phantom import PhantomSpec, make_phantom, phantom_folder
from stroke_utils.phantom.spec import plan
from stroke_utils.phantom.writer import LAYOUTS

# Sessions whose strokes show their type: those that a layout has overlays or masks of.
TYPED = {"portal": {"session2"}, "ftp": set(), "mirror-a": {"session1", "session2"}, "mirror-b": {"session1"}}
ABSENT = {"mirror-b": {"session2"}}
SPELLINGS = {
    "NFC": lambda name: unicodedata.normalize("NFC", name),
    "NFD": lambda name: unicodedata.normalize("NFD", name),
    "upper": str.upper,
    "lower": str.lower,
    "cp437": lambda name: name.encode().decode("cp437"),
    "cp857": lambda name: name.encode().decode("cp857", "replace"),
    "cp857 as cp437": lambda name: name.encode("cp857").decode("cp437"),
}


def expected(layout):
    """The table's rows as the phantom was planned: id, part, label, stroke, patient, width, height."""
    rows = []
    for planned in plan("tiny", 0, PhantomSpec()):
        if planned.part in ABSENT.get(layout, ()):
            continue
        stroke = int(planned.label != "none")
        known = planned.part == "train" or not stroke or planned.part in TYPED[layout]
        for each in planned.slices:
            height, width = each.shape
            label = planned.label if known else None
            rows.append([each.slice_id, planned.part, label, stroke, f"P{planned.number:04d}", width, height])
    return sorted(rows)


@pytest.fixture(scope="session")
def portal_hashes(tiny_phantom):
    return read_cohort(tiny_phantom, quiet=True).slices.set_index("slice_id")["sha256"]


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_same_table_from_every_layout_and_spelling(layout_phantoms, portal_hashes, tmp_path, layout, spelling):
    folder = shutil.copytree(layout_phantoms[layout], tmp_path / "data", copy_function=os.link)
    for path in sorted(folder.rglob("*"), key=lambda p: -len(p.parts)):
        if path.is_dir() and path.name != "TRUE_MASKS":
            path.rename(path.with_name(SPELLINGS[spelling](path.name)))
    cohort = read_cohort(folder, quiet=True, thorough=False)
    columns = ["slice_id", "part", "label", "stroke", "patient", "width", "height"]
    assert cohort.slices[columns].astype(object).values.tolist() == expected(layout)
    assert (cohort.slices["mode"] == "RGBA").all()
    assert cohort.slices["sha256"].tolist() == portal_hashes[cohort.slices["slice_id"]].tolist()
    assert cohort.layout == layout and vocabulary.LAYOUTS[layout] in cohort.report()
    notes = {"not_square"} | ({"stroke_without_overlay"} if layout == "ftp" else set())
    assert set(cohort.problems["kind"]) == notes and cohort.problems["used"].all()
    assert cohort.obstacles() == []


def test_files_are_the_same_bytes_in_every_layout(layout_phantoms):
    tables = {layout: read_cohort(folder, quiet=True).slices for layout, folder in layout_phantoms.items()}
    hashes = {
        layout: {
            (kind, row.slice_id): identity.sha256(getattr(row, kind))
            for row in table.itertuples()
            for kind in ("png", "overlay", "mask", "dicom")
            if getattr(row, kind)
        }
        for layout, table in tables.items()
    }
    for layout in LAYOUTS:
        for other in LAYOUTS:
            shared = hashes[layout].keys() & hashes[other].keys()
            assert {kind for kind, _ in shared} >= {"png", "overlay", "dicom"}
            assert {key: hashes[layout][key] for key in shared} == {key: hashes[other][key] for key in shared}
    strokes = {layout: table[table["stroke"] == 1] for layout, table in tables.items()}
    painted = {layout: set(table.loc[table["overlay"].notna(), "part"]) for layout, table in strokes.items()}
    assert painted == {layout: {"train"} | parts for layout, parts in TYPED.items()}
    kept = {layout: set(table.loc[table["mask"].notna(), "part"]) for layout, table in strokes.items()}
    assert kept == TYPED | {"ftp": {"train"}}
    for row in strokes["ftp"].query("part == 'train'").itertuples():
        truth = np.asarray(Image.open(layout_phantoms["ftp"] / "TRUE_MASKS" / f"{row.slice_id}.png"))
        assert (masks.read_class_mask(row.mask) == truth).all()


def test_a_folder_put_together_from_two_layouts_names_both(layout_phantoms, tmp_path):
    folder = tmp_path / "data"
    shutil.copytree(layout_phantoms["mirror-b"] / "Brain_Stroke_CT_Dataset", folder / "B", copy_function=os.link)
    shutil.rmtree(folder / "B" / "Normal")
    shutil.copytree(layout_phantoms["ftp"] / "TRAINING/INMEYOK", folder / "INMEYOK", copy_function=os.link)
    cohort = read_cohort(folder, quiet=True, thorough=False)
    assert cohort.layout == "mirror-b + ftp" and len(cohort.slices) == 36


def test_the_portals_double_nesting(tiny_phantom, tmp_path):
    for inner, outer in (
        ("İskemi Veri Seti", "İNME VERİ SETİ/Eğitim Veri Seti_İskemi"),
        ("Kanama Veri Seti", "İNME VERİ SETİ/Eğitim Veri Seti_Kanama"),
        ("İnme Yok_kronik süreç_diğer Veri Set_PNG", "Eğitim Veri Seti İnme Yok_kronik süreç_PNG"),
    ):
        shutil.copytree(tiny_phantom / inner, tmp_path / "data" / outer / inner, copy_function=os.link)
    table = read_cohort(tmp_path / "data", quiet=True, thorough=False)
    rows = [row[:4] for row in expected("portal") if row[1] == "train"]
    assert table.slices[["slice_id", "part", "label", "stroke"]].astype(object).values.tolist() == rows
    assert table.layout == "portal" and Path(table.slices["png"][0]).is_file()


def test_the_command_line_and_folder_names_know_the_layout(tmp_path, monkeypatch):
    seen = {}

    def make(out, *_, **more):
        seen.update(more)
        return tmp_path

    monkeypatch.setattr("stroke_utils.phantom.writer.make_phantom", make)
    words = ["phantom", "--out", str(tmp_path), "--layout", "mirror-a"]
    assert commands.main(words) == 0 and seen["layout"] == "mirror-a"
    assert phantom_folder("tiny", 3).name.startswith("phantom-tiny-seed3-v")
    names = {phantom_folder("tiny", 3, layout, cut).name for layout in LAYOUTS for cut in (False, True)}
    assert len(names) == 8, "none overwrites or passes for another"
    with pytest.raises(errors.UserError, match="no phantom layout 'zip'.*portal, ftp, mirror-a, mirror-b"):
        make_phantom(tmp_path / "x", "tiny", layout="zip")


@pytest.mark.parametrize("wrong, right", [("cp437", "cp857"), ("cp850", "cp857"), ("cp1252", "cp1254")])
def test_turkish_code_pages_are_read_back(wrong, right):
    garbled = "YARIŞMA_1".encode(right).decode(wrong)
    assert garbled != "YARIŞMA_1" and recognise((garbled, "PNG")) == ("session1", None, "png")
