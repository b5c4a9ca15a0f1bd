"""Which networks answer: those given, else the last finished runs; how far they hold; and how masks are made."""

import json
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest

from stroke_utils.base import files
from stroke_utils.base.errors import UserError
from stroke_utils.evaluate import calibration
from stroke_utils.learn import models, predict
from stroke_utils.reading import networks, report
from stroke_utils.reading.networks import DETECTION, REGIONS, TYPE
from stroke_utils.results import runs


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Return a function that leaves a finished run: its networks' scores on validation by name, and what it is of."""
    monkeypatch.setenv("STROKE_RESULTS", str(tmp_path))
    monkeypatch.setattr(runs, "read", lambda path: (json.loads(path.read_text()), ""))

    def run(notebook, run_id, finished, scores, data="abc", profile="quick"):
        folder, ranked = tmp_path / profile / notebook / run_id, networks.RANKED_BY[notebook]
        metrics = {name: {"validation": {ranked: {"value": value}}} for name, value in scores.items()}
        files.write_json(
            folder / "record.json",
            {"profile": profile, "notebook": notebook, "run_id": run_id, "finished": finished, "metrics": metrics}
            | {"parameters": {"models": list(scores)}, "cohort": {"fingerprint": data, "origin": None}},
        )
        for name in scores:
            (folder / name).mkdir()
            (folder / name / "best.weights.h5").write_bytes(f"{run_id} {name}".encode())
        return folder

    return run


@pytest.fixture
def three(made):
    """One finished run of each task, on the same data."""
    return {
        REGIONS: made(REGIONS, "r1", "2026-01-01", {"resnet50": 0.6, "efficientnetb3": 0.7}),
        DETECTION: made(DETECTION, "d1", "2026-01-01", {"cnn": 0.9, "resnet18": 0.8}),
        TYPE: made(TYPE, "t1", "2026-01-01", {"cnn": 0.7}),
    }


def chosen(*given, **how):
    found = networks.find(given, **how)
    assert list(found) == list(runs.TASKS)
    return [f"{found[name].folder.parent.name}/{found[name].model}" for name in (REGIONS, DETECTION, TYPE)]


def test_the_last_finished_run_answers_with_its_best_network_on_validation(three, made):
    assert chosen() == ["r1/efficientnetb3", "d1/cnn", "t1/cnn"]
    made(DETECTION, "a-later", "2026-01-02", {"cnn": 0.5, "resnet18": 0.6})
    assert chosen() == ["r1/efficientnetb3", "a-later/resnet18", "t1/cnn"]
    (three[REGIONS] / "efficientnetb3" / "best.weights.h5").unlink()
    assert chosen()[0] == "r1/resnet50", "without weights nothing answers"


def test_networks_are_of_one_data_set(three, made):
    made(DETECTION, "other", "2026-01-03", {"cnn": 0.9}, data="xyz")
    assert chosen()[1] == "d1/cnn"
    with pytest.raises(UserError, match="no finished run for segmentation .* on the same data under"):
        networks.find(fingerprint="xyz")
    other = three[DETECTION].parent / "other"
    with pytest.raises(UserError, match="were trained on different data"):
        networks.find([other, three[TYPE]])


def test_a_run_a_network_a_file_or_a_profile_may_be_given(three, made, tmp_path):
    made(DETECTION, "later", "2026-01-02", {"cnn": 0.5})
    assert chosen(three[DETECTION])[1] == "d1/cnn"
    assert chosen(three[DETECTION] / "resnet18")[1] == "d1/resnet18"
    assert chosen(three[REGIONS] / "resnet50" / "best.weights.h5")[0] == "r1/resnet50"
    made(REGIONS, "paper", "2026-01-02", {"resnet50": 0.5}, profile="paper")
    with pytest.raises(UserError, match="no finished run for detection .*paper"):
        networks.find([tmp_path / "paper"])
    with pytest.raises(UserError, match="Two of the given weights are for one task"):
        networks.find([three[REGIONS], three[REGIONS] / "resnet50"])
    assert chosen(three[REGIONS] / "record.json")[0] == "r1/efficientnetb3"
    history = three[REGIONS] / "resnet50" / "history.csv"
    history.write_text("x")
    with pytest.raises(UserError, match="history.csv is no network of a finished run"):
        networks.find([history])


def test_a_profile_that_can_answer_is_named(made):
    made(REGIONS, "r", "2026-01-02", {"resnet50": 0.5}, profile="recipes")
    for notebook in (REGIONS, DETECTION, TYPE):
        with pytest.raises(UserError, match=r"answer with\. Run `make reproduce` first"):
            networks.find()
        made(notebook, "s", "2026-01-02", {"resnet50": 0.5}, profile="strong")
    with pytest.raises(UserError, match=r"under .*quick, so .* all three: --profile strong\. Run `make repro"):
        networks.find()
    with pytest.raises(UserError, match=r"answer with\. Run"):
        networks.find(fingerprint="xyz")


def test_the_temperature_is_of_validation_and_its_error_of_the_test(tmp_path):
    rng = np.random.default_rng(0)
    truth, logit = rng.integers(0, 2, 400), rng.normal(size=400) * 4  # far too sure, and about half of it right
    table = pd.DataFrame(
        {"split": ["validation", "test"] * 200, "truth": truth, "probability": 1 / (1 + np.exp(-logit))}
    )
    assert networks._calibration(tmp_path) == networks.Calibration(), "no predictions: nothing is known"
    files.write_table(tmp_path / "predictions.csv", table)
    found, held = networks._calibration(tmp_path), table[table["split"] == "validation"]
    assert found.temperature == calibration.temperature(held["truth"], held["probability"]) > 2
    assert (found.part, found.n) == ("test", 200) and 0 <= found.ece < 0.15
    files.write_table(tmp_path / "predictions.csv", held)
    assert networks._calibration(tmp_path).part == "validation"
    files.write_table(tmp_path / "predictions.csv", table[table["split"] == "test"])
    assert networks._calibration(tmp_path) == networks.Calibration()
    files.write_table(tmp_path / "predictions.csv", held.assign(truth=1))
    assert networks._calibration(tmp_path) == networks.Calibration(), "of one class nothing can be chosen"


def test_nothing_is_usual_where_the_data_are_not_at_hand(three, tmp_path, monkeypatch):
    monkeypatch.setenv("STROKE_DERIVED", str(tmp_path / "derived"))
    monkeypatch.delenv("STROKE_DATA", raising=False)
    bare = object.__new__(networks.Networks)
    bare.sources = networks.find()
    assert bare._usual("", True) is None


def test_the_page_says_on_what_the_networks_learned():
    bare = object.__new__(networks.Networks)
    bare.origin = {"phantom": True}
    assert bare.drawn and bare.remark == "Not a medical device, trained on drawn heads"
    bare.origin = {}
    assert not bare.drawn and bare.remark == "Not a medical device"


CHOICES = [
    predict.PLAIN,
    predict.MaskOptions(flip=True),
    predict.MaskOptions(smallest=200),
    predict.MaskOptions(vote=True),
]


@pytest.mark.parametrize("options", CHOICES)
def test_masks_are_made_as_chosen_on_validation(options):
    """By a network that calls white a bleeding, and light or the left edge of what it is shown an ischemia."""
    bare, calls = object.__new__(networks.Networks), []

    def ask(batch):
        grey = np.asarray(batch)[..., 0]
        calls.append(1)
        edge = np.zeros_like(grey, bool)
        edge[:, :, :4] = True  # which the mirror image has at the other side
        bleeding, ischemia = grey > 200, (grey > 100) & (grey <= 200)
        soft = np.stack([~bleeding & ~ischemia & ~edge, ischemia | edge & ~bleeding, bleeding], axis=-1)
        return np.float32(soft * [1, 0.9, 1])

    bare._segment, bare._side, bare._prepare_unet, bare._crop, bare.masks = ask, 64, lambda x: x, False, options
    image = np.zeros((64, 64, 3), np.uint8)
    image[20:40, 30:50], image[50:60, 30:40] = 250, 150
    found = bare.regions_of(image)
    assert (found[20:40, 30:50] == 2).all() and len(calls) == 1 + options.flip
    assert found[0, 3] == (0 if options.flip else 2 if options.vote else 1)
    assert found[55, 35] == (0 if options.smallest else 2 if options.vote else 1)


def test_the_page_says_what_a_network_began_with(three):
    source = networks.find()[DETECTION]
    assert source.about()["start"] == "" and report.named(source.about()) == "CNN"
    for start, said in (
        ("phantom", "CNN, begun with what it learned from drawn heads"),
        ("ImageNet", "CNN, begun with weights of ImageNet"),
    ):
        source.record["starts"] = {"cnn": start}
        assert report.named(source.about()) == said


def test_a_choice_is_kept_with_the_network_and_said(tmp_path):
    (tmp_path / "best.weights.h5").write_bytes(b"x")
    models.write_checkpoint(tmp_path, "resnet50", 128, "unit", crop=True)
    assert predict.kept_options(models.read_checkpoint(tmp_path)) == predict.PLAIN
    wanted = predict.MaskOptions(True, 30, True)
    predict.keep_options(tmp_path, wanted)
    models.write_checkpoint(tmp_path, "resnet50", 128, "unit", crop=True)  # as a run that reuses the network does
    about = models.read_checkpoint(tmp_path)
    assert predict.kept_options(about) == wanted and about["crop"] is True
    with pytest.raises(UserError, match="expected flip, smallest, vote. Run notebook 05 again"):
        predict.kept_options({models.MASK_OPTIONS: {"blur": 1}})
    (tmp_path / "best.weights.h5").write_bytes(b"trained anew")
    models.write_checkpoint(tmp_path, "resnet50", 128, "unit")
    assert predict.kept_options(models.read_checkpoint(tmp_path)) == predict.PLAIN
    said = report.mask_steps(asdict(wanted)).split("; ")
    assert said[:2] == ["mean with the answer to the mirror image", "regions under 30 px left out"] and len(said) == 3
    assert report.mask_steps(asdict(predict.PLAIN)) == "the most probable class of each pixel"
