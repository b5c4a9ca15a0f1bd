"""From slices on disk to batches of tensors.

The order of the training data is a pure function of (seed, epoch, slice): a run that stops and goes
on sees what an unbroken one would have seen.
"""

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from stroke_utils.base import files, identity, progress
from stroke_utils.base.errors import UserError, check_known
from stroke_utils.learn.backend import tf

IMAGENET_MEAN = (0.485, 0.456, 0.406)
"""Mean of ImageNet's RGB channels on [0, 1]."""

IMAGENET_SD = (0.229, 0.224, 0.225)
"""Standard deviation of ImageNet's RGB channels on [0, 1]."""


@contextlib.contextmanager
def there() -> Iterator[None]:
    """Say what to do where a file that a dataset reads is gone: TensorFlow's own text is a page of its graph.

    Raises:
        UserError: names the file.
    """
    try:
        yield
    except tf.errors.NotFoundError as error:
        found = re.search(r"(?:^|\s)(/.+?); No such file or directory", str(error))
        if not found:
            raise
        raise UserError(files.gone(found[1])) from error


def decode(path: tf.Tensor, size: int) -> tf.Tensor:
    """Read a PNG and resize it, in the graph.

    Returns:
        uint8 tensor (size, size, 3). The resize is bilinear with antialiasing and ignores the aspect
        ratio, as the paper's fixed input size does.
    """
    image = tf.image.decode_png(tf.io.read_file(path), channels=3)

    def shrink() -> tf.Tensor:
        small = tf.image.resize(tf.cast(image, tf.float32), (size, size), antialias=True)
        return tf.saturate_cast(tf.round(small), tf.uint8)

    # A file of the right size, as `resized` makes them, would come out as it is, but late.
    image = tf.cond(tf.reduce_all(tf.shape(image)[:2] == size), lambda: image, shrink)
    return tf.ensure_shape(image, (size, size, 3))


def at_size(image: np.ndarray, size: int) -> tf.Tensor:
    """Return a slice (H, W, 3) as a batch of one at a model's size, float32 (1, size, size, 3), values 0–255."""
    small = tf.image.resize(tf.cast(image, tf.float32), (size, size), antialias=True)
    return tf.round(small)[None]  # training saw whole grey levels


def resized(slices: pd.DataFrame, size: int, fingerprint: str, quiet: bool = False) -> pd.Series:
    """Write every slice once at the size a model takes; later epochs read these small files.

    Args:
        slices: rows with ``slice_id`` and ``png``.
        size: side in pixels.
        fingerprint: the cohort's; with the size and the code that resizes it names the folder.

    Returns:
        Paths of RGB PNG files, in the order and with the index of ``slices``. A file that was cut short is made anew.

    Raises:
        UserError: a slice's file is gone, or the derived folder is torn or cannot be written.
    """
    made_of = {"inputs": {"cohort": fingerprint}, "settings": {"size": size}}
    folder = identity.Identity("resized", ("learn.inputs",), **made_of).folder()
    targets = slices["slice_id"].map(lambda s: str(folder / f"{s}.png"))
    missing = slices[~targets.map(_ends_as_png)]
    if len(missing):

        def shrink(path: tf.Tensor, target: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return tf.io.encode_png(decode(path, size), compression=1), target

        todo = tf.data.Dataset.from_tensor_slices((missing["png"].tolist(), targets[missing.index].tolist()))
        todo = todo.map(shrink, num_parallel_calls=tf.data.AUTOTUNE)
        what = f"Resizing slices to {size}×{size}"
        with there():
            for png, target in progress.track(todo, what, total=len(missing), quiet=quiet):
                with files.atomic_path(target.numpy().decode()) as temporary:
                    temporary.write_bytes(png.numpy())
    return targets


def _ends_as_png(path: str) -> bool:
    """Tell whether a file is there and ends with a PNG's last chunk."""
    try:
        with open(path, "rb") as stream:
            stream.seek(-8, os.SEEK_END)
            return stream.read(4) == b"IEND"
    except OSError:
        return False


def imagenet_normalise(images: tf.Tensor) -> tf.Tensor:
    """Scale pixels from 0–255 to ImageNet's mean 0 and standard deviation 1, per channel, as torchvision does."""
    return (images / 255.0 - tf.constant(IMAGENET_MEAN)) / tf.constant(IMAGENET_SD)


def unit_range(images: tf.Tensor) -> tf.Tensor:
    """Scale pixels from 0–255 to [0, 1]."""
    return images / 255.0


def raw(images: tf.Tensor) -> tf.Tensor:
    """Leave pixels as they are, 0–255."""
    return images


@dataclass(frozen=True)
class Augmentation:
    """How far a training slice may be changed, each amount drawn uniformly from plus to minus its limit.

    Attributes:
        flip: mirror left and right half of the time.
        degrees: rotation about the centre.
        zoom: relative change of size.
        shift: translation as a fraction of the side.
        contrast: relative change of the grey levels' spread about 128, and of brightness as a fraction of 255.
    """

    flip: bool = False
    degrees: float = 0.0
    zoom: float = 0.0
    shift: float = 0.0
    contrast: float = 0.0


AUGMENTATIONS = {
    "none": Augmentation(),
    "light": Augmentation(flip=True, degrees=8, zoom=0.08, shift=0.04),
    "strong": Augmentation(flip=True, degrees=25, zoom=0.2, shift=0.1, contrast=0.2),
}
"""Named amounts. The paper finds that more augmentation made its models overfit earlier, but gives no amounts."""


def augment(images: tf.Tensor, indices: tf.Tensor, epoch: tf.Tensor, seed: int, amount: Augmentation) -> tf.Tensor:
    """Change each training image by an amount that depends on (seed, epoch, slice) alone.

    Args:
        images: float32 (b, H, W, 3), values 0–255.
        indices: int64 (b,), the slices' places in the table.
        epoch: scalar int64.
        seed: of the run.
        amount: the limits.

    Returns:
        float32 (b, H, W, 3), values 0–255; what comes in from outside is black, as the scan's surroundings are.
    """

    def draw(index: tf.Tensor) -> tf.Tensor:
        key = tf.stack([tf.constant(seed, tf.int64) * 1_000_003 + epoch, index])
        return tf.random.stateless_uniform((7,), key, -1.0, 1.0)

    drawn = tf.map_fn(draw, indices, fn_output_signature=tf.TensorSpec((7,), tf.float32))
    turn, zoom, right, down, mirror, spread, bright = tf.unstack(drawn, axis=1)
    side = tf.cast(tf.shape(images)[1], tf.float32)
    angle, scale = turn * amount.degrees * np.pi / 180, 1 + zoom * amount.zoom
    sign = tf.where((mirror < 0) & amount.flip, -1.0, 1.0)
    cos, sin = tf.cos(angle) / scale, tf.sin(angle) / scale
    # The op maps places of the output to places of the input; the centre stays where it is, but for the shift.
    centre = (side - 1) / 2
    a, b, c, d = cos * sign, -sin, sin * sign, cos
    x = centre - a * centre - b * centre + right * amount.shift * side
    y = centre - c * centre - d * centre + down * amount.shift * side
    zero = tf.zeros_like(a)
    images = tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.stack([a, b, x, c, d, y, zero, zero], axis=1),
        output_shape=tf.shape(images)[1:3],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )
    spread, bright = spread[:, None, None, None] * amount.contrast, bright[:, None, None, None] * amount.contrast
    return tf.clip_by_value((images - 128) * (1 + spread) + 128 + bright * 255, 0, 255)


def index_batches(n: int, batch: int, seed: int | None = None, epochs: int = 1) -> tf.data.Dataset:
    """Give the epoch and the indices of each batch of ``epochs`` passes over ``range(n)``.

    With a seed the order of a pass depends on (seed, epoch) alone, without it the order is kept. No
    batch spans two passes, so the last of each may be smaller.

    Returns:
        ``epochs * ceil(n / batch)`` pairs: scalar epoch and up to ``batch`` indices, int64.
    """
    steps = -(-n // batch)

    def indices(step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        epoch, first = step // steps, step % steps * batch
        positions = tf.range(first, tf.minimum(first + batch, n))
        if seed is None:
            return epoch, positions
        key = tf.stack([tf.constant(seed, tf.int64), epoch])
        return epoch, tf.random.experimental.index_shuffle(positions, key, tf.constant(n - 1, tf.int64))

    return tf.data.Dataset.range(epochs * steps).map(indices)


def image_batches(
    paths: list[str] | pd.Series,
    targets: np.ndarray | None,
    preprocess: Callable[[tf.Tensor], tf.Tensor],
    size: int,
    batch: int = 32,
    seed: int | None = None,
    epochs: int = 1,
    augmentation: str = "none",
) -> tf.data.Dataset:
    """Make batches of images and targets for a classifier.

    Args:
        paths: PNG files, of any size.
        targets: array (n, …) that goes with the paths, None to give images only.
        preprocess: function of a float32 batch (b, size, size, 3) with values 0–255.
        size: side in pixels.
        batch: slices per batch; the last of a pass may be smaller.
        seed: order of training; None keeps the given order.
        epochs: passes over the slices, one after the other in the same dataset.
        augmentation: a key of :data:`AUGMENTATIONS`, for training only.

    Returns:
        float32 images (b, size, size, 3) with float32 targets (b, …).

    Raises:
        UserError: unknown augmentation.
    """
    check_known(augmentation, AUGMENTATIONS, "augmentation")
    names = tf.constant(list(paths))
    labels = tf.constant(np.zeros(len(names)) if targets is None else targets, tf.float32)

    def load(epoch: tf.Tensor, indices: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        signature = tf.TensorSpec((size, size, 3), tf.uint8)
        images = tf.map_fn(lambda i: decode(names[i], size), indices, fn_output_signature=signature)
        images = tf.cast(images, tf.float32)
        if augmentation != "none":
            images = augment(images, indices, epoch, seed, AUGMENTATIONS[augmentation])
        images = preprocess(images)
        return images if targets is None else (images, tf.gather(labels, indices))

    batches = index_batches(len(names), batch, seed, epochs)
    return batches.map(load, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
