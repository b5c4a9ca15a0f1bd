"""From a folder on disk to one table of slices, and to class masks.

It knows folders, labels, colours and integrity, and no network.
``names`` says what folders are called, ``leftovers`` what programs leave in them; ``layouts``, ``numbering``,
``pixels``, ``dicom``, ``checks`` and ``tables`` read files; ``cohort`` makes the table, ``verdict`` judges it,
``opening`` finds the folder; ``masks`` has the rules of a single mask, ``class_masks`` those of a whole cohort;
``splits``, ``duplicates`` and ``describe`` work on the table; ``regions`` finds the head, ``tags`` reads headers;
``changes`` alters slices, ``causes`` says what is hard; ``series`` puts the slices of a scan in order.
"""

from stroke_utils.data.cohort import Cohort, DataSet, read_cohort
from stroke_utils.data.opening import open_cohort

__all__ = [
    "Cohort",
    "DataSet",
    "causes",
    "changes",
    "checks",
    "class_masks",
    "cohort",
    "describe",
    "dicom",
    "duplicates",
    "layouts",
    "leftovers",
    "masks",
    "names",
    "numbering",
    "open_cohort",
    "opening",
    "pixels",
    "read_cohort",
    "regions",
    "series",
    "splits",
    "tables",
    "tags",
    "verdict",
]
