"""From a folder of DICOM files to series of CT slices in anatomical order, with their places in mm."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from stroke_utils.base import errors, progress
from stroke_utils.base.errors import UserError
from stroke_utils.base.vocabulary import TYPES
from stroke_utils.data import dicom, leftovers

ALIKE = 0.002  # by which cosines of one direction may differ: they are written with few digits
NEAR = 0.05  # mm; slices closer than this lie at one place
WIDE = 1.5  # times the usual distance; wider ones are gaps
UPRIGHT = 1.0  # degrees of tilt that need no word
LARGEST = 10.0  # mm; a pixel of CT has 0.1 to 1.5
FARTHEST = 1e5  # mm from the origin; no scanner reaches that far

_NAMED = 3  # files that a note names


@dataclass(frozen=True)
class Slice:
    """One CT slice of a series; what its file does not state is None.

    Attributes:
        path: its DICOM file.
        header: what the file says about its pixels.
        number: place in its series as the scanner counts.
        spacing: mm between rows and between columns.
        corner: x, y and z of the first pixel's middle in the patient, in mm.
        directions: three cosines along a row and three along a column.
        position: mm along the normal, rising from the feet to the head where the slice is axial.
    """

    path: Path
    header: dicom.Header
    number: int | None = None
    spacing: tuple[float, ...] | None = None
    corner: tuple[float, ...] | None = None
    directions: tuple[float, ...] | None = None
    position: float | None = None

    @property
    def pixel(self) -> float | None:
        """Area of a pixel in mm²; None where the spacing is not stated."""
        return self.spacing[0] * self.spacing[1] if self.spacing else None


@dataclass(frozen=True)
class Aside:
    """A file that is in no series.

    Attributes:
        path: the file, or a folder that cannot be opened or that a program left.
        kind: ``no DICOM``, ``no CT slice``, ``broken``, ``double`` or ``left over``, as thumbnails are.
        reason: a sentence that names it.
    """

    path: Path
    kind: str
    reason: str


@dataclass(frozen=True)
class Series:
    """CT slices of one size and direction, in the order in which they lie in the patient.

    Attributes:
        uid: SeriesInstanceUID, None where the files name none.
        slices: in order, from the feet to the head where they are axial.
        distance: mm between neighbouring slices along their normal, the median; None where it is not known.
        notes: what a reader should know about the order and the measures, a sentence each.
    """

    uid: str | None
    slices: tuple[Slice, ...]
    distance: float | None
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.slices)

    def hounsfield(self) -> Iterator[np.ndarray]:
        """Read one slice after the other: float array (rows, columns) in Hounsfield units, as `dicom.read_hounsfield`.

        Raises:
            DicomError: the pixels of a slice are damaged.
        """
        return (dicom.read_hounsfield(each.path) for each in self.slices)

    def extents(self) -> np.ndarray | None:
        """Return the mm along the normal that each slice stands for: half the way to either neighbour, float (n,).

        Beyond the first and the last it is half the usual distance. None where the distance is not known.
        """
        if self.distance is None:
            return None
        steps = np.diff([each.position for each in self.slices])
        return (np.r_[self.distance, steps] + np.r_[steps, self.distance]) / 2


def volumes(series: Series, masks: Iterable[np.ndarray]) -> dict[str, float | None]:
    """Measure the lesions of a series: the area in each slice times the distance that the slice stands for.

    With equal distances this is the sum of the areas times the distance. A missing slice counts as the mean of its
    neighbours. The distance is along the normal, so a tilted gantry changes nothing (a shear keeps volumes).

    Args:
        series: of `read_series`.
        masks: one a slice, in its order, uint8 (rows, columns) of 0 background, 1 ischemia, 2 hemorrhage.

    Returns:
        ml of each of `vocabulary.TYPES`; None where the distance or a pixel spacing is not known.

    Raises:
        ValueError: too few or too many masks, or one of another size than its slice.
    """
    extents = series.extents()
    known = extents is not None and all(each.spacing for each in series.slices)
    total = np.zeros(len(TYPES))
    for number, (each, mask) in enumerate(zip(series.slices, masks, strict=True)):
        if mask.shape != (each.header.rows, each.header.columns):
            raise ValueError(
                f"{each.path.name} has {each.header.rows} × {each.header.columns} pixels, not {mask.shape}."
            )
        if known:
            counts = [np.count_nonzero(mask == value) for value, _ in enumerate(TYPES, 1)]
            total += np.array(counts) * each.pixel * extents[number]
    return {name: float(ml) if known else None for name, ml in zip(TYPES, total / 1000, strict=True)}


def read_series(
    path: str | os.PathLike, quiet: bool = False, skipped: str | os.PathLike = ""
) -> tuple[list[Series], list[Aside]]:
    """Find the series of CT slices in a folder and the folders in it, or in one file; no pixels are decoded.

    Files may have any names; links to folders are followed, each folder once. Slices are ordered by their position
    along the normal of their plane, never by name; by the scanner's count only where they state no position, which a
    note says. Slices of one series that differ in size or direction become several, because they are no stack.

    Args:
        path: folder or file.
        quiet: show no progress.
        skipped: a folder that is not looked into, and not told of.

    Returns:
        The series, in the order of their first files' paths, and the files that are in none, in the order of their
        paths, each with its reason.

    Raises:
        UserError: nothing is there.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"{path} is not there. Give a DICOM file, or a folder that holds a series of them.")
    paths, aside = _files(path, skipped) if path.is_dir() else ([path], [])
    found: dict[tuple, list[list[Slice]]] = {}
    for each in progress.in_threads(_look, paths, "Reading DICOM headers", quiet):
        if isinstance(each, Aside):
            aside.append(each)
        else:  # some anonymisers give all patients one UID
            series = each.header.patient, each.header.study, each.header.series or each.path.parent
            _stack_of(each, found.setdefault(series, [])).append(each)
    read = []
    for stacks in found.values():
        for stack in stacks:
            series, double = _in_order(stack, len(stacks) > 1)
            read.append(series)
            aside += double
    return read, sorted(aside, key=lambda each: each.path)


def _files(folder: Path, skipped: str | os.PathLike) -> tuple[list[Path], list[Aside]]:
    """List the files in a folder and in those below it; set aside what programs leave, copies, and what is closed."""
    found, aside, seen, out = [], [], set(), skipped and Path(skipped).resolve()

    def closed(error: OSError) -> None:
        reason = f"{error.filename} cannot be opened: {errors.reason(error)}"
        aside.append(Aside(Path(error.filename), "broken", reason))

    for place, folders, names in os.walk(folder, onerror=closed, followlinks=True):
        here, status, known = Path(place), os.stat(place), {*names}
        if (status.st_dev, status.st_ino) in seen or (out and here.resolve() == out):
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        left = {name: leftovers.who_left(name, folder=True) for name in folders}
        # Links last, so that a folder is read under its own name rather than under a link's.
        folders[:] = sorted((n for n in folders if not left[n]), key=lambda n: ((here / n).is_symlink(), n))
        for name in names:
            left[name] = leftovers.who_left(name, folder=False)
            original = None if left[name] else leftovers.original_of(here / name, known)
            if original:
                aside.append(Aside(here / name, "double", f"{name} is a copy of {original} beside it"))
            elif not left[name]:
                found.append(here / name)
        aside += [
            Aside(here / name, "left over", f"{name} was left by {who}: it is no slice of its own")
            for name, who in left.items()
            if who
        ]
    return sorted(found), aside


def _look(path: Path) -> Slice | Aside:
    """Read what a file says, or why it is no slice; called in threads."""
    try:
        header = dicom.read_header(path, whole=True)
        with dicom._explained(path):
            return Slice(path, header, *_place(path))
    except dicom.NoCtSlice as error:
        return Aside(path, "no CT slice", str(error))
    except dicom.DicomError as error:
        return Aside(path, "broken" if _begins_as_dicom(path) else "no DICOM", str(error))


def _begins_as_dicom(path: Path) -> bool:
    try:
        if not path.is_file():  # opening a pipe may never end
            return False
        with path.open("rb") as stream:
            return stream.read(132)[128:] == b"DICM"
    except OSError:
        return True  # nothing says that it is anything else


def _place(path: Path) -> tuple:
    """Return number, spacing, corner and directions as `Slice` has them."""
    from pydicom import dcmread  # here, because importing it takes a quarter of a second

    groups = {  # where enhanced CT keeps such tags
        "PixelSpacing": "PixelMeasuresSequence",
        "ImagePositionPatient": "PlanePositionSequence",
        "ImageOrientationPatient": "PlaneOrientationSequence",
    }
    holders = ["SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"]
    dataset = dcmread(path, stop_before_pixels=True, specific_tags=[*holders, *groups, "InstanceNumber"])
    spacing, corner, directions = (
        tuple(dicom._first(dicom._groups(dataset, group), name)) for name, group in groups.items()
    )
    number = next(iter(dicom._numbers(dataset, "InstanceNumber")), None)
    if len(spacing) != 2 or None in spacing or not 0 < min(spacing) <= max(spacing) <= LARGEST:
        spacing = None
    placed = len(corner) == 3 and len(directions) == 6 and None not in corner + directions
    if not (placed and max(map(abs, corner)) < FARTHEST and _right_angled(directions)):
        corner, directions = None, None
    return None if number is None else int(number), spacing, corner, directions


def _right_angled(directions: tuple[float, ...]) -> bool:
    rows = np.reshape(directions, (2, 3))
    return bool(np.abs(rows @ rows.T - np.eye(2)).max() < 0.01)


def _stack_of(one: Slice, stacks: list[list[Slice]]) -> list[Slice]:
    """Return the one of ``stacks`` that has a slice's size and direction, a new one where none has."""

    def fits(other: Slice) -> bool:
        if (one.header.rows, one.header.columns) != (other.header.rows, other.header.columns):
            return False
        if one.directions is None or other.directions is None:
            return one.directions is other.directions
        return np.allclose(one.directions, other.directions, rtol=0, atol=ALIKE)

    for stack in stacks:
        if fits(stack[0]):
            return stack
    stacks.append([])
    return stacks[-1]


def _in_order(stack: list[Slice], several: bool) -> tuple[Series, list[Aside]]:
    """Order the slices of a stack; return the series, and the slices that lie where another does."""
    uid = stack[0].header.series
    notes = ["The files name no series: those of one folder are taken for one."] if uid is None else []
    if several:
        notes.append(
            "Other slices of this series have another size or direction and are read as a series of their own."
        )
    placed = _placed(stack)
    if placed is None:
        notes.append(
            "The files do not state where their slices lie. The order is that of the instance numbers, and of the file "
            "names where these are missing, which may be wrong; distances and volumes are not known."
        )
        slices = sorted(stack, key=lambda each: (each.number is None, each.number or 0, each.path))
        return Series(uid, tuple(slices), None, (*notes, *_about_pixels(slices))), []
    kept, double = [], []
    for each in sorted(placed, key=lambda each: (each.position, each.number or 0, each.path)):
        if kept and each.position - kept[-1].position < NEAR:
            reason = f"{each.path.name} lies where {kept[-1].path.name} does, at {each.position:.1f} mm"
            double.append(Aside(each.path, "double", reason))
        else:
            kept.append(each)
    steps = np.diff([each.position for each in kept])
    distance = float(np.median(steps)) if len(steps) else None
    if double:
        notes.append(f"{len(double)} slices lie where another does and are set aside (first: {double[0].path.name}).")
    notes += [*_about_tilt(kept), *_about_steps(kept, steps, distance), *_about_pixels(kept)]
    return Series(uid, tuple(kept), distance, tuple(notes)), double


def _placed(stack: list[Slice]) -> list[Slice] | None:
    """Return the slices with their positions; None where none are stated, or one for all that the scanner counted."""
    if stack[0].directions is None:
        return None
    normal = _normal(stack[0].directions)
    placed = [replace(each, position=float(np.dot(each.corner, normal))) for each in stack]
    one_place = np.ptp([each.position for each in placed]) < NEAR and len({each.number for each in stack}) > 1
    return None if one_place else placed


def _normal(directions: tuple[float, ...]) -> np.ndarray:
    """Return the unit normal of a plane, (3,): towards head, back or left, whichever is nearest."""
    normal = np.cross(directions[:3], directions[3:])
    return normal / np.linalg.norm(normal) * np.sign(normal[np.abs(normal).argmax()])


def _about_tilt(slices: list[Slice]) -> list[str]:
    notes, normal = [], _normal(slices[0].directions)
    if (tilt := np.degrees(np.arccos(min(1.0, np.abs(normal).max())))) > UPRIGHT:
        notes.append(f"The slices are tilted by {tilt:.1f}° against the patient's axes.")
    if len(slices) > 1:
        way = np.median(np.diff([each.corner for each in slices], axis=0), axis=0)
        along = way @ normal
        if (skew := np.degrees(np.arctan2(np.linalg.norm(way - along * normal), along))) > UPRIGHT:
            notes.append(
                f"The gantry was tilted: the stack of slices leans by {skew:.1f}°. Areas and volumes hold, but who "
                "shows the stack as one block must shear it."
            )
    return notes


def _about_steps(slices: list[Slice], steps: np.ndarray, distance: float | None) -> list[str]:
    if distance is None:
        return ["One slice alone has no distance, and a lesion in it no volume."]
    gaps = np.flatnonzero(steps > WIDE * distance)
    notes = [
        f"Slices are missing, or lie {steps[k]:.1f} mm apart and not {distance:.1f} as most do, between "
        f"{slices[k].path.name} and {slices[k + 1].path.name}; volumes count the mean of both across the gap."
        for k in gaps[:_NAMED]
    ]
    if len(gaps) > _NAMED:
        notes.append(f"There are {len(gaps) - _NAMED} more such gaps.")
    rest = np.delete(steps, gaps)
    if np.ptp(rest) > max(NEAR, 0.1 * distance):
        notes.append(f"Other distances between slices vary from {rest.min():.1f} to {rest.max():.1f} mm.")
    return notes


def _about_pixels(slices: list[Slice]) -> list[str]:
    stated = np.array([each.spacing for each in slices if each.spacing])
    if len(stated) < len(slices):
        return [
            f"{len(slices) - len(stated)} of {len(slices)} files state no pixel spacing: their areas are not known in "
            "mm², and no volume is."
        ]
    if np.ptp(stated, axis=0).max() > 1e-3:
        return [f"The pixel spacing varies from {stated.min():.3f} to {stated.max():.3f} mm."]
    return []
