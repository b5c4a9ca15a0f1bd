"""Small trainings: nested choices of patients, a U-Net of the right form, slices in memory asked like files."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from stroke_utils.learn import inputs, models, predict, trials


def table(patients, splits):
    return pd.DataFrame({"patient": patients, "split": splits})


def test_patients_are_chosen_whole_and_nested_and_steps_are_alike():
    patients = np.repeat([f"P{k}" for k in range(8)], 3)
    slices = table([*patients, "Q", "Q"], ["train"] * 24 + ["validation", "test"])
    picks = trials.fewer_patients(slices, [1 / 8, 1 / 2, 1], seed=1)
    assert list(picks) == [1, 4, 8]
    chosen = {n: set(slices["patient"].iloc[rows]) for n, rows in picks.items()}
    assert [len(found) for found in chosen.values()] == [1, 4, 8]
    assert chosen[1] < chosen[4] < chosen[8] and "Q" not in chosen[8]
    for n, rows in picks.items():
        assert len(rows) == 24 and len(set(rows)) == 3 * n
    assert set(trials.fewer_patients(slices, [1 / 8], seed=2)[1]) != set(picks[1])


def test_a_slice_of_an_unknown_patient_is_one():
    picks = trials.fewer_patients(table([None] * 10, ["train"] * 10), [0.5, 1], 0)
    assert {n: len(set(rows)) for n, rows in picks.items()} == {5: 5, 10: 10}


@pytest.mark.parametrize("size", [32, 48])
def test_the_small_unet_answers_each_pixel(size):
    net = trials.small_unet(size)
    answer = net(np.random.default_rng(0).random((2, size, size, 3), np.float32)).numpy()
    assert answer.shape == (2, size, size, 3)
    assert np.allclose(answer.sum(axis=-1), 1, atol=1e-5)
    assert trials.small_unet(64).count_params() == trials.small_unet(32).count_params()


def test_slices_in_memory_are_asked_like_files(tmp_path):
    pictures = [np.random.default_rng(k).integers(0, 256, (90 + k, 100, 3), np.uint8) for k in range(3)]
    for k, picture in enumerate(pictures):
        Image.fromarray(picture).save(tmp_path / f"{k}.png")
    model = models.type_classifier("cnn", 32)
    from_files = predict.probabilities(model, pd.Series([str(tmp_path / f"{k}.png") for k in range(3)]), inputs.raw, 32)
    assert trials.probabilities_of(model, pictures, inputs.raw, 32).tolist() == pytest.approx(
        from_files.tolist(), abs=1e-5
    )
