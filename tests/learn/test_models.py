import contextlib
import functools
import hashlib
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras.src.legacy.saving import legacy_h5_format

from stroke_utils.base import progress
from stroke_utils.base.errors import UserError
from stroke_utils.base.vocabulary import MODEL_TITLES, UNET_TITLES
from stroke_utils.learn import inputs, models, starts, training


@functools.cache
def type_classifier(name):
    """One of the type classifiers, built once for all tests that only look at it."""
    return models.type_classifier(name, 64)


@pytest.fixture
def small_unet(monkeypatch):
    """The name of an encoder that the course does not use: a U-Net on it takes a third of the time."""
    monkeypatch.setitem(models.UNET_ENCODERS, "resnet18", "U-Net-ResNet-18")
    return "resnet18"


def test_unet_parameter_counts_are_the_published_architectures():
    assert models.unet("resnet50", 64).count_params() == 32_561_404
    assert models.unet("efficientnetb3", 64).count_params() == 17_868_123


@pytest.mark.parametrize("name", models.BACKBONES)
def test_detector_has_the_papers_head_all_weights_trainable_and_one_momentum(name):
    model = models.detector(name, 64, dropout=0.4, momentum=0.8)
    tail = [type(layer).__name__ for layer in model.layers[-4:]]
    assert tail == ["GlobalAveragePooling2D", "Dropout", "Dense", "Dense"]
    assert model.layers[-3].rate == 0.4
    assert (model.layers[-2].units, model.layers[-2].activation.__name__) == (128, "relu")
    assert (model.layers[-1].units, model.layers[-1].activation.__name__) == (1, "sigmoid")
    frozen = [layer.name for layer in model.layers if layer.weights and not layer.trainable]
    assert frozen == []
    assert {layer.momentum for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)} == {0.8}


@pytest.mark.parametrize("name", models.TYPE_PREPROCESS)
def test_type_classifier_gives_two_probabilities(name):
    model = type_classifier(name)
    out = model(np.random.default_rng(0).normal(size=(3, 64, 64, 3)).astype("float32")).numpy()
    assert out.shape == (3, 2)
    np.testing.assert_allclose(out.sum(axis=1), 1, atol=1e-5)


def test_type_head_of_efficientnetv2b0_normalises_before_dropout():
    tail = [type(layer).__name__ for layer in type_classifier("efficientnetv2b0").layers[-4:]]
    assert tail == ["GlobalAveragePooling2D", "BatchNormalization", "Dropout", "Dense"]


def test_weights_come_back_from_a_file(tmp_path):
    first = models.build_backbone("cnn", 64)
    first.save_weights(tmp_path / "cnn.weights.h5")
    second = models.build_backbone("cnn", 64, str(tmp_path / "cnn.weights.h5"))
    for a, b in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_wrong_names_and_weights_say_what_to_do(tmp_path):
    with pytest.raises(UserError, match="'resnet19' is no detection backbone. Known: cnn, resnet18"):
        models.detector("resnet19", 64)
    with pytest.raises(UserError, match="No weights file at .*Give 'none', 'imagenet'"):
        models.detector("cnn", 64, weights=str(tmp_path / "absent.h5"))
    (tmp_path / "mine.pkl").write_bytes(pickle.dumps([1]))
    with pytest.raises(UserError, match=r"mine.pkl does not end in .h5 or .keras, .* can't be read"):
        models.detector("cnn", 64, weights=str(tmp_path / "mine.pkl"))
    models.build_backbone("cnn", 64).save_weights(tmp_path / "cnn.weights.h5")
    with pytest.raises(UserError, match="does not hold weights of mobilenetv2"):
        models.build_backbone("mobilenetv2", 64, str(tmp_path / "cnn.weights.h5"))
    with pytest.raises(UserError, match="multiple of 32, found 100"):
        models.unet("resnet50", 100)


@pytest.mark.parametrize("name", ["mine.weights.H5", "MINE.WEIGHTS.H5", "mine.keras", "mine.KERAS"])
def test_weights_are_read_whatever_case_their_ending_has(tmp_path, name):
    first = models.build_backbone("cnn", 64)
    usual = tmp_path / ("whole.keras" if name.lower().endswith("keras") else "usual.weights.h5")
    first.save(usual) if usual.suffix == ".keras" else first.save_weights(usual)
    usual.rename(tmp_path / name)
    second = models.build_backbone("cnn", 64, str(tmp_path / name))
    for a, b in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_of_a_whole_models_file_no_code_is_run(tmp_path):
    """A Lambda in a model's file is code of whoever wrote it."""
    (tmp_path / "work").mkdir()
    with contextlib.chdir(tmp_path / "work"):
        image = keras.Input((64, 64, 3))
        poison = keras.layers.Lambda(lambda x: (open("RAN", "w"), x)[1])  # noqa: SIM115
        keras.Model(image, poison(image)).save(tmp_path / "poisoned.keras")
        Path("RAN").unlink()  # building it ran it
        with pytest.raises(UserError, match=r"poisoned.keras does not hold weights of cnn without its top"):
            models.build_backbone("cnn", 64, str(tmp_path / "poisoned.keras"))
        assert not list(Path().iterdir())


def test_a_file_of_a_publishers_name_is_compared_with_its_checksum(tmp_path, monkeypatch, capsys):
    first = models.build_backbone("cnn", 64)
    path = tmp_path / "published.weights.h5"
    first.save_weights(path)
    published = "MD5 " + hashlib.md5(path.read_bytes()).hexdigest()
    for checksum, said in ((published, 0), ("MD5 " + 32 * "0", 1), ("", 0)):
        backbone = models.Backbone("CNN", models._cnn, inputs.raw, "published.weights.h5", checksum=checksum)
        monkeypatch.setitem(models.BACKBONES, "cnn", backbone)
        models.build_backbone("cnn", 64, str(path))
        assert capsys.readouterr().out.count(f"not byte for byte its publisher's file ({checksum};") == said


@pytest.mark.parametrize("spoil", ["names", "text"])
def test_a_weights_file_of_another_form_is_refused_by_name(tmp_path, spoil):
    path = tmp_path / "odd.h5"
    if spoil == "text":
        path.write_text("no HDF5 at all")
    else:
        with h5py.File(path, "w") as file:
            file.attrs["layer_names"] = 5
    with pytest.raises(UserError, match=r"odd.h5 does not hold weights of cnn without its top"):
        models.build_backbone("cnn", 64, str(path))


def test_phase_2_starts_from_phase_1s_encoder(tmp_path):
    first = models.detector("resnet18", 64)
    for layer in first.layers:
        layer.set_weights([w + 0.01 for w in layer.get_weights()])
    first.layers[1].moving_mean.assign(np.full(3, 100.0))  # as slices have them
    first.layers[1].moving_variance.assign(np.full(3, 5000.0))
    first.save_weights(tmp_path / "best.weights.h5")
    second = models.type_classifier("resnet18", 64)
    head = second.layers[-1].get_weights()[0]
    models.load_detectors_encoder(second, "resnet18", tmp_path / "best.weights.h5")
    # The networks are the same up to the average: so are their features of one slice, each in the pixels it is fed.
    slices = (np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3)) * np.reshape([0.3, 1], (2, 1, 1, 1))).astype(
        "float32"
    )
    forms = models.BACKBONES["resnet18"].preprocess, models.TYPE_PREPROCESS["resnet18"]
    features = [
        keras.Model(m.input, m.layers[cut].output)(form(slices)).numpy()
        for m, cut, form in zip((first, second), (-4, -2), forms, strict=True)
    ]
    np.testing.assert_allclose(*features, rtol=1e-3, atol=1e-3 * np.abs(features[0]).max())
    assert np.ptp(features[1], axis=0).max() > 0.01 * np.abs(features[1]).max(), "its answer must depend on the slice"
    np.testing.assert_array_equal(head, second.layers[-1].get_weights()[0])
    with pytest.raises(UserError, match="does not hold weights of a resnet18 detector"):
        models.build_backbone("cnn", 64).save_weights(tmp_path / "cnn.weights.h5")
        models.load_detectors_encoder(second, "resnet18", tmp_path / "cnn.weights.h5")


def test_a_folder_of_weights_is_searched_by_the_publishers_names(tmp_path):
    source = models.BACKBONES["mobilenetv2"].build((64, 64, 3), None)
    name = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_96_no_top.h5"
    with h5py.File(tmp_path / name, "w") as file:  # published files are of this older form
        legacy_h5_format.save_weights_to_hdf5_group(file, source)
    loaded = models.build_backbone("mobilenetv2", 64, str(tmp_path))
    for a, b in zip(source.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(UserError, match=rf"has no resnet50_weights_tf.*notop.h5, which .* It holds: {name}"):
        models.detector("resnet50", 64, weights=str(tmp_path))
    with pytest.raises(UserError, match=r"has no resnet50_imagenet_1000_no_top.h5"):
        models.unet("resnet50", 64, str(tmp_path))
    assert models.weights_for("cnn", str(tmp_path)) == models.weights_for("cnn", "imagenet") == "none"
    assert models.weights_for("resnet50", "imagenet", unet=True) == "imagenet"


def test_an_encoders_weights_come_from_a_file_that_fits_or_say_so(tmp_path, small_unet):
    encoder, _ = models.Classifiers.get(small_unet)
    source = encoder(input_shape=(64, 64, 3), include_top=False, weights=None)
    path = tmp_path / "resnet18_imagenet_1000_no_top.weights.h5"
    source.save_weights(path)
    unet = models.unet(small_unet, 64, str(path))
    layer = next(x for x in source.layers if type(x).__name__ == "Conv2D")
    np.testing.assert_array_equal(unet.get_layer(layer.name).get_weights()[0], layer.get_weights()[0])
    models.build_backbone("cnn", 64).save_weights(tmp_path / "cnn.weights.h5")
    with pytest.raises(UserError, match=r"cnn.weights.h5 does not hold weights of resnet18 without its top: .* 'none'"):
        models.unet(small_unet, 64, str(tmp_path / "cnn.weights.h5"))


def test_imagenet_weights_load_into_keras_networks_and_not_into_the_unets(published_weights):
    for name in ("mobilenetv2", "resnet50"):
        start = models.build_backbone(name, 64).get_weights()[0]
        loaded = models.build_backbone(name, 64, str(published_weights)).get_weights()[0]
        assert not np.array_equal(start, loaded)
        assert np.array_equal(loaded, models.build_backbone(name, 96, str(published_weights)).get_weights()[0])
    kerass = published_weights / "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"
    with pytest.raises(UserError, match="does not hold weights of resnet50 without its top"):
        models.unet("resnet50", 64, str(kerass))


def test_a_failed_download_is_explained(monkeypatch):
    def fail(*args, **kwargs):
        raise Exception("URL fetch failure on https://example.org/weights.h5: None -- unreachable")

    monkeypatch.setitem(models.BACKBONES, "mobilenetv2", models.Backbone("MobileNetV2", fail, inputs.raw, "x.h5"))
    said = (
        r"Download them elsewhere, put the file into.*\n  file:     weights.h5\n  folder:   /.*/models\n"
        r"  address:  https://example.org/weights.h5\n  checksum: its publisher gives none"
    )
    with pytest.raises(UserError, match=said):
        models.detector("mobilenetv2", 64, weights="imagenet")


def test_checksums_are_those_that_the_libraries_check():
    from classification_models.weights import WEIGHTS_COLLECTION
    from efficientnet import model as efficientnets
    from keras.src.applications import efficientnet, efficientnet_v2, resnet

    theirs = {row["name"]: f"MD5 {row['md5']}" for row in WEIGHTS_COLLECTION}
    of_keras = {
        "resnet50": resnet.WEIGHTS_HASHES["resnet50"],
        "efficientnetb0": efficientnet.WEIGHTS_HASHES["b0"],
        "efficientnetv2b0": efficientnet_v2.WEIGHTS_HASHES["b0"],
    }
    for name, (_, without_top) in of_keras.items():
        assert models.BACKBONES[name].checksum == f"MD5 {without_top}"
    assert models.BACKBONES["resnet18"].checksum == theirs[models.BACKBONES["resnet18"].file]
    assert models.ENCODER_CHECKSUMS["resnet50"] == theirs[models.ENCODER_FILES["resnet50"]]
    assert models.ENCODER_CHECKSUMS["efficientnetb3"] == f"SHA-256 {efficientnets.WEIGHTS_HASHES['efficientnet-b3'][1]}"


def test_preprocessing_equals_its_references():
    pixels = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3)).astype("float32")
    np.testing.assert_array_equal(models.BACKBONES["cnn"].preprocess(pixels), pixels)
    for name, module in {
        "mobilenetv2": keras.applications.mobilenet_v2,
        "resnet50": keras.applications.resnet50,
        "efficientnetb0": keras.applications.efficientnet,
        "efficientnetv2b0": keras.applications.efficientnet_v2,
    }.items():
        # In the graph a tensor comes in, the reference gets an array.
        found = np.asarray(models.BACKBONES[name].preprocess(tf.constant(pixels)))
        np.testing.assert_allclose(found, module.preprocess_input(pixels.copy()), atol=1e-5, err_msg=name)
    _, theirs = models.Classifiers.get("resnet18")
    np.testing.assert_array_equal(models.BACKBONES["resnet18"].preprocess(pixels), theirs(pixels.copy()))
    # torchvision's Normalize after ToTensor, written out.
    expected = (pixels / 255 - np.float32([0.485, 0.456, 0.406])) / np.float32([0.229, 0.224, 0.225])
    for name in ("cnn", "resnet18"):
        np.testing.assert_allclose(np.asarray(models.TYPE_PREPROCESS[name](tf.constant(pixels))), expected, atol=1e-5)
    np.testing.assert_array_equal(models.TYPE_PREPROCESS["efficientnetv2b0"](pixels), pixels)
    # ImageNet's mean in 0–255 is the grey that normalises to zero.
    mean = np.array(inputs.IMAGENET_MEAN, "float32") * 255 * np.ones((1, 1, 1, 3), "float32")
    np.testing.assert_allclose(inputs.imagenet_normalise(mean), 0, atol=1e-6)
    np.testing.assert_allclose(inputs.unit_range(np.float32([0, 255])), [0, 1])


def test_a_checkpoint_rebuilds_the_unet_with_identical_predictions(tmp_path, small_unet):
    model = training.compile_unet(models.unet(small_unet, 64, momentum=0.9), 1e-3)
    training._network(model).save_weights(tmp_path / "best.weights.h5")
    models.write_checkpoint(tmp_path, small_unet, 64, "imagenet")
    again, preprocess, about = models.load_unet(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3)).astype("float32")
    np.testing.assert_array_equal(model(preprocess(pixels)), again(preprocess(pixels)))
    assert preprocess is not inputs.unit_range and (about["encoder"], about["size"]) == (small_unet, 64)
    assert about["classes"] == ["background", "ischemia", "hemorrhage"]
    (tmp_path / "best.weights.h5").write_bytes(b"other")
    with pytest.raises(UserError, match="is not the file that checkpoint.json was written for"):
        models.load_unet(tmp_path)
    (tmp_path / "checkpoint.json").unlink()
    with pytest.raises(UserError, match="needs checkpoint.json"):
        models.load_unet(tmp_path)


def test_the_input_of_a_unet_is_the_papers_or_the_librarys():
    pixels = np.random.default_rng(0).integers(0, 256, (1, 4, 4, 3)).astype("float32")
    np.testing.assert_allclose(models.unet_preprocess("resnet50", "unit")(pixels), pixels / 255, rtol=1e-6)
    normal = (pixels / 255 - inputs.IMAGENET_MEAN) / inputs.IMAGENET_SD
    np.testing.assert_allclose(models.unet_preprocess("efficientnetb3", "imagenet")(pixels), normal, atol=1e-5)
    with pytest.raises(UserError, match="'raw' is no input of a U-Net. Known: unit, imagenet"):
        models.unet_preprocess("resnet50", "raw")


def test_the_networks_have_the_names_that_readers_see_everywhere():
    assert {name: backbone.title for name, backbone in models.BACKBONES.items()} == MODEL_TITLES
    assert set(models.TYPE_PREPROCESS) <= set(MODEL_TITLES) and models.ENCODER_FILES.keys() == UNET_TITLES.keys()


@pytest.mark.parametrize("name", ["mobilenetv2", "resnet50"])
def test_a_start_from_drawn_heads_is_in_the_backbone(name):
    path = models.weights_for(name, "phantom")
    assert starts.is_start(path) and Path(path).name == f"{name}.weights.h5"
    network, other = models.build_backbone(name, 64, "phantom"), models.build_backbone(name, 64)
    starts.load_backbone(name, other, path)
    kept = len(starts._kept(name, network).weights)
    pairs = zip(network.get_weights()[:kept], other.get_weights()[:kept], strict=True)
    assert all(np.array_equal(one, two) for one, two in pairs)


def test_networks_without_a_start_from_drawn_heads_begin_at_random_and_u_nets_refuse():
    assert [models.weights_for(name, "phantom") for name in ("cnn", "resnet18")] == ["none", "none"]
    with pytest.raises(UserError, match="no start from drawn heads for the encoder resnet50"):
        models.weights_for("resnet50", "phantom", unet=True)


def test_a_unet_on_mobilenetv2_sees_what_its_detector_sees_at_the_start():
    unet, start = models.unet("mobilenetv2", 64, "phantom"), models.build_backbone("mobilenetv2", 64, "phantom")
    features = keras.Model(unet.input, unet.get_layer("decoder_stage0_upsampling").input)
    seen = np.random.default_rng(0).uniform(-1, 1, (2, 64, 64, 3)).astype(np.float32)
    assert np.array_equal(features(seen), start(seen))
    assert not np.array_equal(models.unet("mobilenetv2", 64).get_layer("Conv1").kernel, start.get_layer("Conv1").kernel)
    pixels = np.float32(np.arange(48).reshape(1, 4, 4, 3) * 5)
    form = models.unet_preprocess("mobilenetv2", "imagenet")
    assert np.allclose(form(pixels.copy()), models.BACKBONES["mobilenetv2"].preprocess(pixels.copy()))


def test_what_a_network_starts_from_is_said_in_words(tmp_path):
    assert [models.start_words(word) for word in ("none", "imagenet")] == ["random", "ImageNet"]
    assert models.start_words(models.weights_for("mobilenetv2", "phantom")) == "phantom"
    assert models.start_words(models.weights_for("resnet18", "phantom")) == "random", "the kit has no start for it"
    assert models.start_words(str(tmp_path / "mine.weights.h5")) == "file mine.weights.h5"


@pytest.mark.parametrize(("given", "said"), [("3", "3 3"), ("", None), ("many", "STROKE_THREADS is 'many'")])
def test_threads_are_those_of_the_variable_or_of_the_cores(given, said):
    code = (
        "from stroke_utils.learn.backend import tf; t = tf.config.threading; "
        "print(t.get_intra_op_parallelism_threads(), t.get_inter_op_parallelism_threads())"
    )
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, env=os.environ | {"STROKE_THREADS": given}, capture_output=True, text=True, check=False)
    assert (said or f"{progress.cores()} {progress.cores()}") in done.stdout + done.stderr


def test_keras_settings_of_a_user_do_not_count(tmp_path):
    """What ~/.keras/keras.json and variables ask for is meant for other work."""
    (tmp_path / ".keras").mkdir()
    settings = {"image_data_format": "channels_first", "floatx": "float16", "backend": "torch", "epsilon": 1e-3}
    (tmp_path / ".keras" / "keras.json").write_text(json.dumps(settings))
    code = (
        "from stroke_utils.learn.backend import keras, tf; "
        "print(keras.config.floatx(), keras.config.image_data_format(), keras.config.epsilon(), "
        "keras.backend.backend(), tf.keras.__version__ == keras.__version__)"
    )
    given = os.environ | {"HOME": str(tmp_path), "TF_USE_LEGACY_KERAS": "1"}
    given.pop("KERAS_BACKEND", None)
    done = subprocess.run([sys.executable, "-c", code], env=given, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "float32 channels_last 1e-07 tensorflow True", done.stderr
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=given | {"KERAS_BACKEND": "torch"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Keras is told to run on 'torch'; this project needs TensorFlow." in done.stderr
