"""Finds the files of a data folder: which are slices, overlays, masks, DICOMs and tables, in every known layout.

`cohort` reads and joins what this module finds.
"""

import contextlib
import csv
import os
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from stroke_utils.base import vocabulary
from stroke_utils.base.errors import UserError, reason
from stroke_utils.base.paths import shown

# Plain names of the session folders: the portal's and mirror A's, the competition server's, mirror B's.
_SESSION = re.compile(r"(?<![a-z])(?:yarisma\D*|test veri seti |session ?)([12])(?!\d)|(?<!\d)([12]) ?oturum")
_EXTERNAL_TEST = "external test"
_HELD_OUT = {"test", "testing", "val", "valid", "validation"}  # other data sets' names; the tests here are the sessions
# What only one layout's folders are called, in plain form; the first that fits counts.
_SIGNS = {
    "ftp": re.compile(r"training|inmeyok|yarisma [12]"),
    "portal": re.compile(r".*(skemi|kanama) veri set.*|.*nme yok kronik.*|test veri seti [12]"),
    "mirror-a": re.compile(r"i?skemi|kanama|i?nme yok"),
    "mirror-b": re.compile(r"ischemia|bleeding|normal|external test"),
}
# Code pages that zip tools took a name's bytes for, and the right ones.
_MOJIBAKE = (
    *(("cp437", "utf-8"), ("cp857", "utf-8"), ("cp850", "utf-8"), ("cp1252", "utf-8"), ("cp1254", "utf-8")),
    *(("cp437", "cp857"), ("cp850", "cp857"), ("cp1252", "cp1254"), ("cp1252", "cp857")),
    *(("utf-8", "cp857"), ("utf-8", "cp1254")),  # bytes left as they were
)
_ARCHIVES = re.compile(r".*\.(zip|z\d\d|zip\.\d{3}|7z|7z\.\d{3}|rar|tar|tar\.gz|tgz)", re.IGNORECASE)
_UNPACK = (
    "Unpack it first, all parts of a multi-part zip together in one folder: `7z x NAME.zip` starts at the first part "
    "and finds the others (macOS: The Unarchiver; plain `unzip` can't join parts). Then give the folder that holds the "
    "class folders."
)
_TABLES = (".txt", ".csv", ".tsv")
# Endings of slices. Many DICOM files have none, or names of dots and numbers, and are known by their content alone.
_ENDING = re.compile(r"\.(png|dcm|dcm30|dc3|dicom|dic|ima|img|acr|ct)$", re.IGNORECASE)
_SYSTEM_FILES = ("dicomdir", "thumbs.db", "desktop.ini", "ehthumbs.db")
# Header words of the label files and of patients.csv, in plain form without question marks.
_HEADERS = {
    "id": ("image id", "imageid", "slice id"),
    "stroke": ("inme var mi", "nme var mi", "nme var m", "stroke"),
    "patient": ("patient", "patient id"),
}
_NO_HEADER = re.compile(r"(\S+?)[\s,;]+([01])\s*")
_LARGEST_TABLE = 5_000_000  # bytes; the organiser's largest label file has 0.2 MB
csv.field_size_limit(_LARGEST_TABLE)  # a long cell is no reason to stop reading

PROBLEM_COLUMNS = ("kind", "path", "detail", "used", "files")
"""Columns of ``Cohort.problems``; ``used`` tells whether the ``files`` files in question are still used."""

_LONGEST = 1000  # letters of a detail; names and ids from outside may be of any length
_SHOWN = 4  # different details in such a row
_MANY = 10  # rows of one kind: more of what is used all the same become one row


@dataclass(frozen=True)
class SliceFile:
    """A file that belongs to a slice: what it is, by the folders it is in."""

    path: Path
    kind: str  # png, overlay, mask, dicom
    part: str
    label: str | None  # the class folder's, "stroke" where it names no type; None in the sessions
    slice_id: str


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


def _spellings(name: str) -> list[str]:
    """Plain forms of a folder name: as it is, and as it was before a zip tool took its bytes for another code page."""
    # unzip writes "#U0130" for a letter that its locale lacks.
    name = re.sub("#U([0-9a-fA-F]{4})", lambda m: chr(int(m[1], 16)), unicodedata.normalize("NFC", name))
    forms = [vocabulary.plain(name)]
    for wrong, right in () if name.isascii() else _MOJIBAKE:
        with contextlib.suppress(UnicodeError):
            forms.append(vocabulary.plain(name.encode(wrong, "surrogateescape").decode(right)))
    return forms


def recognise(names: tuple[str, ...]) -> tuple[str | None, str | None, str | None]:
    """Give (part, class label, kind) for the folders between the root and a file; the innermost match wins."""
    part = label = kind = None
    for name in names:
        for form in _spellings(name):
            session = _SESSION.search(form)
            if session or form == _EXTERNAL_TEST:
                part = f"session{next(filter(None, session.groups())) if session else 1}"
            if form in vocabulary.STROKE_FOLDERS:
                label = "stroke"
            for candidate, aliases in vocabulary.CLASS_FOLDERS.items():
                # Not after a letter, so that "abnormal" is not "normal".
                if any(re.search(rf"(?<![a-z]){alias}", form) for alias in aliases):
                    label = candidate
            for candidate, aliases in vocabulary.KIND_FOLDERS.items():
                if form in aliases:
                    kind = candidate
    if part:
        return part, None, kind
    return ("train" if label else None), label, kind


def name_layout(root: Path, found: list[SliceFile]) -> str:
    """Tell by the folders' names in which of ``vocabulary.LAYOUTS`` the slices are; "other" if they fit none.

    A folder put together from several is called by all of their names, the one with most slices first.
    """
    votes, here = Counter(), [f for f in found if f.path.is_relative_to(root)]
    slices = [f for f in here if f.kind == "png"] or here  # the PNGs of a folder of DICOMs are elsewhere
    for folder, number in Counter(f.path.parent for f in slices).items():
        forms = [form for name in folder.relative_to(root).parts for form in _spellings(name)]
        votes.update({next((n for n, sign in _SIGNS.items() if any(map(sign.fullmatch, forms))), "other"): number})
    if len(votes) > 1:
        del votes["other"]  # folders that two layouts share, such as session 2, speak for neither
    return " + ".join(name for name, _ in votes.most_common())


def walk(root: Path, skipped: Path | None, problems: Problems) -> tuple[list[SliceFile], list[Path]]:
    """List the slices' files and the tables under ``root``; follows links to folders, each folder once."""
    found, tables, seen, hidden = [], [], set(), 0

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
        hidden += sum(n.startswith("._") for n in names) + ("__MACOSX" in subfolders)
        # Links last, so that a folder is read under its own name rather than under a link's.
        subfolders[:] = sorted(
            (n for n in subfolders if not n.startswith(".") and n != "__MACOSX" and here / n != skipped),
            key=lambda n: (os.path.islink(here / n), n),
        )
        names = sorted(n for n in names if not n.startswith("."))
        tables += [here / n for n in names if n.lower().endswith(_TABLES) and os.path.isfile(here / n)]
        _sort_files(here, names, recognise(here.relative_to(root).parts), found, problems)
    if hidden:
        detail = f"{hidden} hidden entries of a macOS archive (._* or __MACOSX) were skipped; they hold no slices."
        problems.add("hidden_files", root, detail, True, hidden)
    return found, tables


def _sort_files(here: Path, names: list[str], place: tuple, found: list[SliceFile], problems: Problems) -> None:
    """Append the files of one folder to ``found``, or one row to ``problems`` for those that belong nowhere."""
    part, label, kind = place
    pngs = [n for n in names if n.lower().endswith(".png")]
    archives = [n for n in names if _ARCHIVES.fullmatch(n)]
    dicoms = [n for n in names if n.lower().endswith(".dcm")]
    known = {*pngs, *dicoms, *archives}
    others = [n for n in names if n not in known and not n.lower().endswith(_TABLES) and n.lower() not in _SYSTEM_FILES]
    dicoms += [n for n in others if is_dicom(here / n)]
    others = [n for n in others if n not in set(dicoms)]
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
        found += [SliceFile(here / n, kind or "png", part, label, stem(n)) for n in pngs]
        if part == "train" and _HELD_OUT.intersection(map(vocabulary.plain, here.relative_to(problems.root).parts)):
            detail = f"{len(pngs)} PNG under a folder called test or validation; they count as training."
            problems.add("held_out_folder", here, detail, True, len(pngs))
    if archives:
        detail = f"{len(archives)} archive files (first: {archives[0]}); what is in them is not read. {_UNPACK}"
        problems.add("not_unpacked", here, detail, False, len(archives))
    if part is not None and others:
        detail = f"{len(others)} files that are neither PNG nor DICOM (first: {others[0]}); they are not used."
        problems.add("other_files", here, detail, False, len(others))
    if part is not None:
        found += [SliceFile(here / n, "dicom", part, label, stem(n)) for n in dicoms]


def is_dicom(path: Path) -> bool:
    """Tell by its content whether a file is DICOM, whatever its name; one that can't be opened is none."""
    try:
        if not path.is_file():  # reading a pipe may never end
            return False
        with path.open("rb") as stream:
            return stream.read(132)[128:] == b"DICM"
    except OSError:
        return False


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


def read_table(path: Path) -> pd.DataFrame | None:
    """Read a label or patient table as strings with columns id and stroke and / or patient, or None if it is none."""
    try:
        if path.stat().st_size > _LARGEST_TABLE:
            return None
        data = path.read_bytes()
    except OSError:
        return None
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = data.decode("utf-16", "replace")
    else:
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = data.decode("cp1254", "replace")
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        return None
    bare = [_NO_HEADER.fullmatch(line) for line in lines]
    if all(bare):
        return pd.DataFrame([(stem(m[1]), m[2]) for m in bare], columns=["id", "stroke"])
    delimiter = max("\t,;", key=lines[0].count)
    rows = list(csv.reader(lines, delimiter=delimiter))
    header = [vocabulary.plain(name).rstrip("? ") for name in rows[0]]
    columns = {name: header.index(w) for name, words in _HEADERS.items() for w in words if w in header}
    if "id" not in columns or not {"stroke", "patient"} & columns.keys():
        return None
    rows = [row for row in rows[1:] if len(row) >= len(header)]
    table = pd.DataFrame({name: [row[i].strip() for row in rows] for name, i in columns.items()}, dtype=object)
    table["id"] = table["id"].map(stem)
    return table
