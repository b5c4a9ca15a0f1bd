"""The forensic solver against plain fractions, scikit-learn, enumeration, and the matrices behind the paper."""

import itertools
import math
import time
from fractions import Fraction

import numpy as np
import pytest
from sklearn.metrics import precision_recall_fscore_support

from stroke_utils.base.errors import UserError
from stroke_utils.base.vocabulary import PAPER_TABLES
from stroke_utils.evaluate import forensics

SESSION1 = [(70, 130)]


def fractions(tp, fp, positives, negatives, average):
    """Precision, recall and F1 from their definitions, exactly, class by class."""

    def one_class(hits, false, size):
        predicted = hits + false
        precision, recall = Fraction(hits, predicted) if predicted else Fraction(0), Fraction(hits, size)
        both = precision + recall
        return precision, recall, 2 * precision * recall / both if both else Fraction(0)

    first = one_class(tp, fp, positives)
    second = one_class(negatives - fp, positives - tp, negatives)
    share = {"positive": Fraction(1), "macro": Fraction(1, 2), "weighted": Fraction(positives, positives + negatives)}
    return [share[average] * a + (1 - share[average]) * b for a, b in zip(first, second, strict=True)]


def printed(value, decimals, rounding):
    """A fraction as a whole number of its last printed digit, in Python's own exact arithmetic."""
    steps = value * 10 ** (decimals + 2)
    return {
        "half-up": math.floor(steps + Fraction(1, 2)), "half-even": round(steps), "truncated": math.floor(steps),
    }[rounding]  # fmt: skip


def triple(tp, fp, positives, negatives, average, rounding, decimals=2):
    return [printed(f, decimals, rounding) for f in fractions(tp, fp, positives, negatives, average)]


def published(steps, decimals=2):
    """A printed triple as the paper's tables hold it: floats."""
    return dict(zip(forensics.METRICS, (s / 10 ** (decimals + 2) for s in steps), strict=True))


def matrices(found):
    return [tuple(row) for row in found[["tp", "fp", "fn", "tn"]].to_numpy().tolist()]


@pytest.mark.parametrize("average", forensics.AVERAGES)
@pytest.mark.parametrize("sizes", [(1, 1), (3, 8), (8, 5), (16, 16)])
def test_digits_of_every_matrix_are_those_of_exact_fractions(sizes, average):
    tp, fp = (axis.ravel() for axis in np.mgrid[: sizes[0] + 1, : sizes[1] + 1])
    for rounding, decimals in itertools.product(forensics.ROUNDINGS, (0, 1, 2)):
        ours = forensics.digits(tp, fp, *sizes, average, rounding, decimals)
        expected = [triple(int(t), int(f), *sizes, average, rounding, decimals) for t, f in zip(tp, fp, strict=True)]
        assert ours.tolist() == expected


def test_the_ties_that_tell_the_roundings_apart_do_occur():
    # 1 of 8 is 12.5 %: recall 13, 12 and 12.
    seen = [forensics.digits([1], [0], 8, 8, "positive", how, 0)[0, 1] for how in forensics.ROUNDINGS]
    assert seen == [13, 12, 12]
    odd = [forensics.digits([3], [0], 8, 8, "positive", how, 0)[0, 1] for how in forensics.ROUNDINGS]
    assert odd == [38, 38, 37]


@pytest.mark.parametrize(("average", "theirs"), [("positive", "binary"), ("macro", "macro"), ("weighted", "weighted")])
def test_the_averages_are_scikit_learns(average, theirs):
    rng = np.random.default_rng(0)
    for tp, fp in [(0, 0), (9, 14), (9, 0), (0, 14), *rng.integers((0, 0), (10, 15), (20, 2)).tolist()]:
        truth, predicted = [1] * 9 + [0] * 14, [1] * tp + [0] * (9 - tp) + [1] * fp + [0] * (14 - fp)
        expected = precision_recall_fscore_support(truth, predicted, average=theirs, zero_division=0)[:3]
        parts = forensics.score_fractions(np.array([tp]), np.array([fp]), 9, 14, average)
        assert [float(a[0] / b[0]) for a, b in parts] == pytest.approx(expected)


@pytest.mark.parametrize("rounding", forensics.ROUNDINGS)
@pytest.mark.parametrize("average", forensics.AVERAGES)
def test_the_true_matrix_is_always_found(average, rounding):
    rng = np.random.default_rng(1)
    for _ in range(200):
        sizes = tuple(int(n) for n in rng.integers(1, 1200, 2))
        tp, fp = int(rng.integers(0, sizes[0] + 1)), int(rng.integers(0, sizes[1] + 1))
        found = forensics.solve(published(triple(tp, fp, *sizes, average, rounding)), [sizes], [average])
        assert (tp, fp, sizes[0] - tp, sizes[1] - fp) in matrices(found[found[rounding]])


@pytest.mark.parametrize("rounding", forensics.ROUNDINGS)
@pytest.mark.parametrize("average", forensics.AVERAGES)
def test_the_solutions_are_all_there_are(average, rounding):
    sizes = [(11, 13), (24, 7)]
    expected = {}
    for pair in sizes:
        for tp, fp in itertools.product(range(pair[0] + 1), range(pair[1] + 1)):
            steps = triple(tp, fp, *pair, average, rounding, 0)
            expected.setdefault(tuple(steps), []).append((tp, fp, pair[0] - tp, pair[1] - fp))
    assert max(map(len, expected.values())) > 1, "no row with two solutions: nothing is tested"
    for steps, truth in expected.items():
        found = forensics.solve(published(steps, 0), sizes, [average], decimals=0)
        assert matrices(found[found[rounding]]) == truth


KNOWN = {
    "efficientnetv2b0": ("macro", (65, 0, 5, 130)),
    "resnet50": ("macro", (61, 3, 9, 127)),
    "cnn": ("macro", (58, 1, 12, 129)),
    "efficientnetb0": ("macro", (58, 3, 12, 127)),
    "mobilenetv2": ("weighted", (56, 4, 14, 126)),
}


@pytest.mark.parametrize("model", KNOWN)
def test_every_row_of_table_i_is_one_matrix_of_session_1(model):
    found = forensics.solve(PAPER_TABLES["I"][model], SESSION1)
    assert (found["average"].tolist(), matrices(found)) == ([KNOWN[model][0]], [KNOWN[model][1]])
    assert found["half-up"].all() and found["half-even"].all() and not found["truncated"].any()


def test_ten_thousand_pairs_of_sizes_take_less_than_half_a_minute():
    sizes = list(itertools.product(range(400, 500), range(800, 900)))
    begin = time.process_time()
    found = forensics.solve(PAPER_TABLES["I"]["cnn"], sizes)
    assert time.process_time() - begin < 30
    assert len(sizes) == 10_000 and set(found["average"]) <= set(forensics.AVERAGES)


def test_the_chance_is_that_of_rows_drawn_at_random():
    scores, sizes, within, scale = published((90, 80, 84), 0), [(20, 30), (21, 30)], 0.05, 100
    told = forensics.surprise(scores, sizes, "macro", decimals=0, within=within)
    assert told["matrices"] == 21 * 31 + 22 * 31
    target = np.array([90, 80, 84])
    possible = [
        tuple(triple(tp, fp, *pair, "macro", "half-up", 0))
        for pair in sizes
        for tp, fp in itertools.product(range(pair[0] + 1), range(pair[1] + 1))
    ]
    close = [steps for steps in possible if (abs(np.array(steps) - target) <= within * scale).all()]
    assert told["nearby"] == len(close) > 0
    # Rates drawn at random, scored in floating point by the definitions.
    tpr, fpr = np.random.default_rng(2).random((2, 2_000_000))
    tp, fn, fp, tn = 21 * tpr, 21 * (1 - tpr), 30 * fpr, 30 * (1 - fpr)
    drawn = np.stack([
        (tp / (tp + fp) + tn / (tn + fn)) / 2, (tpr + 1 - fpr) / 2,
        tp / (2 * tp + fp + fn) + tn / (2 * tn + fp + fn),
    ], axis=1)  # fmt: skip
    drawn = np.floor(drawn * scale + 0.5).astype(int)
    drawn = drawn[(abs(drawn - target) <= within * scale).all(axis=1)]
    fits = np.mean([tuple(row) in set(close) for row in drawn.tolist()])
    assert len(drawn) > 2000 and 0.05 < fits < 0.95
    assert told["chance"] == pytest.approx(fits, abs=4 * math.sqrt(fits * (1 - fits) / len(drawn)))


def test_more_decimals_make_a_fit_more_surprising_and_more_sizes_less():
    row = PAPER_TABLES["I"]["efficientnetv2b0"]
    plain = forensics.surprise(row, SESSION1, "macro")["chance"]
    coarse = {name: round(value, 3) for name, value in row.items()}
    assert 0 < plain < forensics.surprise(coarse, SESSION1, "macro", decimals=1)["chance"]
    assert plain < forensics.surprise(row, [*SESSION1, (71, 129), (69, 131)], "macro")["chance"]
    assert math.isnan(forensics.surprise(published((9900, 5000, 2000)), SESSION1, "macro")["chance"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"scores": {"precision": 0.9, "recall": 0.9}}, "f1 not given"),
        ({"scores": {"precision": 98.15, "recall": 0.9, "f1": 0.9}}, "Divide percentages by 100"),
        ({"scores": {"precision": 0.98153, "recall": 0.9, "f1": 0.9}}, "2 decimals of the percentage"),
        ({"scores": {"precision": math.nan, "recall": 0.9, "f1": 0.9}}, "fractions from 0 to 1"),
        ({"sizes": [(0, 5)]}, "each at least 1"),
        ({"sizes": [70, 130, 5]}, "expected pairs"),
        ({"sizes": []}, "expected pairs"),
        ({"sizes": [(2_000_000, 2_000_000)]}, "too many for exact"),
        ({"averages": ["micro"]}, "'micro' is no average. Known: positive, macro, weighted"),
    ],
)
def test_mistakes_are_named(change, said):
    with pytest.raises(UserError, match=said):
        forensics.solve(**{"scores": PAPER_TABLES["I"]["cnn"], "sizes": SESSION1} | change)


def test_an_unknown_rounding_is_named():
    with pytest.raises(UserError, match="'up' is no rounding. Known: half-up"):
        forensics.digits([1], [0], 2, 2, "macro", "up")


def test_one_pair_of_sizes_need_not_be_a_list():
    assert len(forensics.solve(PAPER_TABLES["I"]["cnn"], (70, 130))) == 1


def test_the_published_data_are_named_in_a_run_record():
    data = forensics.published_data()
    assert data.slices == 0 and len(data.fingerprint) == 10 and "paper" in data.origin["name"]
