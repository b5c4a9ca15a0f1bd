"""Finds the files of a data folder: which are slices, overlays, masks, DICOMs and tables, in every known layout.

`cohort` reads and joins what this module finds.
"""

import os
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from stroke_utils.base.errors import UserError, reason
from stroke_utils.base.paths import shown
from stroke_utils.data import leftovers
from stroke_utils.data.names import Place, read_names, spellings, words_of

HELD_OUT = {"test", "testing", "val", "valid", "validation"}  # other data sets' names; the tests here are the sessions
# What only one layout's folders are called, in plain form; the first that fits counts.
_SIGNS = {
    "ftp": re.compile(r"training|inmeyok|yarisma [12]"),
    "portal": re.compile(r".*(skemik?|kanama) veri set.*|.*nme yok kronik.*|kontur yok .*|test veri seti [12]"),
    "mirror-a": re.compile(r"i?skemi|kanama|i?nme yok"),
    "mirror-b": re.compile(r"ischemia|bleeding|normal|external test"),
}
_ARCHIVES = re.compile(r".*\.(zip|z\d\d|zip\.\d{3}|7z|7z\.\d{3}|rar|tar|tar\.gz|tgz)", re.IGNORECASE)
_UNPACK = (
    "Unpack it first, all parts of a multi-part zip together in one folder: `7z x NAME.zip` starts at the first part "
    "and finds the others (macOS: The Unarchiver; plain `unzip` can't join parts). Then give the folder that holds the "
    "class folders."
)
_TABLES = (".txt", ".csv", ".tsv", ".xlsx", ".xlsm", ".xls", ".ods", ".numbers")  # of `tables`
# Endings of slices. Many DICOM files have none, or names of dots and numbers, and are known by their content alone.
# Converters write "10000.dcm.png" for the slice of 10000.dcm.
_ENDING = re.compile(r"(\.(dcm|dicom|ima))?\.(png|dcm|dcm30|dc3|dicom|dic|ima|img|acr|ct)$", re.IGNORECASE)
PROBLEM_COLUMNS = ("kind", "path", "detail", "used", "files")
"""Columns of ``Cohort.problems``; ``used`` tells whether the ``files`` files in question are still used."""

_LONGEST = 1000  # letters of a detail; names and ids from outside may be of any length
_SHOWN = 4  # different details in such a row
_MANY = 10  # rows of one kind: more of what is used all the same become one row


# What a file may turn out to be, whatever it is called: how it begins, from which byte on.
_SIGNATURES = (
    (b"DICM", 128, "DICOM"),  # first, for what stands before it may be a TIFF's beginning
    (b"\x89PNG\r\n\x1a\n", 0, "PNG"),
    (b"\xff\xd8\xff", 0, "JPEG"),
    (b"\0\0\0\x0cjP  ", 0, "JPEG 2000"),
    (b"BM", 0, "BMP"),
    (b"GIF8", 0, "GIF"),
    (b"II*\0", 0, "TIFF"),
    (b"MM\0*", 0, "TIFF"),
    (b"WEBP", 8, "WebP"),
    (b"ftyp", 4, "HEIF"),
    (b"%PDF", 0, "PDF"),
    (b"PK\x03\x04", 0, "zip archive"),
    (b"\x1f\x8b", 0, "gzip archive"),
    (b"\x93NUMPY", 0, "numpy array"),
    (b"n+1\0", 344, "NIfTI volume"),
    (b"version https://git-lfs", 0, "pointer of Git LFS to a file that was not fetched"),
    (b"<!DOCTYPE", 0, "web page"),
    (b"<html", 0, "web page"),
)


@dataclass(frozen=True)
class SliceFile:
    """A file that belongs to a slice: what it is, by the folders it is in."""

    path: Path
    kind: str  # png, overlay, mask, dicom
    part: str
    label: str | None  # the class folder's, "stroke" where it names no type; None in the sessions
    slice_id: str
    patient: str | None = None  # by the folders, where names begin anew in each
    inside: str | None = None  # the class of a folder inside a session's, in the words of ``label``


def _printable(text: str) -> str:
    """Escape line breaks and bytes that are no text: names come from anywhere and go into tables and terminals."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


class Problems(list):
    """Rows with ``PROBLEM_COLUMNS`` in the order of finding; paths are relative to the root."""

    def __init__(self, root: Path):
        super().__init__()
        self.root = root
        self.sources: dict[Path, Path] = {}  # what was made from the data: of which file

    def add(self, kind: str, path: Path, detail: str, used: bool, count: int = 1) -> None:
        """Note one finding: a short kind, the file or folder, a sentence, whether it is used, how many files it is."""
        self.append((kind, self.name(path), _printable(detail[:_LONGEST]), used, count))

    def name(self, path: Path) -> str:
        """Give a path for people: relative to the root; of what was made from the data that of its source."""
        path = self.sources.get(path, path)
        return _printable(path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else shown(path))

    def table(self) -> pd.DataFrame:
        """Give the rows as a table. More than ten of a kind whose files are all used become one that counts them."""
        rows, kinds = [], {}
        for row in dict.fromkeys(self):
            kinds.setdefault((row[0], row[3]), []).append(row)
        for (kind, used), group in kinds.items():
            if used and len(group) > _MANY:
                paths, total = [row[1] for row in group], sum(row[4] for row in group)
                detail = f"{total} files (first: {paths[0]}). {_counted(group)}"
                group = [(kind, os.path.commonpath(paths) or ".", detail, used, total)]
            rows += group
        return pd.DataFrame(rows, columns=PROBLEM_COLUMNS)


def _counted(group: list[tuple]) -> str:
    """Give the detail that rows share, or the most frequent ones with how many files each speaks of."""
    numbers = Counter()
    for _, _, detail, _, files in group:
        numbers[detail] += files
    if len(numbers) == 1:
        return group[0][2]
    most = numbers.most_common(_SHOWN)
    rest = sum(numbers.values()) - sum(number for _, number in most)
    said = [f"{number} of them: {detail}" for detail, number in most]
    return " ".join([*said, *([f"{rest} others: likewise, with other values."] if rest else [])])


def checked_root(folder: str | os.PathLike) -> Path:
    """Return the absolute path of a data folder that can be looked into.

    Raises:
        UserError: no such folder, one that may not be read, an archive or another file, or an empty folder.
    """
    root = Path(os.path.abspath(Path(folder).expanduser()))
    try:
        entries = os.listdir(root)
    except FileNotFoundError:
        raise UserError(f"The data folder {root} does not exist. Is there a slip in data_dir or STROKE_DATA?") from None
    except NotADirectoryError:
        raise UserError(
            f"{root} is {'an archive' if _ARCHIVES.fullmatch(root.name) else 'a file'}; expected the folder that the "
            f"archive unpacks to. {_UNPACK}"
        ) from None
    except OSError as error:
        raise UserError(f"The data folder {root} can't be read: {reason(error)}. Check its rights.") from error
    if not entries:
        raise UserError(f"The data folder {root} is empty. Unpack the data set into it, or choose another folder.")
    return root


def recognise(names: tuple[str, ...]) -> tuple[str | None, str | None, str | None]:
    """Give (part, class label, kind) for the folders between the root and a file; the innermost match wins."""
    place = read_names(names)
    return place.part, place.label, place.kind


def name_layout(root: Path, found: list[SliceFile]) -> str:
    """Tell by the folders' names in which of ``vocabulary.LAYOUTS`` the slices are; "other" if they fit none.

    A folder put together from several is called by all of their names, the one with most slices first.
    """
    votes, here = Counter(), [f for f in found if f.path.is_relative_to(root)]
    slices = [f for f in here if f.kind == "png"] or here  # the PNGs of a folder of DICOMs are elsewhere
    for folder, number in Counter(f.path.parent for f in slices).items():
        forms = [form for name in folder.relative_to(root).parts for form in spellings(name)]
        votes.update({next((n for n, sign in _SIGNS.items() if any(map(sign.fullmatch, forms))), "other"): number})
    if len(votes) > 1:
        del votes["other"]  # folders that two layouts share, such as session 2, speak for neither
    return " + ".join(name for name, _ in votes.most_common())


def walk(root: Path, skipped: Path | None, problems: Problems) -> tuple[list[SliceFile], list[Path]]:
    """List the slices' files and the tables under ``root``; follows links to folders, each folder once."""
    found, tables, seen, left = [], [], set(), Counter()

    def unreadable(error: OSError) -> None:
        problems.add("unreadable_folder", Path(error.filename), f"{error.strerror}; nothing in it is used.", False)

    for folder, subfolders, names in os.walk(root, onerror=unreadable, followlinks=True):
        here = Path(folder)
        status = here.stat()
        if (status.st_dev, status.st_ino) in seen:
            problems.add("folder_twice", here, "A link to a folder that was read already; it is not followed.", True)
            subfolders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        for name in [n for n in subfolders if leftovers.who_left(n, folder=True)]:
            left[f"left by {leftovers.who_left(name, folder=True)}"] += 1
            subfolders.remove(name)
        names = _own_files(here, names, left)
        # Links last, so that a folder is read under its own name rather than under a link's.
        subfolders[:] = sorted(
            (n for n in subfolders if not n.startswith(".") and here / n != skipped),
            key=lambda n: (os.path.islink(here / n), n),
        )
        tables += [here / n for n in names if n.lower().endswith(_TABLES) and os.path.isfile(here / n)]
        _sort_files(here, names, read_names(here.relative_to(root).parts), found, problems)
    left = +left  # without those that nobody need hear of
    if left:
        who = ", ".join(f"{number} {name}" for name, number in left.items())
        detail = f"Thumbnails, bookkeeping and copies were skipped ({who}); they hold no further slices."
        problems.add("hidden_files", root, detail, True, left.total())
    return found, tables


def _own_files(here: Path, names: list[str], left: Counter) -> list[str]:
    """Give the names of a folder's files without what programs leave there, which is counted in ``left``."""
    own, known = [], {*names}
    for name in sorted(names):
        if who := leftovers.who_left(name, folder=False):
            left[f"left by {who}"] += not leftovers.is_silent(name)
        elif leftovers.original_of(here / name, known):
            left["copies of files beside them"] += 1
        elif not name.startswith("."):
            own.append(name)
    return own


def _sort_files(here: Path, names: list[str], place: Place, found: list[SliceFile], problems: Problems) -> None:
    """Append the files of one folder to ``found``, or one row to ``problems`` for those that belong nowhere."""
    part, label, kind = place.part, place.label, place.kind
    pngs = [n for n in names if n.lower().endswith(".png")]
    archives = [n for n in names if _ARCHIVES.fullmatch(n)]
    dicoms = [n for n in names if n.lower().endswith(".dcm")]
    known = {*pngs, *dicoms, *archives}
    others = [n for n in names if n not in known and not n.lower().endswith(_TABLES)]
    contents = {n: content(here / n) for n in others}
    dicoms += [n for n in others if contents[n] == "DICOM"]
    pngs += [n for n in others if contents[n] == "PNG" and "." not in n]  # with another ending it may be a backup
    others = [n for n in others if n not in {*pngs, *dicoms}]
    if place.doubt and (pngs or dicoms):
        detail = (
            f"{len(pngs + dicoms)} slices in a folder whose name can be read in two ways ({place.words!r}): "
            f"{place.doubt}; they are not used. Name it after one class, such as 'Normal', 'Ischemia' or 'Hemorrhage'."
        )
        problems.add("ambiguous_folder", here, detail, False, len(pngs + dicoms))
        pngs, dicoms = [], []
    if dicoms and part is None:
        detail = (
            f"{len(dicoms)} DICOM in a folder that is no class and no session (first: {dicoms[0]}); they are not used."
        )
        problems.add("unknown_folder", here, detail, False, len(dicoms))
    if pngs and part is None:
        detail = f"{len(pngs)} PNG in a folder that is no class and no session (first: {pngs[0]}); they are not used."
        problems.add("unknown_folder", here, detail, False, len(pngs))
    elif pngs and kind == "dicom":
        detail = f"{len(pngs)} PNG in a DICOM folder (first: {pngs[0]}); they are not used."
        problems.add("png_in_dicom_folder", here, detail, False, len(pngs))
    elif pngs:
        found += [SliceFile(here / n, kind or "png", part, label, stem(n), inside=place.inside) for n in pngs]
    held_out = any(HELD_OUT.intersection(words_of(name)) for name in here.relative_to(problems.root).parts)
    if part == "train" and held_out and (pngs or dicoms):
        number = f"{len(pngs)} PNG" if pngs else f"{len(dicoms)} DICOM"
        detail = f"{number} under a folder called test or validation; they count as training."
        problems.add("held_out_folder", here, detail, True, len(pngs or dicoms))
    if archives:
        detail = f"{len(archives)} archive files (first: {archives[0]}); what is in them is not read. {_UNPACK}"
        problems.add("not_unpacked", here, detail, False, len(archives))
    if part is not None and others:
        detail = f"{len(others)} files that are neither PNG nor DICOM (first: {others[0]}); they are not used."
        problems.add("other_files", here, detail, False, len(others))
    if part is not None:
        found += [SliceFile(here / n, "dicom", part, label, stem(n), inside=place.inside) for n in dicoms]


def content(path: Path) -> str:
    """Say what a file is by how it begins; empty where that is of no known kind."""
    try:
        if not path.is_file():  # reading a pipe may never end
            return ""
        with path.open("rb") as stream:
            start = stream.read(400)
    except OSError:
        return ""
    return next((name for mark, place, name in _SIGNATURES if start[place : place + len(mark)] == mark), "")


def stem(name: str) -> str:
    """Return the slice id of a file name: without the suffix, in the composed Unicode form, in printable letters."""
    return _printable(_ENDING.sub("", unicodedata.normalize("NFC", name.strip())))


def nothing_usable(root: Path, found: list[SliceFile], problems: Problems) -> str:
    """Say why a folder gives no slice: what is wrong with those found, or what it holds and what was expected."""
    kinds = problems.table().groupby("kind", sort=False).agg({"files": "sum", "path": "first", "detail": "first"})
    why = "".join(f" {row.Index} {row.files}, first {row.path}: {row.detail}" for row in kinds.itertuples())
    if found:
        return f"No usable slice in {root}. Problems by kind:{why}"
    entries = sorted(p.name + ("/" if os.path.isdir(p) else "") for p in root.iterdir() if not p.name.startswith("."))
    shown = ", ".join(entries[:8]) + (", …" if len(entries) > 8 else "")
    above = ""
    if "unknown_folder" in kinds.index and any(recognise(root.parts[-2:])):
        above = " Its own name looks like a class or session: if it is one, give the folder above it."
    return (
        f"No layout of the data set recognised in {root}, which holds: {shown or 'hidden files only'}. Expected class "
        "folders such as 'İskemi Veri Seti', 'Kanama Veri Seti', 'İnme Yok_…' or 'Ischemia', 'Bleeding', 'Normal' with "
        "PNG files or PNG/ and OVERLAY/ inside, and session folders such as 'YarısmaVeriSeti_1.Oturum'. Give the "
        f"folder that holds those.{above}{' Problems by kind:' if why else ''}{why}"
    )
