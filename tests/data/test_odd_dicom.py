"""DICOM as people have it: found by content, only CT is CT, odd tags fall back, impossible values are not shown."""

import re
import shutil
import warnings
from concurrent.futures import ThreadPoolExecutor

import imagecodecs
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate

from stroke_utils.data import dicom
from stroke_utils.data.cohort import read_cohort
from stroke_utils.data.pixels import read_rgb
from tests.data.test_dicom import dataset, write

AXIAL = ["ORIGINAL", "PRIMARY", "AXIAL"]


def head(seed=0, size=40):
    """Hounsfield units of a made-up head: air, a skull, a brain with noise; int16 (size, size)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    radius = np.hypot(x, y) / size
    hounsfield = np.where(radius < 0.46, 900.0, -1000 + rng.integers(-20, 20, (size, size)))
    return np.where(radius < 0.4, rng.normal(32, 8, (size, size)), hounsfield).round().astype(np.int16)


def ct(path, hounsfield=None, **tags):
    """Write a CT slice with usual tags; ``tags`` are set, or removed where None."""
    hounsfield = head() if hounsfield is None else hounsfield
    usual = {"Modality": "CT", "ImageType": AXIAL, "RescaleSlope": 1, "RescaleIntercept": -1024}
    stored = tags.pop("stored", (hounsfield + 1024).astype(np.uint16))
    path.parent.mkdir(parents=True, exist_ok=True)
    given = usual | {"WindowCenter": 40, "WindowWidth": 80} | tags
    return write(path, stored, **{n: v for n, v in given.items() if v is not None or n not in usual})


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A data folder with two slices without stroke as PNG; what is derived goes beside it."""
    monkeypatch.setenv("STROKE_DERIVED", str(tmp_path / "derived"))
    (tmp_path / "data" / "Normal").mkdir(parents=True)
    for number in range(2):
        grey = Image.fromarray(dicom.window(head(90 + number), 40, 80)).convert("RGBA")
        grey.save(tmp_path / "data" / "Normal" / f"1000{number}.png")
    return tmp_path / "data"


def found(root, label="ischemia"):
    """Read a folder; give the ids of one class's slices and the problems by kind."""
    cohort = read_cohort(root, quiet=True)
    rows = cohort.slices[cohort.slices["label"] == label]
    return rows, cohort.problems.groupby("kind")["detail"].agg(" ".join).to_dict()


def shown_as(path, hounsfield, centre=40, width=80):
    return np.array_equal(read_rgb(path)[..., 0], dicom.window(hounsfield, centre, width))


@pytest.mark.parametrize(
    "folder, name, slice_id",
    [
        ("DICOM", "1.2.826.0.1.3680043.10.543.77.1", "1.2.826.0.1.3680043.10.543.77.1"),
        ("DICOM", "10100.IMA", "10100"),
        ("DICOM", "10100.dicom", "10100"),
        ("DICOM/series 2", "IM000001", "IM000001"),
        ("", "IM0000", "IM0000"),
        ("", "10100", "10100"),
    ],
)
def test_dicom_is_found_by_content(root, folder, name, slice_id):
    ct(root / "Ischemia" / folder / name)
    for other in ("README", "LOCKFILE", "DICOMDIR"):
        (root / "Ischemia" / folder / other).write_bytes(b"no slice" if other != "LOCKFILE" else b"")
    rows, problems = found(root)
    assert rows["slice_id"].tolist() == [slice_id] and shown_as(rows["png"].iloc[0], head())
    assert "2 files that are neither PNG nor DICOM" in problems["other_files"]


def test_dicoms_outside_of_classes_are_named(root):
    ct(root / "CT Head" / "IM0001")
    ct(root / "Ischemia" / "1.dcm")
    _, problems = found(root)
    assert "1 DICOM in a folder that is no class" in problems["unknown_folder"]


def test_a_dicom_of_any_ending_is_that_of_its_png(root):
    Image.fromarray(dicom.window(head(), 40, 80)).save(root / "Normal" / "10005.png")
    ct(root / "Normal" / "DICOM" / "10005.IMA")
    rows, _ = found(root, "none")
    assert rows["dicom"].notna().sum() == 1 and rows.loc[rows["dicom"].notna(), "patient"].tolist() == ["P7"]


def test_what_a_converter_calls_dcm_png_is_the_slice_of_that_dicom(root):
    Image.fromarray(dicom.window(head(), 40, 80)).save(root / "Normal" / "10005.dcm.png")
    ct(root / "Normal" / "DICOM" / "10005.dcm")
    rows, _ = found(root, "none")
    assert len(rows) == 3 and rows.loc[rows["dicom"].notna(), "slice_id"].tolist() == ["10005"]


OTHERS = {
    "MR": ({"Modality": "MR", "SOPClassUID": uid.MRImageStorage}, "modality is MR .MR Image Storage"),
    "PET": ({"Modality": "PT", "SOPClassUID": uid.PositronEmissionTomographyImageStorage}, "modality is PT"),
    "MR by its class alone": ({"Modality": None, "SOPClassUID": uid.MRImageStorage}, "SOP class is MR Image Storage"),
    "modality alone": ({"Modality": "US", "SOPClassUID": None}, "modality is US"),
    "ultrasound called CT": ({"SOPClassUID": uid.UltrasoundImageStorage}, "SOP class is Ultrasound"),
    "capture": ({"SOPClassUID": uid.SecondaryCaptureImageStorage}, "screen capture or a converted picture"),
    "grey capture": (
        {"SOPClassUID": uid.MultiFrameGrayscaleByteSecondaryCaptureImageStorage},
        "screen capture or a co",
    ),
    "capture by type": ({"ImageType": ["ORIGINAL", "SECONDARY", "SCREEN SAVE"]}, "a screen capture .image type ORIG"),
    "dose": ({"ImageType": ["ORIGINAL", "SECONDARY", "OTHER", "DOSE_INFO"]}, "a screen capture"),
    "localizer": ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, r"a localizer .image type ORIGINAL\\PRIMARY\\L"),
    "topogram": ({"ImageType": ["ORIGINAL", "PRIMARY", "AXIAL", "CT_SOM5 TOPOGRAM"]}, "a localizer"),
    "derived": ({"ImageType": ["DERIVED", "SECONDARY", "REFORMATTED"]}, "derived from others"),
    "derived, primary": ({"ImageType": ["DERIVED", "PRIMARY", "AXIAL"]}, "derived from others"),
    "derived and lossy": ({"ImageType": ["DERIVED", "SECONDARY", "MPR"], "LossyImageCompression": "01"}, "derived fr"),
    "density": ({"RescaleType": "EDW"}, "values are EDW, not HU"),
    "frames": ({"NumberOfFrames": 2}, "2 frames"),
    "palette": ({"PhotometricInterpretation": "PALETTE COLOR"}, "no grey picture: 1 samples a pixel, PALETTE COLOR"),
    "disk index": ({"SOPClassUID": uid.MediaStorageDirectoryStorage, "Modality": None}, "index of a DICOM disk"),
}


@pytest.mark.parametrize(("tags", "said"), OTHERS.values(), ids=OTHERS)
def test_only_a_ct_slice_is_a_ct_slice(root, tags, said):
    ct(root / "Ischemia" / "DICOM" / "10100.dcm")
    ct(root / "Ischemia" / "DICOM" / "10108.dcm", head(8), **tags)
    rows, problems = found(root)
    assert rows["slice_id"].tolist() == ["10100"]
    assert re.search(f"10108.dcm .*{said}", problems["no_ct_slice"]), problems["no_ct_slice"]
    with pytest.raises(dicom.NoCtSlice):
        dicom.read_hounsfield(root / "Ischemia" / "DICOM" / "10108.dcm")


def test_a_colour_map_is_set_aside(root):
    colour = np.repeat(head(1).astype(np.uint8)[..., None], 3, axis=2)
    data = dataset(colour, Modality="CT", PhotometricInterpretation="RGB", SamplesPerPixel=3, BitsStored=8, HighBit=7)
    ct(root / "Ischemia" / "DICOM" / "10100.dcm")
    data.save_as(root / "Ischemia" / "DICOM" / "10101.dcm", enforce_file_format=True)
    rows, problems = found(root)
    assert rows["slice_id"].tolist() == ["10100"] and "3 samples a pixel, RGB" in problems["no_ct_slice"]


def test_what_says_nothing_is_no_ct_and_hounsfield_units_say_enough(tmp_path):
    data = dataset((head() + 1024).astype(np.uint16), SOPClassUID=None)
    del data.file_meta.MediaStorageSOPClassUID
    data.preamble = bytes(128)
    for extra, good in (({}, False), ({"RescaleType": "HU"}, True)):
        for name, value in extra.items():
            setattr(data, name, value)
        data.save_as(tmp_path / "a.dcm")
        if good:
            assert dicom.read_header(tmp_path / "a.dcm").rows == 40
        else:
            with pytest.raises(dicom.NoCtSlice, match="neither a modality nor a SOP class"):
                dicom.read_header(tmp_path / "a.dcm")


def test_ct_and_mr_of_one_patient(root):
    """One patient's folder with two series in each class; both have rescale and window tags."""
    for place, first in (("Ischemia", 0), ("Bleeding", 50)):
        for number in range(4):
            ct(root / place / "P1" / "CT" / f"1.2.{first + number}", head(first + number), WindowCenter=35 + number)
            mr = {"Modality": "MR", "SOPClassUID": uid.MRImageStorage, "RescaleIntercept": 0, "WindowWidth": 900}
            ct(root / place / "P1" / "MR" / f"1.3.{first + number}", head(200 + first + number), **mr)
    for label, first in (("ischemia", 0), ("hemorrhage", 50)):
        rows, problems = found(root, label)
        assert rows["slice_id"].tolist() == [f"1.2.{first + number}" for number in range(4)]
        assert all(shown_as(path, head(first + k), 35 + k) for k, path in enumerate(rows["png"]))
    assert problems["no_ct_slice"].count("its modality is MR (MR Image Storage). It is set aside.") == 8
    assert all(f"1.3.{first + k} is no CT" in problems["no_ct_slice"] for first in (0, 50) for k in range(4))


def test_an_mr_slice_beside_a_png_leaves_the_png(root):
    ct(root / "Normal" / "DICOM" / "10000.dcm", Modality="MR")
    rows, problems = found(root, "none")
    assert len(rows) == 2 and rows["dicom"].isna().all() and rows["patient"].isna().all()
    assert "modality is MR" in problems["no_ct_slice"]


WINDOWS = ("40,5", "auto", "NaN ", "1.#I", "????", "1e99")


@pytest.mark.parametrize("written", WINDOWS)
@pytest.mark.parametrize("beside", [True, False])
def test_an_unusable_window_falls_back_with_a_note(root, written, beside):
    path = ct(root / "Ischemia" / "DICOM" / "10100.dcm", WindowCenter="40.5", WindowWidth="80.0")
    whole = path.read_bytes()
    assert whole.count(b"40.5") == 1
    path.write_bytes(whole.replace(b"40.5", written.encode()))
    if beside:
        (root / "Ischemia" / "PNG").mkdir()
        Image.fromarray(dicom.window(head(), 40, 80)).save(root / "Ischemia" / "PNG" / "10100.png")
    rows, problems = found(root)
    assert rows["slice_id"].tolist() == ["10100"] and rows["patient"].tolist() == ["P7"] and rows["dicom"].notna().all()
    if written == "1e99":
        assert "odd_window" in problems
        return
    assert f"window says '{written.strip()} / 80.0', which is none" in problems["odd_window"]
    assert shown_as(rows["png"].iloc[0], head())
    assert beside or "a usual one, its header states no usable one" in problems["png_from_dicom"]


def test_the_first_window_that_can_be_used_is_taken(tmp_path):
    path = ct(tmp_path / "a.dcm", WindowCenter=["40.5", "35"], WindowWidth=["80", "90"])
    path.write_bytes(path.read_bytes().replace(b"40.5", b"40,5"))
    header = dicom.read_header(path)
    assert (header.window, header.windows, header.odd_window) == ((35, 90), 1, "")


def test_numbers_padded_with_nul_and_rescale_that_is_none(tmp_path):
    path = ct(tmp_path / "a.dcm", RescaleSlope="1.000")
    path.write_bytes(path.read_bytes().replace(b"1.000 ", b"1.000\0"))
    assert dicom.read_header(path).slope == 1
    path.write_bytes(path.read_bytes().replace(b"1.000\0", b"1,000\0"))
    with pytest.raises(dicom.DicomError, match="no usable rescale slope"):
        dicom.read_header(path)


def enhanced(path, shared=True, **tags):
    """An enhanced CT slice: rescale and window are in functional groups, of the frame or shared."""
    tags = {"SOPClassUID": uid.EnhancedCTImageStorage, "NumberOfFrames": 1} | tags
    gone = dict.fromkeys(("RescaleSlope", "RescaleIntercept"))
    data = dataset(
        (head() + 1024).astype(np.uint16), Modality="CT", ImageType=["ORIGINAL", "PRIMARY", "VOLUME"], **tags
    )
    for name in gone:
        del data[name]
    values, window, group, kind = Dataset(), Dataset(), Dataset(), Dataset()
    values.RescaleSlope, values.RescaleIntercept, values.RescaleType = 1, -1024, "HU"
    window.WindowCenter, window.WindowWidth = 35, 90
    kind.FrameType = tags.get("ImageType", ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"])
    group.PixelValueTransformationSequence, group.FrameVOILUTSequence = [values], [window]
    group.CTImageFrameTypeSequence = [kind]
    setattr(data, f"{'Shared' if shared else 'PerFrame'}FunctionalGroupsSequence", [group])
    path.parent.mkdir(parents=True, exist_ok=True)
    data.save_as(path, enforce_file_format=True)


@pytest.mark.parametrize("shared", [True, False])
def test_enhanced_ct_of_one_frame_is_read(root, shared):
    enhanced(root / "Ischemia" / "DICOM" / "10100.dcm", shared)
    rows, _ = found(root)
    assert shown_as(rows["png"].iloc[0], head(), 35, 90)


def test_enhanced_ct_of_several_frames_and_derived_frames_are_not(root, tmp_path):
    enhanced(tmp_path / "a.dcm", NumberOfFrames=30)
    with pytest.raises(dicom.NoCtSlice, match="30 frames"):
        dicom.read_header(tmp_path / "a.dcm")
    enhanced(tmp_path / "a.dcm")
    data = pydicom.dcmread(tmp_path / "a.dcm")
    frame = data.SharedFunctionalGroupsSequence[0].CTImageFrameTypeSequence[0]
    frame.FrameType = ["DERIVED", "PRIMARY", "VOLUME", "MAXIMUM"]
    data.save_as(tmp_path / "a.dcm")
    with pytest.raises(dicom.NoCtSlice, match="derived from others"):
        dicom.read_header(tmp_path / "a.dcm")


def test_jpeg_2000_in_a_jp2_box(root):
    stored = (head() + 1024).astype(np.uint16)
    frame = imagecodecs.jpeg2k_encode(stored, codecformat="JP2", reversible=True)
    assert frame[4:8] == b"jP  "
    data = dataset(stored, Modality="CT", RescaleSlope=1, WindowCenter=40, WindowWidth=80)
    data.file_meta.TransferSyntaxUID = uid.JPEG2000Lossless
    data.PixelData = encapsulate([frame])
    data["PixelData"].VR, data["PixelData"].is_undefined_length = "OB", True
    (root / "Ischemia" / "DICOM").mkdir(parents=True)
    data.save_as(root / "Ischemia" / "DICOM" / "10100.dcm", enforce_file_format=True)
    rows, _ = found(root)
    assert shown_as(rows["png"].iloc[0], head())


@pytest.mark.parametrize("rest", [b"", b"\0"])
def test_jpeg_2000_that_lacks_its_end_mark_alone_is_read(root, rest):
    frame = imagecodecs.jpeg2k_encode((head() + 1024).astype(np.uint16), codecformat="J2K", reversible=True)
    for number, codestream in enumerate((frame[:-2] + rest, frame[:-3], frame[:200], frame[:60])):
        path = root / "Ischemia" / f"1010{number}.dcm"
        data = pydicom.dcmread(ct(path))
        data.file_meta.TransferSyntaxUID = uid.JPEG2000Lossless
        data.PixelData = encapsulate([codestream])
        data["PixelData"].VR, data["PixelData"].is_undefined_length = "OB", True
        data.save_as(path, enforce_file_format=True)
    rows, problems = found(root)
    assert rows["slice_id"].tolist() == ["10100"] and shown_as(rows["png"].iloc[0], head())
    assert problems["unreadable_dicom"].count("No DICOM slice that can be read") == 3


def test_a_folder_of_tests_of_dicoms_is_said(root):
    ct(root / "Test" / "Ischemia" / "10100.dcm")
    assert "1 DICOM under a folder called test" in found(root)[1]["held_out_folder"]


def test_lossy_says_so(root):
    ct(root / "Ischemia" / "DICOM" / "10100.dcm")
    lossy = {"ImageType": ["DERIVED", "PRIMARY", "AXIAL"], "LossyImageCompression": "01"}
    ct(root / "Ischemia" / "DICOM" / "10101.dcm", head(1), **lossy)
    derived = {"ImageType": ["DERIVED", "PRIMARY", "AXIAL"]}
    data = dataset(
        dicom.window(head(2), 40, 80), Modality="CT", **derived, BitsStored=8, HighBit=7, RescaleSlope="0.3137"
    )
    data.RescaleIntercept, data.file_meta.TransferSyntaxUID = 0, uid.JPEGBaseline8Bit
    data.PixelData = encapsulate([imagecodecs.jpeg8_encode(dicom.window(head(2), 40, 80), level=95)])
    data["PixelData"].VR, data["PixelData"].is_undefined_length = "OB", True
    data.save_as(root / "Ischemia" / "DICOM" / "10102.dcm", enforce_file_format=True)
    cohort = read_cohort(root, quiet=True)
    rows = cohort.problems[cohort.problems["kind"] == "lossy_dicom"]
    assert rows["path"].str[-9:].tolist() == ["10101.dcm", "10102.dcm"] and rows["used"].all()
    assert "an earlier compression" in rows["detail"].iloc[0] and "JPEG Baseline" in rows["detail"].iloc[1]
    assert len(cohort.slices) == 5


def outside(size=40):
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    return np.hypot(x, y) > size * 0.49


PADDED = {
    "named, unsigned": (63536, {"BitsStored": 16, "HighBit": 15, "PixelPaddingValue": 63536}),
    "named, garbage bits": (63536, {"PixelPaddingValue": 63536}),
    "not named": (63536, {"BitsStored": 16, "HighBit": 15}),
    "named, brightest": (4095, {"PixelPaddingValue": 4095}),
    "a range": (4000, {"PixelPaddingValue": 4095, "PixelPaddingRangeLimit": 3990}),
    "an everyday value around": (1064, {"PixelPaddingValue": 1064}),
}


@pytest.mark.parametrize(("value", "tags"), PADDED.values(), ids=PADDED)
def test_padding_is_air(root, value, tags):
    stored = np.where(outside(), value, head().astype(int) + 1024).astype(np.uint16)
    path = ct(root / "Ischemia" / "DICOM" / "10100.dcm", stored=stored, **tags)
    rows, _ = found(root)
    assert shown_as(rows["png"].iloc[0], np.where(outside(), -1000, head()))
    assert (dicom.read_hounsfield(path)[outside()] == dicom.AIR).all()
    inside = ~outside()
    assert np.array_equal(dicom.read_hounsfield(path)[inside], head()[inside])


def test_signed_padding_keeps_its_sign(tmp_path):
    stored = np.where(outside(), -2000, head()).astype(np.int16)
    tags = {"PixelRepresentation": 1, "BitsStored": 16, "HighBit": 15, "RescaleIntercept": 0}
    path = ct(tmp_path / "a.dcm", stored=stored, PixelPaddingValue=-2000, **tags)
    assert np.array_equal(dicom.read_hounsfield(path), np.where(outside(), dicom.AIR, head()))
    ranged = ct(tmp_path / "b.dcm", stored=stored, PixelPaddingValue=-2010, PixelPaddingRangeLimit=-1990, **tags)
    assert np.array_equal(dicom.read_hounsfield(ranged), np.where(outside(), dicom.AIR, head()))
    whole = path.read_bytes()
    place = whole.index(b"\x28\x00\x20\x01") + 4  # the VR of PixelPaddingValue
    path.write_bytes(whole[:place] + b"US" + whole[place + 2 :])
    assert np.array_equal(dicom.read_hounsfield(path), np.where(outside(), dicom.AIR, head())), "whatever its VR claims"


def test_padding_of_a_value_that_tissue_has_takes_no_tissue(tmp_path):
    stored = (head() + 1024).astype(np.uint16)
    assert (head() == 32).any()
    path = ct(tmp_path / "a.dcm", stored=stored, PixelPaddingValue=1024 + 32)
    assert np.array_equal(dicom.read_hounsfield(path), head())


# A sign that was lost, or made up: stored values, tags, what is said.
SIGNS = {
    "lost, 16 bits": (
        head().view(np.uint16),
        {"BitsStored": 16, "HighBit": 15, "RescaleIntercept": 0},
        "values up to 64,... HU, and CT has at most 30,710",
    ),
    "lost, 12 bits": ((head() & 0xFFF).view(np.uint16), {"RescaleIntercept": 0}, "no air, but .* would be air"),
    "made up": (
        np.where(head() > 500, head() + 400 + np.arange(40, dtype=np.int16), head()) + 1024,
        {"PixelRepresentation": 1},
        "values down to -.* would be bone without a sign",
    ),
    "none, and a lost intercept": (
        (head() + 1024).astype(np.uint16),
        {"RescaleIntercept": 0},
        "no air, and .* would be soft tissue 1024 lower: its intercept was lost",
    ),
}


@pytest.mark.parametrize(("stored", "tags", "said"), SIGNS.values(), ids=SIGNS)
@pytest.mark.parametrize("beside", [True, False])
def test_values_no_ct_can_have_are_refused(root, stored, tags, said, beside):
    ct(root / "Ischemia" / "DICOM" / "10100.dcm")
    ct(root / "Ischemia" / "DICOM" / "10101.dcm", stored=stored, **tags)
    if beside:
        (root / "Ischemia" / "PNG").mkdir()
        Image.fromarray(dicom.window(head(), 40, 80)).save(root / "Ischemia" / "PNG" / "10101.png")
    rows, problems = found(root)
    assert rows["slice_id"].tolist() == ["10100", "10101"][: 1 + beside]
    assert rows["dicom"].str[-9:].tolist() == ["10100.dcm", None][: 1 + beside]
    assert re.search(f"10101.dcm holds {said}", problems["unreadable_dicom"]), problems["unreadable_dicom"]


def test_a_dicom_that_goes_along_with_its_png_a_little_is_anothers(tmp_path):
    picture = np.repeat(dicom.window(head(), 40, 80)[..., None], 4, 2)
    near, far = (head() + np.random.default_rng(1).normal(0, noise, (40, 40)) for noise in (2, 30))
    dicom.check_pair(picture, ct(tmp_path / "a.dcm", near.round().astype(np.int16)))
    with pytest.raises(dicom.PairError, match=r"another picture than its PNG \(correlation 0\.[1-4]"):
        dicom.check_pair(picture, ct(tmp_path / "a.dcm", far.round().astype(np.int16)))


def test_good_signs_stay(tmp_path):
    for stored, tags in (
        (head(), {"PixelRepresentation": 1, "RescaleIntercept": 0}),
        (head() + 1024, {"PixelRepresentation": 1, "BitsStored": 16, "HighBit": 15}),
        ((head() + 1024).astype(np.uint16), {}),
        (np.where(outside(), -2000, head()), {"PixelRepresentation": 1, "RescaleIntercept": 0}),
        (np.maximum(head(), -400) + 1024, {}),  # no air in the picture
        (np.where(head() < 0, 700 + np.arange(40) * 20, head()) + 1024, {}),  # brain and bone of all densities
    ):
        dicom.write_png(ct(tmp_path / "a.dcm", stored=stored.astype(np.int16), **tags), tmp_path / "a.png")
        assert (read_rgb(tmp_path / "a.png")[~outside()] > 0).any()


def test_files_of_several_windows_are_counted_by_value(root):
    for number in range(12):
        window = (40, 80) if number % 3 else (500, 2500)
        tags = dict(zip(("WindowCenter", "WindowWidth"), window, strict=True))
        ct(root / "Ischemia" / "DICOM" / f"101{number:02d}.dcm", head(number), **tags)
    rows, problems = found(root)
    assert len(rows) == 12
    assert "by 2 CT windows: 40 / 80 HU 8, 500 / 2500 HU 4." in problems["several_windows"]
    assert re.search(r"12 files .* 8 of them: .* 40 / 80 HU .* 4 of them: .* 500 / 2500 HU", problems["png_from_dicom"])
    shutil.rmtree(root / "Ischemia")
    ct(root / "Ischemia" / "DICOM" / "10100.dcm", WindowCenter=[40, 500], WindowWidth=[80, 2500])
    _, problems = found(root)
    assert "40 / 80 HU (the first of 2 in its header)" in problems["png_from_dicom"]
    assert "several_windows" not in problems


def test_what_anonymisers_leave_is_no_patient(root):
    for number, patient in enumerate(("ANONYMOUS", "-", "0", "Removed", "P1")):
        ct(root / "Ischemia" / "DICOM" / f"1010{number}.dcm", head(number), PatientID=patient)
    rows, _ = found(root)
    assert rows["patient"].tolist() == [None] * 4 + ["P1"]


def test_no_warning_leaks_from_any_thread(root):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        paths = [
            ct(root / "Ischemia" / "DICOM" / f"{10100 + k}.dcm", head(k), StudyInstanceUID="removed") for k in range(9)
        ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        before = list(warnings.filters)
        with ThreadPoolExecutor(8) as pool:
            assert len(list(pool.map(dicom.read_header, paths * 20))) == 180
        assert warnings.filters == before, "what the threads set is put back"
        assert len(found(root)[0]) == 9


def test_another_compression_is_named(root):
    data = dataset((head() + 1024).astype(np.uint16), Modality="CT")
    data.file_meta.TransferSyntaxUID = uid.HTJ2KLossless
    data.PixelData = encapsulate([b"\xff\x4f\xff\x51" + bytes(200)])
    data["PixelData"].VR, data["PixelData"].is_undefined_length = "OB", True
    data.save_as(root / "Normal" / "10000.dcm", enforce_file_format=True)
    rows, problems = found(root, "none")
    assert len(rows) == 2 and rows["dicom"].isna().all() and rows["patient"].tolist() == ["P7", None]
    assert "compressed as High-Throughput JPEG 2000" in problems["unreadable_dicom"]
