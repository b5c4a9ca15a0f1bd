"""One network of three heads: what each learns from, how their losses add up, and what is read with it."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from stroke_utils.base.errors import UserError
from stroke_utils.base.vocabulary import HEADS
from stroke_utils.data import masks
from stroke_utils.learn import inputs, joint, models, predict, tfrecords, training
from stroke_utils.learn.backend import keras, sm, tf
from tests.stopped import Killed, killed_after

COUNTS = {"none": 4, "ischemia": 2, "hemorrhage": 1, "stroke": 1}


@pytest.fixture
def encoder(monkeypatch):
    """The name of an encoder that the course does not use: a U-Net on it takes a third of the time."""
    monkeypatch.setitem(models.UNET_ENCODERS, "resnet18", "U-Net-ResNet-18")
    return "resnet18"


@pytest.fixture
def small(monkeypatch):
    """A U-Net in small, whose last features have the name that segmentation-models gives their taker."""

    def unet(encoder, size, *_):
        image = keras.Input((size, size, 3))
        x = keras.layers.BatchNormalization(momentum=0.8)(keras.layers.Conv2D(8, 3, strides=2, padding="same")(image))
        x = keras.layers.UpSampling2D(name="decoder_stage0_upsampling")(keras.layers.ReLU()(x))
        return keras.Model(image, keras.layers.Conv2D(3, 1, activation="softmax")(x))

    monkeypatch.setattr(models, "unet", unet)


@pytest.fixture
def mixed(tmp_path):
    """Table of eight slices of 32×32: four healthy, three strokes of known type (one has no mask), one of unknown."""
    rng, rows = np.random.default_rng(0), []
    for k, label in enumerate(["none", "ischemia", "none", "hemorrhage", "none", None, "none", "ischemia"]):
        picture, classes = rng.integers(80, 120, (32, 32, 3), dtype=np.uint8), np.zeros((32, 32), np.uint8)
        if label != "none":
            value = 2 if label == "hemorrhage" else 1
            picture[8:20, 8:20], classes[8:20, 8:20] = (0, 40, 250)[value], value
        Image.fromarray(picture).save(tmp_path / f"{k}.png")
        masks.write_class_mask(tmp_path / f"m{k}.png", classes)
        drawn = None if label in ("none", None) or k == 7 else str(tmp_path / f"m{k}.png")
        rows.append((str(k), str(tmp_path / f"{k}.png"), drawn, label, int(label != "none"), 32, 32))
    return pd.DataFrame(rows, columns=["slice_id", "png", "class_mask", "label", "stroke", "height", "width"])


@pytest.fixture
def records(mixed, tmp_path):
    tfrecords.write_records(mixed, mixed["class_mask"], 32, tmp_path / "records", quiet=True)
    return tmp_path / "records"


def test_records_of_slices_without_a_lesion_or_a_type_or_a_mask(records, mixed):
    assert tfrecords.check_records(records)["types"] == COUNTS
    ((_, classes, labels),) = tfrecords.record_batches(records, batch=8, labels=True).as_numpy_iterator()
    assert [label.decode() for label in labels] == [label or "stroke" for label in mixed["label"]]
    assert classes[[0, 2, 4, 6]].argmax(axis=-1).max() == 0 and classes[[0, 2, 4, 6]].sum() == 4 * 32 * 32
    assert classes[[5, 7]].sum() == 0, "a mask that nobody has drawn has no class"
    assert classes[3, 10, 10].tolist() == [0, 0, 1]
    other = mixed.assign(stroke=[0, 1, 0, 1, 0, pd.NA, 0, 1])
    with pytest.raises(UserError, match="Slice 5 has no label, and no table says that it is a stroke"):
        tfrecords.sources(other, other["class_mask"])
    assert tfrecords.sources(mixed, mixed["class_mask"]) != tfrecords.sources(
        mixed.assign(label=mixed["label"].fillna("ischemia")), mixed["class_mask"]
    )


def test_what_each_head_is_told_and_how_much_it_counts(records):
    ((images, truth, weights),) = joint.batches(records, COUNTS, inputs.raw, batch=8).as_numpy_iterator()
    assert images.shape == (8, 32, 32, 3) and {k: v.shape for k, v in truth.items()} == {
        "detection": (8, 1),
        "type": (8, 2),
        "mask": (8, 32, 32, 3),
    }
    assert truth["detection"][:, 0].tolist() == [0, 1, 0, 1, 0, 1, 0, 1]
    np.testing.assert_allclose(weights["detection"], 1)  # as many healthy ones as strokes
    # Two ischemias and one hemorrhage: each type counts alike, the mean over all eight slices is 1, the rest 0.
    np.testing.assert_allclose(weights["type"], [0, 2, 0, 4, 0, 0, 0, 2])
    assert truth["type"][[1, 3]].tolist() == [[1, 0], [0, 1]]
    ((_, truth, weights),) = joint.batches(records, COUNTS, batch=8, heads=["mask"]).as_numpy_iterator()
    assert list(truth) == ["mask"] and weights == {}
    with pytest.raises(UserError, match="The head for type needs training slices of two classes; found"):
        joint.slice_weights({"none": 3, "ischemia": 2})
    with pytest.raises(UserError, match="The head for detection needs training slices of two classes"):
        joint.slice_weights({"ischemia": 3, "hemorrhage": 2}, ["detection"])
    assert joint.slice_weights({"ischemia": 3, "hemorrhage": 2}, ["type"])["type"]["ischemia"] == pytest.approx(5 / 6)


def masks_of(*classes):
    """One-hot masks of 8×8, each with the first two rows of a class."""
    truth = np.zeros((len(classes), 8, 8), int)
    for k, value in enumerate(classes):
        truth[k, :2] = value
    return tf.constant(np.eye(3, dtype="float32")[truth])


def test_dice_loss_is_the_librarys_where_every_class_is_there_and_punishes_false_lesions_where_none_is():
    rng, loss = np.random.default_rng(0), joint.BatchDice()
    truth = masks_of(0, 1, 2, 0)
    soft = tf.nn.softmax(tf.constant(rng.normal(size=truth.shape), tf.float32))
    assert float(loss(truth, soft)) == pytest.approx(float(sm.losses.dice_loss(truth, soft)), abs=1e-6)
    healthy = masks_of(0, 0)
    assert float(loss(healthy, healthy)) == pytest.approx(0, abs=1e-6)
    # A thousandth of the pixels halves the Dice of either class; the library's is 0 for much less, and stays there.
    little = tf.constant(np.tile([1 - 2e-3, 1e-3, 1e-3], (2, 8, 8, 1)), tf.float32)
    assert float(loss(healthy, little)) == pytest.approx(1 / 3, abs=1e-3)
    assert float(sm.losses.dice_loss(healthy, little)) == pytest.approx(2 / 3, abs=1e-3)

    def pull(of):
        with tf.GradientTape() as tape:
            tape.watch(little)
            value = of(healthy, little)
        return float(tf.reduce_sum(tape.gradient(value, little)[..., 1:]))

    assert pull(loss) > 100 * abs(pull(sm.losses.dice_loss))


def test_a_mask_that_nobody_has_drawn_counts_nowhere():
    rng, loss = np.random.default_rng(0), joint.BatchDice()
    truth = masks_of(1, 2)
    soft = tf.nn.softmax(tf.constant(rng.normal(size=(3, 8, 8, 3)), tf.float32))
    both = tf.concat([truth, tf.zeros((1, 8, 8, 3))], axis=0)
    assert float(loss(both, soft)) == pytest.approx(float(loss(truth, soft[:2])), abs=1e-6)
    assert float(loss(both[2:], soft[2:])) == 0.0, "and a batch of such masks alone is no NaN"


def test_cross_entropy_is_added_as_the_library_adds_it_and_only_where_the_class_is_known():
    rng, loss = np.random.default_rng(0), joint.BatchDice(cross_entropy=True)
    truth = masks_of(0, 1, 2, 0, 1, 2)
    soft = tf.nn.softmax(tf.constant(rng.normal(size=truth.shape), tf.float32))
    assert float(loss(truth, soft)) == pytest.approx(float(sm.losses.cce_dice_loss(truth, soft)), abs=1e-6)
    known = tf.concat([truth[:4], tf.zeros((2, 8, 8, 3))], axis=0)
    assert float(loss(known, soft)) == pytest.approx(float(loss(truth[:4], soft[:4])), abs=1e-6)
    assert float(loss(known[4:], soft[4:])) == 0.0, "a batch of unknown masks alone is no NaN"
    assert np.isfinite(float(loss(truth, tf.roll(truth, 1, axis=-1)))), "nor is a network that is sure and wrong"


def test_a_recipe_with_cross_entropy_changes_the_loss_of_masks_and_no_other(small, records):
    model, totals, told = joint.network("any", 32, dropout=0.0), [], []
    images, truth, weights = next(iter(joint.batches(records, COUNTS, batch=8)))
    found = model(images, training=False)
    for entropy in (False, True):
        joint.compile_joint(model, 1e-2, cross_entropy=entropy)
        totals.append(float(model.compute_loss(images, truth, found, weights)))
        told.append({head: float(seen.result()) for head, seen in model.seen.items()})
    plain, more = (float(joint.BatchDice(entropy)(truth["mask"], found["mask"])) for entropy in (False, True))
    assert more > plain + 0.2 and totals[1] - totals[0] == pytest.approx(more - plain, rel=1e-4)
    assert [told[0][head] == told[1][head] for head in HEADS] == [True, True, False]


def test_the_network_has_the_heads_it_is_asked_for(encoder, monkeypatch):
    unet, asked = models.unet(encoder, 64, momentum=0.8), []
    monkeypatch.setattr(models, "unet", lambda *about: asked.append(about) or unet)
    model = joint.network(encoder, 64, "none", dropout=0.4, momentum=0.8, stochastic_depth=False)
    assert asked == [(encoder, 64, "none", 0.8, False)]
    assert next(layer for layer in model.layers if isinstance(layer, keras.layers.Dropout)).rate == 0.4
    out = model(np.zeros((2, 64, 64, 3), "float32"))
    assert {k: v.shape for k, v in out.items()} == {"detection": (2, 1), "type": (2, 2), "mask": (2, 64, 64, 3)}
    np.testing.assert_allclose(out["type"].numpy().sum(axis=-1), 1, atol=1e-6)
    assert model.count_params() == unet.count_params() + 512 * 128 + 128 + 129 + 512 * 2 + 2
    assert {layer.momentum for layer in models._batchnorms(model)} == {0.8}
    one = joint.network(encoder, 64, heads=["detection"])
    assert list(one(np.zeros((1, 64, 64, 3), "float32"))) == ["detection"]
    assert not [layer for layer in one.layers if "decoder" in layer.name], "a head alone pays for no decoder"


@pytest.mark.parametrize("heads", [HEADS, ("type", "mask"), ("detection", "mask"), ("detection", "type"), ("mask",)])
def test_each_head_that_is_there_learns_and_moves_the_encoder(small, records, heads):
    model = joint.compile_joint(joint.network("any", 32, heads=heads), 1e-2)
    images, truth, weights = next(iter(joint.batches(records, COUNTS, batch=8, heads=heads)))
    first = next(layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D))
    with tf.GradientTape(persistent=True) as tape:
        found = model(images, training=False)
        each = {head: joint.LOSSES[head](truth[head], found[head], weights.get(head)) for head in heads}
        total = model.compute_loss(images, truth, found, weights)
    assert list(found) == list(heads) and float(total) == pytest.approx(sum(float(v) for v in each.values()), rel=1e-5)
    assert all(np.abs(tape.gradient(value, first.kernel)).max() > 0 for value in each.values())
    assert all(gradient is not None for gradient in tape.gradient(total, model.trainable_variables))
    if heads == ("mask",):  # whose slices have no weights; the other fits below have all heads
        train = joint.batches(records, COUNTS, batch=4, seed=0, heads=heads)
        assert set(model.fit(train, epochs=1, shuffle=False, verbose=0).history) == {"loss", "mask_loss"}


def test_slices_of_unknown_type_and_without_a_stroke_do_not_move_the_type_head(small, records):
    """Whatever their target says: it is their weight that is 0."""
    model = joint.compile_joint(joint.network("any", 32, dropout=0.0), 1e-2)
    images, truth, weights = next(iter(joint.batches(records, COUNTS, batch=8)))
    silent = tf.constant([0, 2, 4, 5, 6])

    def moved(which):
        head = model.get_layer("type").kernel
        told = {name: tf.gather(value, which) for name, value in truth.items()}
        told["type"] = tf.tile([[1.0, 0.0]], (len(which), 1))
        of = {name: tf.gather(value, which) for name, value in weights.items()}
        with tf.GradientTape() as tape:
            loss = model.compute_loss(None, told, model(tf.gather(images, which), training=False), of)
        return np.abs(tape.gradient(loss, head)).max()

    assert moved(silent) == 0 and moved(tf.constant([0, 1, 5])) > 0


def test_losses_add_up_by_shares_or_by_uncertainty_and_in_validation_by_shares(small):
    rng = np.random.default_rng(0)
    images = tf.constant(rng.normal(size=(2, 32, 32, 3)), tf.float32)
    truth = {"detection": tf.ones((2, 1)), "mask": tf.one_hot(rng.integers(0, 3, (2, 32, 32)), 3)}
    shares = {"detection": 0.5}
    fixed = joint.compile_joint(
        joint.network("any", 32, heads=("mask", "detection"), dropout=0.0), 1e-2, "fixed", shares
    )
    found = fixed(images)
    parts = [float(joint.LOSSES[head](truth[head], found[head])) for head in ("detection", "mask")]
    assert float(fixed.compute_loss(None, truth, found)) == pytest.approx(0.5 * parts[0] + parts[1])
    free = joint.compile_joint(fixed, 1e-2, "uncertainty", shares)
    free.log_variances["mask"].assign(math.log(4))
    expected = 0.5 * parts[0] + parts[1] / 4 + math.log(4) / 2
    assert float(free.compute_loss(None, truth, found)) == pytest.approx(expected)
    assert float(free.compute_loss(None, truth, found, training=False)) == pytest.approx(0.5 * parts[0] + parts[1])
    assert free.shares_now() == pytest.approx({"detection": 0.5, "mask": 0.25})
    free.fit(images, truth, epochs=1, verbose=0)
    assert free.shares_now()["detection"] != 0.5, "they are trained along"
    with pytest.raises(UserError, match="'gradnorm' is no rule for adding up losses. Known: fixed, uncertainty"):
        joint.compile_joint(fixed, 1e-2, "gradnorm")
    with pytest.raises(UserError, match="no head 'type' to weigh. It has: detection, mask"):
        joint.compile_joint(fixed, 1e-2, "fixed", {"type": 1.0})
    with pytest.raises(UserError, match="'region' is no head of a joint network. Give one or more of detection, type"):
        joint.network("any", 32, heads=["region"])
    with pytest.raises(UserError, match="None is no head"):
        joint.network("any", 32, heads=[])


def test_a_killed_training_of_three_heads_goes_on_to_the_same_bits(small, records, tmp_path, monkeypatch):
    def run(folder, stop=None, seed=0):
        training.set_seed(seed)
        model = joint.compile_joint(joint.network("any", 32, dropout=0.5), 1e-2, "uncertainty")
        train = joint.batches(records, COUNTS, batch=3, seed=0, epochs=3)
        held = joint.batches(records, COUNTS, batch=3)
        with killed_after(monkeypatch, stop):
            about = training.Schedule(3, 0), tmp_path / folder, "joint"
            history = training.fit(model, train, held, *about, run_id="a")
        return model, history.drop(columns="seconds")

    whole, history = run("a")
    with pytest.raises(Killed):
        run("b", stop=2)
    broken, again = run("b", seed=9)
    pd.testing.assert_frame_equal(history, again)
    for a, b in zip(whole.get_weights(), broken.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    wanted = {f"{prefix}{head}_loss" for head in HEADS for prefix in ("", "val_")} | {"loss", "val_loss"}
    assert wanted <= set(history)
    held = joint.batches(records, COUNTS, batch=3)
    assert whole.evaluate(held, verbose=0, return_dict=True)["loss"] == pytest.approx(
        history["val_loss"].min(), rel=1e-4
    )


def test_a_network_answers_with_the_average_of_its_weights(small, records, tmp_path, monkeypatch):
    def run(average):
        training.set_seed(0)
        model = joint.compile_joint(joint.network("any", 32), 1e-2, "uncertainty", average=average)
        steps = []  # the weights after each step

        def keep(self, batch, logs=None):
            steps.append([keras.ops.convert_to_numpy(weight) for weight in model.trainable_variables])

        monkeypatch.setattr(training._EpochLine, "on_train_batch_end", keep)
        batches = joint.batches(records, COUNTS, batch=4, seed=0), joint.batches(records, COUNTS, batch=4)
        training.fit(model, *batches, training.Schedule(1, 5), tmp_path / str(average), "joint")
        return model, steps

    model, (first, second) = run(0.25)
    plain, (_, last) = run(0.0)
    for kept, a, b, same in zip(model.trainable_variables, first, second, last, strict=True):
        np.testing.assert_array_equal(b, same)  # to average changes nothing of what is trained
        np.testing.assert_allclose(keras.ops.convert_to_numpy(kept), 0.25 * a + 0.75 * b, rtol=1e-4, atol=1e-6)
        assert not np.array_equal(keras.ops.convert_to_numpy(kept), b)
    for kept, b in zip(plain.trainable_variables, last, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(kept), b)
    again, pixels = joint.network("any", 32), np.full((1, 32, 32, 3), 0.5, np.float32)
    again.load_weights(tmp_path / "0.25" / "best.weights.h5")
    for head, answer in predict.in_graph(model)(pixels).items():
        np.testing.assert_allclose(answer, again(pixels)[head], rtol=1e-5, atol=1e-6)


def test_the_step_is_traced_once(small, records, monkeypatch):
    """Variables that are made in the first step make TensorFlow trace it again, which doubles the wait before it."""
    model, calls, average = joint.network("any", 32), [], keras.layers.GlobalAveragePooling2D.call
    monkeypatch.setattr(
        keras.layers.GlobalAveragePooling2D, "call", lambda self, x: calls.append(1) or average(self, x)
    )
    joint.compile_joint(model, 1e-3, "uncertainty")
    model.fit(
        joint.batches(records, COUNTS, batch=4, seed=0, epochs=2), epochs=2, steps_per_epoch=2, shuffle=False, verbose=0
    )
    assert len(calls) == 1


def test_a_checkpoint_rebuilds_the_network_with_identical_answers(encoder, tmp_path):
    model = joint.compile_joint(joint.network(encoder, 64, heads=("type", "mask")), 1e-3, "uncertainty")
    training._network(model).save_weights(tmp_path / "best.weights.h5")
    joint.write_checkpoint(tmp_path, encoder, 64, "imagenet", model.heads)
    again, preprocess, about = joint.load(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3)).astype("float32")
    for head, answer in model(preprocess(pixels)).items():
        np.testing.assert_array_equal(answer, again(preprocess(pixels))[head])
    assert again.heads == ("type", "mask") and about["heads"] == ["type", "mask"] and about["crop"] is False
    joint.write_checkpoint(tmp_path, encoder, 64, "imagenet", model.heads, crop=True)
    assert joint.load(tmp_path)[2]["crop"] is True
    models.write_checkpoint(tmp_path, encoder, 64, "imagenet", heads=["type", "mask"])  # as an older run left it
    assert joint.load(tmp_path)[2]["crop"] is False
    models.write_checkpoint(tmp_path, encoder, 64, "imagenet")
    with pytest.raises(UserError, match="is a plain U-Net; expected one with heads"):
        joint.load(tmp_path)


def answers(detection=None, typed=None, painted=None):
    """Stand for a network: by the grey of a slice's first pixel, the same answer everywhere."""

    def ask(batch):
        value, out = float(batch[0, 0, 0, 0]), {}
        if detection:
            out["detection"] = tf.constant([[detection(value)]])
        if typed:
            out["type"] = tf.constant([[1 - typed(value), typed(value)]])
        if painted:
            out["mask"] = tf.broadcast_to(tf.constant(painted(value), tf.float32), (1, 8, 8, 3))
        return out

    return joint.Net(ask, 8, inputs.raw)


def test_one_pass_gives_all_three_and_the_mask_stands_in_for_a_missing_head():
    image = np.full((16, 16, 3), 200, np.uint8)
    whole = answers(lambda v: v / 1000, lambda v: v / 400, lambda v: [0.5, 0.1, 0.4])
    found = joint.one_pass(whole)(image, 0.5)
    assert (found.stroke, found.hemorrhage) == pytest.approx((0.2, 0.5)) and found.soft.shape == (8, 8, 3)
    found = joint.one_pass(answers(painted=lambda v: [0.5, 0.1, 0.4]))(image, 0.5)
    assert (found.stroke, found.hemorrhage) == pytest.approx((0.5, 0.8))
    found = joint.one_pass(answers(lambda v: 0.7, lambda v: 0.3))(image, 0.5)
    assert (found.stroke, found.hemorrhage) == pytest.approx((0.7, 0.3)) and found.soft is None


@pytest.mark.parametrize("heads", [HEADS, ("detection", "mask"), ("type", "mask"), ("mask",)])
def test_the_decoder_waits_for_a_stroke_and_answers_as_the_whole_network(encoder, heads):
    model, drawn = joint.network(encoder, 64, heads=heads), []
    image = np.random.default_rng(0).integers(0, 256, (96, 96, 3), np.uint8)
    net, whole = joint.net(model, inputs.raw), joint.Net(predict.in_graph(model), 64, inputs.raw)
    assert (net.paint is not None) == (len(heads) > 1)
    if net.paint:
        paint = net.paint
        net = replace(net, paint=lambda found: drawn.append(1) or paint(found))
    for threshold in (0.0, math.inf):
        drawn.clear()
        found, known = (joint.one_pass(each)(image, threshold) for each in (net, whole))
        asked = threshold == 0 or "detection" not in heads
        assert found.stroke == pytest.approx(known.stroke, rel=1e-5)
        assert len(drawn) == (net.paint is not None and asked), "once, and only where it is a stroke"
        assert math.isnan(found.hemorrhage) == (not asked and "type" not in heads)
        if asked:
            np.testing.assert_allclose(found.soft, known.soft, rtol=1e-5, atol=1e-7)
            assert found.hemorrhage == pytest.approx(known.hemorrhage, rel=1e-5)
    first = answers(lambda v: 1.0), answers(typed=lambda v: 0.2)
    painted = joint.pipeline(*first, net)(image, 0.5).soft
    np.testing.assert_allclose(painted, joint.pipeline(*first, whole)(image, 0.5).soft, rtol=1e-5, atol=1e-7)


def test_a_pipeline_asks_no_further_where_the_detector_finds_nothing():
    asked = []
    detector = joint.Net(lambda batch: tf.reshape(batch[0, 0, 0, 0] / 255, (1, 1)), 8, inputs.raw)
    types = joint.Net(lambda batch: asked.append("type") or tf.constant([[0.25, 0.75]]), 16, inputs.raw)
    unet = answers(painted=lambda v: asked.append("mask") or [0, 0, 1])
    read = joint.pipeline(detector, types, unet)
    below = read(np.full((16, 16, 3), 51, np.uint8), 0.5)
    assert below.stroke == pytest.approx(0.2) and math.isnan(below.hemorrhage) and below.soft is None and asked == []
    above = read(np.full((16, 16, 3), 204, np.uint8), 0.5)
    assert above.stroke == pytest.approx(0.8) and above.hemorrhage == 0.75 and asked == ["type", "mask"]
    assert above.soft.shape == (8, 8, 3)


def test_slices_are_read_as_a_person_would_use_the_answer(tmp_path):
    rows = []
    for k, (grey, label, stroke) in enumerate(
        [(200, "ischemia", 1), (100, "hemorrhage", 1), (200, "none", 0), (50, "none", 0), (200, None, 1)]
    ):
        Image.new("RGB", (16, 16), (grey, grey, grey)).save(tmp_path / f"{k}.png")
        rows.append((str(k), str(tmp_path / f"{k}.png"), label, stroke, "test", f"P{k}"))
    slices = pd.DataFrame(rows, columns=["slice_id", "png", "label", "stroke", "split", "patient"])
    masks.write_class_mask(tmp_path / "half.png", np.repeat([[1] * 16, [0] * 16], 8, axis=0).astype(np.uint8))
    references = pd.Series([str(tmp_path / "half.png")] * 2 + [None] * 3)
    net = answers(lambda v: v / 255, lambda v: 0.9 if v < 150 else 0.2, lambda v: [0.2, 0.8, 0.0])
    table = joint.read_slices(joint.one_pass(net), slices, references, 0.5, folder=tmp_path / "out", quiet=True)
    assert table["predicted"].tolist() == [1, 0, 1, 0, 1] and table["truth"].tolist() == [1, 1, 0, 0, 1]
    assert table["answer"].tolist() == ["ischemia", "none", "ischemia", "none", "ischemia"]
    # Half of it is right; a missed stroke has 0; a false lesion 0; a healthy slice left alone 1; unknown stays unknown.
    np.testing.assert_allclose(table["all_dice"], [2 / 3, 0, 0, 1, np.nan])
    assert table["painted"].tolist() == [256, 0, 256, 0, 256] and (table["seconds"] > 0).all()
    assert masks.read_class_mask(tmp_path / "out" / "0.png").tolist() == [[1] * 16] * 16
    assert masks.read_class_mask(tmp_path / "out" / "1.png").max() == 0
    all_called = joint.read_slices(joint.one_pass(net), slices, references, quiet=True)
    assert all_called["answer"].tolist() == ["ischemia", "hemorrhage", "ischemia", "hemorrhage", "ischemia"]
    assert table["patient"].tolist() == [f"P{k}" for k in range(5)]
    specks = joint.read_slices(
        joint.one_pass(net), slices, references, 0.5, predict.MaskOptions(smallest=300), quiet=True
    )
    assert specks["painted"].max() == 0


@pytest.fixture
def heads(tmp_path):
    """Three slices of 64×96 with the head on one side: a hemorrhage, one whose mask is unknown, a healthy one."""
    rows = []
    for k, label in enumerate(["hemorrhage", "hemorrhage", "none"]):
        image = np.zeros((64, 96, 3), np.uint8)
        image[20:50, 50:85] = 80
        if label != "none":
            image[24:34, 54:70] = 255
        Image.fromarray(image).save(tmp_path / f"{k}.png")
        masks.write_class_mask(tmp_path / f"m{k}.png", np.where(image[..., 0] > 200, np.uint8(2), np.uint8(0)))
        rows.append((str(k), str(tmp_path / f"{k}.png"), label, int(label != "none"), "test", 64, 96))
    slices = pd.DataFrame(rows, columns=["slice_id", "png", "label", "stroke", "split", "height", "width"])
    return slices.assign(class_mask=[str(tmp_path / "m0.png"), None, None])


def bright(shown, size=32, crop=False):
    """Stand for a network that has seen it all: bright is a hemorrhage; it keeps what it is shown."""

    def ask(batch):
        shown.append(np.asarray(batch[0]))
        is_bright = tf.cast(batch[..., 0] > 200, tf.float32)
        stroke = tf.reduce_max(is_bright, axis=(1, 2))[:, None]
        soft = tf.stack([1 - is_bright, 0 * is_bright, is_bright], axis=-1)
        return {"detection": stroke, "type": tf.concat([1 - stroke, stroke], axis=1), "mask": soft}

    return joint.Net(ask, size, inputs.raw, crop)


@pytest.mark.parametrize("crop", [False, True])
@pytest.mark.parametrize("way", ["one pass", "pipeline"])
def test_a_reader_shows_what_was_learned_from_and_lays_masks_back_onto_the_slice(heads, tmp_path, crop, way):
    records = tfrecords.ensure_records(heads, heads["class_mask"], 32, quiet=True, crop=crop)
    counts = {"none": 1, "ischemia": 1, "hemorrhage": 2}
    ((images, truth, _),) = joint.batches(records, counts, inputs.raw, batch=3).as_numpy_iterator()
    assert (truth["mask"][0, ..., 2].mean() > 0.05) == crop, "the lesion fills more of the box than of the slice"
    assert truth["mask"][1].sum() == 0 and truth["mask"][2, ..., 0].all()
    shown = []
    net = bright(shown, crop=crop)
    reader = joint.one_pass(net) if way == "one pass" else joint.pipeline(net, net, net)
    table = joint.read_slices(reader, heads, heads["class_mask"], 0.5, folder=tmp_path / "out", quiet=True)
    assert len(shown) == {"one pass": 3, "pipeline": 7}[way]  # no further where there is no stroke
    for picture in shown:
        assert any(np.array_equal(picture, image) for image in images)
    assert table["answer"].tolist() == ["hemorrhage", "hemorrhage", "none"]
    assert table["all_dice"][0] > 0.75 and math.isnan(table["all_dice"][1]) and table["all_dice"][2] == 1
    for k in range(2):
        painted = masks.read_class_mask(tmp_path / "out" / f"{k}.png")
        assert painted.shape == (64, 96) and set(np.unique(painted)) == {0, 2}
        rows, columns = np.nonzero(painted)
        np.testing.assert_allclose([rows.mean(), columns.mean()], [28.5, 61.5], atol=1.5)


def test_a_pipeline_looks_for_the_head_once_and_shows_it_to_those_that_learned_from_it(heads, monkeypatch):
    looked, box_of = [], predict.regions.head_box
    monkeypatch.setattr(predict.regions, "head_box", lambda image: looked.append(1) or box_of(image))
    whole, head = [], []
    plain, cropped = bright(whole), bright(head, crop=True)
    image = np.asarray(Image.open(heads["png"][0]))
    answer = joint.pipeline(plain, cropped, cropped)(image, 0.5)
    assert (len(looked), len(whole), len(head)) == (1, 1, 2) and answer.box == box_of(image)
    share = {name: (of[0][..., 0] > 0).mean() for name, of in (("whole", whole), ("head", head))}
    assert share["whole"] < 0.25 < 0.4 < share["head"]
    answer = joint.pipeline(cropped, cropped, plain)(image, 0.5)
    assert answer.box == (slice(0, 64), slice(0, 96))
    looked.clear()
    joint.pipeline(plain, plain, plain)(image, 0.5)
    assert not looked, "nor does one look for it where no network needs it"


def test_readers_are_timed_in_turn_and_the_shortest_try_counts(tmp_path, monkeypatch):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    slices = pd.DataFrame({"slice_id": ["1", "2"], "png": [str(tmp_path / "a.png")] * 2})
    now, asked = [0.0], []
    monkeypatch.setattr(joint.time, "perf_counter", lambda: now[0])

    def reader(name, takes):
        def read(image, threshold):
            asked.append((name, threshold))
            now[0] += takes.pop(0)
            return joint.Answer(0.0)

        return read

    quick = reader("quick", [9.0, 0.25, 0.125, 0.5, 0.5])  # the first builds a graph and does not count
    slow = reader("slow", [9.0, 1.0, 2.0, 2.0, 3.0])
    found = joint.timed({"quick": (quick, 0.4), "slow": (slow, 0.6)}, slices, times=2)
    assert found.to_dict("index") == {"1": {"quick": 125, "slow": 1000}, "2": {"quick": 500, "slow": 2000}}
    assert asked[:2] == [("quick", 0.0), ("slow", 0.0)] and asked[2:6] == [("quick", 0.4), ("slow", 0.6)] * 2
