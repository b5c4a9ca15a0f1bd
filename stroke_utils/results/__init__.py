"""Runs and what they found: from a notebook's parameters to its record, and from records to tables.

It knows run records and the paper's numbers.
``parameters`` has the table of all settings and checks them, ``runs`` writes and reads records, ``provenance`` says
what made them, ``outputs`` finds what lies beside them, ``select`` says which count; ``paper``, ``ledger`` and
``tables`` lay them out; ``phase1`` hands the encoder of detection on to phase 2; ``nnunet`` writes nnU-Net's data sets
and scores its answers; ``environment`` checks a machine.
"""

__all__ = [
    "environment",
    "ledger",
    "nnunet",
    "outputs",
    "paper",
    "parameters",
    "phase1",
    "provenance",
    "runs",
    "select",
    "studies",
    "tables",
]
