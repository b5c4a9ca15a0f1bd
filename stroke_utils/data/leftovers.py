"""What file managers, network drives and notebooks leave beside files: thumbnails, bookkeeping, copies."""

import filecmp
import re
from pathlib import Path

# Names of folders and of files, by who leaves them.
_FOLDERS = {
    "macOS": re.compile(r"__macosx|\.trashes|\.spotlight-v100|\.fseventsd"),
    "Windows": re.compile(r"\$recycle\.bin|recycler|system volume information|found\.\d{3}"),
    "a network drive": re.compile(r"@eadir|#recycle|#snapshot|\.snapshot|@recycle|@recently-snapshot|@tmp|\.?@__thumb"),
    "Jupyter": re.compile(r"\.ipynb_checkpoints"),
    "a picture viewer": re.compile(r"\.?thumb(nail)?s?"),
}
_FILES = {
    "macOS": re.compile(r"\._.*|\.ds_store|icon\r"),
    "Windows": re.compile(r"(eh)?thumbs(_vista)?\.db(:.*)?|desktop\.ini|.*[:\uf03a]zone\.identifier|.*\.lnk|~\$.*"),
    "a network drive": re.compile(r".*@syno(eastream|resource)|syno(photo|file|video)_.*"),
    "Jupyter": re.compile(r".+-checkpoint\.\w+"),
    "a picture viewer": re.compile(r"thumb(nail)?[_.-].*|.*[_.-]thumb(nail)?\.\w+"),
    "a DICOM disc": re.compile(r"dicomdir"),
}
_SILENT = re.compile(
    r"thumbs\.db|desktop\.ini|ehthumbs\.db|\.ds_store|dicomdir", re.IGNORECASE
)  # in nearly every folder
_COPY = re.compile(
    r"(?:cop(?:y|ie|ia) of |kopya )?(?P<name>.+?)"
    r"(?: ?-? ?(?:kopya|kopyas\u0131|copy|copie|kopie|copia)(?: ?\(?\d+\)?)?| ?\(\d+\))?(?P<suffix>\.\w+)",
    re.IGNORECASE,
)


def who_left(name: str, folder: bool) -> str | None:
    """Say who leaves a folder or file of this name beside a person's own; None where it is a person's own."""
    found = (who for who, pattern in (_FOLDERS if folder else _FILES).items() if pattern.fullmatch(name.casefold()))
    return next(found, None)


def is_silent(name: str) -> bool:
    """Tell whether a file of this name lies in so many folders that nobody need hear of it."""
    return bool(_SILENT.fullmatch(name))


def original_of(path: Path, names: set[str]) -> str | None:
    """Give the name of the file in the same folder that ``path`` is a copy of, byte by byte; None: of none.

    Windows, macOS and browsers call copies ``10000 - Kopya.png``, ``10000 copy.png`` and ``10000 (1).png``.
    """
    if path.stem.isalnum():  # nearly every name: no need to look closer
        return None
    found = _COPY.fullmatch(path.name)
    original = found and found["name"] + found["suffix"]
    if not original or original == path.name or original not in names:
        return None
    try:
        return original if filecmp.cmp(path, path.with_name(original), shallow=False) else None
    except OSError:
        return None
