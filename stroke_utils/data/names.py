"""What the names of folders say: class, session and kind of file, by whole words, in every spelling.

A class that a name negates is no stroke (``No_Hemorrhage``, ``Kanama Yok``). A name that can be read in two ways is in
doubt and refused by the reader, for a wrong label is worse than a missing slice.
"""

import contextlib
import functools
import itertools
import re
import unicodedata
from dataclasses import dataclass, replace

from stroke_utils.base import vocabulary

# Plain names of the session folders: the portal's and mirror A's, the competition server's, mirror B's.
_SESSION = re.compile(
    r"(?<![a-z])(?:yarisma\D*|test veri seti |session ?(?:no )?|oturum ?(?:no )?|asama ?(?:no )?)0?([12])(?!\d)"
    r"|(?<!\d)0?([12])(?:st|nd)? ?(?:oturum|asama|session)(?! ?\d)"
)
_ORDINALS = re.compile(r"(?<![a-z])(?:(birinci|first)|ikinci|second) (?:oturum|asama|session)")
_EXTERNAL_TEST = re.compile(r"external ?test(?: set)?(?: ?\(\d+\)| kopya| copy)*")
# Code pages that zip tools took a name's bytes for, and the right ones.
_MOJIBAKE = (
    *(("cp437", "utf-8"), ("cp857", "utf-8"), ("cp850", "utf-8"), ("cp1252", "utf-8"), ("cp1254", "utf-8")),
    *(("cp437", "cp857"), ("cp850", "cp857"), ("cp1252", "cp1254"), ("cp1252", "cp857")),
    *(("utf-8", "cp857"), ("utf-8", "cp1254")),  # bytes left as they were
)

_TURKISH = re.compile(r"[\0-\x7fâçğıîöşûüÂÇĞİÎÖŞÛÜ\u0300-\u036f]*")  # a name of these letters is as it was meant

_NOUNS = {w: label for label, words in vocabulary.CLASS_WORDS.items() for w in words}
_BEFORE, _AFTER, _EITHER, _UNCLEAR = vocabulary.NEGATIONS.values()
_PHRASES = {"kontur yok": "konturyok", "de il": "degil", "w o": "without"}
_NEGATIONS = {*_BEFORE, *_AFTER, *_EITHER}
_NEGATED_VERB = re.compile(r"[a-z]{2,}m[ae](?:y[ae]n(?:l[ae]r)?|di|mis)")  # -mayan, -meyenler, -madı, -memiş
_MINUS = re.compile(r"\(\s*[-\u2212\u2013]\s*\)")  # as in reports: "Hemorrhage (-)"
_KINDS = {word: kind for kind, words in vocabulary.KIND_FOLDERS.items() for word in words}
_ANY_FILES = {"copy", "kopya", "files", "images", "image"}  # words that take nothing away from such a kind
_PIECES = sorted({*_NOUNS, *vocabulary.GLUED_WORDS, *_NEGATIONS}, key=len, reverse=True)


@dataclass(frozen=True)
class Place:
    """What the folders between the root and a file say.

    Attributes:
        part: of ``vocabulary.PARTS``; None where they name no class and no session, or are in doubt.
        label: the class of a training folder, "stroke" where it names no type; None in the sessions.
        inside: the class of a folder inside a session's, in the same words; None elsewhere and where it is in doubt.
        kind: png, overlay, mask or dicom; None where no folder says it.
        words: what in the names decided, for people.
        doubt: why the names can be read in two ways, or "".
        depth: how many of the folders lead to the one that decided; 0 where none did.
        inside_depth: the same for ``inside``.
    """

    part: str | None = None
    label: str | None = None
    inside: str | None = None
    kind: str | None = None
    words: str = ""
    doubt: str = ""
    depth: int = 0
    inside_depth: int = 0


def _decoded(name: str) -> list[str]:
    """Give a name as it is, and as it was before a zip tool took its bytes for another code page."""
    # unzip writes "#U0130" for a letter that its locale lacks.
    name = re.sub("#U([0-9a-fA-F]{4})", lambda m: chr(int(m[1], 16)), unicodedata.normalize("NFC", name))
    forms = [name]
    for wrong, right in () if _TURKISH.fullmatch(name) else _MOJIBAKE:
        with contextlib.suppress(UnicodeError):
            forms.append(name.encode(wrong, "surrogateescape").decode(right))
    return list(dict.fromkeys(forms))


@functools.lru_cache(4096)
def spellings(name: str) -> tuple[str, ...]:
    """Give the plain forms of a folder's name, see ``vocabulary.plain``: as it is, and with its bytes read rightly."""
    return tuple(dict.fromkeys(map(vocabulary.plain, _decoded(name))))


def words_of(name: str) -> list[str]:
    """Split a name into plain words and numbers; words that are written together fall apart where all are known."""
    found = []
    name = _MINUS.sub(" negative ", unicodedata.normalize("NFC", name))
    for run in re.findall(r"[^\W\d_]+|\d+", name):
        word = vocabulary.plain(run).replace(" ", "")
        if word in vocabulary.OPPOSITES:
            found += vocabulary.OPPOSITES[word]
        elif word in _NOUNS or _negates(word):
            found.append(word)
        else:
            found += _glued(word) or _capitals(run) or ([word] if word else [])
    text = f" {' '.join(found)} "
    for phrase, one in _PHRASES.items():
        text = text.replace(f" {phrase} ", f" {one} ")
    return text.split()


def _glued(word: str) -> list[str] | None:
    """Cut a word into known ones, a class among them (``inmeyok``); None where it is not made of such."""
    ways = [[]] + [None] * len(word)  # the pieces of the first letters
    for end in range(1, len(word) + 1):
        for piece in _PIECES:
            start = end - len(piece)
            if ways[end] is None and start >= 0 and ways[start] is not None and word.endswith(piece, 0, end):
                ways[end] = [*ways[start], piece]
    pieces = ways[-1]
    if not pieces or not any(piece in _NOUNS for piece in pieces):
        return None
    return ["yok" if piece[:3] in ("siz", "suz") else piece for piece in pieces]


def _capitals(run: str) -> list[str] | None:
    """Split a word at its capitals (``NoAcuteHemorrhage``) where that shows a class; None where it shows none."""
    starts = [
        i for i in range(1, len(run)) if run[i].isupper() and (run[i - 1].islower() or run[i + 1 : i + 2].islower())
    ]
    pieces = [vocabulary.plain(run[i:j]) for i, j in itertools.pairwise([0, *starts, len(run)])]
    return pieces if starts and any(piece in _NOUNS for piece in pieces) else None


def _negates(word: str) -> bool:
    return word in _NEGATIONS or bool(_NEGATED_VERB.fullmatch(word))


def _negated(words: list[str]) -> tuple[dict[int, bool], bool]:
    """Tell for each class word, by its place, whether it is negated; and whether a negation belongs to nothing."""
    nouns, loose = {i: False for i, word in enumerate(words) if word in _NOUNS}, False
    for i, word in enumerate(words):
        if word in _UNCLEAR:
            loose = True
        if not _negates(word):
            continue
        for step in [1] * (word in _BEFORE or word in _EITHER) + [-1] * (word not in _BEFORE):
            j = i + step
            while 0 <= j < len(words) and words[j] in vocabulary.BETWEEN_WORDS:
                j += step
            other = words[j] if 0 <= j < len(words) else ""
            if other in _NOUNS:
                nouns[j] = True
            if other in _NOUNS or other in vocabulary.FILE_WORDS or (word == "no" and other.isdigit()):
                break
        else:
            loose = True
    return nouns, loose


def meaning(words: list[str]) -> tuple[str | None, str, str]:
    """Read words as (class, the words that decided, why they are in doubt); the class is None where none is named."""
    nouns, loose = _negated(words)
    if not nouns:
        rest = [word for word in words if word not in vocabulary.IDLE_WORDS and not word.isdigit()]
        return ("none", "none", "") if rest == ["none"] else (None, "", "")  # this project's own word for the class
    telling = {*_UNCLEAR, *(vocabulary.FILE_WORDS if any(map(_negates, words)) else ())}
    said = " ".join(word for i, word in enumerate(words) if i in nouns or word in telling or _negates(word))
    named = {_NOUNS[words[i]] for i, negated in nouns.items() if not negated}
    denied = {_NOUNS[words[i]] for i, negated in nouns.items() if negated}
    if named == {"stroke"} and not denied:
        # Data sets carry the word too, so it counts only where the name says nothing else.
        rest = [w for w in words if w not in _NOUNS and not w.isdigit() and w not in vocabulary.IDLE_WORDS]
        return (None, "", "") if rest else ("stroke", said, "")
    if loose:
        return None, said, "it is not clear what is negated"
    if "none" in denied:
        return None, said, "it negates 'normal' and names no class"
    if named - {"none"} and len(named | denied) > 1 and not (not denied and named - {"stroke"} < {*vocabulary.TYPES}):
        return None, said, f"it names {' and '.join(sorted(named | denied))}"
    return next(iter(named - {"stroke", "none"}), "none"), said, ""


def _session(form: str) -> str | None:
    found = _SESSION.search(form)
    if found:
        return f"session{found[1] or found[2]}"
    if found := _ORDINALS.search(form):
        return "session1" if found[1] else "session2"
    return "session1" if _EXTERNAL_TEST.fullmatch(form) else None


def kind_of(name: str) -> str | None:
    """Say which kind of file a folder of this name holds (``OVERLAYS``, ``PNG (1)``); None where it does not say."""
    for form in spellings(name):
        kinds = {_KINDS.get(word) for word in re.findall("[a-z]+", form) if word not in _ANY_FILES}
        if kinds & {"overlay", "mask"}:
            kinds.discard("png")  # which overlays and masks are as well
        if len(kinds) == 1 and (kind := kinds.pop()):
            return kind
    return None


def _is_bare(words: list[str]) -> bool:
    """Tell whether a name only says no (``Kanama/Yok``): it then speaks of the folder above."""
    return any(map(_negates, words)) and all(_negates(w) or w in vocabulary.IDLE_WORDS or w.isdigit() for w in words)


@functools.lru_cache(4096)
def read_names(names: tuple[str, ...]) -> Place:
    """Say what the folders between the root and a file say, the outermost first; the innermost match wins."""
    place, above, before = Place(), [], []
    for depth, name in enumerate(names, 1):
        place = replace(place, kind=kind_of(name) or place.kind)
        if form := next(filter(_session, spellings(name)), None):
            if place.label in vocabulary.LABELS and "session" in form:  # a patient's visit rather than the competition
                doubt = f"it may be a session of the competition, or of one patient of {place.label}"
                place = replace(place, label=None, words=form, doubt=doubt, depth=depth)
                continue
            place = replace(place, part=_session(form), words=form, depth=depth)
        if place.part and place.depth == depth:
            above, before = [], []
            continue
        read = [words_of(form) for form in _decoded(name)]
        if bare := next(filter(_is_bare, read), None):
            read, before = [above + bare], [] if above else bare
        else:
            read, before = [before + words for words in read], []
        found = {tuple(words): meaning(words) for words in read}
        found = {words: says for words, says in found.items() if says[0] or says[2]}
        if not found:
            continue
        above, labels = list(next(iter(found))), {label for label, _, _ in found.values() if label}
        label, words, doubt = max(found.values(), key=lambda says: bool(says[2]))  # a wrong spelling may lose a "not"
        if not doubt and len(labels) > 1:
            doubt = f"its spellings name {' and '.join(sorted(labels))}"
        label = None if doubt else label
        if place.part:
            place = replace(place, inside=label, inside_depth=depth if label else 0)
        else:
            place = replace(place, label=label, words=words, doubt=doubt, depth=depth)
    if place.part:
        return replace(place, label=None, doubt="")
    return replace(place, part="train" if place.label else None)
