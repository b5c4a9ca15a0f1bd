"""Where a network looks: on a network whose reasons are known."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from stroke_utils.learn import inputs, saliency
from stroke_utils.learn.backend import keras


@pytest.fixture
def bright():
    """A network of which it is known that it looks for brightness: pooled twice, its answer grows with the mean."""
    image = keras.Input((16, 16, 3))
    conv = keras.layers.Conv2D(2, 1, kernel_initializer=keras.initializers.Constant([[[[1, -1]] * 3]]))
    maps = keras.layers.AveragePooling2D(4)(keras.layers.ReLU()(conv(image)))
    mean = keras.layers.GlobalAveragePooling2D()(maps)
    return keras.Model(image, keras.layers.Dense(1, "sigmoid", kernel_initializer="ones")(mean))


@pytest.fixture
def spot():
    """A black slice with a bright spot in one cell of the maps."""
    image = np.zeros((16, 16, 3), np.float32)
    image[4:8, 8:12] = 200
    return image


def test_grad_cam_finds_the_reason_and_nothing_else(bright, spot):
    heat = saliency.grad_cam(bright, spot[None], inputs.raw)
    assert heat.shape == (1, 4, 4)
    assert heat[0, 1, 2] == pytest.approx(1) and heat.sum() == pytest.approx(1)
    assert not saliency.grad_cam(bright, 0 * spot[None], inputs.raw).any()  # no reason: an empty map, not nan


def test_many_slices_are_looked_at_a_few_at_a_time(bright, spot, monkeypatch):
    many = np.stack([spot * share for share in (1, 0.5, 0, 0.25, 1)])
    at_once = saliency.grad_cam(bright, many, inputs.raw)
    sizes = []
    monkeypatch.setattr(saliency, "BATCH", 2)
    found = saliency.grad_cam(bright, many, lambda batch: sizes.append(len(batch)) or batch)
    assert sizes == [2, 2, 1]
    np.testing.assert_allclose(found, at_once)


def test_grad_cam_of_two_outputs_looks_at_class_1(bright, spot):
    hidden = bright.layers[-1].input
    for weights, found in (([[0.0, 1.0]] * 2, 1), ([[1.0, 0.0]] * 2, 0)):
        dense = keras.layers.Dense(2, "softmax")
        two = keras.Model(bright.input, dense(hidden))
        dense.set_weights([np.array(weights), np.zeros(2)])
        assert saliency.grad_cam(two, spot[None], inputs.raw).sum() == pytest.approx(found)


def test_the_first_layer_is_the_first_convolution(bright, spot):
    answers = saliency.first_layer(bright, spot, inputs.raw)
    assert answers.shape == (16, 16, 2)
    np.testing.assert_allclose(answers[5, 9], [600, -600])


def test_mass_inside_is_measured_against_maps_that_know_nothing(tmp_path):
    grey = np.zeros((40, 40, 3), np.uint8)
    grey[10:30, 10:30] = 90  # the head: a quarter of the slice
    Image.fromarray(grey).save(tmp_path / "1.png")
    slices = pd.DataFrame({"slice_id": ["1", "2"], "png": [str(tmp_path / "1.png")] * 2})
    heats, region = np.zeros((2, 4, 4)), np.zeros((40, 40), np.uint8)
    heats[:, 1, 1], region[10:20, 10:20] = 1, 2
    table = saliency.mass_inside(heats, slices, {"1": region})
    assert table["slice_id"].tolist() == ["1"]  # the other has no lesion
    assert table.loc[0, ["uniform", "in_head"]].tolist() == pytest.approx([1 / 16, 1 / 4], abs=0.005)
    assert 0.4 < table.loc[0, "inside"] < 1  # enlarged from cells of ten pixels, so it is blurred
    assert np.isnan(saliency.mass_inside(0 * heats, slices, {"1": region}).loc[0, "inside"])
    grey[36:38, 4:36] = 90  # a head-rest is no head
    Image.fromarray(grey).save(tmp_path / "1.png")
    assert saliency.mass_inside(heats, slices, {"1": region}).loc[0, "in_head"] == pytest.approx(1 / 4)
    Image.fromarray(0 * grey).save(tmp_path / "1.png")
    assert np.isnan(saliency.mass_inside(heats, slices, {"1": region}).loc[0, "in_head"])
