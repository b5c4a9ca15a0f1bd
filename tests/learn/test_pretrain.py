"""Pretraining on drawn heads: what is asked of a backbone, how it learns, and the files that carry it."""

import dataclasses

import h5py
import numpy as np
import pytest
from PIL import Image

from stroke_utils.base import files, identity
from stroke_utils.base.errors import UserError
from stroke_utils.learn import inputs, models, pretrain, starts
from stroke_utils.learn.backend import keras, tf
from stroke_utils.phantom import SPEC_VERSION
from stroke_utils.phantom.heads import Heads, draw_heads, plan_heads
from stroke_utils.phantom.render import TISSUES

SMALL = pretrain.Recipe(steps=6, batch=4)


@pytest.fixture(scope="module")
def heads():
    """Twelve real heads at 32 pixels with maps of 8 cells."""
    seed = pretrain.HEADS_SEED
    return Heads.joined(draw_heads(plan_heads(seed, range(1, 13)), seed, 32, workers=1))


@pytest.fixture
def small(monkeypatch):
    """A backbone of three layers in MobileNetV2's place: the same grid, built in no time."""

    def build(include_top, weights, input_shape):
        x = image = keras.Input(input_shape)
        for width in (8, 16):
            x = keras.layers.Conv2D(width, 3, strides=4, padding="same", use_bias=False)(x)
            x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
        return keras.Model(image, keras.layers.Conv2D(64, 3, strides=2, padding="same")(x), name="small")

    monkeypatch.setitem(pretrain.BACKBONES, "mobilenetv2", build)


def squares(n=64, side=32):
    """Slices with a bright square on one of two sides, or none: easy to learn, and their maps say where."""
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 3, n).astype(np.uint8)
    pictures, tissues = np.full((n, side, side), 60, np.uint8), np.zeros((n, 8, 8), np.uint8)
    for k, label in enumerate(labels):
        row, column = generator.integers(0, 5, 2)
        if label:
            pictures[k, 4 * row : 4 * row + 12, 4 * column : 4 * column + 12] = 20 if label == 1 else 200
            tissues[k, row : row + 3, column : column + 3] = label
    return Heads(pictures, tissues, labels, np.arange(n))


# What is asked and how it is learned


def test_heads_to_learn_from_are_of_no_cohorts_seed():
    assert pretrain.HEADS_SEED == 1000 and not {0, 1, 2, pretrain.HEADS_SEED} & set(pretrain.SELECTION_SEEDS)


@pytest.mark.parametrize("name", pretrain.BACKBONES)
def test_pixels_are_prepared_as_for_the_detector(name):
    grey = np.random.default_rng(0).uniform(0, 255, (2, 4, 4, 3)).astype(np.float32)
    theirs = models.BACKBONES[name].preprocess(tf.constant(grey))
    assert np.allclose(pretrain.preprocess(name, tf.constant(grey)), theirs, atol=1e-4)


def test_pictures_are_resized_as_slices_are(tmp_path):
    """Pillow resizes drawn heads, TensorFlow the slices of a cohort: both antialiased, so they differ by rounding."""
    picture = np.random.default_rng(0).integers(0, 256, (512, 584)).astype(np.uint8)
    Image.fromarray(picture).convert("RGB").save(tmp_path / "x.png")
    ours = np.asarray(Image.fromarray(picture).resize((96, 96), Image.Resampling.BILINEAR)).astype(int)
    theirs = inputs.decode(str(tmp_path / "x.png"), 96).numpy()[..., 0].astype(int)
    assert np.abs(ours - theirs).max() <= 2


def test_a_map_moves_with_its_picture():
    picture, tissue = np.zeros((3, 64, 64, 1), np.float32), np.zeros((3, 16, 16, 1), np.float32)
    picture[:, 8:24, 40:56], tissue[:, 2:6, 10:14] = 255, 2
    drawn = np.array([[0, 0, 0, 0, 1], [0, 0, 0, 0, -1], [0.5, 0.5, 0.5, -0.5, -1]], np.float32)
    recipe = pretrain.Recipe(degrees=40, zoom=0.2, shift=0.2)
    moved = pretrain.changed(picture, drawn, recipe, "bilinear").numpy()
    maps = pretrain.changed(tissue, drawn, recipe, "nearest").numpy()
    assert np.array_equal(moved[0], picture[0]) and np.array_equal(moved[1], picture[1, :, ::-1])
    assert np.array_equal(maps[0], tissue[0]) and np.array_equal(maps[1], tissue[1, :, ::-1])
    coarse = moved[2].reshape(16, 4, 16, 4).mean(axis=(1, 3)) > 127
    both, either = (coarse & (maps[2, ..., 0] == 2)).sum(), (coarse | (maps[2, ..., 0] == 2)).sum()
    assert both / either > 0.7 and set(np.unique(maps)) == {0, 2}


def test_each_cell_of_a_map_is_asked_of_its_own_place(small):
    """Depth-to-space: the n-th group of channels at a place of the features is the n-th cell there, row by row."""
    made = pretrain.networks("mobilenetv2", 64, 16, SMALL)
    layer = made.reader.get_layer("tissues")
    kernel, bias = (np.zeros(w.shape, np.float32) for w in layer.weights)
    count, block = len(TISSUES), 8
    bias[(3 * block + 5) * count + 2] = 1  # row 3, column 5 of each block, hemorrhage
    layer.set_weights([kernel, bias])
    maps, label = made.reader.predict_on_batch(np.zeros((1, 64, 64, 3), np.float32))
    assert maps.shape == (1, 16, 16, count) and label.shape == (1, 3)
    assert sorted(map(tuple, np.argwhere(maps[0] > 0))) == [(r, c, 2) for r in (3, 11) for c in (5, 13)]


def test_batches_are_pure_and_a_growing_pool_is_noticed(heads):
    def take(ask, n):
        found = pretrain._batches(ask, SMALL, 2)
        return [next(found)[0] for _ in range(n)]

    one, other = take(lambda: heads, 7), take(lambda: heads, 7)
    assert all(np.array_equal(a, b) for x, y in zip(one, other, strict=True) for a, b in zip(x, y, strict=True))
    assert not np.array_equal(one[0][0], one[3][0])  # another pass, another order
    few = Heads(*(values[:4] for values in vars(heads).values()))
    asked = iter([few, few, heads, heads, heads, heads, heads])
    grown = take(lambda: next(asked), 4)
    assert set(grown[0][2]) <= set(few.labels)
    first = {picture.tobytes() for picture in few.pictures[..., None]}
    assert any(picture.tobytes() not in first for batch in grown[1:] for picture in batch[0])


def test_it_learns_what_lies_where_and_what_a_slice_is(small):
    seen, known = [], squares()
    recipe = pretrain.Recipe(steps=150, batch=16, rate=0.01, momentum=0.9, degrees=0, zoom=0, shift=0)
    made = pretrain.pretrain(
        "mobilenetv2", known, recipe, report=50, watch=lambda step, logs: seen.append((step, logs))
    )
    assert [step for step, _ in seen] == [50, 100, 150]
    assert seen[-1][1]["map_loss"] < 0.5 * seen[0][1]["map_loss"]
    scored = pretrain.score("mobilenetv2", made.reader, known, batch=24)
    assert scored["n"] == 64 and scored["auc"] > 0.9
    assert min(scored["cells"]["ischemia"], scored["cells"]["hemorrhage"]) > 0.4, scored
    # A poisoned target: maps of other slices teach nothing of where.
    wrong = dataclasses.replace(known, tissues=np.roll(known.tissues, 1, axis=0))
    assert pretrain.score("mobilenetv2", made.reader, wrong)["cells"]["hemorrhage"] < 0.2


def test_the_same_seed_gives_the_same_weights(small, heads):
    first, second = (pretrain.pretrain("mobilenetv2", heads, SMALL).backbone.get_weights() for _ in range(2))
    assert all(np.allclose(a, b, atol=1e-6) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (lambda heads: pretrain.pretrain("vgg", heads, SMALL), "no backbone with a pretraining. Known: resnet50"),
        (lambda heads: pretrain.pretrain("mobilenetv2", heads, pretrain.Recipe(batch=13)), "12 heads are fewer"),
        (lambda heads: pretrain.networks("mobilenetv2", 48, 12, SMALL), "multiple of 32"),
        (lambda heads: pretrain.networks("mobilenetv2", 64, 15, SMALL), "of 2"),
    ],
)
def test_what_cannot_be_is_refused(heads, act, said):
    with pytest.raises(UserError, match=said):
        act(heads)


# Files


def test_a_start_is_kept_in_half_precision_with_its_card(small, heads, tmp_path):
    path = pretrain.make_start("mobilenetv2", heads, SMALL, tmp_path, heads, machine="a test")
    with h5py.File(path) as found:
        kinds = set()
        found.visititems(
            lambda _, item: kinds.add((item.ndim > 1, str(item.dtype))) if hasattr(item, "dtype") else None
        )
    assert {(True, "float16"), (False, "float32")} == {kind for kind in kinds if kind[1].startswith("float")}
    card = files.read_json(tmp_path / "mobilenetv2.json")
    assert card["sha256"] == identity.sha256(path) and card["data"]["slices"] == card["data"]["heads"] == 12
    assert card["recipe"] == dataclasses.asdict(SMALL) and card["selection"]["n"] == 12 and card["licence"] == "MIT"
    assert card["data"]["spec_version"] == SPEC_VERSION and sum(card["data"]["classes"].values()) == 12
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mobilenetv2.json", "mobilenetv2.weights.h5"]


def test_weights_survive_a_file_but_for_rounding(small, tmp_path):
    one, other = pretrain.build_backbone("mobilenetv2", 32), pretrain.build_backbone("mobilenetv2", 64)
    tiny = [np.full(w.shape, 3e-9, np.float32) if w.ndim == 1 else w for w in one.get_weights()]
    one.set_weights(tiny)  # moving variances as small as some are
    starts.save_backbone("mobilenetv2", one, tmp_path / "x.weights.h5")
    starts.load_backbone("mobilenetv2", other, tmp_path / "x.weights.h5")
    for a, b in zip(tiny, other.get_weights(), strict=True):
        assert b.dtype == np.float32 and np.array_equal(b, a if a.ndim == 1 else a.astype(np.float16))


def test_weights_that_half_precision_cannot_hold_are_refused(small, tmp_path):
    model = pretrain.build_backbone("mobilenetv2", 32)
    model.layers[1].set_weights([np.full(model.layers[1].weights[0].shape, 1e6, np.float32)])
    with pytest.raises(UserError, match="not finite in half precision"):
        starts.save_backbone("mobilenetv2", model, tmp_path / "x.weights.h5")
    assert not list(tmp_path.iterdir())


def test_a_wrong_or_damaged_file_is_one_message(small, tmp_path):
    model, path = pretrain.build_backbone("mobilenetv2", 32), tmp_path / "x.weights.h5"
    with pytest.raises(UserError, match="There is no weights file"):
        starts.load_backbone("mobilenetv2", model, path)
    starts.save_backbone("efficientnetb0", model, path)
    with pytest.raises(UserError, match="holds weights of efficientnetb0, expected mobilenetv2"):
        starts.load_backbone("mobilenetv2", model, path)
    model.save_weights(path)
    with pytest.raises(UserError, match="an unnamed network"):
        starts.load_backbone("mobilenetv2", model, path)
    starts.save_backbone("mobilenetv2", model, path)
    whole, before = path.read_bytes(), model.get_weights()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="does not fit mobilenetv2"):
        starts.load_backbone("mobilenetv2", model, path)
    path.write_bytes(whole)
    wider = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Conv2D(9, 3)])
    with pytest.raises(UserError, match="does not fit mobilenetv2"):
        starts.load_backbone("mobilenetv2", wider, path)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


@pytest.mark.parametrize("name", pretrain.BACKBONES)
def test_the_files_of_the_package_fit_their_networks_and_cards(name):
    path = starts.WEIGHTS / f"{name}.weights.h5"
    card = files.read_json(starts.WEIGHTS / f"{name}.json")
    assert card["sha256"] == identity.sha256(path) and card["backbone"] == name and card["licence"] == "MIT"
    assert card["data"]["spec_version"] == SPEC_VERSION and card["seeds"]["heads"] == pretrain.HEADS_SEED
    assert card["kept_up_to"] == starts.KEPT.get(name, "all") and card["selection"]["auc"] > 0.85
    model = pretrain.build_backbone(name, 32)
    before = model.get_weights()
    starts.load_backbone(name, model, path)
    changed = [not np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True)]
    kept = len(starts._kept(name, model).weights)
    # EfficientNetB0's own normalisation of pixels has a mean and a variance that no training changes.
    assert sum(changed[:kept]) >= kept - 3 and not any(changed[kept:])
    assert all(np.isfinite(w).all() for w in model.get_weights())


def test_the_files_of_the_package_are_small_enough_to_track():
    assert sum(path.stat().st_size for path in starts.WEIGHTS.iterdir()) < 30e6


def test_starts_of_several_backbones_share_their_heads_and_have_a_card(small, tmp_path, monkeypatch):
    monkeypatch.setenv("STROKE_DERIVED", str(tmp_path / "derived"))
    monkeypatch.setattr(pretrain, "Recipe", lambda steps: SMALL)
    (path,) = pretrain.make_starts(["mobilenetv2"], None, 6, 6, 32)
    card = files.read_json(path.with_name("mobilenetv2.json"))
    assert path.parent.parent.name == "starts" and identity.read_note(path.parent)["settings"]["heads"] == 6
    assert card["data"]["slices"] == 6 and card["seeds"] == {"heads": pretrain.HEADS_SEED, "patients": [1, 6]}
    assert card["sha256"] == identity.sha256(path) and starts.is_start(path)
    (other,) = pretrain.make_starts(["mobilenetv2"], tmp_path / "mine", 6, 6, 32)
    assert other.parent == tmp_path / "mine"


@pytest.mark.parametrize(
    ("names", "count", "said"), [(["alexnet"], 99, "'alexnet' is no backbone"), ([], 3, "3 heads are fewer")]
)
def test_a_mistake_is_said_before_anything_is_drawn(monkeypatch, names, count, said):
    monkeypatch.setattr(pretrain, "draw_heads", None)
    with pytest.raises(UserError, match=said):
        next(pretrain.make_starts(names, None, count, 6, 32))
