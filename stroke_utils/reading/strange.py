"""What is no slice to answer: refused by name where a name is known, else by its distance from what is usual."""

import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.covariance import LedoitWolf
from sklearn.linear_model import LogisticRegression

from stroke_utils.base import errors, files
from stroke_utils.base.vocabulary import MARKER_COLOUR, plain
from stroke_utils.data import pixels, regions, series
from stroke_utils.learn.backend import keras

COVERAGE = 0.95
"""Share of the validation slices that are taken for usual."""

STAGES = (4, 8)
"""Which features are compared: those of the last layer in which one cell stands for so many pixels a side.

Deeper ones know lesions better and strange pictures worse."""

HEADS = ("HEAD", "BRAIN", "SKULL", "CRAN", "CEREBR", "BEYIN", "BEY N", "KAFA", "KOPF", "NEURO")
"""Parts of words that name a head in the tag BodyPartExamined."""

SURE = 0.9
"""Chance of a turn, against its opposite, from which a head counts as turned. Chosen by us."""

UNSURE = 0.5
"""Chance of 180°, against 0°, from which a head is not answered as it lies; below :data:`SURE` it is refused."""

# Limits of what is a head, in a picture squeezed to 256 × 256. All training slices of the quick phantom lie in them:
# heads cover 0.19 to 0.72, their rims are at least 0.15 white, they are 1.03 to 1.35 times as high as wide, and inside
# at most 0.31 is white and 0.15 black.
LEAST_HEAD, MOST_HEAD = 0.12, 0.85
LEAST_SKULL = 0.1
LEAST_HIGH, MOST_HIGH = 0.95, 1.5
MOST_WHITE, MOST_BLACK = 0.6, 0.5

# Of words as `_plain` gives them: small letters of ASCII, and a gap for a letter that a file's character set lacks.
_CONTRAST = re.compile(
    r"\b(\w*ct[av]|cteph|angi\w*|anj ?i?yo\w*|anji\w*|venogra\w*|perfu\w*|[ck]ontrast\w*|ce ct|ct ce)\b|\bc ?\+"
)
_WITHOUT = re.compile(r"\b(non|no|not|without|w o|wo|unenhanced|pre) ?(iv ?)?[ck]ontrast\w*|\bkontrasts ?i?z\w*")
# What stands in a tag that says nothing, or no.
_NOTHING = {
    "",
    "no",
    "none",
    "non",
    "without",
    "w o",
    "wo",
    "n",
    "0",
    "yok",
    "n a",
    "na",
    "unknown",
    "other",
    "removed",
}
_NOTHING |= {"none given", "not given", "nil", "nativ", "native"}
_SMALL = 48  # pixels a side of the pictures in which the way up is looked for
_COLOURED = 0.002  # share of coloured pixels that a slice may have beside markers
_GREYS = 8  # different greys of the least varied slice


class Refused(Exception):
    """A picture is no slice to answer.

    Attributes:
        kind: its name in a word or two.
        reason: what was found, in a sentence.
    """

    def __init__(self, kind: str, reason: str):
        super().__init__(reason)
        self.kind, self.reason = kind, reason


def look_at_tags(path: str | os.PathLike) -> None:
    """Refuse a DICOM slice of another part of the body, or one with a contrast agent, by what its tags say.

    What is no CT slice at all, `data.series.read_series` has set aside before.

    Raises:
        Refused: names the tag and what it says.
    """
    from pydicom import dcmread  # here, because importing it takes a quarter of a second

    names = ["SeriesDescription", "ProtocolName", "StudyDescription", "BodyPartExamined", "ContrastBolusAgent"]
    try:
        with errors.no_warnings():
            dataset = dcmread(path, stop_before_pixels=True, specific_tags=names)
            said = {name: str(dataset.get(name) or "").strip() for name in names}
    except Exception as error:  # whatever pydicom raises of odd values
        raise Refused("broken", f"Its tags cannot be read: {errors.reason(error)}.") from error
    part = said["BodyPartExamined"]
    if _plain(part) not in _NOTHING and not any(word in _plain(part).upper() for word in HEADS):
        raise Refused("another body part", f"Its tag BodyPartExamined says {part!r}; expected a head.")
    agent = _plain(said["ContrastBolusAgent"])
    if agent not in _NOTHING and not _WITHOUT.fullmatch(agent):
        raise Refused(
            "contrast", f"A contrast agent was given ({said['ContrastBolusAgent']!r}): vessels look like blood."
        )
    own = [name for name in names[:2] if said[name]]
    for name in own or ["StudyDescription"]:  # a study may hold a plain series and one with contrast
        if _CONTRAST.search(_WITHOUT.sub(" ", _plain(said[name]))):
            raise Refused("contrast", f"Its tag {name} says {said[name]!r}: vessels with contrast look like blood.")


def _plain(text: str) -> str:
    """Return the words of a text in small letters of ASCII, with single spaces between them; a plus stays."""
    return re.sub(r"[^a-z0-9+]+", " ", plain(text)).strip()


def way_up(one: series.Slice) -> Callable[[np.ndarray], np.ndarray]:
    """Return what turns a slice as a radiologist holds it: the nose up, the patient's right at the left.

    The function takes an array (H, W, …); :func:`turned_back` undoes it. Without directions it leaves all as it is.

    Raises:
        Refused: the slice is not axial.
    """
    if one.directions is None:
        return lambda array: array
    along, down = np.reshape(one.directions, (2, 3))
    if abs(np.cross(along, down)[2]) < np.cos(np.radians(45)):
        raise Refused("not axial", "Its plane is nearer to a side view than to an axial slice.")
    swap = abs(along[0]) < abs(along[1])
    right, back = (down, along) if swap else (along, down)

    def upright(array: np.ndarray) -> np.ndarray:
        array = np.swapaxes(array, 0, 1) if swap else array
        return array[:: 1 if back[1] > 0 else -1, :: 1 if right[0] > 0 else -1]

    return upright


def turned_back(upright: Callable, shape: tuple[int, int], array: np.ndarray) -> np.ndarray:
    """Undo :func:`way_up` or a turn: lay ``array`` of the turned form back onto a slice of ``shape`` (H, W)."""
    places = upright(np.arange(shape[0] * shape[1]).reshape(shape))
    found = np.empty(shape, array.dtype)
    found.flat[places.ravel()] = array.ravel()
    return found


def look_at_picture(rgb: np.ndarray) -> None:
    """Refuse a picture, uint8 (H, W, 3), that is plainly no slice of a head.

    Raises:
        Refused: says what was seen.
    """
    packed = pixels.packed(rgb)
    colours = pixels.coloured(packed) & (packed != pixels.packed(np.uint8([MARKER_COLOUR]))[0])
    if (share := colours.mean()) > _COLOURED:
        raise Refused(
            "colours", f"{share:.1%} of its pixels are coloured; a slice is grey. Is it a photo or an overlay?"
        )
    grey = rgb[..., 0]
    if len(np.unique(grey)) < _GREYS:
        raise Refused("no picture", f"It has {len(np.unique(grey))} different greys; a slice has some 80.")
    small = regions.squeezed(grey, regions.SIDE)
    head = regions.head(small)
    if not LEAST_HEAD <= head.mean() <= MOST_HEAD:
        raise Refused("no head", f"The largest bright thing covers {head.mean():.0%} of the picture; no head does.")
    deep = regions.depth(head, cut=False)
    ring, inside = small[(deep > 1) & (deep <= 10)], small[deep > 14]
    if np.mean(ring >= 230) < LEAST_SKULL:
        raise Refused("no skull", f"Only {np.mean(ring >= 230):.0%} of the rim is as white as bone in a brain window.")
    rows, columns = np.flatnonzero(head.any(axis=1)), np.flatnonzero(head.any(axis=0))
    high, wide = np.ptp(rows) * grey.shape[0], np.ptp(columns) * grey.shape[1]
    if not LEAST_HIGH <= high / max(wide, 1) <= MOST_HIGH:
        raise Refused("another form", f"What should be a head is {high / max(wide, 1):.2f} times as high as wide.")
    if not inside.size or np.mean(inside >= 250) > MOST_WHITE or np.mean(inside <= 5) > MOST_BLACK:
        raise Refused("no brain", "Inside the skull it is white or black, not the greys of a brain window.")


def straightened(rgb: np.ndarray, usual: "Usual | None") -> tuple[np.ndarray, int]:
    """Turn a head that lies turned, and look at it as `look_at_picture` does.

    On its side lies what is too wide for a head and is none too wide once turned: its form has to say so, too. Upside
    down lies what looks so, and where that is not sure, the head is refused.

    Args:
        rgb: uint8 (H, W, 3).
        usual: what tells a turn; None: nothing is turned.

    Returns:
        The picture, and by how many quarter turns of :func:`numpy.rot90` it lay turned.

    Raises:
        Refused: says what was seen.
    """
    chances, quarters = usual.turns(rgb) if usual else np.eye(4)[0], 0
    try:
        look_at_picture(rgb)
        quarters = 2 if _upside_down(chances) else 0
    except Refused as refused:
        sides = chances[[1, 3]] / max(chances[1] + chances[3], 1e-12)
        if refused.kind != "another form" or sides.max() < SURE:
            raise
        quarters = (1, 3)[sides.argmax()]
    upright = np.rot90(rgb, -quarters)
    if quarters:
        look_at_picture(upright)
    return upright, quarters


def _upside_down(chances: np.ndarray) -> bool:
    """Tell whether a head of an upright form lies upside down, by the chances (4,) of its quarter turns.

    Raises:
        Refused: it may, and that is not sure; or it looks as if it lay on its side, which its form denies.
    """
    if (side := chances[1] + chances[3]) >= SURE:
        raise Refused("way up", f"It may lie on its side (chance {side:.0%}). Turn it, if so; else ask a person.")
    chance = chances[2] / (chances[0] + chances[2])
    if UNSURE <= chance < SURE:
        raise Refused("way up", f"It may lie upside down (chance {chance:.0%}). Turn it, if so; else ask a person.")
    return chance >= SURE


def with_features(detector: keras.Model) -> keras.Model:
    """Return a detector that also gives its encoder's features: the means of the maps of :data:`STAGES`, (b, k)."""
    side, found = detector.input_shape[1], []
    for each in STAGES:
        layers = [layer for layer in detector.layers if len(getattr(layer.output, "shape", ())) == 4]
        last = [layer for layer in layers if layer.output.shape[1] == -(-side // each)][-1]
        found.append(keras.layers.GlobalAveragePooling2D()(last.output))
    return keras.Model(detector.input, [detector.output, keras.layers.Concatenate()(found)])


@dataclass(frozen=True)
class Usual:
    """What slices look like that a detector knows.

    Attributes:
        mean, spread: of each feature over training slices, (k,).
        precision: inverse of the shrunken covariance (Ledoit and Wolf, 2004) of the features so scaled, (k, k).
        limit: Mahalanobis distance that ``COVERAGE`` of the validation slices stay below.
        ways: weights (4, _SMALL² + 1) of a logistic regression that tells quarter turns of a small picture.
        pixel_mean, pixel_spread: of these pictures' pixels, (_SMALL²,).
    """

    mean: np.ndarray
    spread: np.ndarray
    precision: np.ndarray
    limit: float
    ways: np.ndarray
    pixel_mean: np.ndarray
    pixel_spread: np.ndarray

    @classmethod
    def fit(
        cls, learned: Iterable[np.ndarray], held: Iterable[np.ndarray], features: Callable[[np.ndarray], np.ndarray]
    ) -> "Usual":
        """Learn what is usual. Both are gone through once, and no slice is kept.

        Args:
            learned: slices of training, uint8 (H, W, 3).
            held: slices of validation, which choose the limit.
            features: of one slice, (k,).
        """
        found = [(features(rgb), _small(rgb[..., 0])) for rgb in learned]
        known, small = (np.stack(part).astype(float) for part in zip(*found, strict=True))
        mean, spread = known.mean(axis=0), known.std(axis=0) + 1e-6
        precision = np.linalg.inv(LedoitWolf(assume_centered=True).fit((known - mean) / spread).covariance_)
        small = np.concatenate([small, small[:, :, ::-1]])
        turns = np.concatenate([np.rot90(small, k, (1, 2)) for k in range(4)]).reshape(4 * len(small), -1)
        pixel_mean, pixel_spread = turns.mean(axis=0), turns.std(axis=0) + 1
        fitted = LogisticRegression(C=1e-2, max_iter=100)
        fitted.fit((turns - pixel_mean) / pixel_spread, np.repeat(range(4), len(small)))
        ways = np.column_stack([fitted.coef_, fitted.intercept_])
        usual = cls(mean, spread, precision, 0.0, ways, pixel_mean, pixel_spread)
        limit = float(np.quantile([usual.distance(features(rgb)) for rgb in held], COVERAGE))
        return cls(mean, spread, precision, limit, ways, pixel_mean, pixel_spread)

    def distance(self, features: np.ndarray) -> float:
        """Return the Mahalanobis distance of a slice's features, (k,), from what is usual."""
        z = (features - self.mean) / self.spread
        return float(np.sqrt(z @ self.precision @ z))

    def turns(self, rgb: np.ndarray) -> np.ndarray:
        """Return the chances (4,) that a head lies turned by 0 to 3 quarter turns of :func:`numpy.rot90`."""
        pixels_of = (_small(rgb[..., 0]).ravel() - self.pixel_mean) / self.pixel_spread
        logits = self.ways @ np.append(pixels_of, 1)
        chance = np.exp(logits - logits.max())
        return chance / chance.sum()

    def write(self, target: str | os.PathLike) -> None:
        """Write it to a ``.npz`` file, whole or not at all."""
        with files.atomic_path(target) as temporary:
            np.savez(temporary, **vars(self))

    @classmethod
    def read(cls, path: str | os.PathLike) -> "Usual":
        """Read what :meth:`write` wrote."""
        with np.load(Path(path), allow_pickle=False) as found:
            return cls(**{name: float(found[name]) if name == "limit" else found[name] for name in found.files})


@dataclass(frozen=True)
class Verdict:
    """What becomes of a picture.

    Attributes:
        rgb: what was judged, uint8 (H, W, 3): the picture, upright where it lay turned.
        quarters: quarter turns of :func:`numpy.rot90` by which it lay turned.
        refused: why it is not answered; None where it is.
        stroke: the detector's raw probability of stroke; None where the picture was refused by name.
        distance: of its features from what is usual; None where it was refused by name, or nobody knows what is usual.
    """

    rgb: np.ndarray
    quarters: int = 0
    refused: Refused | None = None
    stroke: float | None = None
    distance: float | None = None

    @property
    def words(self) -> str:
        """The kind of the refusal, else whether it lay turned, else ``answered``."""
        if self.refused:
            return self.refused.kind
        return f"turned by {90 * self.quarters}°" if self.quarters else "answered"


def verdict(
    rgb: np.ndarray, usual: Usual | None, look: Callable[[np.ndarray], tuple[float, np.ndarray]], turned: bool = True
) -> Verdict:
    """Judge whether a picture is a slice to answer: first by name, then by the distance of its features.

    Args:
        rgb: uint8 (H, W, 3).
        usual: what slices look like that the detector knows; None: nothing is turned, and no distance is asked for.
        look: of a picture, the detector's raw probability of stroke and its features, (k,).
        turned: whether the head may lie turned; where the file says how it lies, nothing is guessed.
    """
    try:
        upright, quarters = straightened(rgb, usual if turned else None)
    except Refused as refused:
        return Verdict(rgb, refused=refused)
    upright = np.ascontiguousarray(upright)
    stroke, features = look(upright)
    distance = usual.distance(features) if usual else None
    far = None
    if usual and distance > usual.limit:
        how = f"{distance:.1f}, and {100 * COVERAGE:.0f} % of the validation slices stay below {usual.limit:.1f}"
        far = Refused("unusual", f"It looks unlike the slices that the network knows: its distance is {how}.")
    return Verdict(upright, quarters, far, stroke, distance)


def _small(grey: np.ndarray) -> np.ndarray:
    """Cut out the head and squeeze it to a small square, float (_SMALL, _SMALL); what is around it is black."""
    small = regions.squeezed(grey, regions.SIDE)
    head = regions.head(small)
    if not head.any():
        return np.zeros((_SMALL, _SMALL))
    rows, columns = np.flatnonzero(head.any(axis=1)), np.flatnonzero(head.any(axis=0))
    cut = (small * head)[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return regions.squeezed(np.uint8(cut), _SMALL).astype(float)
