"""The pieces that figures are made of; test_canvas.py has what every figure does alike."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from stroke_utils import figures
from stroke_utils.base.vocabulary import TYPES
from stroke_utils.data import masks


@pytest.fixture(autouse=True)
def clean_figures():
    figures.use_style()
    yield
    plt.close("all")


def test_grid_has_a_place_for_each_image_and_none_is_no_error():
    axes = figures.image_grid([np.zeros((4, 4, 3), np.uint8)] * 5, list("abcde"), columns=3, rows=["x", "y"])
    assert [a.get_title() for a in axes] == list("abcde") and all(a.images for a in axes)
    assert [a.get_ylabel() for a in axes[::3]] == ["x", "y"]
    assert [a.get_visible() for a in axes[0].figure.axes] == [True] * 5 + [False]


def test_crop_is_square_around_the_region_and_stays_inside():
    image, region = np.arange(10000).reshape(100, 100), np.zeros((100, 100), bool)
    region[40:61, 45:56] = True
    assert np.array_equal(figures.crop(image, region, margin=5), image[35:66, 35:66])
    region[:3, :3] = True
    assert figures.crop(image, region, margin=90).shape == (100, 100)


def test_agreement_colours_agreed_missed_and_added():
    image = np.full((1, 4, 3), 9, np.uint8)
    painted = figures.agreement(image, np.array([[1, 1, 0, 0]]), np.array([[1, 0, 2, 0]]))
    assert len({tuple(p) for p in painted[0]}) == 4 and tuple(painted[0, 3]) == (9, 9, 9)
    assert (image == 9).all()


def test_class_balance_keeps_the_order_of_parts():
    rows = [("session1", "none", 3), ("train", "none", 1), ("train", "ischemia", 1), ("session2", "hemorrhage", 2)]
    counts = pd.DataFrame(rows, columns=["part", "label", "found"]).assign(published=0)
    axis = figures.class_balance(counts)
    assert [t.get_text() for t in axis.get_yticklabels()] == ["train", "session1", "session2"]
    assert max(p.get_x() + p.get_width() for p in axis.patches) == pytest.approx(100)


def test_the_other_figures_draw_what_they_are_given():
    ramp = np.repeat(np.tile(np.arange(256, dtype=np.uint8), (64, 1))[..., None], 3, axis=2)
    assert len(figures.grey_bands(ramp)) == 3
    overlay = ramp.copy()
    overlay[:5], overlay[5:9] = (0, 255, 0), (255, 0, 255)
    hues = {round(p.get_x() + p.get_width() / 2) for p in figures.hue_rule(overlay).patches}
    assert {85, 212} <= hues
    scores = pd.DataFrame({"method": ["a", "b"], "type": ["ischemia"] * 2, "pixels": [500, 900], "dice": [0.5, 1]})
    assert [a.get_title() for a in figures.dice_by_size(scores)] == ["a", "b"]
    widths = pd.DataFrame({"label": ["none", "none", "ischemia"], "grey_levels": [80, 100, 80]})
    heights = [p.get_height() for p in figures.window_widths(widths).patches]
    assert sorted(heights) == [0, 50, 50, 100]


def test_the_surest_predictions_come_first_on_each_side_of_the_threshold(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "x.png")
    # Called from 0.2 up: 0.19 is the least sure of those predicted none, though it is the nearest to none of 0.5.
    rows = [("TP", 0.9), ("TP", 0.25), ("FP", 0.3), ("FP", 0.95), ("TN", 0.19), ("TN", 0.01), ("FN", 0.1), ("FN", 0.05)]
    table = pd.DataFrame(rows, columns=["outcome", "probability"]).assign(slice_id=[str(k) for k in range(8)])
    slices = table[["slice_id"]].assign(png=str(tmp_path / "x.png"))
    axes = np.reshape(figures.predictions_gallery(table, slices, ("none", "stroke"), each=2), (4, 2))
    first = [row[0].get_title().split(": ")[1] for row in axes]
    assert first == ["0.90", "0.01", "0.05", "0.95"]


def test_the_numbers_of_a_confusion_matrix_can_be_read_on_every_blue():
    """The contrast is WCAG's, between 1 and 21."""

    def light(colour):
        channels = np.array(matplotlib.colors.to_rgb(colour))
        linear = np.where(channels <= 0.04, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        return linear @ (0.2126, 0.7152, 0.0722)

    shares = (0, 40, 50, 60, 66, 68, 80)
    drawn = figures.confusion_matrices({str(n): np.array([[n, 100 - n], [0, 0]]) for n in shares}, ("none", "stroke"))
    for axis, n in zip(drawn, shares, strict=True):
        assert [text.get_text() for text in axis.texts] == [f"{n}\n{n}%", f"{100 - n}\n{100 - n}%", "0\n0%", "0\n0%"]
        for text, colour in zip(axis.texts, axis.collections[0].get_facecolors(), strict=True):
            dark, bright = sorted((light(text.get_color()), light(colour[:3])))
            assert (bright + 0.05) / (dark + 0.05) > 3.7, f"{text.get_text()!r} can hardly be read"


def test_printable_scores_counts_what_lies_close():
    triples = np.array([[9815, 9643, 9720], [9815, 9700, 9720], [9815, 9643, 9000], [100, 200, 300]])
    whole, zoom = figures.printable_scores(triples, triples[0], 1.0)
    assert len(whole.collections[0].get_offsets()) == 4 and "all 4" in whole.get_title()
    assert zoom.collections[0].get_offsets().tolist() == [[98.15, 96.43], [98.15, 97.0]]
    assert zoom.get_title().endswith(": 2")


def test_fits_by_size_keeps_a_row_for_a_model_without_fits():
    fits = pd.DataFrame({"model": ["b", "b"], "positives": [219, 211]})
    axis = figures.fits_by_size(fits, ["cnn", "b"], range(20, 426), 218.8, 9.4)
    assert [t.get_text() for t in axis.get_yticklabels()] == ["CNN", "b"]
    (dots,) = [line for line in axis.lines if line.get_marker() == "o"]
    assert dots.get_xydata().tolist() == [[219, 1], [211, 1]] and axis.get_xlim() == (10, 435), "no dot is cut"


def test_each_seed_is_a_dot_and_the_median_has_the_interval():
    about = {"table": "I", "model": "cnn", "start": "random", "score": "f1"}
    results = pd.DataFrame([about | {"paper": 0.9, "ours": 0.7, "low": 0.6, "high": 0.8, "baseline": 0.4}])
    seeds = pd.DataFrame([about | {"value": v} for v in (0.65, 0.7, 0.75)])
    axis = figures.beside_the_paper(results, seeds, "I")
    assert [t.get_text() for t in axis.get_yticklabels()] == ["CNN (random), f1"]
    lines = [line.get_xdata().tolist() for line in axis.lines if len(line.get_xdata())]
    assert lines == [[0.6, 0.8], [0.7], [0.65, 0.7, 0.75], [0.4], [0.9]]
    said = axis.get_legend().get_texts()[0].get_text()
    bare = figures.beside_the_paper(results.assign(low=np.nan, high=np.nan), seeds, "I").get_legend().get_texts()
    assert said == "95 % interval of the median" and said not in [text.get_text() for text in bare]


def test_of_one_seed_there_is_no_median_and_no_interval_where_there_is_none():
    about = {"table": "III", "model": "resnet50", "start": "random"}
    ends = {"paper": 0.6, "ours": 0.7, "low": np.nan, "high": np.nan, "baseline": 0.3}
    results = pd.DataFrame([about | {"score": score} | ends for score in ("f1", "iou")])
    seeds = pd.DataFrame([about | {"score": score, "value": 0.7} for score in ("f1", "iou")])
    axis = figures.beside_the_paper(results, seeds, "III")
    told = [text.get_text() for text in axis.get_legend().get_texts()]
    assert told == ["here, one seed", "trivial answers here", "the paper, its data"]
    axis = figures.beside_the_paper(results.assign(low=[np.nan, 0.6], high=0.8), seeds, "III")
    assert "95 % interval" in [text.get_text() for text in axis.get_legend().get_texts()]


def test_losses_of_all_seeds_are_in_one_picture():
    history = pd.DataFrame({"epoch": [1, 2, 3], "loss": [3, 2, 1], "val_loss": [3, 1, 2]})
    axis = figures.seed_losses({0: history, 4: history + 1}, "CNN")
    assert axis.get_title() == "CNN, seeds 0, 4" and len(axis.lines) == 6
    assert [t.get_text() for t in axis.get_legend().get_texts()] == ["training", "validation", "kept epoch"]
    assert [line.get_xydata().tolist() for line in axis.lines if line.get_marker() == "o"] == [[[2, 1]], [[3, 2]]]
    axis = figures.seed_losses({0: history}, "U-Net", 2 / 3, "all background")
    assert axis.get_legend().get_texts()[-1].get_text() == "all background"


def test_attention_leaves_out_empty_maps_and_draws_the_least_at_the_edge():
    table = pd.DataFrame({"label": "ischemia", "pixels": [900, 900, 900], "predicted": True, "in_head": 0.1})
    axis = figures.attention_by_size(table.assign(inside=[0.2, 0.001, np.nan]))
    (drawn,) = [line for line in axis.lines if line.get_label() == "ischemia, predicted"]
    edge = axis.get_yticks()[0]
    assert sorted(drawn.get_ydata()) == pytest.approx([edge, 2]) and edge > 0.01
    assert axis.get_yticklabels()[0].get_text() == f"≤ {edge}"


def test_samples_have_a_row_a_label_also_where_one_has_fewer(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "x.png")
    table = pd.DataFrame({"label": ["ischemia"] * 3 + ["none"], "slice_id": list("abcd"), "png": tmp_path / "x.png"})
    axes = figures.samples(table, "png")
    assert [a.get_title() for a in axes] == ["d", "", "", "a", "b", "c"]
    assert [a.get_ylabel() for a in axes[::3]] == ["none", "ischemia"]


def test_convention_ranges_show_every_score_between_its_ends_but_the_distance():
    table = pd.DataFrame({"value": [0.5, 9.0], "low": [0.4, 8.0], "high": [0.6, 10.0], "baseline": [0.3, np.nan]})
    table = table.assign(perfect=[0.8, 0.0]).set_axis(["soft_f1", "hd95"])
    axis = figures.convention_ranges({"a": table, "b": table})
    assert [label.get_text() for label in axis.get_yticklabels()] == ["soft f1"]
    assert (axis.patches[0].get_x(), axis.patches[0].get_width()) == pytest.approx((0.3, 0.5))
    beside = figures.convention_ranges({"a": table}, {"grey ≥ 156": table.assign(value=0.35)})
    assert [text.get_text() for text in beside.get_legend().get_texts()] == ["a", "grey ≥ 156"]
    assert beside.lines[-1].get_xdata().tolist() == [0.35]


def test_what_knows_nothing_is_drawn_beside_what_learned():
    history = pd.DataFrame({"epoch": [1, 2], "loss": [1.0, 0.5], "val_loss": [1.1, 0.6]})
    plain, guessing = (figures.loss_curves({"a": history}, guessing=chance)[0] for chance in (None, np.log(2)))
    assert "guessing" in [text.get_text() for text in guessing.get_legend().get_texts()]
    assert len(guessing.lines) == len(plain.lines) + 1
    run = history.assign(accuracy=0.5, val_accuracy=0.6)
    grey = [{line.get_ydata()[0] for line in axis.lines} for axis in figures.long_run(run, 1)]
    assert np.log(2) in grey[0] and 0.5 in grey[1]
    table = pd.DataFrame({"label": TYPES, "reference_px": [500, 900], "lesion_dice": [0.4, 0.8]})
    lines = [line.get_ydata()[0] for line in figures.dice_by_area(table, {"hemorrhage": 0.7}).lines]
    assert lines == [0.4, 0.8, 0.7]


def test_masks_are_shown_cut_out_around_all_lesions(tmp_path):
    truth, found = np.zeros((200, 200), np.uint8), np.zeros((200, 200), np.uint8)
    truth[90:100, 90:100], found[95:105, 90:100] = 1, 2
    Image.fromarray(np.zeros((200, 200, 3), np.uint8)).save(tmp_path / "a.png")
    masks.write_class_mask(tmp_path / "truth.png", truth)
    masks.write_class_mask(tmp_path / "out" / "a.png", found)
    slices = pd.DataFrame({"slice_id": ["a"], "png": [tmp_path / "a.png"], "lesion_dice": [0.5]})
    picks = {f"pick {k}": "a" for k in range(4)}
    axes = figures.segmentation_demo(picks, slices, pd.Series([tmp_path / "truth.png"]), tmp_path / "out", slices)
    assert len(axes) == 12 and all(max(a.images[0].get_size()) < 100 for a in axes)
    assert [a.get_title() for a in axes[:6]] == [
        *("pick 0\na", "truth", "prediction,\nDice 0.50"), *("pick 2\na", "truth", "prediction,\nDice 0.50"),
    ]  # fmt: skip


def test_one_wild_epoch_does_not_flatten_the_rest_and_is_told():
    tame = pd.DataFrame({"epoch": [1, 2, 3], "loss": [0.9, 0.6, 0.5], "val_loss": [0.8, 0.7, 0.6]})
    calm, wild = figures.loss_curves({"a": tame, "b": tame.assign(val_loss=[7.25, 0.7, 0.6])}, guessing=0.7)
    assert wild.get_ylim() == pytest.approx((0.32, 1.4)) and calm.get_ylim()[1] < 1.4
    assert [text.get_text() for text in wild.texts] == ["↑ 7.2", "best"]
    assert [text.get_text() for text in calm.texts] == ["best"]


def test_the_failure_gallery_shows_the_worst_slices_of_each_type(tmp_path):
    rows, paths = [], []
    for k in range(5):
        Image.new("RGB", (20, 20)).save(tmp_path / f"{k}.png")
        masks.write_class_mask(tmp_path / f"m{k}.png", np.eye(20, dtype=np.uint8))
        masks.write_class_mask(tmp_path / "out" / f"{k}.png", np.eye(20, dtype=np.uint8))
        rows.append((str(k), str(tmp_path / f"{k}.png"), "ischemia" if k < 3 else "hemorrhage", 1 - k / 10, k / 10))
        paths.append(str(tmp_path / f"m{k}.png"))
    table = pd.DataFrame(rows, columns=["slice_id", "png", "label", "lesion_dice", "typed_dice"])
    worst = figures.failure_gallery(table, table, pd.Series(paths), tmp_path / "out", each=2)
    assert [a.get_title().split("\n")[0] for a in worst] == ["3", "4", "0", "1"]
    (legend,) = worst[0].figure.legends
    assert [text.get_text().split()[-1] for text in legend.get_texts()] == ["found", "missed", "added"]
    few = figures.failure_gallery(table.head(4), table, pd.Series(paths), tmp_path / "out", each=2)
    assert [a.get_title().split("\n")[0] for a in few] == ["3", "0"]
    known = table.assign(patient=["p", "p", None, "q", "r"])
    alone = figures.failure_gallery(table, known, pd.Series(paths), tmp_path / "out", each=2)
    assert [a.get_title().split("\n")[0] for a in alone] == ["3", "4", "0", "2"]


@pytest.mark.parametrize(("batch", "columns"), [(2, 2), (5, 4)])
def test_a_batch_is_shown_whole_four_slices_a_row_with_outlines(batch, columns):
    truth = np.eye(3)[np.pad([[1, 1], [1, 1]], 3)]
    axes = figures.batch_preview(np.zeros((batch, 8, 8, 3)), np.stack([truth] * batch))
    assert len(axes) == batch and all(len(a.images) == len(a.collections) == 1 for a in axes)
    assert axes[0].get_gridspec().ncols == columns
