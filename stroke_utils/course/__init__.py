"""The course as a whole: running notebooks without a browser, refreshing them, binding them.

It knows notebooks as files; no notebook imports it.
``plan`` says what a run consists of, ``notebook_files`` reads notebooks, ``headless`` runs one and ``reproduce`` all;
``refresh`` renews the committed ones; ``derived`` names what is outdated; ``cards`` and ``book`` bind what runs left,
with the texts in ``templates``.
"""

__all__ = ["book", "cards", "derived", "headless", "notebook_files", "plan", "refresh", "reproduce"]
