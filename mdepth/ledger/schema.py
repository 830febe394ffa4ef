"""The shape of a reported number: papers, tables, columns, rows, cells; frozen, checked when built.

A cell keeps the text that was printed (``".618"``), because the printed digits say how exact the number
claims to be. Where we differ from the sources: column names are the keys of :mod:`mdepth.metrics`, whatever
heading a paper chose, and every cell carries an *origin* that says how it came to us. An unverified number
stays marked through every view.
"""

import re
from dataclasses import dataclass, field
from functools import cached_property

__all__ = [
    "COLUMNS",
    "DATA",
    "KINDS",
    "METHODS",
    "ORIGINS",
    "Cell",
    "Column",
    "Figure",
    "Line",
    "Paper",
    "Source",
    "Table",
]

#: How a number came to us. The first four count as verified.
ORIGINS = {
    "printed": "read in the text of the source",
    "figure": "read off a published figure",
    "code": "read in the released code or its README",
    "derived": "follows from what the source says; not printed there",
    "quoted": "second-hand: another publication or an issue thread quotes it",
    "memory": "recalled; not checked against the source",
}
VERIFIED = ("printed", "figure", "code", "derived")

#: What a column holds, which decides the level of evidence that a number of ours beside it can have.
KINDS = {
    "accuracy": "a score on data: C, D or d; beside it B, never in a difference",
    "count": "arithmetic or architecture, needs no data: A",
    "time": "time, memory or throughput on named hardware: T, compared as a ratio",
    "setting": "a choice of the authors; nothing to regenerate",
    "label": "names a row's variant; not a number",
}

METHODS = {
    "own": "the source's method, ours to reproduce",
    "baseline": "a baseline of the source that we compute too",
    "other": "another method's number: reported only",
}

#: The real data a table rests on, as one says it in "not run (needs ...)"; "none" needs no data.
DATA = {
    "none": "no data",
    "nyu": "NYU Depth V2",
    "kitti": "KITTI raw",
    "kitti-odometry": "KITTI odometry",
    "kitti-benchmark": "the KITTI benchmark server",
    "make3d": "Make3D",
    "imagenet": "ImageNet",
    "hardware": "the stated hardware",
}

ID = re.compile(r"[a-z0-9][a-z0-9_-]*")
NUMBER = re.compile(r"[-+]?(\d[\d,]*\.?\d*|\.\d+)([eE][-+]?\d+)?")
EMPTY = ("-", "?")  # "-": the source prints a dash; "?": the source prints a number that we do not know


def _check_id(what: str, text: str) -> None:
    if not ID.fullmatch(text):
        raise ValueError(f"{what} id {text!r}: expected lower-case letters, digits, '-' and '_'")


def _check_word(what: str, word: str, allowed) -> None:
    if word not in allowed:
        raise ValueError(f"{what} is {word!r}, expected one of {', '.join(allowed)}")


@dataclass(frozen=True)
class Column:
    """One column of a table: what is measured, in which unit, and which direction is better.

    ``task`` is "" for depth; "normals" or "labels" name the key of a record's metrics that holds the score.

    Example:
        >>> COLUMNS["abs_rel"].better
        'lower'
    """

    id: str
    title: str
    unit: str = "1"
    better: str = "lower"
    kind: str = "accuracy"
    task: str = ""

    def __post_init__(self) -> None:
        _check_id("column", self.id)
        _check_word(f"column {self.id}: better", self.better, ("lower", "higher", "none"))
        _check_word(f"column {self.id}: kind", self.kind, KINDS)

    @property
    def metric(self) -> str:
        """The key of :data:`mdepth.metrics.METRICS`, of the table of another task
        (:mod:`mdepth.evaluate.tasks`), or of the spread of scales, that fills this column, in its unit; empty
        if none does.

        Example:
            >>> COLUMNS["rmse"].metric, Column("delta1", "share", "%", "higher").metric
            ('rmse', '')
        """
        shared = COLUMNS.get(self.id)
        return self.id if shared and shared.unit == self.unit and shared.kind == "accuracy" else ""


#: Columns that many tables share. ``abs_rel`` is the paper's "rel", ``rmse`` its "rms", and so on.
COLUMNS = {
    column.id: column
    for column in (
        Column("abs_rel", "AbsRel"),
        Column("sq_rel", "SqRel", "m"),
        Column("rmse", "RMSE", "m"),
        Column("rmse_log", "RMSE log"),
        Column("log10", "log10"),
        Column("scale_invariant", "scale-inv."),
        Column("silog", "SILog", "%"),
        Column("irmse_km", "iRMSE", "1/km"),
        Column("delta1", "δ < 1.25", "1", "higher"),
        Column("delta2", "δ < 1.25²", "1", "higher"),
        Column("delta3", "δ < 1.25³", "1", "higher"),
        Column("sigma_scale", "σ of the scale"),
        Column("angle_mean", "mean angle", "degrees", task="normals"),
        Column("angle_median", "median angle", "degrees", task="normals"),
        Column("angle_11", "within 11.25°", "%", "higher", task="normals"),
        Column("angle_22", "within 22.5°", "%", "higher", task="normals"),
        Column("angle_30", "within 30°", "%", "higher", task="normals"),
        Column("parameters", "parameters", "1", "none", "count"),
    )
}


@dataclass(frozen=True)
class Paper:
    """A publication that prints numbers: how to cite it, which version was read, where its code is; ``year``
    is ``None`` where nothing says it.
    """

    id: str
    citation: str
    year: int | None
    title: str
    note: str = ""
    code: str = ""
    licence: str = ""


@dataclass(frozen=True)
class Cell:
    """One reported number, as printed; ``id`` is ``source.table.row.column``, the name it has everywhere.

    Example:
        >>> Cell("eigen.table1.coarse.abs_rel", ".228", "printed").half_unit
        0.0005
    """

    id: str
    printed: str
    origin: str
    note: str = ""

    @property
    def verified(self) -> bool:
        """Whether the number was read where the source prints it, or follows from it."""
        return self.origin in VERIFIED

    @cached_property
    def value(self) -> float | None:
        """The printed text as a number; ``None`` for sizes such as ``74x55`` and other texts."""
        return float(self.printed.replace(",", "")) if NUMBER.fullmatch(self.printed) else None

    @property
    def decimals(self) -> int:
        """How many decimals are printed: ``.618`` has 3, ``70,757,734`` has 0, ``1.5e-4`` has 5."""
        if self.value is None:
            return 0
        digits, _, exponent = self.printed.lower().partition("e")
        return len(digits.partition(".")[2]) - int(exponent or 0)

    @property
    def half_unit(self) -> float:
        """Half a unit of the last printed digit: the least that rounding can hide."""
        return 0.5 * 10.0**-self.decimals


@dataclass(frozen=True)
class Line:
    """One line of a table: whose method it is, and which run of ours stands beside it.

    ``run`` names the variant of the recipe that fills the line on the paper's own data (level D), ``world``
    the variant that shows the same thing on the synthetic worlds (level B). ``protocol`` overrides the
    table's; ``baseline`` names what the line is about where it is not the network itself: what else was
    scored in those records, a baseline or a part of the network (``worlds@scales12``); ``cannot`` says why
    nobody can fill it from what the source gives.
    """

    id: str
    title: str
    method: str
    cells: dict[str, Cell]
    run: str = ""
    protocol: str = ""
    world: str = ""
    baseline: str = ""
    cannot: str = ""
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Table:
    """One table of a source, or the reason why it could not be read.

    ``images`` are the sizes that the whole test set may have: a run on fewer images is not compared.
    ``pending`` says why counts are not computed yet.
    """

    id: str
    paper: str
    where: str
    caption: str
    protocol: str
    data: str
    status: str
    columns: tuple[Column, ...] = ()
    rows: tuple[Line, ...] = ()
    why: str = ""
    page: str = "not recorded"
    pending: str = ""
    images: tuple[int, ...] = ()


@dataclass(frozen=True)
class Figure:
    """One figure of a source: what an equivalent must show, and why it cannot be redrawn where that is so."""

    id: str
    paper: str
    label: str
    shows: str
    origin: str = "printed"
    cannot: str = ""


@dataclass(frozen=True)
class Source:
    """Everything that one source and its follow-ups print: papers, tables, figures."""

    id: str
    title: str
    papers: dict[str, Paper]
    tables: dict[str, Table]
    figures: dict[str, Figure] = field(default_factory=dict)

    @property
    def cells(self) -> dict[str, Cell]:
        """Every reported number by id, dashes left out."""
        rows = (row for table in self.tables.values() for row in table.rows)
        return {cell.id: cell for row in rows for cell in row.cells.values()}
