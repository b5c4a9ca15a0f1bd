"""Slices and masks as TFRecords: written once, in parallel and whole; checked before reading; read as a stream."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd

from stroke_utils.base import files, identity, paths, progress
from stroke_utils.base.errors import UserError
from stroke_utils.base.vocabulary import MASK_CLASSES
from stroke_utils.data import masks, pixels, regions
from stroke_utils.learn import inputs
from stroke_utils.learn.backend import tf

SCHEMA = 3
"""Version of the records' layout: raised whenever a reader of older ones would misread them."""

SHARD_SLICES = 64
"""Slices in one TFRecord shard."""

WINDOW_SLICES = 128
"""Slices that are held in memory to be mixed, drawn in turn from four shards."""

UNKNOWN_TYPE = "stroke"
"""What the records call the type of a stroke that nobody has told."""

UNKNOWN_MASK = 255
"""Value of every pixel of a mask that nobody has drawn; one-hot it has no class, so that a loss can leave it out."""


def _labels(slices: pd.DataFrame) -> pd.Series:
    """Return the label of each slice, ``UNKNOWN_TYPE`` for a stroke without one.

    Raises:
        UserError: a slice of which not even that is known.
    """
    unknown = slices["label"].isna()
    strokes = slices.loc[unknown, "stroke"].eq(1).fillna(False) if unknown.any() else unknown[unknown]
    if not strokes.all():
        raise UserError(
            f"Slice {slices.loc[strokes.index[~strokes][0], 'slice_id']} has no label, and no table says that it is a "
            "stroke. Leave out what is unlabelled."
        )
    return slices["label"].fillna(UNKNOWN_TYPE)


def sources(slices: pd.DataFrame, class_masks: pd.Series) -> str:
    """Return a digest of all that a set of records is made from.

    It covers the slices' ids, types, order and sizes, and the bytes of every slice and every mask.
    """
    with files.there(), ThreadPoolExecutor(progress.cores()) as pool:
        known = class_masks.loc[slices.index]
        hashes = list(pool.map(lambda path: identity.sha256(path) if pd.notna(path) else "", [*slices["png"], *known]))
    about = slices.assign(label=_labels(slices))[["slice_id", "label", "height", "width"]].to_numpy().tolist()
    return identity.digest([about, hashes], 64)


def write_records(
    slices: pd.DataFrame,
    class_masks: pd.Series,
    size: int,
    folder: str | os.PathLike,
    quiet: bool = False,
    made_by: identity.Identity | None = None,
    crop: bool = False,
) -> dict:
    """Write slices and their class masks as ZLIB TFRecords, one thread a shard and one slice in memory a thread.

    An example holds ``image`` (RGB uint8 bytes), ``mask`` (uint8 bytes, values 0 background, 1 ischemia,
    2 hemorrhage), ``slice_id``, ``label``, and the original ``height`` and ``width``. The image is resized
    with antialiasing, the mask by nearest neighbour from its native size; at that size both stay as they are.

    A slice without a stroke needs no mask: it gets an empty one. That of a stroke without a mask is
    :data:`UNKNOWN_MASK` everywhere.

    Args:
        slices: rows with ``slice_id``, ``png``, ``label``, ``height``, ``width``; the label may be missing where
            ``stroke`` is 1, and is then :data:`UNKNOWN_TYPE` in the records.
        class_masks: paths of the class masks, same index, missing where there is none.
        size: side in pixels; the paper's is 512.
        folder: a folder that does not exist yet; it appears whole or not at all.
        quiet: show no progress.
        made_by: is noted in the folder.
        crop: keep of each slice and mask the box around the head alone (:func:`stroke_utils.data.regions.head_box`).

    Returns:
        The manifest, also written as ``manifest.json``: schema, size, slices, slices by type, and slices and SHA-256 of
        each shard.

    Raises:
        UserError: the folder exists, a slice's file is gone, a slice has neither label nor stroke, the disk is full, or
            the folder above cannot be written.
    """
    slices = slices.assign(label=_labels(slices))
    rows = list(zip(slices.itertuples(), class_masks.loc[slices.index], strict=True))
    shards = [rows[k : k + SHARD_SLICES] for k in range(0, len(rows), SHARD_SLICES)]
    manifest = {"schema": SCHEMA, "size": size, "slices": len(rows)}
    manifest["types"] = slices["label"].value_counts().sort_index().to_dict()

    def write(path: Path, shard: list) -> dict:
        # On phantom slices the default level takes four times as long as level 2 and saves a tenth of the space.
        options = tf.io.TFRecordOptions(compression_type="ZLIB", compression_level=2)
        with tf.io.TFRecordWriter(str(path), options) as writer:
            for row, mask in shard:
                writer.write(_example(row, mask, size, crop).SerializeToString())
        return {"slices": len(shard), "sha256": identity.sha256(path)}

    with inputs.there(), files.atomic_folder(folder) as temporary, ThreadPoolExecutor(progress.cores()) as pool:
        paths = [temporary / f"{k:05d}-of-{len(shards):05d}.tfrecord" for k in range(len(shards))]
        written = progress.track(pool.map(write, paths, shards), "Writing TFRecord shards", len(shards), quiet)
        manifest["shards"] = {path.name: about for path, about in zip(paths, written, strict=True)}
        files.write_json(temporary / "manifest.json", manifest)
        if made_by:
            made_by.note(temporary)
    return manifest


def ensure_records(
    slices: pd.DataFrame, class_masks: pd.Series, size: int, quiet: bool = False, crop: bool = False
) -> Path:
    """Do :func:`write_records` where these very records are not there yet; a second process waits for the first.

    Returns:
        Their folder among the derived data, named by the bytes of all slices and masks, the side, whether they are
        cropped, and the code, and checked against its manifest.

    Raises:
        UserError: of :func:`check_records`; what is there is torn or not ours; or it cannot be written.
    """
    settings = {"size": size} | ({"crop": True} if crop else {})
    made_by = identity.Identity("tfrecords", ("learn.tfrecords",), {"slices": sources(slices, class_masks)}, settings)
    folder = made_by.path
    with files.lock(folder, "the TFRecords"):
        if not folder.exists():
            write_records(slices, class_masks, size, folder, quiet, made_by, crop)
    made_by.refuse_others()
    check_records(folder)
    return folder


def _example(row: object, mask_path: str | None, size: int, crop: bool) -> tf.train.Example:
    if crop:
        whole = pixels.read_rgb(row.png)
        box = regions.head_box(whole)
        image = tf.cast(inputs.at_size(whole[box], size)[0], tf.uint8)
    else:
        box, image = ..., inputs.decode(tf.constant(row.png), size)
    if pd.notna(mask_path):
        mask = tf.constant(masks.read_class_mask(mask_path)[box])[..., None]
        mask = tf.image.resize(mask, (size, size), method="nearest")
    else:
        mask = tf.fill((size, size), tf.constant(0 if row.label == "none" else UNKNOWN_MASK, tf.uint8))
    text = {"slice_id": row.slice_id, "label": row.label}
    features = {k: tf.train.Feature(bytes_list=tf.train.BytesList(value=[v.encode()])) for k, v in text.items()}
    for name, array in (("image", image), ("mask", mask)):
        features[name] = tf.train.Feature(bytes_list=tf.train.BytesList(value=[array.numpy().tobytes()]))
    for name in ("height", "width"):
        features[name] = tf.train.Feature(int64_list=tf.train.Int64List(value=[getattr(row, name)]))
    return tf.train.Example(features=tf.train.Features(feature=features))


def check_records(folder: str | os.PathLike) -> dict:
    """Compare the shards of a folder with its manifest and return the manifest.

    Raises:
        UserError: names the shard that is missing, changed or not in the manifest, or the manifest itself.
    """
    folder = Path(folder)
    remedy = f"Delete {paths.shown(folder)} and run again; it is made anew."
    if not (folder / "manifest.json").is_file():
        raise UserError(f"{paths.shown(folder)} has no manifest.json, so it is no finished set of TFRecords. {remedy}")
    manifest = files.read_json(folder / "manifest.json")
    if manifest.get("schema") != SCHEMA:
        found = manifest.get("schema", "none")
        raise UserError(
            f"The manifest.json of {paths.shown(folder)} has schema {found}, this version reads {SCHEMA}. {remedy}"
        )
    found = {p.name for p in folder.glob("*.tfrecord")}
    for name, about in manifest["shards"].items():
        if name not in found:
            raise UserError(f"Shard {name} is missing from {paths.shown(folder)}. {remedy}")
        if identity.sha256(folder / name) != about["sha256"]:
            raise UserError(f"Shard {name} in {paths.shown(folder)} differs from its checksum. {remedy}")
    for name in sorted(found - set(manifest["shards"])):
        raise UserError(f"Shard {name} in {paths.shown(folder)} is not in the manifest. {remedy}")
    if manifest["slices"] != (n := sum(about["slices"] for about in manifest["shards"].values())):
        raise UserError(
            f"The manifest.json of {paths.shown(folder)} names {manifest['slices']} slices, its shards {n}. {remedy}"
        )
    return manifest


def parse_example(example: tf.Tensor, size: int) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Turn one serialised example into a uint8 image (size, size, 3), a uint8 class mask (size, size) and its label."""
    text = {name: tf.io.FixedLenFeature([], tf.string) for name in ("image", "mask", "label")}
    parsed = tf.io.parse_single_example(example, text)
    image = tf.reshape(tf.io.decode_raw(parsed["image"], tf.uint8), (size, size, 3))
    return image, tf.reshape(tf.io.decode_raw(parsed["mask"], tf.uint8), (size, size)), parsed["label"]


def record_batches(
    folder: str | os.PathLike,
    preprocess: Callable[[tf.Tensor], tf.Tensor] = inputs.unit_range,
    batch: int = 2,
    seed: int | None = None,
    epochs: int = 1,
    mirror: bool = False,
    labels: bool = False,
) -> tf.data.Dataset:
    """Make batches for segmentation from a folder of TFRecords.

    Shards are read in an order, and slices mixed within a window of several shards, that depend on
    (seed, epoch) alone; memory does not grow with the number of shards. With ``mirror`` about half of the slices of a
    pass are mirrored with their masks, left for right; which ones depends on (seed, epoch) alone, too.

    Returns:
        float32 images (b, size, size, 3) and one-hot float32 masks (b, size, size, 3), all 0 where a mask is unknown;
        with ``labels`` also the slices' labels (b,), as text. No batch spans two passes.
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

    def turned(epoch: tf.Tensor, window: tf.Tensor, n: tf.Tensor) -> tf.Tensor:
        key = tf.stack([tf.constant(seed, tf.int64), (epoch + 1) * 1_000_003 + window])
        return tf.random.stateless_uniform([n], key) < (0.5 if mirror else 0)

    def one_pass(epoch: tf.Tensor) -> tf.data.Dataset:
        if seed is None:
            plain = tf.data.Dataset.from_tensor_slices(shards).flat_map(read)
            return plain.map(lambda example: (example, False)).batch(batch)
        key = tf.stack([tf.constant(seed, tf.int64), epoch])
        last = tf.constant(len(names) - 1, tf.int64)
        order = tf.data.Dataset.range(len(names)).map(
            lambda i: shards[tf.random.experimental.index_shuffle(i, key, last)]
        )
        mixed = order.interleave(read, cycle_length=4, block_length=1)  # one after the other, so always alike
        # Not Dataset.shuffle: its order would also depend on TensorFlow's global seed.
        mixed = mixed.batch(WINDOW_SLICES).enumerate()

        def shuffled(window: tf.Tensor, examples: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            n = tf.size(examples)
            return tf.gather(examples, mix(epoch, window, n)), turned(epoch, window, n)

        return mixed.map(shuffled).unbatch().batch(batch)

    def load(examples: tf.Tensor, mirrored: tf.Tensor) -> tuple[tf.Tensor, ...]:
        signature = (tf.TensorSpec((size, size, 3), tf.uint8), tf.TensorSpec((size, size), tf.uint8))
        signature = (*signature, tf.TensorSpec((), tf.string))
        images, classes, names = tf.map_fn(lambda e: parse_example(e, size), examples, fn_output_signature=signature)
        images = tf.where(mirrored[:, None, None, None], images[:, :, ::-1], images)
        classes = tf.where(mirrored[:, None, None], classes[:, :, ::-1], classes)
        both = preprocess(tf.cast(images, tf.float32)), tf.one_hot(classes, len(MASK_CLASSES))
        return (*both, names) if labels else both

    passes = tf.data.Dataset.range(epochs).flat_map(one_pass)
    passes = passes.apply(tf.data.experimental.assert_cardinality(epochs * -(-manifest["slices"] // batch)))
    return passes.map(load, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
