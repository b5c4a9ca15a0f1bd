"""Where the head is."""

import numpy as np

from stroke_utils.data import regions


def head(radius=80):
    """A skull of 6 pixels around a dark brain, with a gap in it."""
    y, x = np.mgrid[:256, :256] - 120
    away = np.hypot(x, y)
    grey = np.where(away < radius, 40, 0) + np.where((away < radius) & (away > radius - 6), 215, 0)
    return grey.astype(np.uint8), away < radius


def test_the_head_is_filled_and_what_touches_it_is_left_out():
    grey, true = head()
    grey[120, 60:180] = 0  # a dark sulcus
    grey[198:202, 40:210] = 200  # a head-rest that touches the head
    grey[5:25, 5:25] = 200  # something small elsewhere
    found = regions.head(grey)
    assert found[true].mean() > 0.995 and (found & ~true).sum() < 300
    assert not found[198:202, 40:75].any() and not found[198:202, 170:].any() and not found[5:25, 5:25].any()


def test_nothing_bright_is_no_head():
    assert not regions.head(np.zeros((20, 30), np.uint8)).any()
    thin = np.zeros((40, 40), np.uint8)
    thin[20] = 255
    assert regions.head(thin).sum() < 200


def test_depth_counts_from_the_edge_of_the_picture_too():
    assert regions.depth(np.ones((3, 5), bool)).tolist() == [[1, 1, 1, 1, 1], [1, 2, 2, 2, 1], [1, 1, 1, 1, 1]]
    assert np.isinf(regions.depth(np.ones((3, 5), bool), cut=False)).all()
    half = np.arange(4)[None].repeat(3, 0) > 0
    assert regions.depth(half, cut=False).tolist() == [[0, 1, 2, 3]] * 3, "it goes on beyond the picture"


def test_the_head_of_a_slice_of_any_size():
    grey, true = head()
    large = np.kron(grey, np.ones((2, 3), np.uint8))
    found = regions.whole_head(large)
    assert found.shape == large.shape and (found == np.kron(true, np.ones((2, 3), bool))).mean() > 0.98


def test_the_box_holds_the_head_of_any_slice_and_little_else():
    grey, true = head()
    image = np.kron(grey, np.ones((2, 3), np.uint8))[..., None].repeat(3, axis=-1)
    image[10:30, 700:720] = (255, 0, 255)  # a burnt-in marker is no head
    image[480:490, 100:600] = 120  # nor is a head-rest
    inside = np.kron(true, np.ones((2, 3), bool))
    rows, columns = regions.head_box(image)
    assert inside[rows, columns].sum() == inside.sum()
    y, x = (np.flatnonzero(inside.any(axis=1 - axis))[[0, -1]] for axis in (0, 1))
    assert np.abs([rows.start - y[0], rows.stop - y[1]]).max() <= regions.MARGIN + 4
    assert np.abs([columns.start - x[0], columns.stop - x[1]]).max() <= regions.MARGIN + 6


def test_the_box_of_a_cut_head_ends_at_the_edge_and_that_of_nothing_is_the_slice():
    grey, _ = head(radius=110)
    image = grey[60:, :][..., None].repeat(3, axis=-1)
    rows, columns = regions.head_box(image)
    assert rows.start == 0 and rows.stop <= 196 and 0 <= columns.start < columns.stop <= 256
    assert regions.head_box(np.zeros((40, 56, 3), np.uint8)) == (slice(0, 40), slice(0, 56))
