"""DICOM-SEG: read back pixel by pixel by two readers, placed on its slices, and refused in words."""

import highdicom
import numpy as np
import pydicom
import pytest

from stroke_utils.base.errors import UserError
from stroke_utils.data import masks
from stroke_utils.data.series import read_series
from stroke_utils.reading import seg
from tests import scans
from tests.data.test_series import stack

RUN = "resnet50+efficientnetb3-seed0-d1522bc8"


@pytest.fixture(scope="module")
def written(scan, tmp_path_factory):
    """The series of the drawn scan, its masks as PNG files, and its segmentation."""
    folder = tmp_path_factory.mktemp("seg")
    (found,), _ = read_series(scan.folder, quiet=True)
    pngs = [folder / f"{k}.png" for k in range(scans.SLICES) if k != scans.TORN]
    for k, path in zip(np.delete(range(scans.SLICES), scans.TORN), pngs, strict=True):
        masks.write_class_mask(path, scan.truth[k])
    target = seg.write_segmentation(folder / "masks.dcm", found, map(masks.read_class_mask, pngs), RUN, "Drawn heads")
    return found, np.stack([masks.read_class_mask(path) for path in pngs]), target


def uids(series):
    return [pydicom.dcmread(each.path, stop_before_pixels=True).SOPInstanceUID for each in series.slices]


def test_highdicom_reads_the_masks_that_were_written(written):
    series, classes, target = written
    read = highdicom.seg.segread(target)
    found = read.get_pixels_by_source_instance(uids(series), combine_segments=True)
    assert np.array_equal(found, classes) and set(np.unique(classes)) == {0, 1, 2}
    assert read.number_of_segments == 2 and read.segmented_property_types


def test_a_plain_reader_finds_each_frame_on_its_slice(written):
    series, classes, target = written
    dataset = pydicom.dcmread(target)
    slices, found = uids(series), np.zeros_like(classes)
    frames = dataset.PerFrameFunctionalGroupsSequence
    assert len(frames) == len(dataset.pixel_array) == sum(classes[k].any() for k in range(len(classes)))
    for pixels, frame in zip(dataset.pixel_array, frames, strict=True):
        source = frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        k = slices.index(source)
        found[k] += pixels * frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        assert np.allclose(frame.PlanePositionSequence[0].ImagePositionPatient, series.slices[k].corner)
    assert np.array_equal(found, classes)
    shared = dataset.SharedFunctionalGroupsSequence[0]
    assert np.allclose(shared.PlaneOrientationSequence[0].ImageOrientationPatient, series.slices[0].directions)
    measures = shared.PixelMeasuresSequence[0]
    assert measures.PixelSpacing == [scans.PIXEL] * 2 and measures.SliceThickness == pytest.approx(scans.DISTANCE, 1e-3)


def test_segments_say_what_they_are_and_who_found_them(written):
    series, _, target = written
    dataset, source = pydicom.dcmread(target), pydicom.dcmread(series.slices[0].path)
    assert dataset.SegmentationType == "BINARY" and dataset.Modality == "SEG"
    for name in ("PatientID", "StudyInstanceUID", "FrameOfReferenceUID"):
        assert dataset[name].value == source[name].value, name
    assert dataset.SeriesInstanceUID != source.SeriesInstanceUID and dataset.ContentDescription == "Drawn heads"
    ischemia, hemorrhage = dataset.SegmentSequence
    for segment, label, code in ((ischemia, "ischemia", "449735000"), (hemorrhage, "hemorrhage", "50960005")):
        kind, category = segment.SegmentedPropertyTypeCodeSequence[0], segment.SegmentedPropertyCategoryCodeSequence[0]
        assert (segment.SegmentLabel, kind.CodeValue, kind.CodingSchemeDesignator) == (label, code, "SCT")
        assert category.CodeValue == "49755003" and segment.AnatomicRegionSequence[0].CodeMeaning == "Brain"
        about = segment.SegmentationAlgorithmIdentificationSequence[0]
        assert segment.SegmentAlgorithmType == "AUTOMATIC" and segment.SegmentAlgorithmName == f"stroke-regions {RUN}"
        assert about.AlgorithmName == f"stroke-regions {RUN}" and about.AlgorithmParameters == f"run={RUN}"


def test_a_scan_without_a_lesion_is_a_segmentation_all_the_same(tmp_path, caplog):
    (series,), _ = read_series(stack(tmp_path / "a", 3, FrameOfReferenceUID="1.9"), quiet=True)
    target = seg.write_segmentation(tmp_path / "a.dcm", series, [np.zeros((40, 40), np.uint8)] * 3, "run")
    assert "empty" not in caplog.text, "nobody is warned of what is meant"
    read = highdicom.seg.segread(target)
    assert not read.pixel_array.any() and read.number_of_segments == 2


@pytest.mark.filterwarnings("ignore:Invalid value for VR")
def test_headers_that_anonymisers_leave_are_mended(tmp_path):
    odd = {"PatientSex": "K", "StudyTime": "noon", "PatientBirthDate": "19", "FrameOfReferenceUID": "1.9"}
    (series,), _ = read_series(stack(tmp_path / "a", 2, **odd), quiet=True)
    target = seg.write_segmentation(tmp_path / "a.dcm", series, [np.ones((40, 40), np.uint8)] * 2, "run")
    dataset = pydicom.dcmread(target)
    assert not dataset.PatientSex and not dataset.StudyTime and dataset.pixel_array.all()


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        ({"ImagePositionPatient": None}, "needs the place of each slice.*do not state where"),
        ({"PixelSpacing": None}, "needs the place of each slice.*state no pixel spacing"),
        ({"PixelSpacing": lambda k: [0.5 + k / 10] * 2}, "needs the place.*pixel spacing varies"),
        ({}, "because of what its files say: .*Frame Of Reference"),
    ],
)
def test_a_series_that_can_carry_none_is_refused_in_words(tmp_path, tags, said):
    (series,), _ = read_series(stack(tmp_path / "a", 2, **tags), quiet=True)
    with pytest.raises(UserError, match=f"No segmentation can be laid over series 1.2.3.*{said}"):
        seg.write_segmentation(tmp_path / "a.dcm", series, [np.zeros((40, 40), np.uint8)] * 2, "run")
    assert not (tmp_path / "a.dcm").exists()


def test_no_mask_is_read_of_a_series_without_places(tmp_path):
    """A folder of ten thousand slices without places is one such series."""
    (series,), _ = read_series(stack(tmp_path / "a", 2, ImagePositionPatient=None), quiet=True)
    with pytest.raises(UserError, match="needs the place of each slice"):
        seg.write_segmentation(tmp_path / "a.dcm", series, (pytest.fail("read for nothing") for _ in "ab"), "run")


def test_the_end_of_a_long_run_is_shown_and_all_of_it_kept(tmp_path):
    (series,), _ = read_series(stack(tmp_path / "a", 2, FrameOfReferenceUID="1.9"), quiet=True)
    run = "+".join(["efficientnetv2b0"] * 5) + "-seed0-d1522bc8"
    dataset = pydicom.dcmread(
        seg.write_segmentation(tmp_path / "a.dcm", series, [np.ones((40, 40), np.uint8)] * 2, run)
    )
    about = dataset.SegmentSequence[0].SegmentationAlgorithmIdentificationSequence[0]
    assert len(about.AlgorithmName) == 64 and about.AlgorithmName.endswith("+efficientnetv2b0-seed0-d1522bc8")
    assert about.AlgorithmParameters == f"run={run}" and dataset.SeriesDescription == about.AlgorithmName


def test_a_slice_that_vanished_and_a_folder_that_cannot_be_made_are_named(tmp_path):
    (series,), _ = read_series(stack(tmp_path / "a", 2, FrameOfReferenceUID="1.9"), quiet=True)
    given = series, [np.zeros((40, 40), np.uint8)] * 2, "run"
    with pytest.raises(UserError, match=r"002.dcm cannot be written .*seg.dcm goes there"):
        seg.write_segmentation(tmp_path / "a" / "002.dcm" / "seg.dcm", *given)
    series.slices[1].path.unlink()
    with pytest.raises(UserError, match=r"001.dcm is gone since"):
        seg.write_segmentation(tmp_path / "seg.dcm", *given)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_masks_of_another_size_number_or_value_are_refused(tmp_path):
    (series,), _ = read_series(stack(tmp_path / "a", 2), quiet=True)
    mask = np.zeros((40, 40), np.uint8)
    for given in ([mask], [mask[:30]] * 2):
        with pytest.raises(ValueError, match="The masks have the shape"):
            seg.write_segmentation(tmp_path / "a.dcm", series, given, "run")
    for given, remark in (([mask + 3] * 2, ""), ([mask] * 2, "x" * 65)):
        with pytest.raises(ValueError, match="Masks hold 0 to 2"):
            seg.write_segmentation(tmp_path / "a.dcm", series, given, "run", remark)
