"""Finds slices that are the same picture, or nearly so: exactly by their pixels, roughly by a difference hash."""

import hashlib
import itertools

import numpy as np
import pandas as pd
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from stroke_utils.base import progress
from stroke_utils.data.pixels import read_rgb

NEAR = 6
"""Greatest Hamming distance of two 256-bit difference hashes whose slices count as nearly the same."""

PLAIN = 16
"""A hash with fewer bits set than this, or unset, comes from a nearly empty slice and says nothing about it."""


def difference_hash(rgb: np.ndarray) -> np.ndarray:
    """Hash a slice by where it gets brighter from left to right.

    The slice is averaged to 17 × 16 grey values; a bit is set where a value exceeds its left neighbour by more than 1,
    so that rounding in black surroundings sets none. Scaling and storing anew change few bits. After Krawetz, "Kind of
    Like That", 2013.

    RGB uint8 array (H, W, 3) in, uint8 array (32,) of 256 packed bits out.
    """
    small = Image.fromarray(rgb[..., 1]).resize((17, 16), Image.Resampling.BOX)
    return np.packbits(np.diff(np.asarray(small, int), axis=1) > 1)


def near_pairs(hashes: np.ndarray, distance: int = NEAR) -> np.ndarray:
    """Find all pairs of hashes within a Hamming distance, without comparing all pairs.

    Cut into ``distance + 1`` pieces, two hashes that differ in at most ``distance`` bits have one piece in common; so
    only hashes that share a piece are compared, and equal ones only once.

    Args:
        hashes: uint8 array (n, bytes); at least ``distance + 1`` bytes.
        distance: the greatest that counts.

    Returns:
        int array (pairs, 2) of indices, the smaller first, sorted. Of several equal hashes, each is paired with the
        first of them, and only that one with others.
    """
    unique, first, inverse = np.unique(hashes, axis=0, return_index=True, return_inverse=True)
    inverse = inverse.ravel()
    pairs = [np.stack([first[inverse], np.arange(len(hashes))], axis=1)]
    for piece in np.array_split(np.arange(hashes.shape[1]), distance + 1):
        keys = np.ascontiguousarray(unique[:, piece]).view(f"V{len(piece)}").ravel()
        order = np.argsort(keys, kind="stable")
        ends = np.flatnonzero(keys[order][1:] != keys[order][:-1]) + 1
        for bucket in np.split(order, ends):
            for k in range(len(bucket) - 1):
                apart = np.bitwise_count(unique[bucket[k]] ^ unique[bucket[k + 1 :]]).sum(axis=1)
                close = bucket[k + 1 :][apart <= distance]
                pairs.append(np.stack([np.full(len(close), first[bucket[k]]), first[close]], axis=1))
    found = np.sort(np.concatenate(pairs), axis=1)
    return np.unique(found[found[:, 0] != found[:, 1]], axis=0)


def add_groups(slices: pd.DataFrame, quiet: bool = False) -> pd.DataFrame:
    """Tell which slices are doubles of each other.

    A group is a chain: its first and last slice may differ more than two neighbours in it. Nearly empty slices (the
    top of a head, a black picture) look alike without being doubles; they have no near group.

    Args:
        slices: rows with ``png``.
        quiet: show no progress.

    Returns:
        ``slices`` with two columns of nullable integers, each missing for a slice that is alone: ``exact_group``, by
        size and RGB pixels, whatever the file; ``near_group``, by difference hashes at most ``NEAR`` bits apart, exact
        doubles included.

    Raises:
        OSError: a file can't be decoded; a cohort's slices can.
    """

    def fingerprint(path: str) -> tuple[bytes, np.ndarray]:
        rgb = read_rgb(path)
        width = str(rgb.shape[1]).encode()  # the same bytes in rows of another length are another picture
        return hashlib.blake2b(rgb.tobytes(), digest_size=16, salt=width).digest(), difference_hash(rgb)

    prints = progress.in_threads(fingerprint, slices["png"], "Comparing slices", quiet)
    exact = pd.factorize(pd.Series([digest for digest, _ in prints], dtype=object))[0]
    hashes = np.array([bits for _, bits in prints], np.uint8).reshape(-1, 32)
    set_bits = np.bitwise_count(hashes).sum(axis=1)
    telling = np.flatnonzero((set_bits >= PLAIN) & (set_bits <= 256 - PLAIN))
    pairs = [telling[near_pairs(hashes[telling])]] if len(telling) else []
    for members in pd.Series(range(len(exact))).groupby(exact).agg(list):
        pairs.append(np.array(list(itertools.pairwise(members)), int).reshape(-1, 2))
    near = chained(pairs, len(slices))
    return slices.assign(exact_group=_shared(exact, slices.index), near_group=_shared(near, slices.index))


def chained(pairs: list[np.ndarray], n: int) -> np.ndarray:
    """Number the groups that pairs of ``range(n)``, int arrays (k, 2), chain together; int array (n,)."""
    joined = np.concatenate([np.empty((0, 2), int), *pairs])
    graph = coo_array((np.ones(len(joined)), joined.T), shape=(n, n))
    return connected_components(graph, directed=False)[1] if n else np.empty(0, int)


def _shared(labels: np.ndarray, index: pd.Index) -> pd.Series:
    """Number the labels that more than one slice has, in the order in which they come; the others are missing."""
    labels = pd.Series(labels, index)
    shared = labels[labels.duplicated(keep=False)]
    return pd.Series(pd.factorize(shared)[0], shared.index).reindex(index).astype("Int64")
