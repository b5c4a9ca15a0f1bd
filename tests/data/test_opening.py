"""Which data are at hand, and what the phantom knows of its slices that no file says."""

from types import SimpleNamespace

import pandas as pd
import pytest
from PIL import Image

from stroke_utils.base.errors import UserError
from stroke_utils.data import opening
from stroke_utils.phantom import SPEC_VERSION, spec, writer


def cohort(**about):
    return SimpleNamespace(origin={"phantom": True, "size": "tiny", "seed": 0, "shortcut": False} | about)


def test_old_infarcts_are_where_their_patients_have_one():
    patients = spec.plan("tiny", 0, writer.SPEC)
    rows = [(each.slice_id, writer.patient_of(p, 0, writer.SPEC).old_infarct) for p in patients for each in p.slices]
    slices = pd.DataFrame(rows, columns=["slice_id", "may"], index=range(100, 100 + len(rows)))
    pixels = opening.old_infarcts(cohort(spec_version=SPEC_VERSION), slices)
    assert pixels.index.equals(slices.index) and (pixels[~slices["may"]] == 0).all()
    assert (pixels[slices["may"]] > 0).any()


def test_of_other_data_nothing_is_known():
    slices = pd.DataFrame({"slice_id": ["a", "b"]})
    for other in (SimpleNamespace(origin={}), cohort(spec_version=SPEC_VERSION - 1)):
        assert opening.old_infarcts(other, slices).isna().all()


def test_what_is_at_hand_is_said_without_reading_it(monkeypatch, tmp_path):
    monkeypatch.delenv("STROKE_DATA", raising=False)
    monkeypatch.setattr(opening.phantom, "phantom_folder", lambda size, seed: tmp_path / "none")
    found, what = opening.data_at_hand()
    assert found == "none yet" and "draws the phantom" in what
    monkeypatch.setattr(opening.phantom, "phantom_folder", lambda size, seed: tmp_path)
    assert opening.data_at_hand() == ("the phantom is there", "")


def test_the_lesion_is_the_data_sets_own_mask(tmp_path):
    Image.new("RGB", (4, 4), (0, 0, 255)).save(tmp_path / "1.png")
    unknown = SimpleNamespace(true_masks=None)
    found = opening.lesion(unknown, SimpleNamespace(slice_id="1", mask=str(tmp_path / "1.png")))
    assert (found == 1).all()
    assert opening.lesion(unknown, SimpleNamespace(slice_id="1", mask=None)) is None


def test_a_stopped_drawing_of_a_scan_stops_no_later_one_and_nothing_else_is_removed(monkeypatch, tmp_path):
    def stopped(*given):
        raise KeyboardInterrupt

    monkeypatch.setattr(opening.scan.render, "draw_slice", stopped)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            opening.drawn_scan(tmp_path / "disc")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "README").write_text("Mine.")
    with pytest.raises(UserError, match="mine is no drawn scan.*give another folder"):
        opening.drawn_scan(tmp_path / "mine")
    assert (tmp_path / "mine" / "README").is_file()


def test_the_phantom_is_opened_whatever_else_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("STROKE_DATA", str(tmp_path / "other"))
    monkeypatch.setattr(opening.phantom, "ensure_phantom", lambda size, seed, quiet: tmp_path / f"{size}-{seed}")
    monkeypatch.setattr(opening, "read_cohort", lambda folder, quiet: folder)
    assert opening.open_phantom("tiny", 3) == tmp_path / "tiny-3"
    assert opening.open_cohort() == tmp_path / "other"
