"""The extractors on overlays painted here by the organiser's rules, on the real ones, and the files they write."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from scipy import ndimage

from stroke_utils.base import identity, vocabulary
from stroke_utils.base.errors import UserError
from stroke_utils.data import class_masks, masks
from stroke_utils.data.cohort import read_cohort
from stroke_utils.evaluate import extractors, overlap


def scan(seed: int = 0, size: tuple = (96, 80)) -> np.ndarray:
    grey = np.random.default_rng(seed).integers(0, 256, size, dtype=np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def paint(original: np.ndarray, lesion: np.ndarray, kind: str, gap: int = 0) -> np.ndarray:
    """Paint a lesion like the organiser: red fill at half opacity (twice for hemorrhage), a border of two colours.

    Every ``gap``-th border pixel keeps the fill.
    """
    rgb = original.astype(float)
    for _ in range(1 if kind == "ischemia" else 2):
        rgb[lesion] = np.round((128 * np.array([255, 0, 0]) + 127 * rgb[lesion]) / 255)
    border = np.argwhere(lesion & ~ndimage.binary_erosion(lesion))
    for i, (y, x) in enumerate(border):
        if not gap or i % gap:
            rgb[y, x] = vocabulary.BORDER_COLOURS[kind][i % 3 == 0]
    return rgb.astype(np.uint8)


def ring() -> np.ndarray:
    """A region with a hole, a second one apart from it and a third of two pixels."""
    y, x = np.mgrid[:96, :80]
    radius = np.hypot(y - 40, x - 36)
    lesion = (radius < 20) & (radius > 6)
    lesion[75:85, 60:70] = True
    lesion[5, 70:72] = True
    return lesion


@pytest.mark.parametrize("kind", vocabulary.TYPES)
@pytest.mark.parametrize("gap", [0, 5])
@pytest.mark.parametrize("method", ["difference", "border"])
def test_exact_on_holes_components_gaps_and_markers(kind, gap, method):
    original, lesion = scan(), ring()
    original[2:4, 2:30] = vocabulary.MARKER_COLOUR
    expected = lesion * np.uint8(vocabulary.MASK_CLASSES.index(kind))
    found = masks.extract(paint(original, lesion, kind, gap), original, method)
    assert found.dtype == np.uint8 and np.array_equal(found, expected)


def test_a_marker_on_the_overlay_alone_is_no_lesion():
    original, lesion = scan(), ring()
    overlay = paint(original, lesion, "ischemia")
    overlay[2:4, 2:30] = vocabulary.MARKER_COLOUR
    assert np.array_equal(masks.extract(overlay, original) == 1, lesion)


def test_the_papers_rule_loses_green_and_takes_blue_and_markers():
    original, lesion = scan(), ring()
    inner = ndimage.binary_erosion(lesion)
    hemorrhage = masks.extract(paint(original, lesion, "hemorrhage"), method="paper")
    assert np.array_equal(hemorrhage == 2, inner)
    ischemia = masks.extract(paint(original, lesion, "ischemia"), method="paper")
    assert np.array_equal(ischemia == 1, lesion)
    original[2:4, 2:30] = vocabulary.MARKER_COLOUR
    with_marker = masks.extract(paint(original, lesion, "ischemia"), method="paper")
    assert np.count_nonzero(with_marker) == np.count_nonzero(lesion) + 56


def test_options_of_the_papers_rule_reach_it():
    original, lesion = scan() // 3, ring()  # real lesions are no brighter than 102 under the paint
    overlay, inner = paint(original, lesion, "ischemia"), ndimage.binary_erosion(lesion)
    assert np.array_equal(masks.extract(overlay, method="paper", saturation=150, value=100) == 1, lesion)
    assert not masks.extract(overlay, method="paper", saturation=256).any()
    assert not masks.extract(overlay, method="paper", value=256).any()
    assert np.array_equal(masks.extract(overlay, method="paper", hue_from=250) == 1, inner)
    assert np.array_equal(masks.extract(overlay, method="paper", hue_to=-1) == 1, lesion & ~inner)


def test_each_region_has_its_own_type():
    original, left, right = scan(), np.zeros((96, 80), bool), np.zeros((96, 80), bool)
    left[20:40, 10:30], right[50:60, 50:60] = True, True
    overlay = paint(paint(original, left, "ischemia"), right, "hemorrhage")
    expected = left * np.uint8(1) + right * np.uint8(2)
    for method in ("difference", "border"):
        assert np.array_equal(masks.extract(overlay, original, method), expected)
    paper = masks.extract(overlay, method="paper")
    assert set(paper[left]) == {1} and set(paper[right]) == {0, 2}


def test_alpha_is_dropped_and_nothing_painted_is_nothing_found():
    original = scan()
    rgba = np.dstack([original, np.full(original.shape[:2], 255, np.uint8)])
    for method in masks.METHODS:
        assert not masks.extract(rgba, original, method).any()


def test_what_cannot_be_extracted_says_why():
    original, lesion = scan(), ring()
    overlay = paint(original, lesion, "ischemia")
    bare = original.copy()
    bare[lesion] = (150, 20, 20)
    for arguments, words in (
        ((overlay, None), "found none"),
        ((overlay, original[:-1]), "found 95×80"),
        ((overlay, scan(1)), "another picture, or saved anew"),
        ((bare, original), "border of either type"),
    ):
        with pytest.raises(ValueError, match=words):
            masks.extract(*arguments)
    with pytest.raises(UserError, match="Unknown method 'magic'; the extractors are difference, border, paper"):
        masks.extract(overlay, original, "magic")
    with pytest.raises(UserError, match="least saturation of 1 or more, found 0"):
        masks.extract(overlay, method="paper", saturation=0)


def reference(overlay, original, method):
    """The three rules as their descriptions say, pixel by pixel of the whole picture."""
    marker = (overlay == vocabulary.MARKER_COLOUR).all(axis=2)
    if method == "difference":
        return (overlay != original).any(axis=2) & ~marker
    if method == "border":
        return (overlay.max(axis=2) - overlay.min(axis=2) >= 64) & ~marker
    hue, sat, val = np.moveaxis(np.asarray(Image.fromarray(overlay).convert("HSV")), -1, 0)
    return ((hue <= 10) | (hue >= 160)) & (sat >= 100) & (val >= 50)


@pytest.mark.parametrize("method", masks.METHODS)
@pytest.mark.parametrize("seed", range(3))
def test_extractors_do_what_the_rules_say_on_any_colour(method, seed):
    original, rng = scan(seed), np.random.default_rng(seed)
    overlay = original.copy()
    places = rng.random(original.shape[:2]) < 0.3
    overlay[places] = rng.integers(0, 256, (np.count_nonzero(places), 3))
    overlay[places & (overlay.max(axis=2) == overlay.min(axis=2))] = (200, 30, 30)  # paint is never grey
    overlay[10:20, 10:20], overlay[:2] = (0, 0, 255), vocabulary.MARKER_COLOUR
    rgba = [np.dstack([array, np.full(array.shape[:2], 255, np.uint8)]) for array in (overlay, original)]
    expected = reference(overlay, original, method)
    for painted, plain in ((overlay, original), rgba):
        assert np.array_equal(masks.extract(painted, plain, method) == 1, expected)


def test_lesions_that_touch_or_meet_the_edge():
    original, left, right = scan(), np.zeros((96, 80), bool), np.zeros((96, 80), bool)
    left[:30, :12], right[30:50, 70:] = True, True
    overlay = paint(paint(original, left, "ischemia"), right, "hemorrhage")
    for method in ("difference", "border"):
        assert np.array_equal(masks.extract(overlay, original, method), left + 2 * right)
    right[:], right[10:30, 12:40] = False, True  # now the two touch
    overlay = paint(paint(original, left, "ischemia"), right, "hemorrhage")
    for method in ("difference", "border"):
        assert np.array_equal(masks.extract(overlay, original, method), left + 2 * right)


def test_dice_counts_agreement_of_class():
    a, b = np.array([0, 1, 1, 2]), np.array([0, 1, 2, 2])
    assert overlap.dice(a, b) == pytest.approx(2 * 2 / 6)
    assert overlap.dice(a, a) == 1 and overlap.dice(a * 0, a * 0) == 1 and overlap.dice(a, a * 0) == 0
    assert overlap.dice(a == 1, b == 1) == pytest.approx(2 / 3)


def test_mask_files_are_read_by_colour():
    rgb = np.zeros((2, 2, 3), np.uint8)
    rgb[0, 1], rgb[1, 0] = vocabulary.MASK_COLOURS["ischemia"], vocabulary.MASK_COLOURS["hemorrhage"]
    assert masks.from_mask_file(rgb).tolist() == [[0, 1], [2, 0]]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Seven stroke slices: two good, one without overlay, one of another type, one with no paint, one with another's
    overlay, one with a mask only."""
    monkeypatch.setenv("STROKE_DERIVED", str(tmp_path / "derived"))
    original, lesion = scan(), ring()

    def write(name, array):
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        info = PngInfo()
        info.add_text("name", name)  # the same pixels in other bytes: the same bytes in two classes are set aside
        Image.fromarray(array).convert("RGBA").save(tmp_path / "data" / name, pnginfo=info)

    overlays = {
        "Iskemi/{}/10001": paint(original, lesion, "ischemia"),
        "Kanama/{}/10002": paint(original, lesion, "hemorrhage"),
        "Kanama/{}/10003": None,
        "Iskemi/{}/10004": paint(original, lesion, "hemorrhage"),
        "Iskemi/{}/10005": original,
        "Iskemi/{}/10006": paint(scan(1), lesion, "ischemia"),
        "YARISMA_2/{}/10007": None,
    }
    for name, overlay in overlays.items():
        write(name.format("PNG") + ".png", original)
        if overlay is not None:
            write(name.format("OVERLAY") + ".png", overlay)
    write("YARISMA_2/MASKS/10007.png", np.uint8(lesion[..., None] * np.array([0, 255, 0])))
    write("Normal/PNG/10008.png", original)
    return tmp_path / "data"


def test_extractors_are_compared_with_the_truth(folder):
    cohort = read_cohort(folder, quiet=True)
    slices = cohort.slices[cohort.slices["slice_id"].isin(["10001", "10002"])]
    scores = extractors.compare(cohort, slices, quiet=True).set_index(["slice_id", "method"])
    size, border = ring().sum(), (ring() & ~ndimage.binary_erosion(ring())).sum()
    assert scores["pixels"].unique().tolist() == [size] and not scores["marker"].any()
    assert scores.loc[("10001", "paper"), ["type", "dice", "missed", "extra"]].tolist() == ["ischemia", 1, 0, 0]
    assert scores.loc[("10002", "paper"), ["missed", "extra"]].tolist() == [border, 0]
    for path in folder.glob("Iskemi/*/10001.png"):
        picture = np.asarray(Image.open(path).convert("RGB")).copy()
        picture[:2] = vocabulary.MARKER_COLOUR
        Image.fromarray(picture).save(path)
    scores = extractors.compare(read_cohort(folder, quiet=True), slices, methods=("border",), quiet=True)
    assert dict(zip(scores["slice_id"], scores["marker"], strict=True)) == {"10001": True, "10002": False}
    assert scores["marker"].dtype == bool
    (folder / "TRUE").mkdir()
    (folder / "DATASET.json").write_text('{"true_masks": "TRUE"}')
    small = ndimage.binary_erosion(ring())
    Image.fromarray(np.uint8(small)).save(folder / "TRUE" / "10001.png")
    cohort = read_cohort(folder, quiet=True)
    scores = extractors.compare(cohort, slices, methods=("difference",), quiet=True).set_index("slice_id")
    assert scores["pixels"].to_dict() == {"10001": small.sum(), "10002": size}
    assert scores["extra"].to_dict() == {"10001": border, "10002": 0}


def test_class_masks_are_palette_files_and_bad_overlays_are_notes(folder):
    cohort = read_cohort(folder, quiet=True)
    table = class_masks.write_class_masks(cohort, quiet=True).set_index("slice_id")
    assert table.index.tolist() == [f"1000{i}" for i in range(1, 8)]
    assert table["class_mask"].notna().tolist() == [True, True, False, False, False, False, True]
    assert table["note"].notna().tolist() == [False, False, True, True, True, True, False]
    for slice_id, words in (("10003", "neither"), ("10004", "labelled isch"), ("10005", "Nothing"), ("10006", "grey")):
        assert words in table.loc[slice_id, "note"]
    with Image.open(table.loc["10002", "class_mask"]) as image:
        assert image.mode == "P" and image.getpalette()[:9] == [0, 0, 0, 0, 0, 255, 0, 255, 0]
        assert np.array_equal(np.asarray(image), ring() * 2)
    with Image.open(table.loc["10007", "class_mask"]) as image:
        assert np.array_equal(np.asarray(image), ring() * 2)
    place = Path(table.loc["10001", "class_mask"]).parent
    note = identity.read_note(place)
    assert place.parent.name == note["kind"] == "class-masks" and note["inputs"] == {"cohort": cohort.fingerprint}
    assert len(list(place.glob("*.png"))) == 3


def test_a_second_call_finishes_what_a_killed_one_began(folder):
    cohort = read_cohort(folder, quiet=True)
    table = class_masks.write_class_masks(cohort, quiet=True)
    first, second = (Path(p) for p in table["class_mask"][:2])
    whole = first.read_bytes()
    stamp = second.stat().st_mtime_ns
    small = Image.fromarray(np.zeros((4, 4), np.uint8)).convert("P")
    for damage in (first.unlink, lambda: first.write_bytes(whole[:90]), lambda: small.save(first)):
        damage()
        again = class_masks.write_class_masks(cohort, quiet=True)
        assert again.equals(table) and first.read_bytes() == whole and second.stat().st_mtime_ns == stamp


def test_masks_of_another_rule_are_other_masks(folder, monkeypatch):
    cohort = read_cohort(folder, quiet=True)

    def made(method="paper", **options):
        table = class_masks.write_class_masks(cohort, method, quiet=True, **options)
        return Path(table["class_mask"].iloc[1]), np.asarray(Image.open(table["class_mask"].iloc[1])).sum()

    usual, strict, exact = made(), made(saturation=255), made("difference")
    assert made(saturation=100, value=50) == usual, "the defaults, spelled out"
    assert made("difference", saturation=255) == exact, "the exact method has no saturation"
    assert len({usual[0].parent, strict[0].parent, exact[0].parent}) == 3 and strict[1] < usual[1] < exact[1]
    monkeypatch.setattr(identity, "code_version", lambda *modules, **how: "another")
    assert made()[0].parent != usual[0].parent, "other code may paint otherwise"


def test_a_torn_folder_of_masks_is_refused(folder):
    cohort = read_cohort(folder, quiet=True)
    table = class_masks.write_class_masks(cohort, quiet=True)
    (Path(table["class_mask"].iloc[0]).parent / identity.NOTE).write_text("{")
    with pytest.raises(UserError, match="class-masks/.* has no readable identity.json"):
        class_masks.write_class_masks(cohort, quiet=True)


def test_an_unknown_method_is_said_before_anything_is_written(folder, tmp_path):
    with pytest.raises(UserError, match="Unknown method 'magic'"):
        class_masks.write_class_masks(read_cohort(folder, quiet=True), "magic", quiet=True)
    assert not list(tmp_path.glob("derived/*/masks"))


def test_phantom_overlays_are_extracted_exactly(tiny_phantom):
    cohort = read_cohort(tiny_phantom, quiet=True)
    painted = cohort.slices.dropna(subset="overlay")
    scores = extractors.compare(cohort, painted, quiet=True).groupby("method")
    assert scores["dice"].min()["difference"] == 1 and scores["dice"].mean()["border"] >= 0.999
    assert scores["extra"].sum()[["difference", "border"]].tolist() == [0, 0]


def test_a_damaged_overlay_does_not_stop_the_rest(folder):
    cohort = read_cohort(folder, quiet=True)
    path = Path(cohort.slices["overlay"][0])
    path.write_bytes(path.read_bytes()[:200])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = class_masks.write_class_masks(cohort, method="border", quiet=True).set_index("slice_id")
    assert table.loc["10001", "class_mask"] is None and table.loc["10001", "note"]
    assert table.loc["10002", "class_mask"]


@pytest.mark.parametrize("slice_id, value, pixels, paper", [("14343", 2, 7287, 0.972), ("13239", 1, 2290, 1.0)])
def test_real_overlays(real_samples, slice_id, value, pixels, paper):
    row = read_cohort(real_samples, quiet=True).slices.set_index("slice_id").loc[slice_id]
    overlay, original = masks.read_rgb(row["overlay"]), masks.read_rgb(row["png"])
    exact = masks.extract(overlay, original)
    assert np.count_nonzero(exact) == pixels and set(np.unique(exact)) == {0, value}
    assert np.array_equal(masks.extract(overlay, method="border"), exact)
    assert overlap.dice(masks.extract(overlay, method="paper"), exact) == pytest.approx(paper, abs=5e-4)
