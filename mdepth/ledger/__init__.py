"""The ledger: every number that the sources print, what we got, at which level of evidence, and a verdict in
fixed words.

``data/reported/<source>.yaml`` holds what is printed (:mod:`~mdepth.ledger.reported`),
:mod:`~mdepth.ledger.checks` computes what needs no data, the records of our runs give the rest
(:mod:`~mdepth.ledger.measured`), and :mod:`~mdepth.ledger.join` joins them. :mod:`~mdepth.ledger.judging`
holds sentences against records. Every table of the book is a view (:mod:`~mdepth.ledger.tables`).
"""

from mdepth.ledger.compare import VERDICTS, difference
from mdepth.ledger.join import Ledger, Row, build
from mdepth.ledger.judging import ClaimRow, claims
from mdepth.ledger.tables import counts, numbers, rows, to_frame, view, write_csv, write_json

__all__ = [
    "VERDICTS",
    "ClaimRow",
    "Ledger",
    "Row",
    "build",
    "claims",
    "counts",
    "difference",
    "numbers",
    "rows",
    "to_frame",
    "view",
    "write_csv",
    "write_json",
]
