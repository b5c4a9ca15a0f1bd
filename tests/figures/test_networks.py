"""Pictures of networks are read from the model: nothing of it may be missing, and no shape made up."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgba

from stroke_utils import figures
from stroke_utils.figures.style import OUTLINES
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


def test_attention_outlines_each_type_in_its_own_colour_and_only_on_the_map():
    image, heat, mask = np.zeros((20, 20, 3), np.uint8), np.ones((20, 20)), np.zeros((20, 20), np.uint8)
    mask[2:6, 2:6], mask[12:16, 12:16] = 1, 2
    axes = figures.attention([image] * 3, [heat] * 3, [mask, mask * (mask == 1), None], ["both", "one", "none"])
    drawn = [[tuple(found.get_edgecolor()[0]) for found in axis.collections] for axis in axes]
    blue, green = to_rgba(OUTLINES["ischemia"]), to_rgba(OUTLINES["hemorrhage"])
    assert drawn == [[], [], [], [blue, green], [blue], []]
    assert [len(axis.images) for axis in axes] == [1, 1, 1, 2, 2, 2]
    assert [axis.get_title() for axis in axes] == ["both", "one", "none", "", "", ""]
    plt.close("all")
