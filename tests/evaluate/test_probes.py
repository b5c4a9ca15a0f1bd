"""Every probe finds the shortcut that is planted for it and no other, and none where there is none."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageDraw

from stroke_utils.base.errors import UserError
from stroke_utils.data.cohort import Cohort
from stroke_utils.evaluate import probes
from stroke_utils.phantom import dicom

PATIENTS = 40


def draw(path, head, bar=False, bright=False, lesion=False):
    """A skull with scalp and brain; under it a bar outside the head, in it a lesion."""
    rng = np.random.default_rng(head)
    image = Image.new("L", (256, 256))
    pen, (x, y) = ImageDraw.Draw(image), rng.integers(126, 131, 2)
    for radius, grey in ((90, 230 if bright else 60), (84, 255), (78, 70)):
        pen.ellipse([x - radius, y - radius, x + radius, y + radius], grey)
    if lesion:
        pen.ellipse([x - 40, y - 40, x + 40, y + 40], 180)
    if bar:
        pen.rectangle([90, 246, 170, 250], 120)
    noisy = np.asarray(image) + (np.asarray(image) > 0) * rng.integers(0, 9, (256, 256))
    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).convert("RGB").save(path)


def cohort_of(folder, planted="", parts=("train",)):
    """One slice of each of ``PATIENTS`` patients a part, every second with a stroke, with one thing that tells it."""
    rows, facts, rng = [], [], np.random.default_rng(0)
    names = rng.permutation(len(parts) * PATIENTS) + 20000
    for k, part in enumerate(parts):
        for patient in range(PATIENTS):
            stroke, width, spacing = patient % 2, rng.choice([80, 100]), rng.choice([3, 5])
            number = int(names[k * PATIENTS + patient]) + 5000 * stroke * (planted == "slice number")
            path, header = folder / f"{number}.png", folder / f"{number}.dcm"
            tells = {"bar": "outside the head", "bright": "brain deleted", "lesion": "whole slice"}
            draw(path, 1000 * k + patient, **{n: bool(stroke) and planted == name for n, name in tells.items()})
            about = {"width": (80 if stroke else 100) if planted == "DICOM tags" else width, "low": 0, "pixel": 0.4}
            about |= {"spacing": spacing, "position": float(rng.normal())}
            name = f"P{k}{patient}"
            dicom.write(header, np.zeros((8, 8), np.int16), seed=0, patient=name, instance=1, **about)
            size = (500, 512) if planted == "image size" and stroke else (512, 512)
            rows.append((str(number), stroke, part, str(path), str(header), name, *size))
            levels = 80 if stroke and planted == "window width" else width
            facts.append((str(number), levels, bool(stroke) and planted == "marker"))
    columns = ["slice_id", "stroke", "part", "png", "dicom", "patient", "width", "height"]
    slices = pd.DataFrame(rows, columns=columns).astype({"stroke": "Int64"})
    known = pd.DataFrame(facts, columns=["slice_id", "grey_levels", "marker"])
    return Cohort(folder, slices, pd.DataFrame(), {}, "f", facts=known)


@pytest.fixture(autouse=True)
def small_forests(monkeypatch):
    monkeypatch.setattr(probes, "TREES", 25)


@pytest.mark.parametrize("planted", ["", *[name for name in probes.PROBES if name != "shuffled labels"]])
def test_the_planted_shortcut_is_found_and_no_other(tmp_path, planted):
    cohort = cohort_of(tmp_path, planted)
    table = probes.audit(cohort, quiet=True)
    assert list(table.index) == list(probes.PROBES)
    told = set(table.index[table["verdict"] == probes.TELLS])
    in_picture = {"whole slice"} if planted in ("outside the head", "brain deleted") else set()
    assert told - in_picture == ({planted} if planted else set()), table[["auc", "low", "high", "why"]]
    # A lesion tells, and is no shortcut.
    assert probes.alarms(table) == ([planted] if planted not in ("", "whole slice") else [])
    if not planted:
        tried = table[table["why"] == ""]
        assert len(tried) >= 5 and (tried["low"] < 0.5).all() and (tried["high"] > 0.5).all()
        # Asked alone, a probe gets the interval of the audit.
        x, truth = probes.small_pictures(cohort.slices, quiet=True), cohort.slices["stroke"].to_numpy(int)
        patients = cohort.slices["patient"].to_numpy(object)
        alone = probes.probe(x["brain deleted"], truth, patients, probes.AT_ONCE)
        assert probes.AT_ONCE == 7 and alone["low"] == table.loc["brain deleted", "low"]
    assert set(table["unit"]) == {"patients"} and table["patients"].eq(PATIENTS).all()


def test_without_patients_an_alarm_is_a_suspicion(tmp_path):
    """Each head has a place of its own outside the head, which no label goes with: known heads look like a shortcut."""
    rng, patients = np.random.default_rng(1), np.repeat(np.arange(PATIENTS), 4)
    x, truth = np.repeat(rng.normal(size=(PATIENTS, 8)), 4, axis=0), np.repeat(rng.integers(0, 2, PATIENTS), 4)
    known, unknown = (probes.probe(x, truth, p) for p in (patients, None))
    assert known["verdict"] == probes.CHANCE and known["unit"] == "patients"
    assert unknown["verdict"] == probes.SUSPECT and unknown["auc"] > 0.9 and unknown["unit"] == "slices"


def test_no_patient_is_guessed_from_its_own_slices():
    patients = np.repeat(np.arange(40), 5)
    truth = np.repeat(np.random.default_rng(0).integers(0, 2, 40), 5)
    x = patients[:, None].astype(float)
    assert abs(np.corrcoef(probes.guesses(x, truth, patients), truth)[0, 1]) < 0.4
    assert np.corrcoef(probes.guesses(x, truth, np.arange(200)), truth)[0, 1] > 0.7


def test_too_few_heads_give_no_verdict():
    row = probes.probe(np.zeros((18, 1)), np.arange(18) % 2, np.arange(18))
    assert row["verdict"] == probes.UNKNOWN and row["why"] == "9 patients of a class; it takes 10" and "auc" not in row


def test_more_probes_need_a_wider_interval():
    drawn = np.random.default_rng(0).normal(0.6, 0.04, 1000)
    (one, _), (ten, high) = probes.interval(0.6, drawn, 1), probes.interval(0.6, drawn, 10)
    assert one == pytest.approx(0.6 - 1.96 * drawn.std(), abs=1e-3) and one > 0.5 > ten and high > 0.7
    assert probes.interval(0.99, drawn, 10)[1] == 1


def test_labels_are_shuffled_by_patient():
    patients, truth = np.repeat(np.arange(50), 3), np.repeat(np.arange(50) % 2, 3)
    found = probes.shuffled(truth, patients)
    assert found.sum() == truth.sum() and (found != truth).any()
    assert pd.Series(found).groupby(patients).nunique().eq(1).all()


def test_where_only_strokes_have_headers_the_test_is_asked(tmp_path):
    cohort = cohort_of(tmp_path, "DICOM tags", parts=("train", "session1"))
    none = (cohort.slices["part"] == "train") & (cohort.slices["stroke"] == 0)
    cohort.slices.loc[none, "dicom"] = None
    row = probes.audit(cohort, quiet=True).loc["DICOM tags"]
    assert row["why"] == "in training only strokes have DICOM files; tried on session 1"
    assert row["verdict"] == probes.TELLS and row["slices"] == PATIENTS
    cohort.slices["dicom"] = None
    row = probes.audit(cohort, quiet=True).loc["DICOM tags"]
    assert (row["verdict"], row["why"]) == (probes.UNKNOWN, "there are no DICOM files")


def test_tag_by_tag_names_the_tag(tmp_path):
    table = probes.tag_by_tag(cohort_of(tmp_path, "DICOM tags").slices, quiet=True)
    # The window's width and centre say the same here.
    assert set(table.index[table["verdict"] == probes.TELLS]) == {"WindowWidth", "WindowCenter"}
    assert "PatientID" not in table.index and "SliceThickness" in table.index


def test_fewer_patients_keep_all_their_slices(tmp_path):
    slices = cohort_of(tmp_path).slices
    kept = probes.fewer(slices, 5)
    assert kept.groupby("stroke")["patient"].nunique().tolist() == [5, 5] and len(kept) == 10
    assert probes.fewer(slices, 0) is slices
    assert probes.fewer(slices, 5, seed=1)["patient"].tolist() != kept["patient"].tolist()


def test_an_audit_needs_both_classes(tmp_path):
    cohort = cohort_of(tmp_path)
    cohort.slices["stroke"] = 1
    with pytest.raises(UserError, match="with and without stroke"):
        probes.audit(cohort, quiet=True)


def test_text_becomes_numbers():
    table = pd.DataFrame({"a": ["b", "a", None, "b"], "n": [1.5, None, 3, 4], "m": ["1", "x", "1", "1"]})
    assert probes.numbers(table).tolist() == [[1, 1.5, 0], [0, 0.5, 1], [-1, 3, 0], [1, 4, 0]]
    gone = pd.DataFrame({"position": [-1.0, -7.0, None], "none": [None] * 3})
    assert probes.numbers(gone).tolist() == [[-1, 0], [-7, 0], [-8, 0]], "missing is no usual value"


def test_a_frame_at_the_edge_of_the_picture_is_outside_the_head(tmp_path):
    draw(tmp_path / "a.png", 3)
    framed = np.array(Image.open(tmp_path / "a.png"))
    for edge in (framed[:1], framed[-1:], framed[:, :1], framed[:, -1:]):
        edge[:] = 200
    Image.fromarray(framed).save(tmp_path / "a.png")
    outside = probes.views(tmp_path / "a.png")["outside the head"]
    assert (outside[0] == 200).all() and (outside[:, -1] == 200).all()


def test_where_the_picture_cuts_the_head_no_brain_is_left(tmp_path):
    draw(tmp_path / "a.png", 3)
    Image.open(tmp_path / "a.png").crop((0, 0, 256, 128)).save(tmp_path / "a.png")  # at its widest
    rim = probes.views(tmp_path / "a.png")["brain deleted"]
    assert (rim[-4:, 80:176] == 0).all() and rim[-4:].any()


def test_cuts_share_nothing_and_leave_no_brain(tmp_path):
    draw(tmp_path / "a.png", 3, bar=True, lesion=True)
    views = probes.views(tmp_path / "a.png")
    outside, rim, whole = views.values()
    assert not ((outside > 0) & (rim > 0)).any()
    assert (outside[246:251, 90:171] > 0).mean() > 0.9 and (whole[outside > 0] == outside[outside > 0]).all()
    assert (whole == 180).sum() >= 0 and rim.astype(bool).sum() < 0.3 * whole.astype(bool).sum()
    assert (rim[100:150, 100:150] == 0).all() and (whole[100:150, 100:150] > 0).all()
