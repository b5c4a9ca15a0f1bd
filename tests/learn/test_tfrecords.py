"""TFRecords come back bit for bit, in an order of seed and epoch alone, and a set that is not whole is refused."""

import itertools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from PIL import Image

from stroke_utils.base import files, identity
from stroke_utils.base.errors import UserError
from stroke_utils.data import masks
from stroke_utils.learn import inputs, tfrecords


def test_records_come_back_bit_for_bit(slices, tmp_path):
    manifest = tfrecords.write_records(slices, slices["class_mask"], 40, tmp_path / "records", quiet=True)
    assert manifest["slices"] == 7 and manifest["size"] == 40
    found = list(tfrecords.record_batches(tmp_path / "records", inputs.raw, batch=2).as_numpy_iterator())
    assert [x.shape[0] for x, _ in found] == [2, 2, 2, 1]
    images, classes = np.concatenate([x for x, _ in found]), np.concatenate([y for _, y in found])
    for k, row in enumerate(slices.itertuples()):
        np.testing.assert_array_equal(images[k], masks.read_rgb(row.png))
        np.testing.assert_array_equal(classes[k].argmax(axis=-1), masks.read_class_mask(row.class_mask))
    assert set(np.unique(classes)) == {0, 1}


def test_a_cropped_record_is_the_box_around_the_head_and_has_its_own_name(tmp_path):
    image, classes = np.zeros((128, 160, 3), np.uint8), np.zeros((128, 160), np.uint8)
    y, x = np.mgrid[:128, :160]
    inside = (y - 50) ** 2 + (x - 100) ** 2 < 40**2
    image[inside] = 90
    image[40:60, 90:110], classes[40:60, 90:110] = 200, 2
    Image.fromarray(image).save(tmp_path / "a.png")
    masks.write_class_mask(tmp_path / "m.png", classes)
    about = {"slice_id": "a", "png": str(tmp_path / "a.png"), "label": "hemorrhage", "height": 128, "width": 160}
    row, paths = pd.DataFrame([about]), pd.Series([str(tmp_path / "m.png")])
    share = {}
    for crop in (False, True):
        folder = tfrecords.ensure_records(row, paths, 64, quiet=True, crop=crop)
        ((found, truth),) = tfrecords.record_batches(folder, inputs.raw).as_numpy_iterator()
        lesion = truth[0, ..., 2] == 1
        assert found[0, lesion].mean() > 185 and found[0, ~lesion].mean() < 100, "image and mask lie on each other"
        share[folder] = lesion.mean()
    whole, cropped = share.values()
    assert len(share) == 2 and whole == pytest.approx(400 / (128 * 160), rel=0.2)
    assert cropped == pytest.approx(400 / 96**2, rel=0.2), "the head is 80 wide, and 8 are left on each side"


def test_record_passes_are_complete_differ_and_repeat(slices, tmp_path, monkeypatch):
    monkeypatch.setattr(tfrecords, "SHARD_SLICES", 2)
    tfrecords.write_records(slices, slices["class_mask"], 8, tmp_path / "records", quiet=True)
    assert len(list((tmp_path / "records").glob("*.tfrecord"))) == 4

    def orders():
        batches = tfrecords.record_batches(tmp_path / "records", inputs.raw, batch=3, seed=2, epochs=3)
        assert int(batches.cardinality()) == 9
        greys = [x[:, 0, 0, 0].astype(int).tolist() for x, _ in batches.as_numpy_iterator()]
        return [list(itertools.chain(*greys[3 * e : 3 * e + 3])) for e in range(3)]

    first = orders()
    tf.random.set_seed(77)  # must not matter
    assert all(sorted(order) == [10 + 30 * k for k in range(7)] for order in first)
    assert len({tuple(o) for o in first}) == 3
    assert orders() == first


def test_a_mirrored_slice_has_its_mask_mirrored_too(tmp_path):
    rng = np.random.default_rng(1)
    greys, classes = rng.integers(0, 256, (24, 32, 32), np.uint8), rng.integers(0, 3, (24, 32, 32), np.uint8)
    rows = []
    for k in range(24):
        Image.fromarray(greys[k]).convert("RGB").save(tmp_path / f"{k}.png")
        masks.write_class_mask(tmp_path / f"{k}_mask.png", classes[k])
        rows.append((f"{k}", str(tmp_path / f"{k}.png"), "ischemia", 32, 32))
    slices = pd.DataFrame(rows, columns=["slice_id", "png", "label", "height", "width"])
    paths = pd.Series([str(tmp_path / f"{k}_mask.png") for k in range(24)])
    tfrecords.write_records(slices, paths, 32, tmp_path / "records", quiet=True)

    def turns(**options):
        """Tell of each slice of two passes whether it came mirrored; anything else is an error."""
        found = []
        batches = tfrecords.record_batches(tmp_path / "records", inputs.raw, 8, **options)
        for images, one_hot in batches.as_numpy_iterator():
            for image, mask in zip(images[..., 0], one_hot.argmax(axis=-1), strict=True):
                (k,) = [k for k in range(24) if (np.sort(greys[k], axis=1) == np.sort(image, axis=1)).all()]
                turned = not (image == greys[k]).all()
                assert (image == (greys[k][:, ::-1] if turned else greys[k])).all()
                assert (mask == (classes[k][:, ::-1] if turned else classes[k])).all()
                found.append((k, turned))
        return found

    first = turns(seed=3, epochs=2, mirror=True)
    assert first == turns(seed=3, epochs=2, mirror=True) and first[:24] != first[24:]
    assert 6 <= sum(turned for _, turned in first[:24]) <= 18
    assert not any(turned for _, turned in turns(seed=3, epochs=2) + turns())


def test_slices_of_the_records_size_are_not_resampled(tmp_path):
    rng = np.random.default_rng(0)
    pixels, classes = (
        rng.integers(0, 256, (512, 512, 3), dtype=np.uint8),
        rng.integers(0, 3, (512, 512), dtype=np.uint8),
    )
    Image.fromarray(pixels).save(tmp_path / "a.png")
    masks.write_class_mask(tmp_path / "m.png", classes)
    rows = pd.DataFrame({"slice_id": ["a"], "png": [str(tmp_path / "a.png")], "label": "ischemia"})
    rows = rows.assign(height=512, width=512)
    tfrecords.write_records(rows, pd.Series([str(tmp_path / "m.png")]), 512, tmp_path / "records", quiet=True)
    ((image, truth),) = tfrecords.record_batches(tmp_path / "records", inputs.raw).as_numpy_iterator()
    np.testing.assert_array_equal(image[0], pixels)
    np.testing.assert_array_equal(truth[0].argmax(axis=-1), classes)


def test_the_manifest_counts_and_shards_keep_the_order(slices, tmp_path, monkeypatch):
    monkeypatch.setattr(tfrecords, "SHARD_SLICES", 3)
    slices.loc[[1, 4], "label"] = "hemorrhage"
    manifest = tfrecords.write_records(slices, slices["class_mask"], 8, tmp_path / "records", quiet=True)
    assert manifest == files.read_json(tmp_path / "records" / "manifest.json")
    assert [about["slices"] for about in manifest["shards"].values()] == [3, 3, 1]
    assert manifest["types"] == {"hemorrhage": 2, "ischemia": 5}
    read = tfrecords.record_batches(tmp_path / "records", inputs.raw, 7)
    images = [x[:, 0, 0, 0].tolist() for x, _ in read.as_numpy_iterator()]
    assert images == [[10 + 30 * k for k in range(7)]]


@pytest.mark.parametrize("harm", ["flip", "missing", "extra", "mixed", "no manifest", "older", "miscounted"])
def test_a_damaged_set_of_records_is_refused_by_name(slices, tmp_path, harm):
    folder = tmp_path / "records"
    tfrecords.write_records(slices, slices["class_mask"], 8, folder, quiet=True)
    shard, manifest = next(folder.glob("*.tfrecord")), files.read_json(folder / "manifest.json")
    name, why = shard.name, {"flip": "checksum", "mixed": "checksum", "missing": "is missing"}.get(harm, "")
    if harm == "flip":
        data = bytearray(shard.read_bytes())
        data[len(data) // 2] ^= 1
        shard.write_bytes(data)
    elif harm == "missing":
        shard.unlink()
    elif harm == "extra":
        name, why = "old.tfrecord", "not in the manifest"
        (folder / name).write_bytes(shard.read_bytes())
    elif harm == "mixed":
        tfrecords.write_records(slices[::-1], slices["class_mask"], 8, tmp_path / "other", quiet=True)
        shard.write_bytes((tmp_path / "other" / name).read_bytes())
    elif harm == "no manifest":
        name, why = "manifest.json", "no finished set"
        (folder / name).unlink()
    elif harm == "older":
        name, why = "manifest.json", "has schema none"
        files.write_json(folder / name, {k: v for k, v in manifest.items() if k != "schema"})
    else:
        name, why = "manifest.json", "names 9 slices, its shards 7"
        files.write_json(folder / name, manifest | {"slices": 9})
    with pytest.raises(UserError, match=f"{name}.*{why}"):
        tfrecords.record_batches(folder)


@pytest.fixture
def make(slices, tmp_path, monkeypatch):
    """A function that gives the folder of the records of ``slices``."""
    monkeypatch.setenv("STROKE_DERIVED", str(tmp_path / "derived"))
    return lambda size=8, rows=slices: tfrecords.ensure_records(rows, rows["class_mask"], size, quiet=True)


@pytest.mark.parametrize("change", ["slice", "mask", "type", "order", "size"])
def test_records_of_anything_else_are_other_records(slices, make, change):
    first = make()
    if change == "slice":
        Image.new("RGB", (40, 40)).save(slices.loc[2, "png"])
    elif change == "mask":
        masks.write_class_mask(slices.loc[2, "class_mask"], np.zeros((40, 40), np.uint8))
    elif change == "type":
        slices.loc[2, "label"] = "hemorrhage"
    other = make(16 if change == "size" else 8, slices[::-1] if change == "order" else slices)
    assert other != first and tfrecords.check_records(first) and tfrecords.check_records(other)


def test_records_are_made_once_and_a_second_maker_waits(make):
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: make(), range(2))
    assert first == second
    stamp = (first / "manifest.json").stat().st_mtime_ns
    assert make() == first and (first / "manifest.json").stat().st_mtime_ns == stamp


def test_torn_records_are_refused_and_say_what_to_do(make):
    folder = make()
    next(folder.glob("*.tfrecord")).unlink()
    with pytest.raises(UserError, match=r"is missing from .*Delete .* and run again"):
        make()
    (folder / identity.NOTE).unlink()
    with pytest.raises(UserError, match="no readable identity.json.*clean-derived"):
        make()


def test_a_failed_write_leaves_nothing(slices, tmp_path):
    slices.loc[3, "class_mask"] = str(tmp_path / "absent.png")
    with pytest.raises(UserError, match="absent.png is gone"):
        tfrecords.write_records(slices, slices["class_mask"], 8, tmp_path / "records", quiet=True)
    assert not (tmp_path / "records").exists()
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".records")]
