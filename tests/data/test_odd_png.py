"""PNGs as people have them: what is wrong beside the pixels is a note, and what is no PNG is called what it is."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from stroke_utils.data.cohort import read_cohort
from stroke_utils.data.pixels import read_rgb

LARGE = 80_000_000  # bytes of a text after it is inflated: more than any limit of a decoder


def insert_chunk(path, name=b"zTXt", data=None, wrong=False):
    """Put a chunk before the pixels; ``wrong`` gives it a wrong sum."""
    data = b"Comment\0\0" + zlib.compress(bytes(LARGE), 9) if data is None else data
    whole = path.read_bytes()
    place = whole.index(b"IDAT") - 4
    checksum = zlib.crc32(name + data) ^ wrong
    path.write_bytes(
        whole[:place] + struct.pack(">I", len(data)) + name + data + struct.pack(">I", checksum) + whole[place:]
    )


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A folder of two good slices and one more, 10005.png, to be spoiled."""
    monkeypatch.setenv("STROKE_DERIVED", str(tmp_path / "derived"))
    (tmp_path / "data" / "Normal").mkdir(parents=True)
    for number in (10001, 10002, 10005):
        grey = np.random.default_rng(number).integers(0, 256, (16, 16), dtype=np.uint8)
        Image.fromarray(grey).convert("RGBA").save(tmp_path / "data" / "Normal" / f"{number}.png")
    return tmp_path / "data"


def spoiled(root):
    return root / "Normal" / "10005.png"


def read(root):
    """Give the cohort's row of the spoiled slice, or None, and the problems by kind."""
    cohort = read_cohort(root, quiet=True)
    rows = cohort.slices[cohort.slices["slice_id"] == "10005"]
    assert set(cohort.slices["slice_id"]) >= {"10001", "10002"}
    kinds = cohort.problems[cohort.problems["path"] == "Normal/10005.png"].set_index("kind")
    return (rows.iloc[0] if len(rows) else None), kinds["detail"].to_dict(), kinds["used"].to_dict()


BESIDE = {
    "large text": {},
    "large international text": {
        "name": b"iTXt",
        "data": b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(bytes(LARGE), 9),
    },
    "large profile": {"name": b"iCCP", "data": b"icc\0\0" + zlib.compress(bytes(LARGE), 9)},
    "wrong sum of a text": {"name": b"tEXt", "data": b"Software\0viewer", "wrong": True},
    "wrong sum of a time": {"name": b"tIME", "data": bytes(7), "wrong": True},
    "wrong sum of a private chunk": {"name": b"prVt", "data": b"x" * 90, "wrong": True},
    "a short resolution": {"name": b"pHYs", "data": b"\0"},
}


@pytest.mark.parametrize("chunk", BESIDE.values(), ids=BESIDE)
def test_what_is_wrong_beside_the_pixels_is_a_note(root, chunk):
    pixels = read_rgb(spoiled(root))
    insert_chunk(spoiled(root), **chunk)
    row, said, used = read(root)
    assert row is not None and "beside the pixels" in said["odd_chunks"] and used["odd_chunks"]
    assert np.array_equal(read_rgb(row["png"]), pixels), "any notebook can open what the table names"
    assert read(root)[0].equals(row)


def test_a_good_text_and_zeros_at_the_end_are_nothing(root):
    insert_chunk(spoiled(root), b"tEXt", b"Software\0viewer")
    with spoiled(root).open("ab") as stream:
        stream.write(bytes(64))
    row, said, _ = read(root)
    assert row["png"] == str(spoiled(root)) and not said


def damage_pixels(path):
    whole = bytearray(path.read_bytes())
    whole[whole.index(b"IDAT") + 20] ^= 255
    path.write_bytes(whole)


def rename_pixels(path):
    path.write_bytes(path.read_bytes().replace(b"IDAT", b"iDAT"))


def cut_end(path):
    path.write_bytes(path.read_bytes()[:-12])


@pytest.mark.parametrize("damage", [damage_pixels, rename_pixels, cut_end])
def test_a_wrong_text_excuses_no_damage_of_the_pixels(root, damage):
    insert_chunk(spoiled(root), b"tEXt", b"Software\0viewer", wrong=True)
    damage(spoiled(root))
    row, said, used = read(root)
    assert row is None and not used["unreadable_png"] and "Not a whole PNG" in said["unreadable_png"]


def test_chunks_of_unknown_meaning_that_pixels_may_need_are_not_dropped(root):
    """The second half of the pixels has a damaged name."""
    insert_chunk(spoiled(root), b"tEXt", b"Software\0viewer", wrong=True)
    whole = spoiled(root).read_bytes()
    place = whole.index(b"IDAT")
    pixels, end = whole[place + 4 : whole.index(b"IEND") - 8], whole[whole.index(b"IEND") - 4 :]
    halves = ((b"IDAT", pixels[:50]), (b"QDAT", pixels[50:]))
    chunks = [struct.pack(">I", len(h)) + n + h + struct.pack(">I", zlib.crc32(n + h)) for n, h in halves]
    spoiled(root).write_bytes(whole[: place - 4] + b"".join(chunks) + end)
    assert "10005" not in set(read_cohort(root, quiet=True, thorough=False).slices["slice_id"])


@pytest.mark.parametrize("name", ["JPEG", "BMP", "GIF", "TIFF", "WEBP", "JPEG2000", "PDF"])
def test_a_picture_of_another_kind_is_called_what_it_is(root, name):
    Image.open(spoiled(root)).convert("RGB").save(spoiled(root), format=name)
    row, said, _ = read(root)
    called = {"WEBP": "WebP", "JPEG2000": "JPEG 2000"}.get(name, name)
    assert row is None and f"It is a {called}, called .png; expected a PNG." in said["unreadable_png"]
    assert ("JPEG has changed its grey values" in said["unreadable_png"]) == (name == "JPEG")


@pytest.mark.parametrize(
    ("data", "called"),
    [
        (bytes(128) + b"DICM" + bytes(90), "DICOM"),
        (b"version https://git-lfs.github.com/spec/v1\n", "pointer of Git LFS"),
        (b"<!DOCTYPE html><html>sign in</html>", "web page"),
        (b"PK\3\4" + bytes(90), "zip archive"),
    ],
)
def test_what_is_no_picture_is_called_what_it_is(root, data, called):
    spoiled(root).write_bytes(data)
    assert f"It is a {called}" in read(root)[1]["unreadable_png"]


def test_a_png_called_dcm_is_called_a_png(root):
    (root / "Normal" / "10009.dcm").write_bytes(spoiled(root).read_bytes())
    problems = read_cohort(root, quiet=True).problems.set_index("kind")
    assert "It is a PNG, called .dcm; expected a DICOM." in problems.loc["unreadable_dicom", "detail"]


def test_blank_and_tiny_pictures_are_called_so(root):
    Image.new("RGBA", (40, 40), (0, 0, 0, 255)).save(spoiled(root))
    row, said, used = read(root)
    assert row is not None and "black: nothing is seen" in said["blank_slice"] and used["blank_slice"]
    for size in ((1, 1), (512, 3), (7, 90)):
        Image.new("RGBA", size, (9, 9, 9, 255)).save(spoiled(root))
        row, said, used = read(root)
        assert row is None and f"{size[0]}×{size[1]} pixels" in said["too_small"] and not used["too_small"]
