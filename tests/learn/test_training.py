import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import h5py
import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from PIL import Image

from stroke_utils.base import unfinished
from stroke_utils.base.errors import UserError
from stroke_utils.learn import inputs, models, predict, starts, training
from tests.stopped import Killed, killed_after


@pytest.fixture
def task(tmp_path):
    """Sixteen dark and sixteen bright slices: the easiest of tasks."""
    rng, paths = np.random.default_rng(0), []
    truth = np.arange(32) % 2
    for k, bright in enumerate(truth):
        pixels = rng.integers(0, 60, (32, 32)) + 150 * bright
        Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / f"{k}.png")
        paths.append(str(tmp_path / f"{k}.png"))
    return paths, truth


def network(dropout=0.3):
    """A detector in small: the layers of the real ones, and few of them, so that its graph is soon built."""
    image = keras.Input((32, 32, 3))
    x = keras.layers.Conv2D(8, 3, strides=2)(keras.layers.Rescaling(1 / 255)(image))
    x = keras.layers.ReLU()(keras.layers.BatchNormalization(momentum=0.8)(x))
    x = keras.layers.Dropout(dropout)(keras.layers.GlobalAveragePooling2D()(x))
    return keras.Model(image, keras.layers.Dense(1, activation="sigmoid")(x), name="small")


def fitted(task, folder, epochs=4, seed=0, **options):
    paths, truth = task
    training.set_seed(seed)
    model = training.compile_classifier(network(), 3e-2)
    train = inputs.image_batches(paths, truth[:, None], inputs.raw, 32, 8, seed=seed, epochs=epochs)
    held = inputs.image_batches(paths, truth[:, None], inputs.raw, 32, 8)
    schedule = options.pop("schedule", training.Schedule(epochs, reduce_after=2, stop_after=0))
    history = training.fit(model, train, held, schedule, folder, "cnn", **options)
    return model, history


def test_training_learns_and_writes_history_and_best_weights(task, tmp_path):
    model, history = fitted(task, tmp_path / "run", epochs=6, class_weight={0: 1.0, 1: 1.0})
    assert list(history["epoch"]) == [1, 2, 3, 4, 5, 6]
    assert history["val_accuracy"].max() == 1.0
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "run" / "history.csv"), history)
    probability = predict.probabilities(model, task[0], inputs.raw, 32)
    assert ((probability > 0.5) == task[1]).all()
    # The kept weights are those of the epoch with the lowest validation loss, not of the last one.
    held = inputs.image_batches(task[0], task[1][:, None], inputs.raw, 32, 8)
    assert model.evaluate(held, verbose=0)[0] == pytest.approx(history["val_loss"].min(), rel=1e-4)


def test_a_file_of_weights_holds_the_network_and_no_optimizer(task, tmp_path):
    model, _ = fitted(task, tmp_path / "run", 1)
    kept = []
    with h5py.File(tmp_path / "run" / "best.weights.h5") as file:
        file.visititems(lambda name, item: kept.append((name, getattr(item, "size", 0))))
    assert not [name for name, _ in kept if "optimizer" in name]
    assert 0 <= sum(size for _, size in kept) - model.count_params() <= 4  # and the seeds of its dropout


def test_the_same_seed_gives_the_same_model_and_another_does_not(task, tmp_path):
    runs = [fitted(task, tmp_path / str(k), 2, seed)[0] for k, seed in enumerate((0, 0, 1))]
    found = [predict.probabilities(model, task[0], inputs.raw, 32) for model in runs]
    np.testing.assert_array_equal(found[0], found[1], "the predictions file of a seed must come back to the last bit")
    # The task is so easy that all seeds end near 0 and 1; their weights still differ.
    kernels = [model.layers[-1].get_weights()[0] for model in runs]
    np.testing.assert_array_equal(kernels[0], kernels[1])
    assert np.abs(kernels[0] - kernels[2]).max() > 0.05


def test_adam_steps_as_the_library_does():
    """Same variables in the same order, and the same values but for rounding, also after the rate has changed."""
    kept = []
    for kind in (training.Adam, keras.optimizers.Adam):
        rng, variables = np.random.default_rng(0), [keras.Variable(np.ones((3, 4), "float32")), keras.Variable([2.0])]
        optimizer = kind(0.01)
        optimizer.build(variables)
        step = tf.function(lambda gradients, optimizer=optimizer: optimizer.apply(gradients))
        for k in range(200):
            optimizer.learning_rate = 0.01 if k < 100 else 0.005
            scales = (3.0, 1e-7)  # the second is no larger than Adam's epsilon
            step([tf.constant(rng.normal(s, s, v.shape), "float32") for s, v in zip(scales, variables, strict=True)])
        assert int(optimizer.iterations.numpy()) == 200
        kept.append([*variables, *optimizer.variables])
    for k, (ours, library) in enumerate(zip(*kept, strict=True)):
        assert ours.shape == library.shape
        scale = 1 if k < len(variables) else np.abs(library.numpy()).max()  # weights went about 1, moments are any size
        np.testing.assert_allclose(ours.numpy(), library.numpy(), rtol=2e-5, atol=2e-5 * scale)


def test_reuse_loads_what_a_finished_run_left(task, tmp_path, capsys):
    first, history = fitted(task, tmp_path / "run", 2)
    second, again = fitted(task, tmp_path / "run", 2, seed=9, reuse=True)
    assert "reused the finished run" in capsys.readouterr().out
    for a, b in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    pd.testing.assert_frame_equal(history, again)


def test_training_stops_early_and_says_how_long_it_trained(task, tmp_path):
    schedule = training.Schedule(6, reduce_after=1, stop_after=1, monitor="val_accuracy")
    _, history = fitted(task, tmp_path / "run", 6, schedule=schedule)
    best = history["val_accuracy"].to_numpy().argmax()
    assert len(history) == min(6, best + 2)


def test_class_weights_pull_the_predictions(task, tmp_path):
    one, _ = fitted(task, tmp_path / "a", 1, class_weight={0: 1.0, 1: 30.0})
    two, _ = fitted(task, tmp_path / "b", 1, class_weight={0: 30.0, 1: 1.0})
    means = [predict.probabilities(m, task[0], inputs.raw, 32).mean() for m in (one, two)]
    assert means[0] > means[1] + 0.05


def test_a_diverging_loss_is_an_error_and_leaves_no_finished_run(task, tmp_path):
    paths, truth = task
    model = training.compile_classifier(network(), 1e-3)
    train = inputs.image_batches(paths, truth[:, None] * np.nan, inputs.raw, 32, 8, seed=0, epochs=2)
    held = inputs.image_batches(paths, truth[:, None], inputs.raw, 32, 8)
    with pytest.raises(UserError, match="loss became NaN in epoch 1. Lower the learning rate"):
        training.fit(model, train, held, training.Schedule(2, 1, 0), tmp_path / "run", "cnn")
    assert not list((tmp_path / "run").iterdir())


def test_a_diverging_validation_loss_ends_the_training_too(task, tmp_path, monkeypatch):
    paths, truth = task
    model = training.compile_classifier(network(), 1e-3)
    train = inputs.image_batches(paths, truth[:, None], inputs.raw, 32, 8, seed=0, epochs=9)
    held = inputs.image_batches(paths, truth[:, None] * np.nan, inputs.raw, 32, 8)
    epochs = []
    monkeypatch.setattr(training._EpochLine, "on_epoch_begin", lambda self, epoch, logs=None: epochs.append(epoch))
    with pytest.raises(UserError, match="loss became NaN in epoch 1"):
        training.fit(model, train, held, training.Schedule(9, 1, 0), tmp_path / "run", "cnn")
    assert epochs == [0], "no epoch is trained for nothing"
    assert not list((tmp_path / "run").iterdir())


def test_compiled_losses_are_the_papers():
    detector = training.compile_classifier(network(), 2e-4)
    assert detector.loss == "binary_crossentropy" and type(detector.optimizer) is training.Adam
    assert float(detector.optimizer.learning_rate) == pytest.approx(2e-4)
    image = keras.Input((32, 32, 3))
    types = keras.layers.Dense(2, activation="softmax")(keras.layers.Flatten()(image))
    assert training.compile_classifier(keras.Model(image, types), 1e-3).loss == "categorical_crossentropy"
    regions = keras.layers.Dense(3, activation="softmax")(image)
    unet = training.compile_unet(keras.Model(image, regions), 1e-4)
    assert unet.loss is models.sm.losses.dice_loss and type(unet.optimizer) is training.Adam


@pytest.mark.parametrize("kind", ["classifier", "unet"])
def test_the_step_is_traced_once(kind):
    """Variables that are made in the first step make TensorFlow trace it again, which doubles the wait before it."""
    calls, image = [], keras.Input((8, 8, 3))
    seen = keras.layers.Lambda(lambda x: calls.append("traced") or x)(image)
    if kind == "unet":
        output = keras.layers.Dense(3, activation="softmax")(seen)
        model = training.compile_unet(keras.Model(image, output), 1e-3)
    else:
        output = keras.layers.Dense(1, activation="sigmoid")(keras.layers.Flatten()(seen))
        model = training.compile_classifier(keras.Model(image, output), 1e-3)
    built = len(calls)
    model.fit(np.zeros((4, 8, 8, 3)), np.zeros((4, *output.shape[1:])), batch_size=2, epochs=2, verbose=0)
    assert len(calls) == built + 1


def test_the_cosine_rises_for_a_tenth_of_the_steps_and_ends_at_0():
    schedule = training.Schedule(4, 0)
    shares = [schedule.cosine(step, 40) for step in range(40)]
    assert shares[:4] == [0.25, 0.5, 0.75, 1.0] and max(shares) == 1.0
    assert shares[3:] == sorted(set(shares[3:]), reverse=True)
    assert shares[21] == pytest.approx(0.5, abs=0.03) and 0 < shares[-1] < 0.01
    assert training.Schedule(1, 0).cosine(0, 1) == 1.0


def test_a_network_is_trained_along_the_cosine(task, tmp_path):
    _, history = fitted(task, tmp_path / "run", 4, schedule=training.Schedule(4, 0))
    shares = [training.Schedule(4, 0).cosine(4 * epoch + 3, 16) for epoch in range(4)]
    assert history["learning_rate"].tolist() == pytest.approx([3e-2 * share for share in shares], rel=1e-4)
    assert history["val_accuracy"].max() > 0.9


def test_the_rate_goes_with_the_start_and_the_schedule_with_the_network():
    p = SimpleNamespace(epochs=30, reduce_after=2, stop_after=1, learning_rate=1e-4, learning_rate_random=1e-3)
    assert training.Schedule.of(p) == training.Schedule(30, 2, 1)
    assert training.rate_for("none", p) == 1e-3 and training.rate_for("imagenet", p) == 1e-4
    cosine = SimpleNamespace(**vars(p) | {"reduce_after": 0})
    published = "/weights/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5"
    assert training.rate_for("imagenet", cosine) == training.rate_for(published, cosine) == 1e-3
    for knows_the_task in (str(starts.file_of("mobilenetv2")), "/results/resnet18/best.weights.h5"):
        assert training.rate_for(knows_the_task, cosine) == 1e-4


@pytest.mark.parametrize("reduce_after", [1, 0], ids=["plateau", "cosine"])
def test_a_killed_training_goes_on_as_an_unbroken_one_does(task, tmp_path, monkeypatch, capsys, reduce_after):
    paths, truth = task
    schedule = training.Schedule(5, reduce_after, stop_after=3)

    def run(folder, stop=None, seed=0, run_id="a", rate=1e-2):
        training.set_seed(seed)
        model = training.compile_classifier(network(dropout=0.5), rate)
        train = inputs.image_batches(paths, truth[:, None], inputs.raw, 32, 8, seed=0, epochs=5, augmentation="strong")
        held = inputs.image_batches(paths, truth[:, None], inputs.raw, 32, 8)
        with killed_after(monkeypatch, stop):
            history = training.fit(model, train, held, schedule, tmp_path / folder, "cnn", run_id=run_id)
        return model, history.drop(columns="seconds")

    def same(found):
        pd.testing.assert_frame_equal(history, found[1])
        for a, b in zip(unbroken.get_weights(), found[0].get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)

    unbroken, history = run("a")
    with pytest.raises(Killed):
        run("b", stop=1)
    with pytest.raises(Killed):
        run("b", stop=3)
    assert not (tmp_path / "b" / "best.weights.h5").exists(), "it must not look finished"
    capsys.readouterr()
    same(run("b", seed=99))  # nothing may hang on seeds that were set meanwhile
    assert "cnn: went on from epoch 3" in capsys.readouterr().out
    assert sorted(p.name for p in (tmp_path / "b").iterdir()) == ["best.weights.h5", "finished.json", "history.csv"]
    same(run("b", seed=98))
    assert "cnn: was finished before its run was stopped" in capsys.readouterr().out
    unfinished.forget(tmp_path)
    run("b", seed=98)
    assert "went on" not in capsys.readouterr().out, "a finished run begins anew"
    run("b", seed=98, rate=2e-2)
    assert "was finished" not in capsys.readouterr().out, "a cell that was changed in an open notebook counts"

    # What is torn, or of another run, is named; the state before it is taken.
    def left(spoil):
        unfinished.forget(tmp_path)
        with pytest.raises(Killed):
            run("c", stop=3)
        spoil(tmp_path / "c" / "state.npz")
        capsys.readouterr()
        same(run("c", seed=99))
        return capsys.readouterr().out

    def flip(path):
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)

    for spoil in (lambda path: path.write_bytes(path.read_bytes()[:-40]), lambda path: path.write_bytes(b""), flip):
        said = left(spoil)
        assert "state.npz is not whole" in said and "It is not used." in said and "went on from epoch 2" in said
    assert "went on from epoch 2" in left(Path.unlink)
    with pytest.raises(Killed):
        run("d", stop=3, run_id="other")
    run("d")
    said = capsys.readouterr().out
    assert said.count("is the state of another run. It is not used") == 2 and "went on" not in said
    # A state of a finished training, and one that stopped early, train no more: the best weights come back.
    unfinished.forget(tmp_path)
    with pytest.raises(Killed):
        run("e", stop=2)
    with np.load(tmp_path / "e" / "state.npz") as kept:
        of = json.loads(str(kept["text"]))["run_id"]
    for name, wait, epochs in (("all", 0, 2), ("stopped", 3, 5)):
        state = training.State(training.compile_classifier(network(dropout=0.5), 1e-2), schedule, of)
        state.restore(tmp_path / "e" / "state.npz")
        assert not state.done
        state.epochs, state.read["counters"]["stop"]["wait"] = epochs, wait
        assert state.done, name
    other = training.compile_classifier(models.type_classifier("cnn", 32), 1e-2)
    with pytest.raises(UserError, match=r"state.npz is not the state of a type_cnn trained in this way"):
        training.State(other, schedule, of).restore(tmp_path / "e" / "state.npz")
    assert not [p for p in (tmp_path / "e").iterdir() if p.name.startswith(".")]


def test_averaged_weights_are_validated_and_kept_and_a_killed_training_of_them_goes_on(task, tmp_path, monkeypatch):
    paths, truth = task

    def run(folder, average, stop=None):
        training.set_seed(0)
        model = network(dropout=0.5)
        model.compile(optimizer=training.optimizer(1e-2, average), loss="binary_crossentropy", metrics=["accuracy"])
        training._build_variables(model)
        train = inputs.image_batches(paths, truth[:, None], inputs.raw, 32, 8, seed=0, epochs=4)
        held = inputs.image_batches(paths, truth[:, None], inputs.raw, 32, 8)
        trained = []  # the weights after each step, and after the first epoch what validation sees

        def step(self, batch, logs=None):
            trained.append([keras.ops.convert_to_numpy(w) for w in model.trainable_variables])

        with killed_after(monkeypatch, stop), monkeypatch.context() as m:
            m.setattr(training._EpochLine, "on_train_batch_end", step)
            about = training.Schedule(4, 0), tmp_path / folder, "cnn"
            history = training.fit(model, train, held, *about, run_id=folder[0])
        return model, history.drop(columns="seconds"), trained, float(model.evaluate(held, verbose=0)[0])

    model, history, trained, loss = run("a", 0.8)
    _, plain, same, _ = run("plain", 0.0)
    for step, other in zip(trained, same, strict=True):  # to average changes nothing of what is trained
        for a, b in zip(step, other, strict=True):
            np.testing.assert_array_equal(a, b)
    assert (history["loss"] == plain["loss"]).all() and (history["val_loss"] != plain["val_loss"]).all()
    best = int(history["val_loss"].idxmin())
    assert loss == pytest.approx(history["val_loss"].min(), rel=1e-5)
    steps = trained[: 4 * (best + 1)]
    for k, kept in enumerate(model.trainable_variables):
        average = steps[0][k]
        for step in steps[1:]:
            average = 0.8 * average + 0.2 * step[k]
        np.testing.assert_allclose(keras.ops.convert_to_numpy(kept), average, rtol=1e-4, atol=1e-6)
    with pytest.raises(Killed):
        run("b", 0.8, stop=2)
    (tmp_path / "b").rename(tmp_path / "again")
    again, continued, _, _ = run("again", 0.8)
    assert list(continued["epoch"]) == [1, 2, 3, 4]
    pd.testing.assert_frame_equal(continued, history)
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_weights_are_averaged_over_a_tenth_of_the_steps():
    assert training.average_over(300) == pytest.approx(1 - 1 / 30) and training.average_over(4) == 0.0


def test_cross_entropy_is_added_to_the_dice_loss():
    image = keras.Input((8, 8, 3))
    unet = keras.Model(image, keras.layers.Dense(3, activation="softmax")(image))
    pixels, truth = (
        np.random.default_rng(0).random((2, 8, 8, 3)),
        np.eye(3)[np.random.default_rng(1).integers(0, 3, (2, 8, 8))],
    )
    found = unet.predict(pixels, verbose=0)
    both = training.compile_unet(unet, 1e-3, cross_entropy=True).evaluate(pixels, truth, verbose=0)[0]
    dice = training.compile_unet(unet, 1e-3).evaluate(pixels, truth, verbose=0)[0]
    entropy = -np.log((found * truth).sum(axis=-1)).mean()
    assert both - dice == pytest.approx(entropy, rel=0.01) or both - dice == pytest.approx(entropy / 3, rel=0.01)


SHARED = """
import sys
from pathlib import Path
import numpy as np
from stroke_utils.learn import inputs, models, training
from stroke_utils.learn.backend import tf
paths, truth = sorted(map(str, Path(sys.argv[1]).glob("*.png"))), np.array(list(map(int, sys.argv[2])))
training.set_seed(0)
model = training.compile_classifier(models.detector("cnn", 32, dropout=0.0, momentum=0.8), 1e-3)
train = inputs.image_batches(paths, truth[:, None], inputs.raw, 32, 8, seed=0)
held = inputs.image_batches(paths, truth[:, None], inputs.raw, 32, 8)
history = training.fit(model, train, held, training.Schedule(1, 0), sys.argv[3], "cnn", {0: 1.0, 1: 1.5})
print("found", tf.distribute.get_strategy().num_replicas_in_sync, history["val_loss"].iloc[0])
"""


def test_two_devices_that_share_each_batch_train_as_one_does(task, tmp_path):
    truth = "".join(str(Path(path).stem in {str(k) for k in range(1, 32, 2)})[0] for path in sorted(task[0]))
    truth, found = truth.replace("T", "1").replace("F", "0"), {}
    for devices in ("1", "2"):
        words = [sys.executable, "-c", SHARED, str(tmp_path), truth, str(tmp_path / devices)]
        environment = os.environ | {"STROKE_DEVICES": devices, "STROKE_THREADS": "1"}
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        replicas, loss = done.stdout.split("found ")[1].split()
        assert replicas == devices
        found[devices] = float(loss)
    assert found["1"] == pytest.approx(found["2"], abs=1e-4)


@pytest.mark.parametrize("error", [tf.errors.ResourceExhaustedError(None, None, "OOM when allocating"), MemoryError()])
def test_where_memory_runs_out_it_says_what_to_do(task, tmp_path, monkeypatch, error):
    def fit(*_, **__):
        raise error

    monkeypatch.setattr(keras.Model, "fit", fit)
    with pytest.raises(UserError, match=r"cnn: memory ran out while it trained on images of 32 × 32. Halve `batch`"):
        fitted(task, tmp_path / "run")


def test_what_is_slow_to_save_is_saved_less_often(task, tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(training.time, "monotonic", lambda: now[0])
    state = training.State(training.compile_classifier(network(), 1e-2), training.Schedule(9, 0), "a")
    saved = []

    def save(path):
        saved.append(now[0])
        now[0] += 2  # seconds

    monkeypatch.setattr(state, "save", save)
    for _ in range(9):
        now[0] += 15  # an epoch
        state.keep(tmp_path)
    assert saved == [115.0, 162.0, 209.0], "2 s are 5 % of 40 s, which are three epochs"


def test_a_series_of_trainings_builds_one_graph_and_equals_fresh_ones(task, tmp_path):
    paths, truth = task
    built = []

    def build():
        built.append(training.compile_classifier(network(dropout=0.5), 1e-2))
        return built[-1]

    split = pd.Series(["train"] * 24 + ["validation"] * 8)
    examples = training.Examples(pd.Series(paths), truth[:, None], split)
    data = {"examples": examples, "preprocess": inputs.raw, "batch": 8}
    schedule = training.Schedule(2, 1, 0)
    trials = training.augmentation_trials(build, [0, 1], schedule, tmp_path / "all", **data)
    found = [(amount, seed, model, model.get_weights(), history) for amount, seed, model, history in trials]
    assert [(a, s) for a, s, *_ in found] == [(a, s) for a in ("none", "light", "strong") for s in (0, 1)]
    assert {id(model) for _, _, model, *_ in found} == {id(built[0])}, "every training must use the first graph"
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "all" / "light-seed1" / "history.csv"), found[3][4])
    training.set_seed(1)
    fresh = build()
    training.train_classifier(
        fresh, schedule=schedule, folder=tmp_path / "one", title="one", seed=1, augmentation="strong", **data
    )
    for a, b in zip(found[5][3], fresh.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_tensorboard_is_an_option_that_says_when_it_is_missing(task, tmp_path, monkeypatch):
    monkeypatch.setattr(training.importlib.util, "find_spec", lambda name: None)
    fitted(task, tmp_path / "run", 1)
    monkeypatch.setenv("STROKE_TENSORBOARD", "1")
    with pytest.raises(UserError, match=r"STROKE_TENSORBOARD is set, but .* `pip install -e '.\[tensorboard\]'`"):
        fitted(task, tmp_path / "run", 1)
    assert len(list((tmp_path / "run").iterdir())) == 2, "what an earlier run left must survive a refusal"


def test_the_cost_is_announced_before_it_is_paid(task, tmp_path, capsys):
    fitted(task, tmp_path / "run", 3)
    assert "cnn: 12 steps of " in capsys.readouterr().out
