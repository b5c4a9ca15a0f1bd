"""The course as a whole: its command line, running notebooks without a browser, refreshing and binding them.

It knows notebooks as files; no notebook imports it.
``commands`` is the command line, ``plan`` says what a run consists of, ``notebook_files`` reads notebooks, ``headless``
runs one and ``reproduce`` all, here or on a ``cluster``, ``forecast`` tells what is left of them, ``verify`` compares
scores with the expected ones, ``refresh`` renews the committed notebooks, ``derived`` names what is outdated, ``cards``
and ``book`` bind what runs left, with ``templates``.
"""

import sys

__all__ = [
    "book",
    "cards",
    "cluster",
    "commands",
    "derived",
    "forecast",
    "headless",
    "notebook_files",
    "plan",
    "refresh",
    "reproduce",
    "verify",
]

# jsonschema, which nbformat and papermill import, builds a grammar of internet addresses if it finds one: over a CPU
# second in each of the many processes of a run, and no notebook holds an address that anybody checks.
sys.modules.setdefault("rfc3987_syntax", None)
