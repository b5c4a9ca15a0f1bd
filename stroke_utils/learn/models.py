"""The paper's networks: backbones, heads, weights and the preprocessing each expects."""

import contextlib
import hashlib
import http.client
import os
import re
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stroke_utils.base import files, identity, paths
from stroke_utils.base.errors import UserError, check_known, reason
from stroke_utils.base.vocabulary import ALL_ENCODERS, MASK_CLASSES, MODEL_TITLES, PIXEL_FORMS, UNET_TITLES
from stroke_utils.learn import inputs, starts
from stroke_utils.learn.backend import Classifiers, keras, sm, tf

Preprocess = Callable[[tf.Tensor], tf.Tensor]
apps = keras.applications


@dataclass(frozen=True)
class Backbone:
    """A network body without its top: how it is built and which pixels it expects.

    Attributes:
        title: the paper's name.
        build: function of (input_shape, weights) that gives a model with a 4-D output.
        preprocess: function of a batch with values 0–255.
        source: where its ImageNet weights come from.
        file: name of their file without the top, as its publisher has it; ``*`` stands for anything.
        checksum: of that file, as its publisher has it; empty where there is none.
    """

    title: str
    build: Callable[[tuple[int, int, int], str | None], keras.Model]
    preprocess: Preprocess
    file: str
    source: str = "keras.applications"
    checksum: str = ""


def _application(constructor: Callable) -> Callable:
    def build(shape: tuple[int, int, int], weights: str | None) -> keras.Model:
        return constructor(include_top=False, weights=weights, input_shape=shape)

    return build


def _resnet18(shape: tuple[int, int, int], weights: str | None) -> keras.Model:
    constructor, _ = Classifiers.get("resnet18")
    return constructor(input_shape=shape, include_top=False, weights=weights)


_NO_IMAGENET = "The custom CNN has no ImageNet weights. Set weights to 'none' or to a file."


def _cnn(shape: tuple[int, int, int], weights: str | None) -> keras.Model:
    """Stack eight 3 × 3 convolutions with batch normalisation and relu in four blocks, each followed by pooling.

    The paper states neither depth nor widths: these are ours. So is the global maximum at the end (size 1 × 1, which
    the head's average leaves as it is): a lesion covers about one percent of a slice and drowns in an average.
    """
    x = image = keras.Input(shape)
    x = keras.layers.BatchNormalization()(x)  # the paper feeds raw 0–255; this makes them trainable
    for block in ((16,), (32, 32), (64, 64), (96, 96, 96)):
        for width in block:
            x = keras.layers.Conv2D(width, 3, padding="same", use_bias=False)(x)
            x = keras.layers.BatchNormalization()(x)
            x = keras.layers.ReLU()(x)
        last = len(block) == 3
        x = keras.layers.GlobalMaxPooling2D(keepdims=True)(x) if last else keras.layers.MaxPooling2D()(x)
    return keras.Model(image, x, name="cnn")


BACKBONES = {
    "cnn": Backbone(MODEL_TITLES["cnn"], _cnn, inputs.raw, "", "none"),
    "resnet18": Backbone(
        MODEL_TITLES["resnet18"],
        _resnet18,
        inputs.raw,
        "resnet18_imagenet_1000_no_top.h5",
        "image-classifiers on GitHub",
        "MD5 318e3ac0cd98d51e917526c9f62f0b50",
    ),
    "resnet50": Backbone(
        MODEL_TITLES["resnet50"],
        _application(apps.ResNet50),
        apps.resnet50.preprocess_input,
        "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
        checksum="MD5 4d473c1dd8becc155b73f8504c6f6626",
    ),
    "mobilenetv2": Backbone(
        MODEL_TITLES["mobilenetv2"],
        _application(apps.MobileNetV2),
        apps.mobilenet_v2.preprocess_input,
        "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_*_no_top.h5",
    ),
    "efficientnetb0": Backbone(
        MODEL_TITLES["efficientnetb0"],
        _application(apps.EfficientNetB0),
        inputs.raw,
        "efficientnetb0_notop.h5",
        checksum="MD5 50bc09e76180e00e4465e1a485ddc09d",
    ),
    "efficientnetv2b0": Backbone(
        MODEL_TITLES["efficientnetv2b0"],
        _application(apps.EfficientNetV2B0),
        inputs.raw,
        "efficientnetv2-b0_notop.h5",
        checksum="MD5 893217f2bb855e2983157299931e43ff",
    ),
}
"""Detection backbones by parameter name. EfficientNets rescale inside; ResNet-18's own preprocessing is none."""

TYPE_PREPROCESS: dict[str, Preprocess] = {
    "cnn": inputs.imagenet_normalise,
    "resnet18": inputs.imagenet_normalise,
    "efficientnetv2b0": inputs.raw,
}
"""Preprocessing of each type classifier: ImageNet mean and standard deviation but for EfficientNetV2B0's own."""

ENCODER_FILES = {
    "resnet50": "resnet50_imagenet_1000_no_top.h5",
    "efficientnetb3": "efficientnet-b3_weights_tf_dim_ordering_tf_kernels_autoaugment_notop.h5",
}
"""Names of the files with the ImageNet weights of the segmentation encoders. They are segmentation-models' own: its
ResNet50 is another architecture than Keras', whose files do not fit."""

ENCODER_CHECKSUMS = {
    "resnet50": "MD5 db3b217156506944570ac220086f09b6",
    "efficientnetb3": "SHA-256 c5d42eb6cfae8567b418ad3845cfd63aa48b87f1bd5df8658a49375a9f3135c7",
}
"""Checksums of these files, as their publishers have them."""

UNET_ENCODERS = UNET_TITLES
"""Segmentation encoders by parameter name, with the paper's names."""


_ENDINGS = (".h5", ".keras")


def weights_for(name: str, weights: str, unet: bool = False) -> str:
    """Tell which weights a network starts from, given the notebooks' parameter ``weights``.

    Args:
        name: a key of :data:`BACKBONES`, or of :data:`UNET_ENCODERS`.
        weights: ``none``, ``imagenet``, ``phantom`` (what the package learned from drawn heads), a weights file, or a
            folder of files under their publishers' names.
        unet: whether ``name`` is a segmentation encoder.

    Returns:
        ``none``, ``imagenet`` or the path of a file. The CNN has no ImageNet weights: a folder, or ``imagenet``, gives
        it ``none``. So does ``phantom`` where the package has no start, as for ResNet-18: it learns without one.

    Raises:
        UserError: no such file or folder, a folder without the file, a file that is no Keras weights file, or
            ``phantom`` for an encoder that is segmentation-models' own.
    """
    unet = unet and name in ENCODER_FILES
    if weights == "phantom":
        if unet:
            raise UserError(
                f"There is no start from drawn heads for the encoder {name}. Set 'weights' to 'none' or 'imagenet'."
            )
        return str(starts.file_of(name) or "none")
    if weights in ("none", "imagenet"):
        return "none" if name == "cnn" else weights
    path = Path(weights).expanduser()
    if path.is_dir():
        if name == "cnn":
            return "none"
        wanted = ENCODER_FILES[name] if unet else BACKBONES[name].file
        found = sorted(path.glob(wanted))
        if not found:
            here = ", ".join(sorted(p.name for p in path.glob("*.h5"))) or "no .h5 file"
            raise UserError(
                f"The weights folder {path} has no {wanted}, which holds the weights of {name}. It holds: {here}. Put "
                "the file there, leave this model out, or set 'weights' to 'none'."
            )
        path = found[0]
    if not path.is_file():
        raise UserError(
            f"No weights file at {path}. Give 'none', 'imagenet', the path of an existing Keras weights file (.h5), or "
            "a folder of such files."
        )
    if not path.name.lower().endswith(_ENDINGS):
        raise UserError(
            f"{path} does not end in {' or '.join(_ENDINGS)}, as Keras' files of weights do. Files of other programs "
            "(.pt, .pkl, .onnx) can't be read: they would have to be run, or converted first."
        )
    return str(path)


def start_words(given: str) -> str:
    """Say for a reader what a network starts from.

    Args:
        given: of :func:`weights_for`.

    Returns:
        ``random``, ``ImageNet``, ``phantom`` (a file that comes with the package), or ``file`` and a file's name.
    """
    if given in ("none", "imagenet"):
        return {"none": "random", "imagenet": "ImageNet"}[given]
    return "phantom" if Path(given).parent == starts.WEIGHTS else f"file {Path(given).name}"


def is_imagenet(given: str) -> bool:
    """Tell whether a start of :func:`weights_for` is ImageNet's: downloaded, or a file under its publisher's name."""
    published = [backbone.file for backbone in BACKBONES.values() if backbone.file]
    return given == "imagenet" or any(Path(given).match(file) for file in published)


def weights_folder() -> Path:
    """Return the folder in which Keras looks for ImageNet weights before it downloads them: ``~/.keras/models``.

    ``KERAS_HOME`` moves it, and where that cannot be written ``keras.utils.get_file`` takes ``/tmp``.
    """
    home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras").expanduser()
    return (home if os.access(home, os.W_OK) else Path("/tmp/.keras")) / "models"


@contextlib.contextmanager
def _explained_download(name: str, file: str, source: str, checksum: str):
    """Turn a failed download of ImageNet weights into one message that says what to do."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        found = re.search(r"URL fetch failure on (\S+): ", str(error))
        broken_off = isinstance(error, OSError | http.client.HTTPException) or "corrupted file detected" in str(error)
        if not (found or broken_off):
            raise
        if said := files.explanation(error, weights_folder() / file):
            raise UserError(said) from error
        url = found[1] if found else "unknown"
        raise UserError(
            f"The ImageNet weights of {name} ({source}) are not on this machine and could not be downloaded"
            f"{'' if found else f' ({reason(error)})'}. "
            "Download them elsewhere, put the file into the folder below (or set 'weights' to its path), "
            "or set 'weights' to 'none' to start from random weights.\n"
            f"  file:     {url.rpartition('/')[2] if found else file or 'unknown'}\n"
            f"  folder:   {weights_folder()}\n"
            f"  address:  {url}\n"
            f"  checksum: {checksum or 'its publisher gives none'}"
        ) from error


def build_backbone(name: str, size: int, weights: str = "none") -> keras.Model:
    """Build a backbone without its top.

    Args:
        name: a key of :data:`BACKBONES`.
        size: side of the square RGB input in pixels.
        weights: ``none``, ``imagenet``, ``phantom``, a weights file or a folder of files (:func:`weights_for`), read
            as weights only.

    Raises:
        UserError: unknown name, weights that are neither here nor to be downloaded, or weights of another network.
    """
    check_known(name, BACKBONES, "detection backbone")
    if name == "cnn" and weights == "imagenet":
        raise UserError(_NO_IMAGENET)
    backbone, given = BACKBONES[name], weights_for(name, weights)
    with _explained_download(name, backbone.file, backbone.source, backbone.checksum):
        model = backbone.build((size, size, 3), "imagenet" if given == "imagenet" else None)
    if starts.is_start(given):
        starts.load_backbone(name, model, given)
    elif given not in ("none", "imagenet"):
        _compare_with_publishers(backbone.file, backbone.checksum, given)
        _load(model, given, f"{name} without its top")
    return model


def _compare_with_publishers(file: str, checksum: str, path: str) -> None:
    """Say where a file has its publisher's name and is another: a download that was cut off, or a copy saved anew."""
    if checksum and Path(path).match(file):
        kind, wanted = checksum.split()
        with open(path, "rb") as stream:
            found = hashlib.file_digest(stream, kind.lower().replace("-", "")).hexdigest()
        if found != wanted:
            print(
                f"{Path(path).name} is not byte for byte its publisher's file ({checksum}; this one has "
                f"{found}). It is used if its weights fit; where you did not save it anew yourself, fetch it again."
            )


def _load(model: keras.Model, path: str, name: str) -> None:
    """Load weights, and weights alone: of a whole model's file nothing else is read, so no code in it can run."""
    with _explained_misfit(name, path), _named_for_keras(path) as readable:
        model.load_weights(readable)


@contextlib.contextmanager
def _named_for_keras(path: str):
    """Yield a path of the same file whose ending Keras knows: it takes ``.H5`` for an unknown format."""
    ending = next((e for e in (".weights.h5", *_ENDINGS) if path.lower().endswith(e)), "")
    if path.endswith(ending):
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        link = Path(folder) / f"file{ending}"
        link.symlink_to(Path(path).resolve())
        yield str(link)


@contextlib.contextmanager
def _explained_misfit(name: str, path: str):
    """Refuse a file of other weights in one message; Keras alone would only warn where a layer keeps its start."""
    if path in ("none", "imagenet"):
        yield
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            yield
    except (ValueError, OSError, KeyError, TypeError, AttributeError, IndexError, UserWarning) as error:
        why = " ".join(str(error).split())
        raise UserError(
            f"{path} does not hold weights of {name}: {why[:300]}. Give the file of this very network, "
            "or set 'weights' to 'none'."
        ) from error


def _batchnorms(model: keras.Model) -> Iterator[keras.layers.BatchNormalization]:
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _batchnorms(layer)
        elif isinstance(layer, keras.layers.BatchNormalization):
            yield layer


DETECTOR_HEAD = 4
"""Layers that :func:`detector` puts on a backbone."""


def detector(
    name: str, size: int, weights: str = "none", dropout: float = 0.3, momentum: float | None = None
) -> keras.Model:
    """Build a stroke detector with the paper's head: global average pooling, dropout, dense 128 relu, dense 1 sigmoid.

    Args:
        name: a key of :data:`BACKBONES`.
        size: side of the square RGB input in pixels; the paper's is 224.
        weights: as for :func:`build_backbone`.
        dropout: fraction, 0.3 to 0.5 in the paper.
        momentum: BatchNorm momentum; None keeps each network's own.

    Returns:
        A model from float32 (b, size, size, 3) to the stroke probability (b, 1). All weights are trainable.
    """
    backbone = build_backbone(name, size, weights)
    x = keras.layers.GlobalAveragePooling2D()(backbone.output)
    x = keras.layers.Dropout(dropout)(x)
    x = keras.layers.Dense(128, activation="relu")(x)
    output = keras.layers.Dense(1, activation="sigmoid")(x)
    return _finished(keras.Model(backbone.input, output, name=f"detector_{name}"), momentum)


def type_classifier(
    name: str, size: int, weights: str = "none", dropout: float = 0.5, momentum: float | None = None
) -> keras.Model:
    """Build a classifier of stroke slices into ischemia (output 0) and hemorrhage (output 1).

    Args:
        name: ``cnn`` (convolution-relu-pooling stack, flatten, dense with dropout), ``resnet18`` or
            ``efficientnetv2b0`` (average pooling, BatchNorm, dropout).
        size: side of the square RGB input in pixels; the paper's is 224.
        weights: as for :func:`build_backbone`; the CNN takes ``none`` or a file.
        dropout: fraction; not stated in the paper.
        momentum: BatchNorm momentum; None keeps each network's own.

    Returns:
        A model from float32 (b, size, size, 3) to two softmax probabilities (b, 2).
    """
    check_known(name, TYPE_PREPROCESS, "type classifier")
    if name == "cnn":
        if weights == "imagenet":
            raise UserError(_NO_IMAGENET)
        model = _type_cnn(size, dropout)
        given = weights_for(name, weights)
        if given != "none":
            _load(model, given, name)
        return model
    backbone = build_backbone(name, size, weights)
    x = keras.layers.GlobalAveragePooling2D()(backbone.output)
    if name == "efficientnetv2b0":
        x = keras.layers.BatchNormalization()(x)
        x = keras.layers.Dropout(dropout)(x)
    output = keras.layers.Dense(2, activation="softmax")(x)
    return _finished(keras.Model(backbone.input, output, name=f"type_{name}"), momentum)


def load_detectors_encoder(model: keras.Model, name: str, path: str | os.PathLike) -> None:
    """Give a type classifier the backbone of a trained detector; its head keeps its start.

    Detectors and type classifiers may see one grey in different numbers. Where they do, the backbone's first layer, a
    BatchNorm, gets the mean and variance it learned in the new numbers: its answer to a slice stays the same.

    Args:
        model: of :func:`type_classifier`, with the backbone ``name``.
        name: a key of :data:`BACKBONES`.
        path: weights of a whole detector, as training leaves them.

    Raises:
        UserError: no such file, or weights of another network.
    """
    trained = detector(name, model.input_shape[1])
    _load(trained, weights_for(name, str(path)), f"a {name} detector")
    for theirs, ours in zip(trained.layers[:-DETECTOR_HEAD], model.layers, strict=False):
        ours.set_weights(theirs.get_weights())
    ends = tf.constant([0.0, 255.0])[:, None] * tf.ones(3)
    (old0, old1), (new0, new1) = (
        np.asarray(form(ends)) for form in (BACKBONES[name].preprocess, TYPE_PREPROCESS[name])
    )
    scale = (new1 - new0) / (old1 - old0)
    shift = new0 - scale * old0
    if np.any(scale != 1) or np.any(shift != 0):
        first = model.layers[1]
        if not isinstance(first, keras.layers.BatchNormalization):
            raise UserError(f"The first layer of {name} is no BatchNorm: a detector's weights do not fit other pixels.")
        first.moving_mean.assign(scale * first.moving_mean + shift)
        first.moving_variance.assign(scale**2 * first.moving_variance)


def _type_cnn(size: int, dropout: float) -> keras.Model:
    """Stack convolution, relu and max-pooling, flatten, dense with dropout, two outputs. Widths are ours."""
    x = image = keras.Input((size, size, 3))
    for width in (16, 32, 64, 64):
        x = keras.layers.Conv2D(width, 3, padding="same", activation="relu")(x)
        x = keras.layers.MaxPooling2D()(x)
    x = keras.layers.Flatten()(x)
    x = keras.layers.Dense(128, activation="relu")(x)
    x = keras.layers.Dropout(dropout)(x)
    return keras.Model(image, keras.layers.Dense(2, activation="softmax")(x), name="type_cnn")


def unet(
    encoder: str, size: int, weights: str = "none", momentum: float | None = None, stochastic_depth: bool = True
) -> keras.Model:
    """Build segmentation-models' U-Net with a softmax over background, ischemia and hemorrhage.

    Args:
        encoder: one of the vocabulary's ``ALL_ENCODERS``: the paper's, and MobileNetV2, which is Keras' own network
            and so can start from all that a detector can.
        size: side of the square RGB input in pixels, a multiple of 32; the paper's is 512.
        weights: ``none``, ``imagenet``, a weights file or a folder of files, for the encoder (:func:`weights_for`).
        momentum: BatchNorm momentum; None keeps the network's own.
        stochastic_depth: whether EfficientNet leaves out blocks at random while it trains, of the deepest a third, as
            its authors do (Huang et al. 2016). It changes no weight and no prediction.

    Returns:
        A model from float32 (b, size, size, 3) to class probabilities (b, size, size, 3).
    """
    check_known(encoder, dict.fromkeys((*ALL_ENCODERS, *UNET_ENCODERS)), "segmentation encoder")
    if size % 32:
        raise UserError(f"A U-Net's input side must be a multiple of 32, found {size}.")
    start = None
    if encoder in BACKBONES and encoder not in UNET_ENCODERS:
        start, weights = build_backbone(encoder, size, weights), "none"
    given = weights_for(encoder, weights, unet=True)
    published = ENCODER_FILES.get(encoder, ""), ENCODER_CHECKSUMS.get(encoder, "")
    download = _explained_download(encoder, published[0], "segmentation-models", published[1])
    if given not in ("none", "imagenet"):
        _compare_with_publishers(*published, given)
    with download, _explained_misfit(f"{encoder} without its top", given), _named_for_keras(given) as readable:
        model = sm.Unet(
            encoder,
            input_shape=(size, size, 3),
            classes=3,
            activation="softmax",
            encoder_weights=None if given == "none" else readable,
        )
    if start:
        for layer in start.layers:
            if layer.weights:
                model.get_layer(layer.name).set_weights(layer.get_weights())
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dropout) and not stochastic_depth:
            layer.rate = 0.0  # read in each trace, and there is none before the first step
    return _finished(model, momentum)


def unet_preprocess(encoder: str, pixels: str) -> Preprocess:
    """Return the preprocessing of a U-Net's input, 0-255 in; ``pixels`` is one of the vocabulary's ``PIXEL_FORMS``."""
    check_known(pixels, PIXEL_FORMS, "input of a U-Net")
    if pixels == "unit":
        return inputs.unit_range
    return sm.get_preprocessing(encoder) if encoder in UNET_ENCODERS else BACKBONES[encoder].preprocess


MASK_OPTIONS = "mask_options"
"""What ``checkpoint.json`` calls the options of masks that were chosen for its network."""


def write_checkpoint(folder: str | os.PathLike, encoder: str, size: int, pixels: str, **more: object) -> None:
    """Write ``checkpoint.json`` beside ``best.weights.h5``: what :func:`load_unet` needs to build the U-Net anew.

    ``more`` is written along, for networks that need more than a U-Net does.
    """
    about = {"encoder": encoder, "size": size, "input": pixels, "classes": list(MASK_CLASSES), **more}
    about["sha256"], path = identity.sha256(Path(folder, "best.weights.h5")), Path(folder, "checkpoint.json")
    before = files.read_json(path) if path.is_file() else {}
    if MASK_OPTIONS in before and before["sha256"] == about["sha256"]:  # a reused network keeps what was chosen for it
        about[MASK_OPTIONS] = before[MASK_OPTIONS]
    files.write_json(path, about)


def read_checkpoint(folder: str | os.PathLike) -> dict:
    """Return what :func:`write_checkpoint` wrote, once it is sure that the weights beside it are those it speaks of.

    Raises:
        UserError: a file is missing, or the weights are not those that the JSON was written for.
    """
    path, weights = Path(folder, "checkpoint.json"), Path(folder, "best.weights.h5")
    if not (path.is_file() and weights.is_file()):
        raise UserError(f"{paths.shown(folder)} needs checkpoint.json and best.weights.h5. Train that model again.")
    about = files.read_json(path)
    if identity.sha256(weights) != about["sha256"]:
        raise UserError(f"{paths.shown(weights)} is not the file that {path.name} was written for. Train it again.")
    return about


def load_unet(folder: str | os.PathLike) -> tuple[keras.Model, Preprocess, dict]:
    """Build a U-Net anew from a folder of a run: the model with its best weights, its preprocessing, its parameters.

    Raises:
        UserError: of :func:`read_checkpoint`.
    """
    about = read_checkpoint(folder)
    model = unet(about["encoder"], about["size"])
    model.load_weights(Path(folder, "best.weights.h5"))
    return model, unet_preprocess(about["encoder"], about["input"]), about


def _finished(model: keras.Model, momentum: float | None) -> keras.Model:
    """Set up a network's BatchNorms.

    After a few dozen steps from random weights Keras' usual momentum, 0.99, still remembers its initial mean 0 and
    variance 1, so that inference looks broken where training does not.
    """
    for layer in _batchnorms(model):
        if momentum is not None:
            layer.momentum = momentum
        layer.synchronized = tf.distribute.has_strategy()  # else each device would count its share of a batch alone
    return model
