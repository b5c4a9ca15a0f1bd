"""Files that carry a start for backbones without ImageNet: written in half precision, read in full.

They come with the package, in ``weights/``, each with a card that says what it was made of;
:mod:`stroke_utils.learn.pretrain` makes them.
With ``KERAS_BACKEND`` set to another backend than TensorFlow the module runs on that one; the files are the same.
"""

import os
import tempfile
import warnings
from pathlib import Path

import h5py
import numpy as np

from stroke_utils.base import files, paths
from stroke_utils.base.errors import UserError

if os.environ.get("KERAS_BACKEND", "tensorflow") == "tensorflow":
    from stroke_utils.learn.backend import keras
else:
    import keras

WEIGHTS = Path(__file__).parent / "weights"
"""Folder of the files that come with the package: ``<backbone>.weights.h5`` with its card ``<backbone>.json``."""

KEPT = {"resnet50": "conv3_block4_out"}
"""Last layer whose weights a file keeps, where it keeps a part. All of ResNet50 would be 47 MB, its first three stages
are 3 MB, and a detector that starts from these is no worse (docs/decisions/013-a-start-from-drawn-heads.md)."""


def file_of(name: str) -> Path | None:
    """Return the package's own start of a backbone, None where it has none: such a network starts at random."""
    path = WEIGHTS / f"{name}.weights.h5"
    return path if path.is_file() else None


def is_start(path: str | Path) -> bool:
    """Tell whether a weights file is one of :func:`save_backbone`; any other file is none, whatever it holds."""
    try:
        with h5py.File(path) as found:
            return "backbone" in found.attrs
    except OSError:
        return False


def save_backbone(name: str, backbone: keras.Model, path: str | Path) -> None:
    """Write a backbone's weights in half precision, as a Keras weights file, whole or not at all.

    The file is Keras' own form, so that ``model.load_weights`` reads it with or without this package. Kernels are
    float16. What has one dimension stays float32: it is one percent of the numbers, and BatchNorm's moving variances
    among it span more orders of magnitude than float16 holds. Of a backbone in `KEPT` the file keeps its first stages.

    Args:
        name: a key of `BACKBONES`; the file remembers it.
        backbone: without its top.
        path: ends with ``.weights.h5``.

    Raises:
        UserError: a weight is not finite, also because float16 cannot hold it.
    """
    with files.atomic_path(path) as half, tempfile.TemporaryDirectory(dir=half.parent, prefix=".") as folder:
        full = Path(folder, "full.weights.h5")  # beside it, so that the folder that is full is the one that is named
        _kept(name, backbone).save_weights(full)
        with h5py.File(full) as source, h5py.File(half, "w") as target:
            source.visititems(lambda where, item: _copy_half(where, item, target))
            target.attrs["backbone"] = name


def _kept(name: str, backbone: keras.Model) -> keras.Model:
    """Return the part of a backbone that its file keeps; it shares the backbone's layers."""
    if name not in KEPT:
        return backbone
    return keras.Model(backbone.input, backbone.get_layer(KEPT[name]).output)


def _copy_half(where: str, item: h5py.Group | h5py.Dataset, target: h5py.File) -> None:
    """Copy one entry of a weights file with its attributes, kernels as float16."""
    if isinstance(item, h5py.Group):
        target.require_group(where).attrs.update(item.attrs)
        return
    values = item[()]
    if np.ndim(values) > 1:
        with np.errstate(over="ignore"):
            values = values.astype(np.float16)
    if not np.all(np.isfinite(values)):
        raise UserError(f"The weights {where} are not finite in half precision: the training went astray.")
    packed = {"compression": "gzip", "compression_opts": 9, "shuffle": True} if np.size(values) > 2000 else {}
    target.create_dataset(where, data=values, **packed).attrs.update(item.attrs)


def load_backbone(name: str, backbone: keras.Model, path: str | Path) -> None:
    """Give a backbone the weights of a file of `save_backbone`, in float32 again.

    Args:
        name: a key of `BACKBONES`.
        backbone: that network without its top, of any input size; changed in place.
        path: of the file.

    Raises:
        UserError: no such file, a file of another network, or one that is damaged.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"There is no weights file {paths.shown(path)}.")
    try:
        with h5py.File(path) as found:
            theirs = found.attrs.get("backbone")
        if theirs != name:
            raise UserError(
                f"{paths.shown(path)} holds weights of {theirs or 'an unnamed network'}, expected {name}. Give "
                f"{name}.weights.h5."
            )
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # Keras only warns where a layer keeps its start
            _kept(name, backbone).load_weights(path)
    except (ValueError, OSError, KeyError, UserWarning) as error:
        why = " ".join(str(error).split())
        raise UserError(f"{paths.shown(path)} does not fit {name} without its top: {why[:300]}") from error
