"""From slices on disk to batches of tensors.

The order of the training data is a pure function of (seed, epoch, slice): a run that stops and goes
on sees what an unbroken one would have seen.
"""

import contextlib
import os

os.environ.setdefault("SM_FRAMEWORK", "tf.keras")  # segmentation-models reads it at its first import
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from stroke_utils import files, masks
from stroke_utils.files import UserError
from stroke_utils.vocabulary import MASK_CLASSES

with files.silence_stderr():
    import tensorflow as tf

tf.get_logger().setLevel("ERROR")  # it warns that graphs are traced often, where several networks are trained in turn

IMAGENET_MEAN = (0.485, 0.456, 0.406)
"""Mean of ImageNet's RGB channels on [0, 1]."""

IMAGENET_SD = (0.229, 0.224, 0.225)
"""Standard deviation of ImageNet's RGB channels on [0, 1]."""

SHARD_SLICES = 64
"""Slices in one TFRecord shard."""

WINDOW_SLICES = 128
"""Slices that are held in memory to be mixed, drawn in turn from four shards."""


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


def resized(slices: pd.DataFrame, size: int, fingerprint: str, quiet: bool = False) -> pd.Series:
    """Write every slice once at the size a model takes; later epochs read these small files.

    Args:
        slices: rows with ``slice_id`` and ``png``.
        size: side in pixels.
        fingerprint: the cohort's; the files lie in ``data/derived/<fingerprint>/resized/<size>/``.

    Returns:
        Paths of RGB PNG files, in the order and with the index of ``slices``.
    """
    folder = files.derived_root() / fingerprint / "resized" / str(size)
    folder.mkdir(parents=True, exist_ok=True)
    targets = slices["slice_id"].map(lambda s: str(folder / f"{s}.png"))
    missing = slices[~targets.map(lambda p: Path(p).is_file())]
    if len(missing):

        def shrink(path: tf.Tensor, target: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return tf.io.encode_png(decode(path, size), compression=1), target

        todo = tf.data.Dataset.from_tensor_slices((missing["png"].tolist(), targets[missing.index].tolist()))
        todo = todo.map(shrink, num_parallel_calls=tf.data.AUTOTUNE)
        what = f"Resizing slices to {size}×{size}"
        for png, target in files.progress(todo, what, total=len(missing), quiet=quiet):
            with files.atomic_path(target.numpy().decode()) as temporary:
                temporary.write_bytes(png.numpy())
    return targets


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
    if augmentation not in AUGMENTATIONS:
        raise UserError(f"{augmentation!r} is no augmentation. Known: {', '.join(AUGMENTATIONS)}.")
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


def write_records(
    slices: pd.DataFrame, class_masks: pd.Series, size: int, folder: str | os.PathLike, quiet: bool = False
) -> dict:
    """Write slices and their class masks as ZLIB TFRecords.

    An example holds ``image`` (RGB uint8 bytes), ``mask`` (uint8 bytes, values 0 background, 1 ischemia,
    2 hemorrhage), ``slice_id``, ``label``, and the original ``height`` and ``width``. The image is resized
    with antialiasing, the mask by nearest neighbour from its native size.

    Args:
        slices: rows with ``slice_id``, ``png``, ``label``, ``height``, ``width``.
        class_masks: paths of the class masks, same index.
        size: side in pixels; the paper's is 512.
        folder: a folder that does not exist yet; it appears whole or not at all.

    Returns:
        The manifest, also written as ``manifest.json``: size, slices and a SHA-256 of each shard.
    """
    options = tf.io.TFRecordOptions(compression_type="ZLIB")
    manifest = {"size": size, "slices": len(slices), "shards": {}}
    rows = list(zip(slices.itertuples(), class_masks.loc[slices.index], strict=True))
    with _disk_full(folder), files.atomic_folder(folder) as temporary:
        shards = range(0, len(rows), SHARD_SLICES)
        for number, first in enumerate(files.progress(shards, "Writing TFRecord shards", quiet=quiet)):
            path = temporary / f"{number:05d}-of-{len(shards):05d}.tfrecord"
            with tf.io.TFRecordWriter(str(path), options) as writer:
                for row, mask in rows[first : first + SHARD_SLICES]:
                    writer.write(_example(row, mask, size).SerializeToString())
            manifest["shards"][path.name] = files.sha256(path)
        files.write_json(temporary / "manifest.json", manifest)
    return manifest


def ensure_records(
    slices: pd.DataFrame, class_masks: pd.Series, size: int, folder: str | os.PathLike, quiet: bool = False
) -> dict:
    """Do :func:`write_records` where ``folder`` is not there yet; a second process waits for the first.

    Returns:
        The manifest, after a check of what was there.

    Raises:
        UserError: of :func:`check_records`; or what is there was written from other slices.
    """
    with files.lock(folder, "the TFRecords"):
        if not Path(folder).exists():
            return write_records(slices, class_masks, size, folder, quiet)
    manifest = check_records(folder)
    if (manifest["size"], manifest["slices"]) != (size, len(slices)):
        raise UserError(
            f"{files.shown(folder)} holds {manifest['slices']} slices of side {manifest['size']}, expected "
            f"{len(slices)} of side {size}. Delete it and run again; it is made anew."
        )
    return manifest


@contextlib.contextmanager
def _disk_full(folder: str | os.PathLike) -> Iterator[None]:
    """TensorFlow does not raise OSError where a disk is full."""
    try:
        yield
    except tf.errors.ResourceExhaustedError as error:
        raise UserError(f"No space left on the disk while writing {folder}. Free some and run again.") from error


def _example(row: object, mask_path: str, size: int) -> tf.train.Example:
    mask = tf.constant(masks.read_class_mask(mask_path))[..., None]
    mask = tf.image.resize(mask, (size, size), method="nearest")
    text = {"slice_id": row.slice_id, "label": row.label}
    features = {k: tf.train.Feature(bytes_list=tf.train.BytesList(value=[v.encode()])) for k, v in text.items()}
    for name, array in (("image", decode(tf.constant(row.png), size)), ("mask", mask)):
        features[name] = tf.train.Feature(bytes_list=tf.train.BytesList(value=[array.numpy().tobytes()]))
    for name in ("height", "width"):
        features[name] = tf.train.Feature(int64_list=tf.train.Int64List(value=[getattr(row, name)]))
    return tf.train.Example(features=tf.train.Features(feature=features))


def check_records(folder: str | os.PathLike) -> dict:
    """Compare the shards of a folder with its manifest and return the manifest.

    Raises:
        UserError: names the shard that is missing, changed or not in the manifest.
    """
    folder = Path(folder)
    remedy = f"Delete {files.shown(folder)} and run again; it is made anew."
    if not (folder / "manifest.json").is_file():
        raise UserError(f"{files.shown(folder)} has no manifest.json, so it is no finished set of TFRecords. {remedy}")
    manifest = files.read_json(folder / "manifest.json")
    found = {p.name for p in folder.glob("*.tfrecord")}
    for name, expected in manifest["shards"].items():
        if name not in found:
            raise UserError(f"Shard {name} is missing from {files.shown(folder)}. {remedy}")
        if files.sha256(folder / name) != expected:
            raise UserError(f"Shard {name} in {files.shown(folder)} differs from its checksum. {remedy}")
    for name in sorted(found - set(manifest["shards"])):
        raise UserError(f"Shard {name} in {files.shown(folder)} is not in the manifest. {remedy}")
    return manifest


def parse_example(example: tf.Tensor, size: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Turn one serialised example into a uint8 image (size, size, 3) and a uint8 class mask (size, size)."""
    parsed = tf.io.parse_single_example(
        example, {"image": tf.io.FixedLenFeature([], tf.string), "mask": tf.io.FixedLenFeature([], tf.string)}
    )
    image = tf.reshape(tf.io.decode_raw(parsed["image"], tf.uint8), (size, size, 3))
    return image, tf.reshape(tf.io.decode_raw(parsed["mask"], tf.uint8), (size, size))


def record_batches(
    folder: str | os.PathLike,
    preprocess: Callable[[tf.Tensor], tf.Tensor] = unit_range,
    batch: int = 2,
    seed: int | None = None,
    epochs: int = 1,
) -> tf.data.Dataset:
    """Make batches for segmentation from a folder of TFRecords.

    Shards are read in an order, and slices mixed within a window of several shards, that depend on
    (seed, epoch) alone; memory does not grow with the number of shards.

    Returns:
        float32 images (b, size, size, 3) and one-hot float32 masks (b, size, size, 3). No batch spans two passes.
    """
    manifest = check_records(folder)
    size, names = manifest["size"], [str(Path(folder) / name) for name in manifest["shards"]]
    shards = tf.constant(names)

    def read(path: tf.Tensor) -> tf.data.Dataset:
        return tf.data.TFRecordDataset(path, compression_type="ZLIB")

    def mix(epoch: tf.Tensor, window: tf.Tensor, n: tf.Tensor) -> tf.Tensor:
        key = tf.stack([tf.constant(seed, tf.int64), (epoch + 1) * 1_000_003 + window])
        positions = tf.range(tf.cast(n, tf.int64))
        return tf.random.experimental.index_shuffle(positions, key, tf.cast(n - 1, tf.int64))

    def one_pass(epoch: tf.Tensor) -> tf.data.Dataset:
        if seed is None:
            return tf.data.Dataset.from_tensor_slices(shards).flat_map(read).batch(batch)
        key = tf.stack([tf.constant(seed, tf.int64), epoch])
        last = tf.constant(len(names) - 1, tf.int64)
        order = tf.data.Dataset.range(len(names)).map(
            lambda i: shards[tf.random.experimental.index_shuffle(i, key, last)]
        )
        mixed = order.interleave(read, cycle_length=4, block_length=1, deterministic=True)
        # Not Dataset.shuffle: its order would also depend on TensorFlow's global seed.
        mixed = mixed.batch(WINDOW_SLICES).enumerate()
        mixed = mixed.map(lambda window, examples: tf.gather(examples, mix(epoch, window, tf.size(examples)))).unbatch()
        return mixed.batch(batch)

    def load(examples: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        signature = (tf.TensorSpec((size, size, 3), tf.uint8), tf.TensorSpec((size, size), tf.uint8))
        images, classes = tf.map_fn(lambda e: parse_example(e, size), examples, fn_output_signature=signature)
        return preprocess(tf.cast(images, tf.float32)), tf.one_hot(classes, len(MASK_CLASSES))

    passes = tf.data.Dataset.range(epochs).flat_map(one_pass)
    passes = passes.apply(tf.data.experimental.assert_cardinality(epochs * -(-manifest["slices"] // batch)))
    return passes.map(load, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
