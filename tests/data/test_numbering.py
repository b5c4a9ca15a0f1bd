"""Names that begin anew in each folder, and what programs leave beside files."""

import shutil

import pytest
from PIL import Image

from stroke_utils.base import vocabulary
from stroke_utils.data import leftovers
from stroke_utils.data.cohort import read_cohort

GREY = iter(range(10_000))


def draw(path, colour=None, size=(8, 8), grey=None):
    """Write a PNG that no other equals; ``colour`` paints its first row."""
    number = next(GREY) if grey is None else grey
    image = Image.new("RGB", size, (number % 200,) * 3)
    image.putpixel((1, 1), (number // 200,) * 3)
    for x in range(size[0] if colour else 0):
        image.putpixel((x, 0), colour)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.convert("RGBA").save(path)


def notes(cohort):
    return cohort.problems.set_index("kind")


def test_slices_numbered_anew_for_each_patient(tmp_path):
    for label, folder in (("ischemia", "Ischemia"), ("hemorrhage", "Bleeding")):
        for patient in ("049", "050"):
            for i in (1, 2):
                place = tmp_path / folder / patient
                grey = next(GREY)
                draw(place / "PNG" / f"{i}.png", grey=grey)
                draw(place / "OVERLAY" / f"{i}.png", vocabulary.BORDER_COLOURS[label][0], grey=grey)
    draw(tmp_path / "Normal" / "10000.png")
    cohort = read_cohort(tmp_path, quiet=True)
    slices = cohort.slices.set_index("slice_id")
    assert len(slices) == 9 and slices.loc["Ischemia-049-1", "patient"] == "049" and "10000" in slices.index
    for row in slices.dropna(subset="overlay").itertuples():
        assert row.overlay == row.png.replace("/PNG/", "/OVERLAY/"), "overlays pair within their folder"
    assert slices["overlay"].notna().sum() == 8 and set(slices["patient"].dropna()) == {"049", "050"}
    said = cohort.problems[cohort.problems["kind"] == "names_begin_anew"]
    assert len(said) == 1 and said["used"].all() and "taken for 2 patients" in said["detail"].iloc[0]


@pytest.mark.parametrize("below", [True, False])
def test_the_folder_of_a_patient_lies_above_or_below_the_class(tmp_path, below):
    for folder, patients in (("Ischemia", "ab"), ("Normal", "cd")):
        for patient in patients:
            draw(tmp_path / "data" / (f"{folder}/{patient}" if below else f"{patient}/{folder}") / "IM1.png")
    slices = read_cohort(tmp_path, quiet=True).slices
    assert slices["slice_id"].tolist() == ["a-IM1", "b-IM1", "c-IM1", "d-IM1"]
    assert slices["patient"].tolist() == ["a", "b", "c", "d"]


@pytest.mark.parametrize("split", ["train_data|test_data", "Train Set|Val Set", "image set|brain images"])
def test_the_folders_of_a_split_are_no_patients(tmp_path, split):
    for part in split.split("|"):
        draw(tmp_path / part / "Normal" / "1.png")
    assert read_cohort(tmp_path, quiet=True).slices["patient"].isna().all()


def test_names_that_begin_anew_in_each_class_or_part_name_no_patient(tmp_path):
    for place in ("Normal", "Hemorrhage", "session1/PNG", "Test/Normal"):
        for i in range(3):
            draw(tmp_path / place / f"{i:03d}.png")
    (tmp_path / "labels.csv").write_text("image_id,Stroke\nsession1/PNG/000.png,1\nsession1/PNG/001.png,0\n")
    slices = read_cohort(tmp_path, quiet=True).slices
    assert len(slices) == 12 and slices["patient"].isna().all()
    session = slices[slices["part"] == "session1"]
    assert session["slice_id"].tolist() == ["session1-000", "session1-001", "session1-002"]
    assert session["stroke"].tolist()[:2] == [1, 0]


def test_a_name_of_the_release_and_a_copied_folder_do_not_begin_anew(tmp_path):
    for place in ("Normal/a", "Normal/b"):
        draw(tmp_path / place / "10000.png")
    for i in range(3):
        draw(tmp_path / "Ischemia" / "p" / f"{i}.png")
    shutil.copytree(tmp_path / "Ischemia" / "p", tmp_path / "Ischemia" / "q")
    cohort = read_cohort(tmp_path, quiet=True)
    assert cohort.slices["slice_id"].tolist() == ["0", "1", "2"]
    assert notes(cohort)["files"].groupby(level=0).sum()[["name_twice", "duplicate_file"]].tolist() == [2, 3]


LEFT = [
    *("Normal/@eaDir/10000.png/SYNOPHOTO_THUMB_M.png", "Normal/__MACOSX/10000.png", "Normal/#recycle/10000.png"),
    *("Normal/$RECYCLE.BIN/1.png", "Normal/.ipynb_checkpoints/10000-checkpoint.png", "Normal/thumbnails/10000.png"),
    *("Normal/10000-checkpoint.png", "Normal/._10000.png", "Normal/10000.png:Zone.Identifier", "Normal/thumb_1.png"),
]


@pytest.mark.parametrize("name", LEFT)
def test_what_programs_leave_is_skipped_and_said_in_one_line(tmp_path, name):
    for i in range(2):
        draw(tmp_path / "Normal" / f"1000{i}.png")
    draw(tmp_path / "other.png")
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "other.png").rename(tmp_path / name)
    cohort = read_cohort(tmp_path, quiet=True)
    assert len(cohort.slices) == 2 and cohort.problems["kind"].tolist() == ["hidden_files"]


@pytest.mark.parametrize("name", ["10000 - Kopya.png", "10000 (1).png", "10000 copy.png", "10000 - Copy (2).png"])
def test_a_copy_beside_its_original_is_skipped_and_another_slice_is_not(tmp_path, name):
    draw(tmp_path / "Normal" / "10000.png")
    shutil.copy(tmp_path / "Normal" / "10000.png", tmp_path / "Normal" / name)
    cohort = read_cohort(tmp_path, quiet=True)
    assert len(cohort.slices) == 1 and "1 copies of files beside them" in notes(cohort).loc["hidden_files", "detail"]
    draw(tmp_path / "Normal" / name)
    assert len(read_cohort(tmp_path, quiet=True).slices) == 2


def test_people_name_files_as_they_like():
    for name in ("10000.png", "copy.png", "thumbelina.png", "a (b).png"):
        assert leftovers.who_left(name, folder=False) is None
    assert leftovers.who_left("Normal - Kopya", folder=True) is None
