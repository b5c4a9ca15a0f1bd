"""Pictures of networks are read from the model: nothing of it may be missing, and no shape made up."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import pytest

from stroke_utils import figures
from stroke_utils.learn import models


@pytest.fixture
def detector():
    return models.detector("cnn", 96)


@pytest.fixture
def unet(monkeypatch):
    monkeypatch.setitem(models.UNET_ENCODERS, "resnet18", "U-Net-ResNet-18")  # a third of the time of the course's
    return models.unet("resnet18", 64)


def test_stages_of_the_cnn_are_its_blocks_and_its_head(detector):
    stages = figures.network_stages(detector)
    shapes = [96, 96, 48, 24, 12, 1, 0, 0, 0, 0], [3, 16, 32, 64, 96, 96, 96, 96, 128, 1]
    assert (stages["side"].tolist(), stages["channels"].tolist()) == shapes
    assert stages["convolutions"].sum() == 8
    assert stages["weights"].sum() == detector.count_params()
    assert stages["name"].tolist()[-4:] == ["mean of\neach map", "dropout", "dense", "dense"]


def test_a_unet_goes_down_and_up_and_hands_each_map_to_the_stage_of_its_size(unet):
    stages = figures.network_stages(unet)
    assert stages["weights"].sum() == unet.count_params()
    handed = stages[stages["skip"] >= 0]
    assert handed["side"].tolist() == stages.loc[handed["skip"], "side"].tolist() == [4, 8, 16, 32]
    assert set(stages.loc[handed["skip"], "part"]) == {"backbone"} and set(handed["part"]) == {"decoder"}
    assert stages.iloc[-1][["part", "channels", "convolutions"]].tolist() == ["head", 3, 1]


def test_the_picture_has_a_box_a_stage_with_its_shape_and_an_arrow_for_each_map_handed_over(detector, unet):
    for model, handed in ((detector, 0), (unet, 4)):
        stages, axis = figures.network_stages(model), figures.network(model, "its title")
        texts = [text.get_text() for text in axis.texts]
        assert len(axis.patches) == len(stages)
        assert sum("×" in text for text in texts) == (stages["side"] > 0).sum()
        assert sum(text == "handed over" for text in texts) == handed
        plt.close("all")
