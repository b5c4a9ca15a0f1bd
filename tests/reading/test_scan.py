"""Reading scans: order, resume, patients, DICOM-SEG equal to the masks, the page; and what is refused by name."""

import json
import os
import subprocess
import sys
import weakref
from dataclasses import replace
from types import SimpleNamespace

import highdicom
import matplotlib.pyplot as plt
import numpy as np
import pydicom
import pytest
from PIL import Image

from stroke_utils.base.errors import UserError
from stroke_utils.data import dicom, masks, pixels
from stroke_utils.data.series import Aside, Slice, read_series
from stroke_utils.figures import use_style
from stroke_utils.learn import predict
from stroke_utils.reading import kinds, networks, report, strange
from stroke_utils.reading import scan as reading
from tests import scans
from tests.data.test_odd_dicom import ct, head
from tests.scans import Stub


@pytest.fixture(scope="module")
def answered(scan, tmp_path_factory):
    """The drawn scan read by the stub: what was found, the stub, what it told, and the folder."""
    return read_all(scan.folder, tmp_path_factory.mktemp("read"))


def read_all(path, out, stub=None):
    stub = stub or Stub()
    found = reading.find(path, out, quiet=True)
    return found, stub, reading.read(found, stub, out, quiet=True), out


def test_a_scan_is_read_in_order_and_named_aside(answered, scan):
    found, stub, told, _ = answered
    assert [job.path for job in found.jobs] == [f for k, f in enumerate(scan.files) if k != scans.TORN]
    assert told["answered"] == stub.asked == 29 and told["refused"] == {}
    assert sorted(each["kind"] for each in told["aside"]) == ["broken", "no CT slice", "no CT slice", "no DICOM"]
    (patient,) = told["patients"]
    assert (patient["patient"], patient["stroke"], patient["types"]) == ("P0005", True, ["hemorrhage"])
    order = [(row["called"], row["stroke"]) for row in told["slices"]]
    assert order == sorted(order, reverse=True)


def test_areas_and_volume_follow_from_the_masks(answered):
    found, _, told, out = answered
    (series,) = found.series.values()
    pixel, total = scans.PIXEL**2, 0
    for job in found.jobs:
        row = json.loads(job.answer_in(out).read_text())
        count = np.count_nonzero(masks.read_class_mask(job.mask_in(out)) == 2)
        assert row["area_px"]["hemorrhage"] == count
        assert row["area_mm2"]["hemorrhage"] == pytest.approx(count * pixel)
        total += count
    assert told["patients"][0]["volume_ml"]["hemorrhage"] == pytest.approx(total * pixel * 3.0 / 1000, rel=0.05)
    assert total > 0 and len(series) == 29


def test_the_segmentation_has_the_pixels_of_the_masks(answered):
    found, _, told, out = answered
    read = highdicom.seg.segread(out / told["series"][0]["segmentation"])
    uids = [pydicom.dcmread(job.path, stop_before_pixels=True).SOPInstanceUID for job in found.jobs]
    pixel_array = read.get_pixels_by_source_instance(uids, combine_segments=True)
    assert np.array_equal(pixel_array, [masks.read_class_mask(job.mask_in(out)) for job in found.jobs])
    assert read.ContentDescription == Stub.remark


def test_a_second_reading_asks_nothing_and_a_changed_file_alone_is_asked_again(scan, tmp_path):
    folder = tmp_path / "in"
    for k, file in enumerate(scan.files[:4]):
        (folder / f"{k}").parent.mkdir(exist_ok=True)
        (folder / f"{k}").write_bytes(file.read_bytes())
    _, first, told, out = read_all(folder, folder / "out")
    assert first.asked == 4
    before = (out / "answer.json").read_text()
    made = (out / "series-1/segmentation.dcm").stat().st_mtime_ns
    _, second, _, _ = read_all(folder, folder / "out")
    assert second.asked == 0 and (out / "answer.json").read_text() == before
    assert (out / "series-1/segmentation.dcm").stat().st_mtime_ns == made
    (out / "series-1/masks" / f"{told['slices'][0]['name']}.png").unlink()
    next((out / "series-1/slices").glob("*.json")).write_text('{"file": ')
    assert read_all(folder, folder / "out")[1].asked in (1, 2)
    other = Stub()
    other.digest = "d2"
    assert read_all(folder, folder / "out", other)[1].asked == 4, "answers of other networks do not hold"


def test_a_stopped_reading_goes_on(scan, tmp_path):
    class Stopped(Stub):
        def look(self, rgb):
            if self.asked == 3:
                raise KeyboardInterrupt
            return super().look(rgb)

    with pytest.raises(KeyboardInterrupt):
        read_all(scan.folder, tmp_path, Stopped())
    assert len(list(tmp_path.glob("series-1/slices/*.json"))) == 3 and not (tmp_path / "answer.json").exists()
    assert read_all(scan.folder, tmp_path)[1].asked == 26


def test_the_page_says_all_and_loads_nothing(answered):
    found, _, told, out = answered
    page, pdf = report.write(found, told, out)
    html = page.read_text()
    assert html.count(f"{Stub.remark}.") >= 2 and "http" not in html and "&lt;Stub&gt;" in html
    assert html.count("data:image/png;base64,") == report.SHOWN and html.count('alt="CT slice') == report.SHOWN
    for said in (
        "P0005",
        "hemorrhage",
        " ml",
        "mm²",
        "0.031 off on average",
        "a localizer",
        "ab" * 8,
        reading.RULE[:40],
    ):
        assert said in html
    assert pdf.read_bytes().startswith(b"%PDF") and pdf.read_bytes().count(b"/Type /Page\n") <= 1


@pytest.mark.parametrize("style", [lambda: None, use_style], ids=["plain", "course"])
@pytest.mark.parametrize("word", ["word ", "WWWW "])
def test_nothing_on_the_pdf_is_cut_or_lies_on_something_else(answered, monkeypatch, style, word):
    style()
    found, _, told, out = answered
    drawn = []
    monkeypatch.setattr(report, "save_pdf", lambda figure, _: drawn.append(figure))
    both = {"area_px": {"ischemia": 1061, "hemorrhage": 1925}, "area_mm2": {"ischemia": 1019.0, "hemorrhage": 1849.0}}
    rows = [row | both | {"turned": 90} if row["called"] else row for row in told["slices"]]
    patients = [told["patients"][0] | {"patient": f"P{k}-" + "LONG" * 15} for k in range(9)]
    aside = [{"file": "f", "kind": f"kind {k}", "reason": word * 60} for k in range(9)]
    more = {"slices": rows, "patients": patients, "aside": aside, "input": "FOLDER " * 9}
    report.write(found, told | more, out)
    for title, row in zip([axis.get_title() for axis in drawn[0].axes], rows, strict=False):
        assert title.replace("\n", " ") == report.caption(row)
    drawn[0].draw_without_rendering()
    page, texts = drawn[0].bbox, [*drawn[0].texts, *(axis.title for axis in drawn[0].axes)]
    boxes = [text.get_window_extent() for text in texts] + [axis.get_window_extent() for axis in drawn[0].axes]
    assert all(page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0 and box.y1 <= page.y1 for box in boxes)
    assert [(a, b) for k, a in enumerate(boxes) for b in boxes[:k] if a.overlaps(b)] == []
    plt.close(drawn[0])


def test_pngs_are_answered_without_a_patient_and_others_refused_by_name(tmp_path, tiny_phantom):
    folder = tmp_path / "in"
    folder.mkdir()
    png = next(path for path in sorted(tiny_phantom.rglob("PNG/*.png")))
    (folder / "a.png").write_bytes(png.read_bytes())
    made = kinds.strange(pixels.read_rgb(png))
    Image.fromarray(made["photo"]).save(folder / "b.png")
    Image.fromarray(made["overlay of a lesion"]).save(folder / "c.png")
    Image.fromarray(made["photo"]).save(folder / "d.jpg")
    (folder / "e.png").write_bytes(png.read_bytes()[:2000])
    Image.fromarray(np.uint16(made["noise"][..., 0]) * 200).save(folder / "f.png")
    _, _, told, _ = read_all(folder, tmp_path / "out")
    refused = {row["file"]: row["refused"]["kind"] for row in told["slices"] if row["refused"]}
    assert refused.pop("b.png") == "colours" and refused.pop("c.png") == "colours"
    assert refused == {"e.png": "unreadable png", "f.png": "unexpected mode"}
    assert told["patients"] == [] and told["answered"] == 1
    (jpeg,) = told["aside"]
    assert jpeg["reason"].startswith("d.jpg is a JPEG; expected a PNG or a DICOM file.")


def test_the_work_to_find_slices_grows_with_their_number_alone(tmp_path, monkeypatch):
    hashed, opened, count = [], [], 300

    class Counted(type(tmp_path)):
        def __hash__(self):
            hashed.append(1)
            return super().__hash__()

    aside = [Aside(Counted(tmp_path / f"{k}.png"), "no DICOM", "x") for k in range(count)]
    monkeypatch.setattr(reading.series, "read_series", lambda *given: ([], aside))
    monkeypatch.setattr(reading.layouts, "content", lambda path: opened.append(path) or ("PNG", "PDF")[len(opened) % 2])
    found = reading.find(tmp_path, quiet=True)
    assert len(found.jobs) == len(found.aside) == count / 2
    assert len(opened) == count and len(hashed) <= 5 * count


def test_nothing_to_read_is_one_message(tmp_path):
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(UserError, match="holds no slice: 1 files, none a PNG or a CT slice"):
        reading.find(tmp_path, quiet=True)
    with pytest.raises(UserError, match="is not there"):
        reading.find(tmp_path / "nowhere", quiet=True)


def test_odd_names_take_no_other_file_with_them(tmp_path, tiny_phantom):
    folder, png = tmp_path / "in", next(path for path in sorted(tiny_phantom.rglob("PNG/*.png")))
    folder.mkdir()
    names = ["漢" * 80, "😀" * 62, "İskemi' <b>\n", os.fsdecode(b"\xddskemi"), "a"]
    for name in names:
        (folder / f"{name}.png").write_bytes(png.read_bytes())
    for folders in ("in", "in"):  # the second from what the first kept
        found, _, told, out = read_all(tmp_path / folders, tmp_path / "out")
        html = report.write(found, told, out)[0].read_text()
    assert told["answered"] == len(names) and "&lt;b&gt;" in html and "<b>" not in html
    kept = {row["file"] for row in json.loads((out / "answer.json").read_text())["slices"]}
    assert kept == {f"{name}.png" for name in names}


def test_answers_never_lie_above_what_is_read(scan, tmp_path):
    ct(tmp_path / "in" / "a.dcm", head())
    for out in (tmp_path / "in", tmp_path):
        with pytest.raises(UserError, match="The answers cannot go to .*--out DIR"):
            reading.find(tmp_path / "in", out, quiet=True)
    assert read_all(tmp_path / "in" / "a.dcm", tmp_path / "in")[2]["answered"] == 1, "one file is not looked around"


def test_a_folder_of_answers_is_of_one_input(tmp_path, monkeypatch):
    for name in "ab":
        ct(tmp_path / name / "1.dcm", head())
    read_all(tmp_path / "a", tmp_path / "out")
    before = (tmp_path / "out/answer.json").read_bytes()
    with pytest.raises(UserError, match="out holds the answers to another file or folder than .*b. Give another"):
        read_all(tmp_path / "b", tmp_path / "out")
    assert (tmp_path / "out/answer.json").read_bytes() == before
    found = reading.find(tmp_path / "a", tmp_path / "out", quiet=True)
    reading.claim(found, tmp_path / "out")
    other = "import sys; from stroke_utils.base import files; files.claim(sys.argv[1], 'x', patience=0)"
    run = subprocess.run([sys.executable, "-c", other, tmp_path / "out/input.json"], capture_output=True, text=True)
    assert "two would write the same files" in run.stderr
    (tmp_path / "taken").write_text("")
    with pytest.raises(UserError, match="taken.* cannot be written"):
        reading.claim(found, tmp_path / "taken" / "out")


def test_no_segmentation_of_an_earlier_reading_is_left(scan, tmp_path):
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for k in range(12, 15):
        (folder / str(k)).write_bytes(scan.files[k].read_bytes())
    scans.save(pydicom.dcmread(scan.files[3]), folder / "z", SeriesInstanceUID="1.2.3")
    read_all(folder, out)
    assert len(list(out.glob("*/segmentation.dcm"))) == 2
    (folder / "z").unlink()
    for k in range(12, 15):  # now without places
        scans.save(pydicom.dcmread(scan.files[k]), folder / str(k), ImagePositionPatient=None)
    assert read_all(folder, out)[2]["series"][0]["segmentation"] is None
    assert not list(out.glob("*/segmentation.dcm"))


def test_a_tag_that_cannot_be_read_is_a_refusal(scan, tmp_path):
    scans.save(pydicom.dcmread(scan.files[12]), tmp_path / "in" / "a", SeriesDescription="abcd")
    data = (tmp_path / "in" / "a").read_bytes()
    assert data.count(b"\x08\x00\x3e\x10LO") == 1
    (tmp_path / "in" / "b").write_bytes(data.replace(b"\x08\x00\x3e\x10LO", b"\x08\x00\x3e\x10FD"))
    scans.save(pydicom.dcmread(scan.files[13]), tmp_path / "in" / "a")
    _, _, told, _ = read_all(tmp_path / "in", tmp_path / "out")
    assert told["answered"] == 1 and told["refused"] == {"broken": 1}
    assert "Its tags cannot be read" in told["slices"][-1]["refused"]["reason"]


def test_long_lists_are_cut_and_begin_with_the_strokes(answered, tmp_path):
    found, _, told, _ = answered
    files = {job.name: job.path for job in found.jobs}
    stroke, calm = (files[told["slices"][place]["name"]] for place in (0, -1))
    for k in range(reading.MOST + 3):
        file = stroke if k == reading.MOST + 2 else calm
        about = {"PatientID": f"P{k:02d}", "SeriesInstanceUID": f"1.2.{k}"}
        scans.save(pydicom.dcmread(file), tmp_path / "in" / f"{k:02d}", **about)
    found, _, told, out = read_all(tmp_path / "in", tmp_path / "out")
    assert [each["stroke"] for each in told["patients"]] == [True] + [False] * (reading.MOST + 2)
    html = report.write(found, told, out)[0].read_text()
    assert html.count("<h2>series-") == reading.MOST and "3 more series stand in" in html
    said = reading.summary(told).splitlines()
    assert said[1].startswith("Patient P22: stroke") and "3 more patients stand in answer.json." in said
    assert sum(line.startswith("Patient") for line in said) == reading.MOST


def test_what_is_usual_is_learned_from_one_slice_at_a_time():
    rng, alive = np.random.default_rng(0), []

    def slices(count):
        for _ in range(count):
            assert sum(each() is not None for each in alive) <= 2, "slices are kept"
            rgb = rng.integers(0, 256, (64, 64, 3), np.uint8)
            alive.append(weakref.ref(rgb))
            yield rgb
            del rgb

    usual = strange.Usual.fit(slices(30), slices(20), lambda rgb: rgb.mean(axis=(0, 1)))
    assert len(alive) == 50 and usual.limit > 0


@pytest.mark.parametrize(
    ("answered", "stroke", "said"),
    [
        (10, False, "no stroke found"),
        (5, False, "no stroke found; 5 of 10 slices refused"),
        (4, False, "no answer: 6 of 10 slices refused"),
        (0, None, "no answer: every slice was refused"),
        (2, True, "stroke, ischemia"),
    ],
)
def test_no_stroke_is_said_where_at_least_half_was_answered(answered, stroke, said):
    series = {"group": "series-1", "patient": "P1", "slices": 10, "answered": answered, "stroke": stroke}
    (patient,) = reading._patients([series | {"types": ["ischemia"] if stroke else [], "volume_ml": None}])
    assert reading.words(patient) == said


def test_regions_of_another_type_than_the_slices_are_remarked(scan, tmp_path):
    class Torn(Stub):
        def type_of(self, rgb):
            return 0.1

    _, _, told, _ = read_all(scan.folder, tmp_path / "torn", Torn())
    (note,) = (note for note in told["series"][0]["notes"] if note.startswith(reading.DISAGREE))
    assert note.endswith("ischemia by the slices' types, mostly hemorrhage by the regions (series-1).")
    assert note in reading.summary(told)
    _, _, told, _ = read_all(scan.folder, tmp_path / "agreed")
    assert reading.DISAGREE not in reading.summary(told) and "ischemia 0.0 ml" not in reading.summary(told)
    assert reading.NOT_LOOKED in reading.summary(told | {"unusual_from": None})


def test_a_stroke_without_a_region_has_no_type_by_its_regions(scan, tmp_path):
    class Blind(Stub):
        def look(self, rgb):
            return float(super().regions_of(rgb).any()), np.zeros(3)

        def regions_of(self, rgb):
            return np.zeros(rgb.shape[:2], np.uint8)

    _, _, told, _ = read_all(scan.folder, tmp_path, Blind())
    (patient,) = told["patients"]
    assert patient["stroke"] and patient["types"] == ["hemorrhage"] and set(patient["volume_ml"].values()) == {0}
    assert reading.DISAGREE not in reading.summary(told) and "hardly a region found" in reading.summary(told)


def test_one_called_slice_among_many_is_no_stroke():
    def row(called, refused=None):
        return {"called": called, "refused": refused}

    assert reading._called([row(False), row(True), row(False)]) is False
    assert reading._called([row(True), row(False, {"kind": "x"}), row(True)]) is True
    assert reading._called([row(True)]) is True and reading._called([row(False, {"kind": "x"})]) is None


def test_a_bleeding_on_neighbouring_slices_is_named_however_many_others_show_an_ischemia():
    def rows(letters):
        names = {"i": "ischemia", "h": "hemorrhage"}
        return [{"called": c in names, "refused": None, "type": names.get(c)} for c in letters]

    assert reading._types(rows("iiiiii..hh")) == ["ischemia", "hemorrhage"]
    assert reading._types(rows("iiihiii")) == ["ischemia"], "a single slice among others is not believed"
    assert reading._types(rows(".hi.")) == ["ischemia", "hemorrhage"], "two that differ: both"
    assert reading._types(rows("h")) == ["hemorrhage"] and reading._types(rows("..h.i")) == []


@pytest.mark.parametrize(
    ("tags", "kind"),
    [
        ({"BodyPartExamined": "CHEST"}, "another body part"),
        ({"ContrastBolusAgent": "Iohexol"}, "contrast"),
        ({"SeriesDescription": "CTA Head 1.0"}, "contrast"),
        ({"ProtocolName": "Beyin BT Anjiyografi"}, "contrast"),
        ({"StudyDescription": "HEAD WITH CONTRAST"}, "contrast"),
        ({"SeriesDescription": "Head_perfusion_4D"}, "contrast"),
        ({"SeriesDescription": "BT ANJIO"}, "contrast"),
        ({"ProtocolName": "BT ANJİYO BEYİN", "SpecificCharacterSet": "ISO_IR 192"}, "contrast"),
        ({"SeriesDescription": "HeadCTA"}, "contrast"),
        ({"SeriesDescription": "CTV HEAD"}, "contrast"),
        ({"SeriesDescription": "Head C+"}, "contrast"),
        ({"SeriesDescription": "CE-CT Brain"}, "contrast"),
        ({"StudyDescription": "HEAD WITHOUT AND WITH CONTRAST"}, "contrast"),
    ],
)
def test_tags_of_other_scans_are_refused_by_name(tmp_path, tags, kind):
    ct(tmp_path / "a.dcm", head(), **tags)
    with pytest.raises(strange.Refused) as refused:
        strange.look_at_tags(tmp_path / "a.dcm")
    assert refused.value.kind == kind and next(iter(tags.values())) in refused.value.reason


@pytest.mark.parametrize(
    "tags",
    [
        {"BodyPartExamined": "HEAD", "ContrastBolusAgent": "NONE"},
        {"BodyPartExamined": "Beyin", "SeriesDescription": "Non-Contrast Head"},
        {"BodyPartExamined": "UNKNOWN", "ContrastBolusAgent": "W/O CONTRAST"},
        {"BodyPartExamined": "CRANEO", "ContrastBolusAgent": "w/o"},
        {"SeriesDescription": "kontrastsız beyin", "StudyDescription": "CT HEAD W/O CONTRAST"},
        {"SeriesDescription": "KONTRASTSIZ BEYİN", "BodyPartExamined": "BEY?N", "SpecificCharacterSet": "ISO_IR 192"},
        {"SeriesDescription": "pre-contrast head", "ContrastBolusAgent": "None given"},
        {"SeriesDescription": "Octave Head 5 mm", "ContrastBolusAgent": "-"},
        {"SeriesDescription": "Head 5.0 plain", "StudyDescription": "CT HEAD WITHOUT AND WITH CONTRAST"},
        {"ContrastBolusAgent": "nativ", "SeriesDescription": "Head without IVContrast"},
        {},
    ],
)
def test_tags_of_plain_heads_are_not(tmp_path, tags):
    ct(tmp_path / "a.dcm", head(), **tags)
    strange.look_at_tags(tmp_path / "a.dcm")


@pytest.mark.parametrize("along", [(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0)])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_slice_is_laid_upright_by_its_directions_and_back(tmp_path, along, sign):
    down = sign * np.array([along[1], along[0], 0]) if along[0] else sign * np.array([along[1] != 0, 0, 0])
    one = Slice(tmp_path, header=None, directions=(*map(float, along), *map(float, down)))
    row, column = np.mgrid[:5, :7]
    # x (left) and y (back) of each pixel, in steps
    x, y = (column * along[axis] + row * down[axis] for axis in (0, 1))
    upright = strange.way_up(one)
    assert (np.diff(upright(x), axis=1) == 1).all() and (np.diff(upright(y), axis=0) == 1).all()
    assert np.array_equal(strange.turned_back(upright, x.shape, upright(x)), x)


def test_a_side_view_is_refused(tmp_path):
    with pytest.raises(strange.Refused, match="side view"):
        strange.way_up(Slice(tmp_path, header=None, directions=(1.0, 0, 0, 0, 0, -1.0)))


def test_masks_of_a_turned_scan_lie_on_its_own_pixels(scan, tmp_path):
    """The same slices, stored upside down by other directions, give the same masks upside down."""
    folder = tmp_path / "in"
    for k in range(12, 15):
        dataset = pydicom.dcmread(scan.files[k])
        dataset.PixelData = dataset.pixel_array[::-1, ::-1].tobytes()
        turned = [-float(each) for each in dataset.ImageOrientationPatient]
        scans.save(dataset, folder / str(k), ImageOrientationPatient=turned)
    found, _, told, out = read_all(folder, tmp_path / "out")
    plain = tmp_path / "plain"
    for k in range(12, 15):
        scans.save(pydicom.dcmread(scan.files[k]), plain / str(k))
    other, _, same, there = read_all(plain, tmp_path / "there")
    assert told["answered"] == same["answered"] == 3
    ours = {job.path.name: masks.read_class_mask(job.mask_in(out)) for job in found.jobs}
    theirs = {job.path.name: masks.read_class_mask(job.mask_in(there)) for job in other.jobs}
    assert all(np.array_equal(ours[name], theirs[name][::-1, ::-1]) for name in theirs) and ours["13"].any()


def test_a_usual_reader_refuses_far_features_and_turns_heads(scan):
    (series,), _ = read_series(scan.folder, quiet=True)
    slices = [
        np.repeat(dicom.window(dicom.read_hounsfield(each.path), *reading.WINDOW)[..., None], 3, axis=2)
        for each in series.slices
    ]

    def features(rgb):
        return np.array([rgb[..., 0].mean(), (rgb[..., 0] > 250).mean() * 100, rgb[::2, ::2, 0].std()])

    usual = strange.Usual.fit(slices[::2], slices[1::2], features)
    near = [usual.distance(features(rgb)) for rgb in slices[1::2]]
    assert np.mean(np.array(near) <= usual.limit) == pytest.approx(strange.COVERAGE, abs=0.08)
    assert usual.distance(features(255 - slices[7])) > usual.limit
    for quarters in range(4):
        found = [turned_by(np.rot90(rgb, quarters), usual) for rgb in slices[5:20]]
        assert set(found) <= {quarters, "another form", "way up"}, (
            "none is answered as it lies, or turned the wrong way"
        )
        assert np.mean([each == quarters for each in found]) >= 0.8
        known = slices[5:20][found.index(quarters)]
        assert np.array_equal(strange.straightened(np.rot90(known, quarters), usual)[0], known)


@pytest.mark.parametrize(("chance", "becomes"), [(0.49, 0), (0.5, "way up"), (0.89, "way up"), (0.9, 2)])
def test_a_head_that_may_lie_upside_down_is_turned_where_that_is_sure_and_else_refused(bleeding, chance, becomes):
    chances = 0.5 * np.array([1 - chance, 0.7, chance, 0.3])  # nothing is asked of the sides: the form is upright
    assert turned_by(bleeding, SimpleNamespace(turns=lambda rgb: chances)) == becomes


@pytest.mark.parametrize("chances", [[0.004, 0.95, 0.04, 0.006], [0.02, 0.5, 0.015, 0.465], [0, 1, 0, 0]])
def test_a_head_of_upright_form_that_looks_turned_to_a_side_is_refused(bleeding, chances):
    assert turned_by(bleeding, SimpleNamespace(turns=lambda rgb: np.array(chances))) == "way up"


def turned_by(rgb, usual):
    try:
        return strange.straightened(rgb, usual)[1]
    except strange.Refused as refused:
        return refused.kind


class AsksUsual(Stub):
    """A stub that takes every head for one that lies upside down, and calls a picture as far as it is told."""

    def __init__(self, far=0.5):
        super().__init__()
        self.usual = SimpleNamespace(limit=1.0, turns=lambda rgb: np.eye(4)[2], distance=lambda features: far)


@pytest.fixture(scope="module")
def bleeding(tiny_phantom):
    """A slice of the phantom in which the stub finds a bleeding, uint8 (H, W, 3)."""
    slices = map(pixels.read_rgb, sorted(tiny_phantom.rglob("PNG/*.png")))
    return next(rgb for rgb in slices if Stub().regions_of(rgb).any())


def test_a_verdict_turns_first_then_refuses_by_name_then_by_distance(bleeding):
    lies, near, far = bleeding[::-1, ::-1], AsksUsual(), AsksUsual(2.0)
    seen = strange.verdict(lies, near.usual, near.look)
    assert (seen.words, seen.quarters, seen.refused, seen.distance) == ("turned by 180°", 2, None, 0.5)
    assert np.array_equal(seen.rgb, bleeding) and seen.rgb.flags.c_contiguous and seen.stroke == 1
    known = strange.verdict(lies, near.usual, near.look, turned=False)
    assert known.words == "answered" and np.array_equal(known.rgb, lies), "nothing is guessed"
    unusual = strange.verdict(lies, far.usual, far.look)
    assert (unusual.words, unusual.quarters, unusual.stroke, unusual.distance) == ("unusual", 2, 1, 2)
    assert "distance is 2.0, and 95 % of the validation slices stay below 1.0." in str(unusual.refused)
    asked = near.asked
    named = strange.verdict(0 * bleeding, near.usual, near.look)
    assert (named.words, named.stroke, named.distance) == ("no picture", None, None) and near.asked == asked
    plain = strange.verdict(lies, None, near.look)
    assert (plain.words, plain.distance) == ("answered", None) and np.array_equal(plain.rgb, lies)


def test_an_answer_is_that_of_the_verdict_on_the_files_own_pixels(bleeding, scan, tmp_path):
    Image.fromarray(bleeding[::-1, ::-1]).save(tmp_path / "a.png")
    job = reading.Job(tmp_path / "a.png", reading.PICTURES, "a")
    given, mask = reading.answer(job, AsksUsual())
    assert (given["turned"], given["unusual"], given["refused"], given["called"]) == (180, 0.5, None, True)
    assert np.array_equal(mask[::-1, ::-1], Stub().regions_of(bleeding)) and mask.any()
    given, mask = reading.answer(job, AsksUsual(2.0))
    assert (given["turned"], given["unusual"], given["refused"]["kind"], mask) == (180, 2.0, "unusual", None)
    assert given["stroke"] is None and "shape" not in given
    given, _ = reading.answer(job, Stub())
    assert given["turned"] == 0 and "unusual" not in given
    answers = (reading.answer(each, AsksUsual())[0] for each in reading.find(scan.folder, quiet=True).jobs)
    given = next(each for each in answers if not each["refused"])
    assert (given["turned"], given["unusual"]) == (0, 0.5), "the file says how it lies"


def test_what_is_usual_is_read_as_it_was_written(tmp_path):
    rng = np.random.default_rng(0)
    parts = {name: rng.random((3,)) for name in ("mean", "spread", "pixel_mean", "pixel_spread")}
    usual = strange.Usual(**parts, precision=np.eye(3), limit=2.5, ways=rng.random((4, 4)))
    usual.write(tmp_path / "u.npz")
    read = strange.Usual.read(tmp_path / "u.npz")
    assert read.limit == 2.5 and read.distance(np.ones(3)) == usual.distance(np.ones(3))


def test_no_weights_is_one_message(tmp_path, monkeypatch):
    monkeypatch.setenv("STROKE_RESULTS", str(tmp_path))
    with pytest.raises(UserError, match="no finished run for segmentation .*make reproduce.*--weights RUN"):
        networks.find()
    with pytest.raises(UserError, match="is no network of a finished run"):
        networks.find([tmp_path])


def test_there_are_thirty_kinds_of_strange_pictures(tiny_phantom):
    rgb = pixels.read_rgb(next(path for path in sorted(tiny_phantom.rglob("PNG/*.png"))))
    made = kinds.strange(rgb)
    assert len(made) == 30 and all(each.dtype == np.uint8 and each.shape[2] == 3 for each in made.values())
    assert all(not np.array_equal(each, rgb) for each in made.values())
    named = 0
    for picture in made.values():
        try:
            strange.look_at_picture(picture)
        except strange.Refused:
            named += 1
    assert named >= 15
    strange.look_at_picture(rgb)


def test_slices_of_the_real_data_are_taken_for_heads(real_samples):
    found = [*real_samples.rglob("PNG/*.png"), *real_samples.rglob("*PNG/*.png"), *real_samples.glob("odd/*.png")]
    for path in found:
        strange.look_at_picture(pixels.read_rgb(path))
    assert found


def test_a_refused_slice_leaves_the_volume_to_its_neighbours(scan, tmp_path):
    class Choosy(Stub):
        def look(self, rgb):
            self.asked += 1
            if self.asked == 7:
                raise strange.Refused("unusual", "As a test.")
            return float(self.regions_of(rgb).any()), np.zeros(3)

    _, _, told, _ = read_all(scan.folder, tmp_path, Choosy())
    assert told["refused"] == {"unusual": 1} and "Slices refused: 1." in " ".join(told["series"][0]["notes"])
    _, _, whole, _ = read_all(scan.folder, tmp_path / "whole")
    ours, theirs = (each["patients"][0]["volume_ml"]["hemorrhage"] for each in (told, whole))
    assert ours == pytest.approx(theirs, rel=0.1)


def test_a_reader_is_told_who_answers():
    source = networks.Source("03_phase1_detection", "cnn", None, {"metrics": {"cnn": {}}})
    assert source.title == "CNN" and replace(source, model="resnet18").title == "ResNet-18"


@pytest.mark.parametrize("crop", [False, True])
def test_a_network_that_learned_heads_alone_is_shown_the_head_alone(crop):
    shown, asked = [], object.__new__(networks.Networks)

    def bright(batch):
        values = np.asarray(batch)[..., 0]
        shown.append((values > 0).mean())
        return np.stack([values < 200, 0 * values, values >= 200], axis=-1).astype(np.float32)

    asked._segment, asked._side, asked._prepare_unet, asked._crop = bright, 64, lambda pixels: pixels, crop
    asked.masks = predict.PLAIN
    image = np.zeros((128, 160, 3), np.uint8)
    image[30:90, 50:110], image[40:60, 60:90] = 90, 255
    found = asked.regions_of(image)
    assert found.shape == (128, 160) and (shown[0] > 0.5) == crop
    assert ((found == 2) == (image[..., 0] > 200)).mean() > 0.98
