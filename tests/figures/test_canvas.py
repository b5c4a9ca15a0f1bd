"""What every figure does alike: where it draws, what it returns, its stamp, and how it is saved."""

import inspect
import json
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from stroke_utils import figures
from stroke_utils.data import masks
from stroke_utils.figures.canvas import NOTE
from stroke_utils.learn import models

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
PHANTOM, REAL = {"name": "Phantom cohort", "phantom": True}, {"name": "a data set"}

HELPERS = {
    "COLOURS",
    "HOUNSFIELD",
    "agreement",
    "crop",
    "leave_unstamped",
    "agreement_key",
    "network_stages",
    "report_page",
    "save",
    "save_pdf",
    "use_origin",
    "use_style",
    "window_slider",
    "with_outlines",
}
DRAWING = sorted(set(figures.__all__) - HELPERS)
THE_PAPERS = {"printable_scores", "fits_by_size", "network", "one_or_three"}  # they draw no data of ours
THE_PHANTOMS = {"course_map", "from_head_to_numbers", "labelled_slice", "lesion_kinds"}  # heads drawn on the spot


@pytest.fixture(autouse=True)
def clean_figures():
    figures.use_style()
    figures.use_origin({})
    yield
    figures.use_origin({})
    plt.close("all")


def note_places(figure):
    """Return where a figure says that its data are a phantom's: the figure itself, or some of its axes."""
    found = [figure] if figure.get_supxlabel() == NOTE else []
    return found + [axis for axis in figure.axes if any(text.get_text() == NOTE for text in axis.texts)]


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """Something small to draw for each drawing function, by its name."""
    folder = tmp_path_factory.mktemp("drawn")
    png, mask = folder / "1.png", folder / "masks" / "1.png"
    masks.write_class_mask(mask, np.eye(20, dtype=np.uint8))
    Image.new("RGB", (20, 20), (90, 90, 90)).save(png)
    ramp = np.repeat(np.tile(np.arange(256, dtype=np.uint8), (9, 1))[..., None], 3, axis=2)
    overlay = ramp.copy()
    overlay[:5] = 0, 255, 0
    history = pd.DataFrame({"epoch": [1, 2], "loss": [2.0, 1.0], "val_loss": [2.0, 1.5]})
    slices = pd.DataFrame({"slice_id": ["1"], "png": [str(png)], "label": ["ischemia"]})
    dices = slices.assign(lesion_dice=0.5, typed_dice=0.4, reference_px=500)
    sizes = pd.DataFrame({"type": ["ischemia", "hemorrhage"], "pixels": [300, 900], "method": "paper", "dice": 0.9})
    answers = slices.assign(outcome="TP", probability=0.9)
    audit = pd.DataFrame({"auc": [0.6, None], "low": [0.4, None], "high": [0.8, None]}, index=["marker", "DICOM tags"])
    audit["unit"] = "patients"
    middle = {"auc": 0.7, "low": 0.6, "high": 0.8, "inflation": 0.1, "inflation_low": 0.0, "inflation_high": 0.2}
    splits = pd.DataFrame([middle, middle], index=["slice", "patient"])
    single = pd.DataFrame([("slice", 0, "validation", 0.7)], columns=["split_by", "seed", "part", "auc"])
    score = {"table": "I", "model": "cnn", "start": "random", "score": "f1"}
    ends = {"value": 0.7, "low": 0.6, "high": 0.8, "baseline": 0.4, "perfect": 1.0}
    curve = pd.DataFrame({"threshold": [0.1, 0.9], "precision": [0.5, 1.0], "recall": [1.0, 0.5]})
    triples, matrix = np.array([[9815, 9643, 9720], [9000, 9000, 9000]]), np.array([[3, 1], [2, 4]])
    truth, levels = pd.Series([str(mask)]), pd.DataFrame({"label": ["none"], "grey_levels": [80]})
    truths, answered = np.array([0, 1, 0, 1]), np.array([0.1, 0.4, 0.6, 0.9])
    groups = pd.DataFrame(
        {"probability": [0.2, 0.8], "share": [0.1, 0.9], "low": [0, 0.5], "high": [0.5, 1], "n": [5, 5]}
    )
    greys = pd.DataFrame([[0.2, 0.8]], columns=[8, 16], index=pd.MultiIndex.from_tuples([("a", "none")]))
    benefit = pd.DataFrame(
        {"threshold": [0.1, 0.5], "net_benefit": 0.2, "low": 0.1, "high": 0.3, "everyone": [0.3, -0.2]}
    )
    sure = pd.DataFrame({"coverage": [0.5, 1.0], "error": [0.1, 0.2], "low": 0.0, "high": 0.3, "best": [0.0, 0.2]})
    changed = pd.DataFrame(
        {"AUC": [0.9, 0.8], "low": 0.7, "high": 0.95, "new misses": 0.1, "new alarms": 0.05}, ["a", "b"]
    )
    seen = pd.DataFrame({"label": ["ischemia"] * 2, "pixels": [500, 900], "predicted": [True, False]})
    trials = pd.DataFrame({"patients": [5, 10], "seed": 0, "AUC": [0.6, 0.8], "low": 0.5, "high": 0.9})
    return {
        "answers_under_change": (changed,),
        "attention_by_size": (seen.assign(inside=[0.2, 0.0], in_head=0.1),),
        "attention": ([ramp, ramp], [ramp[..., 0]] * 2, [np.eye(9, 256), None], ["hit", "false alarm"]),
        "augmentation_curves": ([("none", 0, history), ("light", 0, history)],),
        "batch_preview": (np.zeros((2, 20, 20, 3)), np.stack([np.eye(3)[np.eye(20, dtype=int)]] * 2)),
        "beside_the_paper": (
            pd.DataFrame([score | ends | {"ours": 0.7, "paper": 0.9}]), pd.DataFrame([score | {"value": 0.7}]), "I",
        ),
        "cause_gallery": (answers.assign(mistake="missed stroke", cause="small"), {"1": np.eye(20)}),
        "class_balance": (pd.DataFrame({"part": ["train"], "label": ["none"], "found": [3]}),),
        "confusion_matrices": ({"here": matrix, "the paper": matrix}, ("none", "stroke")),
        "convention_ranges": ({"CNN": pd.DataFrame([ends], index=["soft_f1"])},),
        "course_map": (),
        "coverage_curves": ({"CNN": sure},),
        "decision_curves": ({"CNN": benefit},),
        "dice_by_area": (dices,),
        "dice_by_level": (pd.DataFrame({"ischemia": [0.2, 0.1]}, index=[40, 80]), {"ischemia": 40}),
        "dice_by_size": (sizes,),
        "failure_gallery": (dices, slices, truth, folder / "masks"),
        "fits_by_size": (pd.DataFrame({"model": ["cnn"], "positives": [219]}), ["cnn"], range(200, 240), 219, 9),
        "from_head_to_numbers": (),
        "grey_bands": (ramp,),
        "grey_histograms": (greys.rename_axis(index=["slice_id", "label"]),),
        "hue_rule": (overlay,),
        "image_grid": ([ramp, ramp], ["a", "b"], 2),
        "inflation": (splits, single),
        "labelled_slice": (),
        "lesion_kinds": (),
        "learning_curve": (trials,),
        "lesion_sizes": (sizes,),
        "location_maps": ({"ischemia": (np.full((8, 8), 0.1), np.zeros((8, 8)), 3)},),
        "long_run": (history.assign(accuracy=0.5, val_accuracy=[0.4, 0.6]), 1),
        "loss_curves": ({"CNN": history, "ResNet-18": history},),
        "network": (models.detector("cnn", 32),),
        "one_or_three": (),
        "operating_curves": (truths, {"CNN": answered}, {"CNN": {"rule": 0.3, "0.5": 0.5}}),
        "outlined": (ramp, np.eye(9, 256), "a"),
        "predictions_gallery": (answers, slices, ("none", "stroke"), 2),
        "printable_scores": (triples, triples[0]),
        "probe_intervals": ({"here": audit},),
        "recipe_gains": (
            pd.DataFrame(
                [
                    ("strong", beside, kind, 0.1, 0.05, 0.2)
                    for beside in ("paper", "paper+start")
                    for kind in ("all", "ischemia", "hemorrhage")
                ],
                columns=["step", "beside", "slices", "difference", "low", "high"],
            ),
        ),
        "reliability": ({"CNN": groups},),
        "responses": (ramp, np.random.default_rng(0).normal(size=(9, 9, 3))),
        "reliability_panels": ({"CNN": groups, "ResNet-18": groups},),
        "samples": (slices, "png"),
        "seed_losses": ({0: history}, "CNN"),
        "segmentation_demo": ({"ischemia, good": "1"}, slices, truth, folder / "masks", dices),
        "threshold_choice": (curve, 0.5, 0.88, "CNN"),
        "threshold_trade": (truths, answered, {"rule": 0.3}, "CNN"),
        "window_widths": (levels,),
        "windows": (np.linspace(-1000, 2000, 81).reshape(9, 9),),
    }  # fmt: skip


NO_DATA = {
    "attention_by_size": (pd.DataFrame({"inside": []}),),
    "augmentation_curves": ([],),
    "cause_gallery": (pd.DataFrame(), {}),
    "image_grid": ([], []),
    "lesion_sizes": (pd.DataFrame({"type": [], "pixels": []}),),
    "location_maps": ({},),
    "predictions_gallery": (pd.DataFrame({"outcome": []}), pd.DataFrame(), ("none", "stroke")),
    "samples": (pd.DataFrame({"label": []}), "png"),
    "seed_losses": ({}, "CNN"),
    "segmentation_demo": ({}, pd.DataFrame(), pd.Series(), None, pd.DataFrame()),
    "windows": (None,),
}
"""What these functions are given where a data set or a run lacks what they draw."""


def test_every_drawing_function_is_tested_here(given):
    assert sorted(given) == DRAWING and set(NO_DATA) <= set(given)


def takes(draw):
    """Return what a function draws on, by its signature: ``ax``, or ``figure``."""
    (place,) = {"ax", "figure"} & set(inspect.signature(draw).parameters)
    return place


@pytest.mark.parametrize("name", DRAWING)
def test_a_function_draws_on_its_own_figure_or_on_the_one_it_is_given(given, name):
    draw = getattr(figures, name)
    alone = draw(*given[name])
    assert isinstance(alone, Axes) or (alone.ndim == 1 and all(isinstance(axis, Axes) for axis in alone))
    before = plt.get_fignums()
    left, right = plt.figure(figsize=(9, 4)).subfigures(1, 2)
    assert isinstance(alone, Axes) == (takes(draw) == "ax")
    if takes(draw) == "ax":
        place = right.subplots()
        assert draw(*given[name], ax=place) is place
        drawn = [place]
    else:
        drawn = draw(*given[name], figure=right)
        assert len(drawn) == len(alone)
    assert all(axis.get_figure() is right for axis in drawn) and not left.axes
    assert len(plt.get_fignums()) == len(before) + 1, "it made a figure beside the one it was given"
    right.get_figure(root=True).draw_without_rendering()  # some things are laid out only now
    titles = [[axis.get_title() for axis in np.ravel(axes)] for axes in (alone, drawn)]
    assert titles[0] == titles[1] and all(axis.has_data() or axis.texts or not axis.axison for axis in drawn)


@pytest.mark.parametrize("name", DRAWING)
def test_a_function_stamps_phantom_data_and_no_others(given, name):
    """Heads that a function draws itself are a phantom's whatever data set is open."""
    draw, stamped = getattr(figures, name), []
    for origin in (PHANTOM, REAL):
        figures.use_origin(origin)
        readers = plt.figure()
        place = readers.subplots() if takes(draw) == "ax" else readers
        drawn = [draw(*given[name]), draw(*given[name], **{takes(draw): place})]
        drawn += [draw(*NO_DATA[name])] if name in NO_DATA else []
        found = [np.ravel(axes)[0].get_figure(root=True) for axes in drawn]
        stamped.append({note_places(figure) == [figure] for figure in found})
    assert stamped == [{name not in THE_PAPERS}, {name in THE_PHANTOMS}]


@pytest.mark.parametrize("name", NO_DATA)
def test_what_is_lacking_is_said_in_place_of_a_figure(name):
    drawn = getattr(figures, name)(*NO_DATA[name])
    (axis,) = np.ravel(drawn)
    assert isinstance(drawn, Axes) == (takes(getattr(figures, name)) == "ax")
    assert not axis.axison and axis.texts[0].get_text().startswith("No ")


def test_the_papers_panel_is_left_out_of_the_stamp(given):
    figures.use_origin(PHANTOM)
    ours, papers = figures.confusion_matrices(*given["confusion_matrices"])
    assert note_places(ours.figure) == [ours.figure]
    figures.leave_unstamped(papers)
    assert note_places(ours.figure) == [ours]
    figures.leave_unstamped(ours)
    assert note_places(ours.figure) == []


def test_a_figure_of_both_is_stamped_on_the_data_alone(given):
    figures.use_origin(PHANTOM)
    figure = plt.figure()
    left, right = figure.subfigures(1, 2)
    maps = figures.location_maps(*given["location_maps"], figure=left)
    figures.printable_scores(*given["printable_scores"], figure=right)
    assert note_places(figure) == [*maps], "the colour bar and the paper's axes are no data of ours"


def test_a_readers_own_label_stays_and_the_stamp_too(given):
    figures.use_origin(PHANTOM)
    figure, axis = plt.subplots()
    figure.supxlabel("mine")
    figures.lesion_sizes(*given["lesion_sizes"], ax=axis)
    assert figure.get_supxlabel() == "mine" and note_places(figure) == [axis]


def test_a_figure_that_a_reader_put_together_is_stamped_when_it_is_saved(tmp_path):
    figures.use_origin(PHANTOM)
    figure, axis = plt.subplots()
    axis.plot([1, 2])
    assert note_places(figure) == []
    figures.save(figure, tmp_path / "a.png")
    assert note_places(figure) == [figure]


def test_a_later_data_set_replaces_the_one_before(given):
    figures.use_origin(PHANTOM)
    axis = figures.lesion_sizes(*given["lesion_sizes"])
    figures.use_origin(REAL)
    figures.lesion_sizes(*given["lesion_sizes"], ax=axis)
    assert note_places(axis.figure) == []


def test_remembering_an_origin_leaves_it_as_it_is():
    origin = dict(PHANTOM)
    figures.use_origin(origin)
    figures.use_origin(REAL)
    assert origin == PHANTOM


@pytest.mark.parametrize("drawn", [lambda axis: axis, lambda axis: np.array([axis]), lambda axis: axis.figure])
def test_a_figure_is_saved_whole_or_not_at_all(tmp_path, monkeypatch, drawn):
    target = tmp_path / "new" / "a.png"
    (axis,) = figures.image_grid([np.zeros((4, 4))], ["one"], columns=1)
    figures.save(drawn(axis), target)
    with Image.open(target) as image:
        image.load()
    before = target.read_bytes()
    monkeypatch.setattr(Figure, "savefig", lambda self, path, **k: path.write_bytes(b"half") and 1 / 0)
    with pytest.raises(ZeroDivisionError):
        figures.save(drawn(axis), target)
    assert target.read_bytes() == before and [p.name for p in target.parent.iterdir()] == ["a.png"]


def test_the_data_behind_a_figure_lie_beside_it(tmp_path):
    data = pd.DataFrame({"slice_id": ["10001"], "label": ["none"]})
    figures.save(figures.image_grid([np.zeros((4, 4))], ["one"]), tmp_path / "new" / "a.png", data)
    assert (tmp_path / "new" / "a.csv").read_text() == "slice_id,label\n10001,none\n"


def unstamped(cells):
    """Return the cells that open a cohort and do not say so to the figures at once."""
    opening = [cell for cell in cells if "= open_cohort(" in cell]
    return [cell for cell in opening if "figures.use_origin(cohort.origin)" not in cell]


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_says_whose_data_its_figures_show(path):
    cells = ["".join(c["source"]) for c in json.loads(path.read_text(encoding="utf-8"))["cells"]]
    assert unstamped(cells) == []
    assert unstamped(["cohort = open_cohort(data_dir)"]), "this test can't fail"
