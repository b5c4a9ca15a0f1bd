"""Heads in memory: the phantom's own pixels, the same whoever draws them, and none that a cohort has."""

import hashlib

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from stroke_utils.base.errors import UserError
from stroke_utils.base.vocabulary import LABELS, MARKER_COLOUR
from stroke_utils.phantom.heads import Heads, draw_heads, plan_heads
from stroke_utils.phantom.lesions import draw_lesion
from stroke_utils.phantom.patient import draw_patient
from stroke_utils.phantom.render import TISSUES, draw_slice
from stroke_utils.phantom.spec import PhantomSpec, plan

SEED = 1000  # learn.pretrain.HEADS_SEED, which needs Keras; tests/learn compares them


def drawn(numbers, seed=SEED, workers=1, **options):
    return Heads.joined(
        draw_heads(plan_heads(seed, numbers), seed, options.pop("size", 64), workers=workers, **options)
    )


@pytest.fixture(scope="module")
def heads():
    return drawn(range(1, 33))


def test_shapes_labels_and_patients(heads):
    assert heads.pictures.shape == (32, 64, 64) and heads.pictures.dtype == np.uint8
    assert heads.tissues.shape == (32, 16, 16) and heads.tissues.dtype == np.uint8
    assert heads.patients.tolist() == list(range(1, 33)) and len(heads) == 32
    counts = np.bincount(heads.labels, minlength=len(LABELS))
    assert (counts >= 3).all() and counts[0] == counts.max()
    assert 20 < heads.pictures.mean() < 110 and (heads.pictures.reshape(32, -1).std(axis=1) > 20).all()


def test_the_same_from_any_number_of_processes_and_in_any_company(heads):
    again = drawn(range(20, 28), workers=2)
    for one, other in zip(vars(heads).values(), vars(again).values(), strict=True):
        assert np.array_equal(one[19:27], other)
    assert not np.array_equal(drawn([20], seed=SEED + 1).pictures, again.pictures[:1])


def test_planned_heads_are_one_slice_each_of_patients_as_a_cohort_has_them():
    planned, spec = plan_heads(SEED, range(1, 401)), PhantomSpec()
    assert all(len(set(patient.slices)) == 1 for patient in planned)
    counts = np.array([len(patient.slices) for patient in planned])
    assert set(counts) <= set(spec.slices_per_patient) and abs((counts == 3).mean() - spec.slices_weights[0]) < 0.08
    places = np.array([patient.slices[0].index / (len(patient.slices) - 1) for patient in planned])
    assert abs((places == 0).mean() - 0.3) < 0.08 and abs((places == 1).mean() - 0.3) < 0.08
    shapes = [patient.slices[0].shape for patient in planned]
    assert 0 < sum(shape != (512, 512) for shape in shapes) < 40
    assert abs(np.mean([patient.label == "none" for patient in planned]) - 0.5) < 0.08


def test_a_lesion_is_where_the_label_says_and_what_resembles_it_is_named(heads):
    lesions = np.stack([(heads.tissues == value).any(axis=(1, 2)) for value in (1, 2)], axis=1)
    expected = np.stack([heads.labels == value for value in (1, 2)], axis=1)
    assert not (lesions & ~expected).any()  # never a lesion where there is none
    assert lesions[expected].mean() > 0.8  # the smallest fill no cell
    seen = [int((heads.tissues == value).any(axis=(1, 2)).sum()) for value in range(len(TISSUES))]
    assert min(seen) >= 2, dict(zip(TISSUES, seen, strict=True))


def test_tissues_lie_where_the_picture_shows_them():
    """At full size: fluid and old infarcts are darker than the brain beside them, calcium and blood brighter."""
    spec, found = PhantomSpec(), {name: [] for name in TISSUES[2:]}
    for planned in plan_heads(SEED, range(1, 25)):
        patient = draw_patient(SEED, planned.number, len(planned.slices), spec)
        lesion = draw_lesion(SEED, planned.number, planned.label, patient, spec)
        picture = draw_slice(patient, planned, planned.slices[0], lesion, SEED, spec)
        assert np.array_equal(picture.truth, np.where(picture.tissue <= 2, picture.tissue, 0))
        assert patient.old_infarct or not (picture.tissue == TISSUES.index("old infarct")).any()
        brain = np.median(picture.hu[(picture.tissue == 0) & (picture.hu > 15) & (picture.hu < 60)])
        for name, values in found.items():
            where = picture.tissue == TISSUES.index(name)
            if name == "fluid":  # thin films beside bone take its brightness, so ventricles alone are looked at
                where = ndimage.binary_opening(where, np.ones((9, 9)))
            region = picture.hu[where]
            if len(region) >= 20:
                values.append(float(region.mean() - brain))
    assert all(len(values) >= 3 for values in found.values()), found
    middle = {name: float(np.median(values)) for name, values in found.items()}
    assert all(-40 < middle[name] < -8 for name in ("fluid", "old infarct")), found
    assert all(15 < middle[name] < 160 for name in ("calcium", "hemorrhage")), found


def test_pictures_are_those_of_a_written_cohort(tiny_phantom):
    """Drawing in memory and drawing to disk is one drawing: the frozen phantom."""
    planned = [patient for patient in plan("tiny", 0, PhantomSpec()) if patient.part == "session1"]
    stems = [which.slice_id for patient in planned for which in patient.slices]
    held = Heads.joined(draw_heads(planned, 0, 64, workers=1))
    files, compared = {path.stem: path for path in tiny_phantom.rglob("PNG/*.png")}, 0
    for stem, picture in zip(stems, held.pictures, strict=True):
        pixels = np.asarray(Image.open(files[stem]))
        if (pixels[..., :3] == MARKER_COLOUR).all(axis=2).any():
            continue  # heads in memory bear no marker
        small = Image.fromarray(pixels[..., 0]).resize((64, 64), Image.Resampling.BILINEAR)
        assert np.array_equal(picture, np.asarray(small)), stem
        compared += 1
    assert compared >= 10


def test_no_head_to_learn_from_is_in_the_cohort(heads, tiny_phantom):
    """Neither a patient nor a picture of the tiny cohort of seed 0 is among the heads of the same numbers."""
    spec = PhantomSpec()
    cohort = plan("tiny", 0, spec)
    assert {patient.number for patient in cohort} & set(heads.patients.tolist())  # numbers alone do not tell them apart
    for patient in cohort:
        mine, theirs = (draw_patient(seed, patient.number, len(patient.slices), spec) for seed in (SEED, 0))
        assert (mine.pixel, mine.noise, mine.bone, mine.grey) != (theirs.pixel, theirs.noise, theirs.bone, theirs.grey)
    written = Heads.joined(draw_heads(cohort, 0, 64, workers=1))

    def digests(pictures):
        return {hashlib.sha256(picture.tobytes()).hexdigest() for picture in pictures}

    assert len(digests(heads.pictures)) == len(heads) and len(digests(written.pictures)) == len(written)
    assert not digests(heads.pictures) & digests(written.pictures)


def test_maps_that_do_not_fit_are_refused():
    with pytest.raises(UserError, match="80 × 80 cells does not fit"):
        drawn([1], cells=80)
