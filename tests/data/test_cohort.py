"""`read_cohort` on small folders written here: layouts, spellings, labels and every kind of problem."""

import contextlib
import json
import os
import re
import shutil
import struct
import subprocess
import tempfile
import unicodedata
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pydicom
import pytest
from PIL import Image

from stroke_utils.base import identity, vocabulary
from stroke_utils.base.errors import UserError
from stroke_utils.course.commands import here, main
from stroke_utils.data import checks
from stroke_utils.data.cohort import COLUMNS, read_cohort
from stroke_utils.data.layouts import PROBLEM_COLUMNS, recognise
from stroke_utils.data.pixels import packed, painted_types, read_rgb

ISCHEMIA = "İNME VERİ SETİ/Eğitim Veri Seti_İskemi/İskemi Veri Seti"
HEMORRHAGE = "İNME VERİ SETİ/Kanama Veri Seti"
NONE = "Eğitim Veri Seti İnme Yok_kronik süreç_PNG/İnme Yok_kronik süreç_diğer Veri Set_PNG"
SESSION1 = "YarısmaVeriSeti_1.Oturum/Test Veri Seti_1"
SESSION2 = "YarısmaVeriSeti_2_Oturum"
LABELS = "Image Id\tİnme Var mı?\r\n10020\t0\r\n10021\t1\r\n10022\t1\r\n99999\t0\r\n"


def png(path: Path, colour: tuple = (), size: tuple = (8, 8), mode: str = "RGBA") -> None:
    """Write a small PNG whose bytes depend on its name; ``colour`` paints its first row."""
    path.parent.mkdir(parents=True, exist_ok=True)
    grey = int(path.stem) % 200 if path.stem.isdecimal() else sum(path.stem.encode()) % 200
    image = Image.new("RGB", size, (grey,) * 3)
    for x in range(size[0] if colour else 0):
        image.putpixel((x, 0), colour)
    image.convert(mode).save(path)


def portal(root: Path) -> Path:
    """Write nine slices in the portal's layout, session 1 with overlays as in the mirrors."""
    for folder, slice_id, kind in (
        (NONE, 10001, None),
        (NONE, 10002, None),
        (ISCHEMIA, 10010, "ischemia"),
        (HEMORRHAGE, 10011, "hemorrhage"),
        (SESSION1, 10020, None),
        (SESSION1, 10021, "ischemia"),
        (SESSION1, 10022, "hemorrhage"),
        (SESSION2, 10030, "ischemia"),
        (SESSION2, 10031, "hemorrhage"),
    ):
        png(root / folder / ("" if folder == NONE else "PNG") / f"{slice_id}.png")
        if kind:
            png(root / folder / "OVERLAY" / f"{slice_id}.png", vocabulary.BORDER_COLOURS[kind][0])
        if folder == SESSION2:
            png(root / folder / "MASKS" / f"{slice_id}.png", vocabulary.MASK_COLOURS[kind], mode="RGB")
    (root / "ASAMA1_Cevaplar.txt").write_bytes(LABELS.encode())
    return root


@pytest.fixture
def folder(tmp_path):
    return portal(tmp_path / "data")


def plain_rows(cohort):
    return cohort.slices[["slice_id", "label", "stroke", "part", "width", "height", "mode"]].values.tolist()


EXPECTED = [
    ["10001", "none", 0, "train", 8, 8, "RGBA"],
    ["10002", "none", 0, "train", 8, 8, "RGBA"],
    ["10010", "ischemia", 1, "train", 8, 8, "RGBA"],
    ["10011", "hemorrhage", 1, "train", 8, 8, "RGBA"],
    ["10020", "none", 0, "session1", 8, 8, "RGBA"],
    ["10021", "ischemia", 1, "session1", 8, 8, "RGBA"],
    ["10022", "hemorrhage", 1, "session1", 8, 8, "RGBA"],
    ["10030", "ischemia", 1, "session2", 8, 8, "RGBA"],
    ["10031", "hemorrhage", 1, "session2", 8, 8, "RGBA"],
]


def test_portal_layout_gives_one_sorted_table(folder):
    cohort = read_cohort(folder, quiet=True)
    assert tuple(cohort.slices.columns) == COLUMNS and tuple(cohort.problems.columns) == PROBLEM_COLUMNS
    assert plain_rows(cohort) == EXPECTED
    assert str(cohort.slices["stroke"].dtype) == "Int64"
    row = cohort.slices.set_index("slice_id").loc["10030"]
    assert Path(row["png"]).is_absolute() and Path(row["overlay"]).is_file() and Path(row["mask"]).is_file()
    none = cohort.slices.set_index("slice_id").loc["10001"]
    assert none["overlay"] is None and none["mask"] is None and none["dicom"] is None and none["patient"] is None
    assert cohort.problems["kind"].tolist() == ["label_without_slice"]
    assert "1 of 4 ids" in cohort.problems["detail"][0] and cohort.origin == {}


def rename_all(root: Path, change) -> None:
    for path in sorted(root.rglob("*"), key=lambda p: -len(p.parts)):
        if path.is_dir():
            path.rename(path.with_name(change(path.name)))


@pytest.mark.parametrize(
    "change",
    [
        lambda n: unicodedata.normalize("NFD", n),
        lambda n: unicodedata.normalize("NFC", n).upper(),
        lambda n: n.lower(),
        lambda n: n.replace("Yarısma", "Yarışma"),
        lambda n: n.encode().decode("cp437"),
        lambda n: n.encode().decode("cp857", "replace") if "İ" in n else n,
        lambda n: unicodedata.normalize("NFD", n).encode().decode("cp437"),
        lambda n: n.encode("cp857").decode("cp437"),
        lambda n: n.encode("cp1254").decode("cp1252"),
        lambda n: n.encode("cp857").decode(errors="surrogateescape"),
        lambda n: "".join(c if c.isascii() else f"#U{ord(c):04x}" for c in n),
        lambda n: "".join(c if c.isascii() else "_" for c in n),
        lambda n: "".join(c if c.isascii() else "\ufffd" for c in n),
    ],
    ids=[
        *("nfd", "upper", "lower", "correct", "cp437", "cp857", "nfd as cp437", "cp857 as cp437", "cp1254 as cp1252"),
        *("raw cp857", "unzip's escapes", "underscores", "replaced"),
    ],
)
def test_every_spelling_gives_the_same_table_and_fingerprint(folder, tmp_path, change):
    before = read_cohort(folder, quiet=True)
    rename_all(folder, change)
    after = read_cohort(folder, quiet=True)
    assert plain_rows(after) == EXPECTED
    assert after.fingerprint == before.fingerprint


@pytest.mark.parametrize(
    "path, place",
    [
        ("YARIŞMA_1/PNG", ("session1", None, "png")),
        ("YARISMA_2/DICOM", ("session2", None, "dicom")),
        ("Test Veri Seti_1/PNG", ("session1", None, "png")),
        ("External_Test/MASKS", ("session1", None, "mask")),
        ("TRAINING/INMEYOK/PNG", ("train", "none", "png")),
        ("İNME VERİSETİ/İnme Yok/PNG", ("train", "none", "png")),
        ("İNME VERİSETİ/Kanama/OVERLAY", ("train", "hemorrhage", "overlay")),
        ("yarisma 2021/PNG", (None, None, "png")),
        ("stroke data/Stroke", ("train", "stroke", None)),
        ("Brain Stroke CT/other", (None, None, None)),
        ("No Stroke", ("train", "none", None)),
        ("hemorrhagic", ("train", "hemorrhage", None)),
        ("Ischemic", ("train", "ischemia", None)),
    ],
)
def test_folders_of_every_known_layout_are_recognised(path, place):
    assert recognise(tuple(path.split("/"))) == place


def test_sessions_in_the_mirrors_flat_form(folder):
    (folder / SESSION1).rename(folder / "flat")
    (folder / "flat").rename(folder / "YarısmaVeriSeti_1_Oturum")
    assert plain_rows(read_cohort(folder, quiet=True)) == EXPECTED


def test_english_names_of_the_other_mirror(folder):
    for source, target in ((ISCHEMIA, "Ischemia"), (HEMORRHAGE, "Bleeding"), (NONE, "Normal/PNG"), (SESSION1, "X")):
        shutil.copytree(folder / source, folder / "B" / target)
    (folder / "B" / "X").rename(folder / "B" / "External_Test")
    (folder / "B" / "External_Test" / "labels.csv").write_text("image_id,Stroke\n10020,0\n10021,1\n10022,1\n")
    cohort = read_cohort(folder / "B", quiet=True)
    assert plain_rows(cohort) == EXPECTED[:7] and cohort.problems.empty


def test_folders_that_say_stroke_and_no_type_are_enough_for_detection(tmp_path):
    for place, slice_id in (("Normal", "125"), ("Stroke/PNG", "346")):
        for digit in slice_id:
            png(tmp_path / "data" / place / f"{digit}.png")
    png(tmp_path / "data" / "Stroke" / "OVERLAY" / "4.png", vocabulary.BORDER_COLOURS["ischemia"][0])
    cohort = read_cohort(tmp_path / "data", quiet=True)
    assert cohort.slices[["slice_id", "label", "stroke"]].values.tolist() == [
        ["1", "none", 0], ["2", "none", 0], ["3", None, 1], ["4", "ischemia", 1], ["5", "none", 0], ["6", None, 1]
    ]  # fmt: skip
    lacks = {v.task: " ".join(v.lacks) for v in cohort.verdicts()}
    assert not lacks["detection"] and "no usable slice of the class hemorrhage" in lacks["type"], "paint named one type"
    (tmp_path / "data" / "Stroke" / "OVERLAY" / "4.png").unlink()
    cohort = read_cohort(tmp_path / "data", quiet=True)
    assert cohort.slices["label"].isna().tolist() == [False, False, True, True, False, True]
    assert cohort.obstacles() == []
    assert "Mind: no training stroke names its type: detection can be trained" in cohort.report()


def test_a_word_that_contains_an_alias_is_no_class(folder):
    png(folder / "Abnormal" / "PNG" / "10050.png")
    cohort = read_cohort(folder, quiet=True)
    assert len(cohort.slices) == 9 and cohort.problems["path"].tolist() == ["Abnormal/PNG", "ASAMA1_Cevaplar.txt"]


@pytest.mark.parametrize(
    "name, content",
    [
        ("deep/down/a.txt", LABELS.encode()),
        ("labels.txt", LABELS.encode("utf-8-sig")),
        ("labels.txt", LABELS.encode("utf-16")),
        ("labels.txt", LABELS.encode("cp1254")),
        ("answers.TXT", b"\xef\xbb\xbf10020 0\n10021 1\n10022 1\n"),
        ("answers.TXT", b"10020 0\n10021 1\n10022   1\n"),
        ("labels.csv", b"image_id,Stroke\n10020,0\n10021,1\n10022,1"),
        ("labels.csv", b"image_id,Stroke\n10020,0.0\n10021,1.0\n10022,1.0\n"),
        ("labels.csv", b"image_id,Stroke\n10020,0\n10021,1\n10022,1\n" + b"a" * 200_000 + b",1\n"),
        ("labels.csv", b"image_id;Stroke\r\n10020.png;0\r\n10021.png;1\r\n10022.png;1\r\n"),
        (
            "egitim.csv",
            "Image Id,Bulunduğu Klasör,İnme Var mı?,İnme tipi\r\n10020,Test\\1,0,N/A\r\n10021,Test\\1,1,İSKEMİ\r\n"
            "10022,Test\\1,1,KANAMA\r\n".encode(),
        ),
    ],
)
def test_label_files_are_known_by_their_header(folder, name, content):
    (folder / "ASAMA1_Cevaplar.txt").unlink()
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    assert plain_rows(read_cohort(folder, quiet=True)) == EXPECTED


def test_an_example_with_made_up_ids_never_overrules(folder):
    (folder / "AAA.txt").write_text("Image Id\tİnme Var mı?\n1\t1\n10020\t1\n3\t0")
    cohort = read_cohort(folder, quiet=True)
    assert plain_rows(cohort) == EXPECTED
    assert "labels_disagree" in set(cohort.problems["kind"])


def sessions_by_class(root, **folders):
    """A folder of data whose session 1 has folders of classes; gives the cohort."""
    places = {"train/Normal": (1, 2), "train/Hemorrhage": (3, 4), **folders}
    files = [(place, slice_id) for place, ids in places.items() for slice_id in ids]
    for number, (place, slice_id) in enumerate(files):  # no two alike
        png(root / place / f"{slice_id}.png", size=(8 + number, 9))
    return read_cohort(root, quiet=True)


def test_class_folders_inside_session_1_are_its_labels(tmp_path):
    cohort = sessions_by_class(tmp_path, **{"session1/No_Hemorrhage": (5, 6), "session1/Hemorrhage": (7,)})
    found = cohort.slices.set_index("slice_id").query("part == 'session1'")
    assert found["label"].to_dict() == {"5": "none", "6": "none", "7": "hemorrhage"}
    assert found["stroke"].tolist() == [0, 0, 1] and "no_labels" not in set(cohort.problems["kind"])
    assert not cohort.verdicts()[0].untested
    folders = cohort.folders().set_index("folder")["meaning"]
    assert folders["session1/Hemorrhage"] == "session1, hemorrhage" and folders["train/Normal"] == "none"
    (tmp_path / "answers.csv").write_text("image_id,stroke\n5,0\n6,1\n7,1\n")
    cohort = read_cohort(tmp_path, quiet=True)
    assert cohort.slices.set_index("slice_id").loc[["5", "6", "7"], "stroke"].tolist() == [0, 1, 1]
    row = cohort.problems.set_index("kind").loc["label_contradicts_folder"]
    assert row["path"] == "session1/No_Hemorrhage/6.png" and "the label file is believed" in row["detail"]


def test_class_folders_inside_session_2_say_the_type_where_no_paint_does(tmp_path):
    cohort = sessions_by_class(tmp_path, **{"session2/Ischemia": (5,), "session2/Hemorrhage": (6,)})
    found = cohort.slices.set_index("slice_id")["label"]
    assert found[["5", "6"]].tolist() == ["ischemia", "hemorrhage"]


def test_names_that_begin_anew_in_the_class_folders_of_a_session_are_no_patients(tmp_path):
    cohort = sessions_by_class(tmp_path, **{"session1/Normal": (1, 2), "session1/Hemorrhage": (3, 1)})
    tested = cohort.slices.query("part == 'session1'")
    assert tested["stroke"].sort_values().tolist() == [0, 0, 1, 1] and tested["patient"].isna().all()


def test_one_folder_for_all_of_a_session_is_no_label(tmp_path):
    """It may be the data set's name."""
    cohort = sessions_by_class(tmp_path, **{"session1/İnme": (5, 6)})
    assert cohort.slices.query("part == 'session1'")["stroke"].isna().all()
    assert "no_labels" in set(cohort.problems["kind"])


def test_types_of_session_1_are_unknown_without_overlays_and_that_is_no_problem(folder):
    shutil.rmtree(folder / SESSION1 / "OVERLAY")
    cohort = read_cohort(folder, quiet=True)
    here = cohort.slices[cohort.slices["part"] == "session1"]
    assert here["label"].tolist() == ["none", None, None] and here["stroke"].tolist() == [0, 1, 1]
    assert set(cohort.problems["kind"]) == {"label_without_slice"}
    counts = cohort.counts().set_index(["part", "label"])["found"]
    assert counts["session1", "stroke of unknown type"] == 2 and counts["session1", "all"] == 3


def test_counts_stand_beside_the_published_ones(folder):
    counts = read_cohort(folder, quiet=True).counts().set_index(["part", "label"])
    assert counts.loc[("train", "none")].tolist() == [2, 4427]
    assert counts.loc[("session2", "all")].tolist() == [2, 100]
    assert counts.loc[("release", "all")].tolist() == [9, 6950]


def truncate(path):
    path.write_bytes(path.read_bytes()[:-15])


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)


NONE_SLICE, STROKE_PNG = f"{NONE}/10001.png", f"{ISCHEMIA}/PNG/10010.png"
OVERLAY, SESSION_OVERLAY = f"{ISCHEMIA}/OVERLAY/10010.png", f"{SESSION1}/OVERLAY/10021.png"
BLUE, GREEN = (0, 0, 255), (0, 255, 0)


def spoil(path, change):
    """Rewrite a PNG after ``change`` was done to its pixels, an RGBA array."""
    pixels = np.array(Image.open(path).convert("RGBA"))
    change(pixels)
    Image.fromarray(pixels).save(path)


def fill(path, colour, where=(0, 0)):
    """Give one pixel of a PNG a colour."""
    spoil(path, lambda pixels: pixels.__setitem__((*where, slice(0, 3)), colour))


def deep_damage(path):
    """Replace the picture data by other data in a chunk whose sum is right: only decoding finds it."""
    data = path.read_bytes()
    start = data.index(b"IDAT") - 4
    body = b"IDAT" + zlib.compress(b"too little")
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    path.write_bytes(data[:start] + chunk + data[data.index(b"IEND") - 4 :])


def huge_header(path, width=100_000, height=100_000):
    """Claim a size in the header, with a right sum."""
    data = bytearray(path.read_bytes())
    data[16:24] = struct.pack(">II", width, height)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    path.write_bytes(data)


def sixteen_bits(path):
    """Write RGBA pixels of 16 bits a channel, which Pillow can read but not write."""
    rows = (b"\0" + (b"\x12\x34" * 3 + b"\xff\xff") * 8) * 8
    header = struct.pack(">IIBBBBB", 8, 8, 16, 6, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    packed = [struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in chunks]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(packed))


def dicom_text(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("not a DICOM file")


# what is done to the folder, the row of problems that must come of it, slices that remain
PROBLEMS = {
    "zero bytes": (lambda d: (d / NONE_SLICE).write_bytes(b""), "unreadable_png", NONE_SLICE, False, 8),
    "truncated": (lambda d: truncate(d / NONE_SLICE), "unreadable_png", NONE_SLICE, False, 8),
    "flipped byte": (lambda d: flip(d / NONE_SLICE), "unreadable_png", NONE_SLICE, False, 8),
    "no png": (lambda d: (d / NONE_SLICE).write_bytes(b"GIF89a--"), "unreadable_png", NONE_SLICE, False, 8),
    "bad overlay": (lambda d: truncate(d / OVERLAY), "unreadable_overlay", OVERLAY, False, 9),
    "no overlay": (lambda d: (d / OVERLAY).unlink(), "stroke_without_overlay", STROKE_PNG, True, 9),
    "overlay size": (lambda d: png(d / OVERLAY, BLUE, (8, 9)), "overlay_size_differs", OVERLAY, False, 9),
    "mask size": (
        lambda d: png(d / SESSION2 / "MASKS/10030.png", BLUE, (9, 8)),
        "mask_size_differs",
        f"{SESSION2}/MASKS/10030.png",
        False,
        9,
    ),
    "lone overlay": (lambda d: (d / STROKE_PNG).unlink(), "overlay_without_original", OVERLAY, False, 8),
    "unknown folder": (lambda d: png(d / "odd" / "a.png"), "unknown_folder", "odd", False, 9),
    "another's test": (lambda d: png(d / "test/Kanama/10077.png"), "held_out_folder", "test/Kanama", True, 10),
    "session of a patient": (
        lambda d: png(d / HEMORRHAGE / "P7/session 1/10077.png"),
        "ambiguous_folder",
        f"{HEMORRHAGE}/P7/session 1",
        False,
        9,
    ),
    "two classes in a name": (
        lambda d: png(d / "İskemi ve Kanama/1.png"),
        "ambiguous_folder",
        "İskemi ve Kanama",
        False,
        9,
    ),
    "another's test set": (
        lambda d: png(d / "Test_Set/Kanama/10077.png"),
        "held_out_folder",
        "Test_Set/Kanama",
        True,
        10,
    ),
    "png among dicoms": (
        lambda d: png(d / SESSION2 / "DICOM" / "a.png"),
        "png_in_dicom_folder",
        f"{SESSION2}/DICOM",
        False,
        9,
    ),
    "two classes": (lambda d: png(d / NONE / "10010.png"), "id_in_two_classes", STROKE_PNG, False, 8),
    "two parts": (lambda d: png(d / NONE / "10020.png"), "id_in_two_parts", f"{NONE}/10020.png", False, 9),
    "twice": (lambda d: png(d / NONE / "PNG" / "10001.png"), "duplicate_file", f"{NONE}/PNG/10001.png", True, 9),
    "twice, unlike": (lambda d: png(d / NONE / "PNG" / "10001.png", (9, 9, 9)), "name_twice", NONE_SLICE, False, 8),
    "dicom twice": (
        lambda d: [write_dicom(d / ISCHEMIA / x / "10010.dcm", x) for x in ("DICOM", "DICOM/again")],
        "name_twice",
        f"{ISCHEMIA}/DICOM/again/10010.dcm",
        False,
        9,
    ),
    "grey": (lambda d: png(d / NONE_SLICE, mode="L"), "unexpected_mode", NONE_SLICE, True, 9),
    "palette": (lambda d: png(d / NONE_SLICE, mode="P"), "unexpected_mode", NONE_SLICE, True, 9),
    "rgb": (lambda d: png(d / NONE_SLICE, mode="RGB"), "unexpected_mode", NONE_SLICE, True, 9),
    "16 bit": (
        lambda d: Image.fromarray(np.full((8, 8), 1000, np.uint16)).save(d / NONE_SLICE),
        "unexpected_mode",
        NONE_SLICE,
        False,
        8,
    ),
    "no label": (
        lambda d: png(d / SESSION1 / "PNG" / "10029.png"),
        "slice_without_label",
        f"{SESSION1}/PNG/10029.png",
        True,
        10,
    ),
    "no labels": (lambda d: (d / "ASAMA1_Cevaplar.txt").unlink(), "no_labels", f"{SESSION1}/PNG", True, 9),
    "bad label": (lambda d: (d / "l.csv").write_text("image_id,Stroke\n10020,x"), "bad_label", "l.csv", True, 9),
    "0 with overlay": (
        lambda d: png(d / SESSION1 / "OVERLAY/10020.png", BLUE),
        "no_stroke_with_mask",
        f"{SESSION1}/PNG/10020.png",
        True,
        9,
    ),
    "1 without overlay": (
        lambda d: (d / SESSION_OVERLAY).unlink(),
        "stroke_without_overlay",
        f"{SESSION1}/PNG/10021.png",
        True,
        9,
    ),
    "no colour in a mask": (
        lambda d: png(d / SESSION2 / "MASKS/10030.png", mode="L"),
        "no_type_colour",
        f"{SESSION2}/MASKS/10030.png",
        False,
        9,
    ),
    "overlay among the masks": (
        lambda d: spoil(d / SESSION2 / "MASKS/10030.png", lambda p: p.__setitem__((2, 0), (99, 99, 99, 255))),
        "odd_mask",
        f"{SESSION2}/MASKS/10030.png",
        False,
        9,
    ),
    "no colour": (lambda d: png(d / SESSION_OVERLAY), "no_type_colour", SESSION_OVERLAY, False, 9),
    "folder or label": (
        lambda d: (d / "l.csv").write_text("image_id,Stroke\n10010,0"),
        "label_contradicts_folder",
        STROKE_PNG,
        True,
        9,
    ),
    "mac archive": (lambda d: (d / NONE / "._10001.png").write_bytes(b"x"), "hidden_files", ".", True, 9),
    "mac folder": (lambda d: png(d / "__MACOSX" / NONE / "10009.png"), "hidden_files", ".", True, 9),
    "link loop": (lambda d: os.symlink(d, d / NONE / "loop"), "folder_twice", f"{NONE}/loop", True, 9),
    "link to itself": (lambda d: os.symlink("a.png", d / NONE / "a.png"), "unreadable_png", f"{NONE}/a.png", False, 9),
    "pipe": (lambda d: os.mkfifo(d / NONE / "a.png"), "unreadable_png", f"{NONE}/a.png", False, 9),
    "deep damage": (lambda d: deep_damage(d / NONE_SLICE), "unreadable_png", NONE_SLICE, False, 8),
    "huge header": (lambda d: huge_header(d / NONE_SLICE), "unreadable_png", NONE_SLICE, False, 8),
    "too large": (lambda d: png(d / NONE_SLICE, size=(5000, 4)), "unreadable_png", NONE_SLICE, False, 8),
    "16 bits a channel": (lambda d: sixteen_bits(d / NONE_SLICE), "unexpected_mode", NONE_SLICE, True, 9),
    "dicom pipe": (
        lambda d: [(d / ISCHEMIA / "DICOM").mkdir(), os.mkfifo(d / ISCHEMIA / "DICOM/10010.dcm")],
        "unreadable_dicom",
        f"{ISCHEMIA}/DICOM/10010.dcm",
        False,
        9,
    ),
    "transparent": (
        lambda d: spoil(d / NONE_SLICE, lambda p: p.__setitem__((0, 0, 3), 254)),
        "transparent",
        NONE_SLICE,
        True,
        9,
    ),
    "not square": (lambda d: png(d / NONE_SLICE, size=(8, 9)), "not_square", NONE_SLICE, True, 9),
    "odd name": (lambda d: png(d / NONE / "IMG 1.png"), "unusual_name", f"{NONE}/IMG 1.png", True, 10),
    "fill in an original": (
        lambda d: fill(d / NONE_SLICE, (150, 22, 22)),
        "painted_original",
        NONE_SLICE,
        False,
        8,
    ),
    "border in an original": (
        lambda d: fill(d / STROKE_PNG, (0, 255, 0)),
        "painted_original",
        STROKE_PNG,
        False,
        8,
    ),
    "coloured": (lambda d: fill(d / NONE_SLICE, (90, 80, 80)), "coloured_pixels", NONE_SLICE, True, 9),
    "same bytes, one class": (
        lambda d: shutil.copy(d / NONE_SLICE, d / NONE / "10003.png"),
        "duplicate_bytes",
        f"{NONE}/10003.png",
        True,
        10,
    ),
    "same bytes, two classes": (
        lambda d: shutil.copy(d / STROKE_PNG, d / NONE / "10003.png"),
        "bytes_in_two_classes",
        STROKE_PNG,
        False,
        8,
    ),
    "same bytes, two parts": (
        lambda d: shutil.copy(d / SESSION1 / "PNG/10020.png", d / NONE / "10003.png"),
        "bytes_in_two_parts",
        f"{NONE}/10003.png",
        False,
        9,
    ),
    "overlay of no stroke": (
        lambda d: png(d / NONE / "OVERLAY" / "10001.png", BLUE),
        "no_stroke_with_mask",
        NONE_SLICE,
        True,
        9,
    ),
    "other type's paint": (lambda d: png(d / OVERLAY, GREEN), "paint_contradicts_folder", OVERLAY, True, 9),
    "overlay without paint": (lambda d: png(d / OVERLAY), "no_type_colour", OVERLAY, False, 9),
    "archive beside": (lambda d: (d / "rest.zip.001").write_bytes(b"PK"), "not_unpacked", ".", False, 9),
    "jpeg": (lambda d: (d / NONE / "a.jpg").write_bytes(b"x"), "other_files", NONE, False, 9),
    "bad DATASET.json": (lambda d: (d / "DATASET.json").write_text("{"), "bad_dataset_json", "DATASET.json", True, 9),
    "truncated dicom": (
        lambda d: [write_dicom(p := d / ISCHEMIA / "DICOM/10010.dcm", "P1"), os.truncate(p, os.path.getsize(p) - 6)],
        "unreadable_dicom",
        f"{ISCHEMIA}/DICOM/10010.dcm",
        False,
        9,
    ),
    "bad dicom": (
        lambda d: dicom_text(d / ISCHEMIA / "DICOM/10010.dcm"),
        "unreadable_dicom",
        f"{ISCHEMIA}/DICOM/10010.dcm",
        False,
        9,
    ),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_each_problem_is_a_row_and_good_slices_stay(folder, name):
    change, kind, path, used, remaining = PROBLEMS[name]
    before = set(read_cohort(folder, quiet=True).problems["kind"])
    change(folder)
    cohort = read_cohort(folder, quiet=True)
    assert kind not in before
    rows = cohort.problems[(cohort.problems["kind"] == kind) & (cohort.problems["path"] == path)]
    assert len(rows) == 1 and bool(rows["used"].iloc[0]) is used and len(rows["detail"].iloc[0]) > 20
    assert len(cohort.slices) == remaining and cohort.slices["slice_id"].is_unique
    untouched = cohort.slices[cohort.slices["slice_id"].isin(["10002", "10011", "10022", "10031"])]
    assert untouched[["label", "part"]].values.tolist() == [
        [r[1], r[3]] for r in EXPECTED if r[0] in {*untouched["slice_id"]}
    ]
    assert len(untouched) == 4


def test_markers_are_no_paint_and_no_grey_level(folder):
    fill(folder / NONE_SLICE, vocabulary.MARKER_COLOUR)
    cohort = read_cohort(folder, quiet=True)
    assert cohort.problems["kind"].tolist() == ["label_without_slice"] and len(cohort.slices) == 9
    assert cohort.facts["slice_id"].tolist() == cohort.slices["slice_id"].tolist()
    assert cohort.facts["marker"].tolist() == [True] + [False] * 8 and set(cohort.facts["grey_levels"]) == {1}


def test_a_picture_of_more_colours_than_a_slice_has(folder):
    pixels = np.random.default_rng(0).integers(0, 256, (300, 300, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(folder / NONE_SLICE)
    assert "painted_original" in set(read_cohort(folder, quiet=True).problems["kind"])


def test_without_decoding_the_table_is_the_same_where_nothing_is_painted(folder):
    thorough, quick = (read_cohort(folder, quiet=True, thorough=each) for each in (True, False))
    assert quick.slices.equals(thorough.slices) and quick.fingerprint == thorough.fingerprint
    assert quick.facts["grey_levels"].isna().all()
    fill(folder / NONE_SLICE, BLUE)
    assert len(read_cohort(folder, quiet=True, thorough=False).slices) == 9


def test_what_was_decoded_once_is_remembered_by_its_bytes(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("STROKE_DERIVED", str(tmp_path / "derived"))
    fill(folder / NONE_SLICE, BLUE)
    first = read_cohort(folder, quiet=True)
    (kept,) = (tmp_path / "derived" / "pixel-facts").glob("*/facts.json")
    with monkeypatch.context() as patch:
        patch.setattr(checks, "_look_at", None)  # nothing is decoded again
        again = read_cohort(folder, quiet=True)
        assert again.problems.equals(first.problems) and again.facts.equals(first.facts)
        fill(folder / NONE_SLICE, GREEN)
        assert "not callable" in " ".join(read_cohort(folder, quiet=True).problems["detail"]), "other bytes are"
    with monkeypatch.context() as patch:
        patch.setattr(identity, "code_version", lambda *modules, **how: "other rules for pixels see other things")
        read_cohort(folder, quiet=True)
        assert len(list((tmp_path / "derived" / "pixel-facts").glob("*/facts.json"))) == 2
    kept.write_text("{")
    assert read_cohort(folder, quiet=True).fingerprint == first.fingerprint
    kept.unlink()
    kept.mkdir()
    assert read_cohort(folder, quiet=True).fingerprint == first.fingerprint, "where nothing can be kept, all is decoded"


def test_many_findings_of_one_kind_are_one_row_that_counts_them(folder):
    for i in range(12):
        png(folder / NONE / f"slice{i}.png", size=(8, 9 + i % 2))
    problems = read_cohort(folder, quiet=True).problems.set_index("kind")
    assert problems.loc["unusual_name", "files"] == 12 and problems.loc["not_square", "files"] == 12
    assert problems.loc["unusual_name", "path"] == NONE and "12 files" in problems.loc["unusual_name", "detail"]
    for path in (folder / NONE).iterdir():
        path.write_bytes(b"")
    problems = read_cohort(folder, quiet=True).problems
    assert (problems["kind"] == "unreadable_png").sum() == 14, "what is set aside is named file by file"


@pytest.mark.parametrize("where", ["", "IHDR", "IDAT", "IEND"])
@pytest.mark.parametrize("behind", [0, 2, 4, 6, 8])
def test_a_file_cut_anywhere_is_unreadable(folder, where, behind):
    data = (folder / NONE_SLICE).read_bytes()
    (folder / NONE_SLICE).write_bytes(data[: data.index(where.encode()) - 4 + behind if where else behind])
    cohort = read_cohort(folder, quiet=True)
    whole = where == "IEND" and behind == 8  # lacks the end mark's sum only: all pixels are there
    assert len(cohort.slices) == 8 + whole and ("unreadable_png" in set(cohort.problems["kind"])) is not whole


def test_random_damage_never_stops_the_reading(folder):
    random, data = np.random.default_rng(0), (folder / NONE_SLICE).read_bytes()
    for i in range(60):
        spoiled = bytearray(data)
        for place in random.integers(8 * (i % 2), len(data), 1 + i % 5):
            spoiled[place] = random.integers(256)
        (folder / NONE / f"{20000 + i}.png").write_bytes(random.bytes(200) if i % 7 == 0 else spoiled)
    cohort = read_cohort(folder, quiet=True)
    assert {r[0] for r in EXPECTED} <= set(cohort.slices["slice_id"])
    assert 50 <= (cohort.problems["kind"] == "unreadable_png").sum() <= 60


def test_names_with_line_breaks_and_raw_bytes(folder):
    png(folder / NONE / "a\nb.png")
    os.rename(os.fsencode(folder / HEMORRHAGE), os.fsencode(folder / HEMORRHAGE) + b"\x98")
    cohort = read_cohort(folder, quiet=True)
    assert plain_rows(cohort)[:9] == EXPECTED and cohort.slices["slice_id"].iloc[-1] == "a\\nb"
    assert "\n" not in "".join(cohort.problems["path"]) and cohort.report().encode()


def test_archives_get_a_message_that_says_how_to_unpack(tmp_path):
    (tmp_path / "data").mkdir()
    for name in ("veri.zip.001", "veri.zip.002"):
        (tmp_path / "data" / name).write_bytes(b"PK")
    for path in (tmp_path / "data", tmp_path / "data" / "veri.zip.001"):
        with pytest.raises(UserError, match=r"(an|2) archive.*7z x"):
            read_cohort(path)


def test_a_folder_without_slices_says_what_is_in_the_way(folder, tmp_path):
    (tmp_path / "jpegs" / "Normal").mkdir(parents=True)
    (tmp_path / "jpegs" / "Normal" / "1.jpg").write_bytes(b"x")
    with pytest.raises(UserError, match=r"No layout.*Problems by kind: other_files 1, first Normal: 1 files .*1\.jpg"):
        read_cohort(tmp_path / "jpegs")
    with pytest.raises(UserError, match="Its own name looks like a class or session"):
        read_cohort(folder / HEMORRHAGE)
    (folder / HEMORRHAGE).rename(tmp_path / "jpegs" / "pictures")
    with pytest.raises(UserError, match="other_files 1, .*unknown_folder 2, first pictures/OVERLAY: 1 PNG") as error:
        read_cohort(tmp_path / "jpegs")
    assert "Its own name" not in str(error.value)


@contextlib.contextmanager
def as_nobody():
    """Let a test that runs as root meet what it may not read."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def test_what_may_not_be_read_is_said_and_the_rest_is_used():
    with tempfile.TemporaryDirectory() as outer:
        root = portal(Path(outer, "data"))
        for path in (Path(outer), *root.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        read_cohort(root, quiet=True)  # loads what is loaded on demand
        closed = (root / NONE_SLICE, root / "ASAMA1_Cevaplar.txt")
        for path in closed:
            path.chmod(0)
        (root / HEMORRHAGE).chmod(0o644)  # names can be listed, files not opened: what `chmod -R 644` leaves
        with as_nobody():
            cohort = read_cohort(root, quiet=True)
        assert cohort.slices["slice_id"].tolist() == ["10002", "10010", "10020", "10021", "10022", "10030", "10031"]
        problems = cohort.problems.set_index("kind")
        assert set(problems.loc["unreadable_folder", "path"]) == {f"{HEMORRHAGE}/OVERLAY", f"{HEMORRHAGE}/PNG"}
        assert problems.loc["unreadable_png", "path"] == NONE_SLICE and "no_labels" in problems.index
        assert "Permission denied" in problems.loc["unreadable_png", "detail"]
        assert outer not in cohort.problems.to_string(), "a notebook must not hold the machine's paths"
        for mode, said in ((0, "data can't be read: Permission denied"), (0o644, "unreadable_folder 4, first")):
            root.chmod(mode)
            with as_nobody(), pytest.raises(UserError, match=said):
                read_cohort(root, quiet=True)
        root.chmod(0o755)


def test_a_long_name_does_not_flood_the_report(folder):
    (folder / "l.csv").write_text("image_id,Stroke\n" + "a" * 100_000 + ",1\n")
    assert "aaa" in (said := read_cohort(folder, quiet=True).report()) and len(said) < 5000


def test_tables_that_are_not_understood_are_named_where_labels_are_missing(folder):
    (folder / "ASAMA1_Cevaplar.txt").write_text("Kimlik|Sonuc\n10020|0\n")
    detail = read_cohort(folder, quiet=True).problems.set_index("kind").loc["no_labels", "detail"]
    assert detail.endswith("Tables whose columns were not understood: ASAMA1_Cevaplar.txt.")


def test_a_table_that_cannot_be_read_is_named_where_labels_are_missing(folder):
    (folder / "ASAMA1_Cevaplar.txt").write_text("Image Id,label\n10020,0\n")
    detail = read_cohort(folder, quiet=True).problems.set_index("kind").loc["no_labels", "detail"]
    assert detail.endswith("Not read: ASAMA1_Cevaplar.txt.") and "No label file" not in detail


def test_pngs_without_an_ending_are_read_and_backups_are_not(folder):
    before = plain_rows(read_cohort(folder, quiet=True))
    for path in (folder / NONE_SLICE, folder / OVERLAY, folder / STROKE_PNG):
        shutil.copy(path, path.with_name(f"{path.name}.bak"))
        path.rename(path.with_suffix(""))
    assert plain_rows(read_cohort(folder, quiet=True)) == before


def test_an_empty_file_is_called_empty(folder):
    (folder / NONE_SLICE).write_bytes(b"")
    detail = read_cohort(folder, quiet=True).problems.set_index("kind").loc["unreadable_png", "detail"]
    assert "zero bytes" in detail


def test_what_becomes_of_a_contradicting_slice(folder):
    png(folder / SESSION1 / "OVERLAY/10020.png", BLUE)
    png(folder / NONE / "10022.png")
    (folder / SESSION_OVERLAY).unlink()
    slices = read_cohort(folder, quiet=True).slices.set_index("slice_id")
    assert slices.loc["10020", "label"] == "none" and slices.loc["10020", "stroke"] == 0
    assert slices.loc["10021", "label"] is None and slices.loc["10021", "stroke"] == 1
    assert slices.loc["10022", "part"] == "session1"


def test_an_overlay_of_another_size_is_not_offered(folder):
    png(folder / OVERLAY, BLUE, (9, 8))
    assert read_cohort(folder, quiet=True).slices.set_index("slice_id").loc["10010", "overlay"] is None


def test_masks_of_no_type_are_not_offered_and_teach_no_regions(folder):
    for path in (*(folder / ISCHEMIA / "PNG").iterdir(), *(folder / HEMORRHAGE / "PNG").iterdir()):
        shutil.rmtree(path.parents[1] / "OVERLAY")
        for number in (50, 60, 70):  # masks of numbers, as other programs write them
            png(path.with_stem(f"{int(path.stem) + number}"))
            png(path.parents[1] / "MASK" / f"{int(path.stem) + number}.png", mode="L")
    cohort = read_cohort(folder, quiet=True)
    assert cohort.slices.query("part == 'train'")["mask"].isna().all()
    assert "with a mask" in cohort.verdicts()[2].lacks[0] and "no_type_colour: 6 (set aside)" in cohort.report()


def test_an_unlabelled_slice_is_kept_without_a_label(folder):
    png(folder / SESSION1 / "PNG" / "10029.png")
    row = read_cohort(folder, quiet=True).slices.set_index("slice_id").loc["10029"]
    assert row["label"] is None and row["stroke"] is pd.NA


def test_two_types_on_one_overlay(folder):
    image = Image.open(folder / SESSION_OVERLAY).convert("RGBA")
    image.putpixel((0, 0), (*GREEN, 255))
    image.save(folder / SESSION_OVERLAY)
    cohort = read_cohort(folder, quiet=True)
    assert "two_types" in set(cohort.problems["kind"])
    assert cohort.slices.set_index("slice_id").loc["10021", "label"] == "ischemia"


def test_painted_types_ignore_markers_and_grey():
    image = np.full((4, 4, 3), 128, np.uint8)
    image[0] = vocabulary.MARKER_COLOUR
    assert painted_types(packed(image)) == []
    image[1, :3], image[2, 0] = vocabulary.BORDER_COLOURS["hemorrhage"][1], vocabulary.BORDER_COLOURS["ischemia"][1]
    assert painted_types(packed(image)) == ["hemorrhage", "ischemia"]
    colours = packed(np.uint8([BLUE, GREEN, (9, 9, 9)]))
    assert painted_types(colours, np.array([2, 3, 9])) == ["hemorrhage", "ischemia"], "by pixels, not by colours"
    assert painted_types(colours, np.array([3, 2, 9])) == ["ischemia", "hemorrhage"]


def test_fingerprint_depends_on_content_only(folder, tmp_path):
    first = read_cohort(folder, quiet=True)
    (folder / "DATASET.json").write_text(json.dumps({"name": "mine"}))
    moved = folder.rename(tmp_path / "elsewhere")
    second = read_cohort(moved, quiet=True)
    assert second.fingerprint == first.fingerprint and len(first.fingerprint) == 10
    assert second.origin == {"name": "mine"}
    png(moved / OVERLAY, GREEN)
    third = read_cohort(moved, quiet=True)
    png(moved / NONE_SLICE, BLUE)
    fourth = read_cohort(moved, quiet=True)
    (moved / "ASAMA1_Cevaplar.txt").write_text("10020 0\n10021 0\n10022 1\n")
    fifth = read_cohort(moved, quiet=True)
    assert len({c.fingerprint for c in (second, third, fourth, fifth)}) == 4


def test_true_masks_are_no_slices(folder):
    png(folder / "TRUE_MASKS" / "10010.png", mode="L")
    assert "unknown_folder" in set(read_cohort(folder, quiet=True).problems["kind"])
    (folder / "DATASET.json").write_text(json.dumps({"true_masks": "TRUE_MASKS"}))
    cohort = read_cohort(folder, quiet=True)
    assert cohort.true_masks == folder / "TRUE_MASKS" and "unknown_folder" not in set(cohort.problems["kind"])
    (folder / "DATASET.json").write_text(json.dumps({"true_masks": "../.."}))
    assert read_cohort(folder, quiet=True).true_masks is None


def write_dicom(path: Path, patient: str) -> None:
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CTImageStorage, generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = Dataset()
    dataset.file_meta, dataset.PatientID = meta, patient
    dataset.Rows = dataset.Columns = 8
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 1
    dataset.PhotometricInterpretation, dataset.SamplesPerPixel = "MONOCHROME2", 1
    dataset.RescaleSlope, dataset.RescaleIntercept = 1, -1024
    dataset.PixelData = bytes(128)
    dataset["PixelData"].VR = "OW"
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)


def test_patients_come_from_the_table_or_the_dicom(folder):
    write_dicom(folder / ISCHEMIA / "DICOM" / "10010.dcm", "P7")
    write_dicom(folder / HEMORRHAGE / "DICOM" / "10011.dcm", "P8")
    (folder / "patients.csv").write_text("slice_id,patient\n10010,A1\n10001,A2\n")
    slices = read_cohort(folder, quiet=True).slices.set_index("slice_id")
    assert slices["patient"].dropna().to_dict() == {"10001": "A2", "10010": "A1", "10011": "P8"}
    assert slices.loc["10011", "dicom"].endswith("10011.dcm")


def test_one_patient_id_for_all_is_no_id(folder):
    for i in range(10040, 10061):
        png(folder / NONE / f"{i}.png")
    lines = "".join(f"{i},ANON\n" for i in range(10040, 10061))
    (folder / "patients.csv").write_text("slice_id,patient\n" + lines)
    cohort = read_cohort(folder, quiet=True)
    assert cohort.slices["patient"].isna().all() and "patient_ids_useless" in set(cohort.problems["kind"])


def test_links_to_class_folders_are_followed(folder, tmp_path):
    shutil.move(folder / HEMORRHAGE, tmp_path / "disk2")
    (folder / HEMORRHAGE).symlink_to(tmp_path / "disk2")
    assert plain_rows(read_cohort(folder, quiet=True)) == EXPECTED


def test_what_is_no_data_folder_gets_one_clear_message(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.zip").write_bytes(b"PK")
    png(tmp_path / "cats" / "train" / "cat.png")
    png(tmp_path / "broken" / "Kanama" / "1.png")
    truncate(tmp_path / "broken" / "Kanama" / "1.png")
    for name, words in (
        ("missing", "does not exist"),
        ("empty", "is empty"),
        ("a.zip", "npack"),
        ("cats", "cats, which holds: train/"),
        ("broken", "unreadable_png 1"),
    ):
        with pytest.raises(UserError, match=words):
            read_cohort(tmp_path / name)


# what is done to the folder, words of the obstacle that must come of it, tasks that stay sensible
ALL = ("detection", "type", "regions")
VERDICTS = {
    "nothing": (lambda d: None, "", ALL),
    "a type missing": (lambda d: shutil.rmtree(d / HEMORRHAGE), "slice of the class hemorrhage", ("detection",)),
    "one of a type": (
        lambda d: [(d / HEMORRHAGE / "PNG" / f"1109{i}.png").unlink() for i in (5, 6)],
        "1 slice of the class hemorrhage; training and validation need one",
        ("detection",),
    ),
    "no healthy slice": (
        lambda d: shutil.rmtree(d / NONE),
        "no usable slice of the class none",
        ("type", "regions"),
    ),
    "an id in two parts": (lambda d: png(d / NONE / "10020.png"), "1 slices lie in two parts", ()),
    "an id in two classes": (
        lambda d: png(d / ISCHEMIA / "PNG" / "11040.png"),
        "2 files carry an id that lies in two classes",
        (),
    ),
    "paint": (lambda d: fill(d / NONE_SLICE, BLUE), "1 overlays lie among the originals", ()),
    "many unreadable": (
        lambda d: [truncate(d / NONE / f"1104{i}.png") for i in range(4)],
        "4 of 53 originals can't be used",
        (),
    ),
    "few unreadable": (lambda d: truncate(d / NONE_SLICE), "", ALL),
    "a note": (lambda d: png(d / NONE_SLICE, size=(8, 9), mode="RGB"), "", ALL),
    "no overlays": (
        lambda d: [shutil.rmtree(d / ISCHEMIA / "OVERLAY"), shutil.rmtree(d / HEMORRHAGE / "OVERLAY")],
        "no usable slice of the class ischemia with a mask",
        ("detection", "type"),
    ),
    "no sessions": (lambda d: [shutil.rmtree(d / SESSION1), shutil.rmtree(d / SESSION2)], "", ALL),
    "a bad overlay": (lambda d: truncate(d / OVERLAY), "", ALL),
}


def filled(folder):
    """Add what makes every task possible."""
    for i in range(11040, 11080):
        png(folder / NONE / f"{i}.png")
    for place, first, kind in ((ISCHEMIA, 11090, "ischemia"), (HEMORRHAGE, 11095, "hemorrhage")):
        for i in (first, first + 1):
            png(folder / place / "PNG" / f"{i}.png")
            png(folder / place / "OVERLAY" / f"{i}.png", vocabulary.BORDER_COLOURS[kind][0])


@pytest.mark.parametrize("name", VERDICTS)
def test_the_verdict_on_each_task(folder, name):
    change, words, sensible = VERDICTS[name]
    filled(folder)
    change(folder)
    cohort = read_cohort(folder, quiet=True)
    verdicts = {v.task: v for v in cohort.verdicts()}
    assert tuple(task for task in verdicts if not verdicts[task].obstacles) == sensible
    assert all(words in " ".join(v.obstacles) for v in verdicts.values() if v.obstacles)
    assert bool(cohort.obstacles()) is (not sensible)
    said = cohort.report()
    assert ("Training is sensible.\n" in said) is (sensible == ALL)
    assert ("Training would be wrong:\n" in said) is (not sensible)
    if sensible and sensible != ALL:
        assert f"Training is sensible for {' and '.join(sensible)}.\nTraining would be wrong for" in said
    assert said.splitlines()[1].startswith(f"Can be trained: {(*sensible, 'nothing')[0]}")


def test_the_report_says_all_that_is_known_before_training(folder):
    fill(folder / NONE_SLICE, vocabulary.MARKER_COLOUR)
    (folder / NONE / "10002.png").write_bytes(b"")
    (folder / "patients.csv").write_text("slice_id,patient\n10010,A1\n10001,A1\n")
    cohort = read_cohort(folder, quiet=True)
    said = cohort.report()
    for words in (
        *(f"data: Ministry portal, 8 usable slices, fingerprint {cohort.fingerprint}", "Modes       RGBA 8"),
        *("6 overlays, 2 masks, 0 dicoms", "Pixels      8×8 8", "1 slices with a magenta", "1 known, of 2 slices"),
        *("Grey levels none: 1 to 1", "Problems: 2", "label_without_slice: 1 (used all the same)"),
        *("unreadable_png: 1 (set aside)", f"    {NONE}/10002.png: Not a whole PNG file: it has zero bytes"),
    ):
        assert words in said, words
    counts = dict(re.findall(r"(\S+ +\S+) +\d+ +\d+ +(\d+)\n", said))
    assert counts["train       none"] == "4426" and counts["session2        all"] == "98"
    assert str(folder) not in said, "a notebook must not hold the machine's paths"


def test_the_report_names_the_words_that_decided_and_says_what_to_mend(folder):
    for number in (3, 4, 5):
        png(folder / "Kanama ve İskemi" / f"{number}.png")
    lines = read_cohort(folder, quiet=True).report().splitlines()
    assert f"  {NONE}: none by 'inme yok png', 2 slices" in lines
    assert f"  {HEMORRHAGE}: hemorrhage by 'kanama', 1 slices" in lines
    said = "Kanama ve İskemi: 3 slices in a folder whose name can be read in two ways ('kanama iskemi'): it names"
    assert lines[2].startswith(f"Mend first: ambiguous_folder, 3 files, first {said}") and lines[2].endswith(" …")


def test_a_folder_of_strokes_that_a_table_calls_none_is_said(tmp_path):
    for place, number in (("Normal", 1), ("Normal", 2), ("Stroke", 3), ("Stroke", 4)):
        png(tmp_path / place / f"{number}.png")
    (tmp_path / "labels.csv").write_text("image_id,Stroke\n3,0\n")
    said = read_cohort(tmp_path, quiet=True).problems.set_index("kind")["detail"]
    assert said["label_contradicts_folder"].startswith("The class folder says stroke, a label file says 0")


def test_what_the_report_reminds_of(folder):
    minded = read_cohort(folder, quiet=True).report().split("Mind: ")[1:]
    assert [m.strip() for m in minded] == ["4 training slices are 0.1% of the published ones; expect other scores."]
    assert "were not decoded" in read_cohort(folder, quiet=True, thorough=False).report()
    fill(folder / OVERLAY, (9, 8, 240), where=(0, slice(None)))  # blue as a JPEG gives it back
    assert "1 overlays or masks show neither type's colours" in read_cohort(folder, quiet=True).report()
    shutil.rmtree(folder / SESSION2)
    (folder / OVERLAY).unlink()
    shutil.rmtree(folder / HEMORRHAGE / "OVERLAY")
    (folder / "ASAMA1_Cevaplar.txt").unlink()
    said = read_cohort(folder, quiet=True).report()
    for words in ("nothing can be learned about regions", "session2 is missing", "session1 have no label"):
        assert f"{words}" in said.partition("Mind:")[2], words


def test_command_line(folder, tmp_path, capsys):
    filled(folder)
    assert main(["check", str(folder)]) == 0
    assert capsys.readouterr().out == read_cohort(folder, quiet=True).report() + "\n"
    fill(folder / NONE_SLICE, BLUE)
    call = here("check", folder)
    poor = subprocess.run(call, capture_output=True, text=True, env=os.environ | {"PYTHONIOENCODING": "ascii"})
    assert poor.returncode == 1 and "Training would be wrong" in poor.stdout
    assert "8\\xd78" in poor.stdout, "a terminal may lack the letters"
    assert main(["check", str(tmp_path / "missing")]) == 2 and "does not exist" in capsys.readouterr().err


def test_real_samples(real_samples):
    cohort = read_cohort(real_samples, quiet=True)
    slices = cohort.slices.set_index("slice_id")
    assert len(slices) == 11
    train = slices[slices["part"] == "train"]["label"].value_counts().to_dict()
    assert train == {"none": 3, "hemorrhage": 2, "ischemia": 1}
    session1 = slices[slices["part"] == "session1"]["label"].to_dict()
    assert session1.pop("14343") == "hemorrhage" and session1.pop("13239") == "ischemia"
    assert list(session1.values()) == ["none"] * 3
    unknown = cohort.problems[cohort.problems["kind"] == "unknown_folder"]
    assert unknown["path"].tolist() == ["odd"] and not unknown["used"].iloc[0]


@pytest.fixture
def dicoms_only(tiny_phantom, tmp_path, monkeypatch):
    """Three class folders with the phantom's DICOMs and nothing else, and the PNG that each was drawn with."""
    monkeypatch.setenv("STROKE_DERIVED", str(tmp_path / "derived"))
    cohort = read_cohort(tiny_phantom, quiet=True)
    rows = cohort.slices.dropna(subset="dicom").head(6)
    root, pngs = tmp_path / "data", {}
    for place, row in zip(["Normal", "Ischemia", "Bleeding"] * 2, rows.itertuples(), strict=True):
        (root / place / "DICOM").mkdir(parents=True, exist_ok=True)
        shutil.copy(row.dicom, root / place / "DICOM" / f"{row.slice_id}.dcm")
        pngs[row.slice_id] = row.png
    return root, pngs


def test_class_folders_of_dicoms_alone_are_used(dicoms_only):
    root, pngs = dicoms_only
    cohort = read_cohort(root, quiet=True)
    assert sorted(cohort.slices["slice_id"]) == sorted(pngs)
    assert cohort.slices["label"].value_counts().to_dict() == {"none": 2, "ischemia": 2, "hemorrhage": 2}
    notes = cohort.problems.query("kind == 'png_from_dicom'")
    assert len(notes) == 6 and notes["used"].all() and "HU (its header's)" in notes["detail"].iloc[0]
    for row in cohort.slices.itertuples():
        made, own = read_rgb(row.png), read_rgb(pngs[row.slice_id])
        assert not Path(row.png).is_relative_to(root) and row.dicom.endswith(f"{row.slice_id}.dcm")
        plain = (own[..., 0] == own[..., 1]) & (own[..., 1] == own[..., 2])  # a marker is burnt into the PNG alone
        assert np.array_equal(made[plain], own[plain])
    assert cohort.facts["study"].notna().all() and cohort.slices["patient"].notna().all()
    assert cohort.layout == "mirror-b"
    assert "DICOM       6 whole headers; ids in them: " in cohort.report()
    stamps = [Path(path).stat().st_mtime_ns for path in cohort.slices["png"]]
    again = read_cohort(root, quiet=True)
    assert again.fingerprint == cohort.fingerprint
    assert [Path(path).stat().st_mtime_ns for path in again.slices["png"]] == stamps


def test_damaged_dicoms_alone_are_problems_and_leave_the_rest(dicoms_only):
    root, pngs = dicoms_only
    bad = sorted((root / "Bleeding" / "DICOM").iterdir())[0]
    bad.write_bytes(bad.read_bytes()[:300])
    other = sorted((root / "Ischemia" / "DICOM").iterdir())[0]
    (root / "Ischemia" / "more" / "DICOM").mkdir(parents=True)
    shutil.copy(other, root / "Ischemia" / "more" / "DICOM" / other.name)  # the same slice twice is one slice
    cohort = read_cohort(root, quiet=True)
    assert set(pngs) - set(cohort.slices["slice_id"]) == {bad.stem}
    aside = cohort.problems[~cohort.problems["used"].astype(bool)]
    assert aside[["kind", "path"]].values.tolist() == [["unreadable_dicom", f"Bleeding/DICOM/{bad.name}"]]
    painted = cohort.problems.query("kind == 'stroke_without_overlay'")["path"]
    assert len(painted) == 3 and all((root / path).is_file() for path in painted), "named after the DICOM"


def test_dicoms_alone_without_pixels_say_so(dicoms_only, monkeypatch, tmp_path):
    root, pngs = dicoms_only
    bad = sorted((root / "Bleeding" / "DICOM").iterdir())[0]
    data = pydicom.dcmread(bad)
    del data.PixelData
    data.save_as(bad)
    odd = sorted((root / "Ischemia" / "DICOM").iterdir())[0]
    data = pydicom.dcmread(odd)
    data.HighBit = 3  # the header alone does not show that
    data.save_as(odd)
    cohort = read_cohort(root, quiet=True)
    assert set(pngs) - set(cohort.slices["slice_id"]) == {bad.stem, odd.stem}
    aside = cohort.problems[~cohort.problems["used"].astype(bool)].set_index("path")
    assert set(aside["kind"]) == {"unreadable_dicom"} and len(aside) == 2
    assert "truncated: 0 of" in aside.loc[f"Bleeding/DICOM/{bad.name}", "detail"]
    assert "describes its pixels wrongly" in aside.loc[f"Ischemia/DICOM/{odd.name}", "detail"]
    (tmp_path / "only" / "Kanama").mkdir(parents=True)
    bad.rename(tmp_path / "only" / "Kanama" / "1.dcm")
    with pytest.raises(UserError, match=r"No usable slice.*unreadable_dicom 1, first .*truncated: 0 of"):
        read_cohort(tmp_path / "only", quiet=True)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("STROKE_DERIVED", str(tmp_path / "file" / "derived"))
    with pytest.raises(UserError, match="from-dicom.* cannot be written.*set STROKE_DERIVED"):
        read_cohort(root, quiet=True)
