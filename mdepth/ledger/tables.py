"""Views of the ledger: rows as a frame, CSV and JSON, counts, and any table of a source in three columns of
evidence.
"""

import csv
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

from mdepth.ledger import reported
from mdepth.ledger.compare import NONE, VERDICTS, shown
from mdepth.ledger.join import Ledger, Row, build
from mdepth.ledger.measured import Runs
from mdepth.ledger.schema import Line, Source, Table
from mdepth.plots.tables import html_table, markdown_table

__all__ = ["View", "counts", "numbers", "rows", "to_frame", "view", "write_csv", "write_json"]

WORLDS = "reference (synthetic worlds)"
BASELINES = {"mean-depth": "Mean depth, one number", "mean-map": "Mean depth map"}


def rows(sources: Iterable[str] | None = None, **options: Any) -> list[Row]:
    """All rows of the ledger; keywords as for :func:`mdepth.ledger.build`.

    Example:
        >>> row = next(row for row in rows(["eigen"]) if row.id == "eigen.parameters.fc6.nyu")
        >>> row.verdict, row.level, row.reported
        ('exact', 'A', '50,335,744')
    """
    return build(sources, **options).rows()


def to_frame(ledger: Sequence[Row]):
    """The rows as a pandas frame, one column a field."""
    import pandas as pd

    return pd.DataFrame([asdict(row) for row in ledger])


def numbers(ledger: Iterable[Row]) -> list[Row]:
    """The rows of reported numbers; the others stand for tables that nobody could read.

    Example:
        >>> everything = rows(["eigen"])
        >>> len(numbers(everything)) < len(everything)
        True
    """
    return [row for row in ledger if row.column != "all"]


def counts(ledger: Sequence[Row]) -> dict[str, int]:
    """How many rows have each verdict, in the fixed order of the words.

    Example:
        >>> list(counts([]))[:2]
        ['exact', 'within tolerance']
    """
    found = Counter(row.verdict for row in ledger)
    return {word: found[word] for word in VERDICTS}


def write_csv(ledger: Sequence[Row], path: Path | str) -> Path:
    """One line a row, with the field names as header; the same rows give the same bytes."""
    path = Path(path)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field for field in Row.__dataclass_fields__], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) for row in ledger)
    return path


def write_json(ledger: Sequence[Row], path: Path | str) -> Path:
    """A list of objects, one a row."""
    path = Path(path)
    content = json.dumps([asdict(row) for row in ledger], ensure_ascii=False, indent=1, allow_nan=False)
    path.write_text(content + "\n", encoding="utf-8")
    return path


@dataclass(frozen=True, repr=False)
class View:
    """A table of a source with what we got: reported, reference, this build; every measured cell shows its
    level.

    In a notebook it shows itself. This build is folded away, because ``quick`` does not train to convergence.
    """

    ledger: Ledger
    source: Source
    table: Table

    @cached_property
    def header(self) -> list[str]:
        """Row, kind of number, then the table's columns with their units and directions."""
        arrow = {"lower": " ↓", "higher": " ↑", "none": ""}
        units = [f" [{column.unit}]" if column.unit != "1" else "" for column in self.table.columns]
        return ["", "", *(f"{column.title}{unit}{arrow[column.better]}"
                          for column, unit in zip(self.table.columns, units, strict=True))]  # fmt: skip

    def lines(self, *, this_build: bool) -> list[list[str]]:
        """Rows of text: reported and reference, or this build alone."""
        found = {row.id: row for row in self.ledger.of_table(self.source, self.table)}
        table = []
        for line in self.table.rows:
            if line.world and not line.cells:
                table += self._unprinted(line, this_build)
                continue
            if not this_build:
                table.append([line.title, "reported", *self._cells(line, found, "reported")])
            if line.method != "other" and self._ours(line, found):
                label = self._label(line, this_build, found)
                table.append(
                    [line.title, label, *self._cells(line, found, "build" if this_build else "reference")]
                )
        return table + self._baselines(this_build)

    def _unprinted(self, line: Line, this_build: bool) -> list[list[str]]:
        """A line of ours for which the paper has words and no numbers."""
        runs = (self.ledger.build if this_build else self.ledger.reference).get(
            f"{self.source.id}/{line.world}"
        )
        return [[line.title, "this build" if this_build else WORLDS, *self._measured(runs)]] if runs else []

    def _ours(self, line: Line, found: dict[str, Row]) -> bool:
        return any(found[cell.id].verdict not in ("reported only", "cannot") for cell in line.cells.values())

    def _label(self, line: Line, this_build: bool, found: dict[str, Row]) -> str:
        kinds = {column.kind for column in self.table.columns if column.id in line.cells}
        if kinds == {"count"}:
            return "computed"
        if this_build:
            return "this build (quick: not trained to convergence)"
        synthetic = any(found[cell.id].reference_level == "B" for cell in line.cells.values())
        return WORLDS if synthetic else "reference"

    def _cells(self, line: Line, found: dict[str, Row], which: str) -> list[str]:
        cells = []
        for column in self.table.columns:
            if column.id in line.labels:
                cells.append(line.labels[column.id])
            elif column.id not in line.cells:
                cells.append("–")
            else:
                cell = line.cells[column.id]
                cells.append(_cell(found[cell.id], which, cell.decimals))
        return cells

    def _baselines(self, this_build: bool) -> list[list[str]]:
        """The mean-depth and mean-map baselines of the worlds' variants that stand in this table, each once
        (they belong to the data, not to a network), and only where no line shows them. The mean map of
        normals is every pixel's mean normal.
        """
        records = self.ledger.build if this_build else self.ledger.reference
        shown_already = {(line.world, line.baseline) for line in self.table.rows if line.baseline}
        label = "this build" if this_build else WORLDS
        lines, known = [], []
        for variant in dict.fromkeys(line.world for line in self.table.rows if line.world):
            runs = records.get(f"{self.source.id}/{variant}")
            for name, title in BASELINES.items():
                cells = self._measured(runs, f"@{name}") if runs else []
                if set(cells) <= {"–"}:
                    continue
                if name == "mean-map" and any(column.task for column in self.table.columns):
                    title = "Mean map"
                elif runs and f"worlds@{name}" not in runs.protocols:
                    title += ", scaled by the medians"
                line = [f"{title} (baseline)", label, *cells]
                if line not in known and (variant, name) not in shown_already:
                    lines.append(line)
                known.append(line)
        return lines

    def _measured(self, runs: Runs, of: str = "") -> list[str]:
        """What the records say under each column of the network, or ``of`` something else scored in them."""
        values = [
            runs.measure(column.metric, f"{column.task}{of}")
            if column.task
            else runs.on_worlds(column.metric, of)
            for column in self.table.columns
        ]
        spreads = [f" ± {shown(v.summary.sd)}" if v and v.summary.sd and not of else "" for v in values]
        return [
            f"{shown(v.summary.mean)}{sd} ⟨{v.level}⟩" if v else "–"
            for v, sd in zip(values, spreads, strict=True)
        ]

    @property
    def caption(self) -> str:
        """The table's place and what it shows."""
        paper = self.source.papers[self.table.paper]
        doubt = " († not verified: " + self.table.why + ")" if self.table.status == "unverified" else ""
        return f"{paper.citation}, {self.table.where}: {self.table.caption}{doubt}"

    @property
    def notes(self) -> list[str]:
        """Why cells are not run, cannot be, or differ, each reason once, and the commands that would fill
        them.
        """
        found = [row for row in self.ledger.of_table(self.source, self.table) if row.verdict in VERDICTS[2:5]]
        reasons = dict.fromkeys(f"{row.verdict.split(' (')[0]}: {row.why}" for row in found)
        commands = dict.fromkeys(row.command for row in found if row.command != NONE and row.level != "A")
        return [*reasons, *(f"to run it: {command}" for command in commands)]

    def markdown(self) -> str:
        """Reported and reference as a pipe table, reasons below it."""
        below = "".join(f"\n- {note}" for note in self.notes)
        return markdown_table(self.header, self.lines(this_build=False)) + (f"\n{below}" if below else "")

    def html(self) -> str:
        """Reported and reference as a table, this build below it, folded away."""
        name = f"{self.source.id}-{self.table.id}"
        if self.table.status == "not available":
            text = f"{self.caption}: could not be read ({self.table.why})."
            return f'<p id="table-{name}">{escape(text)}</p>'
        lines = self.lines(this_build=False)
        classes = [f"mdepth-{line[1].split()[0]}" for line in lines]
        main = html_table(self.header, lines, caption=self.caption, name=f"table-{name}", classes=classes)
        if self.notes:
            main += (
                '\n<ul class="mdepth-notes">'
                + "".join(f"<li>{escape(note)}</li>" for note in self.notes)
                + "</ul>"
            )
        built = [line for line in self.lines(this_build=True) if line[1] != "computed"]
        if not built:
            return main
        inner = html_table(self.header, built)
        summary = "This build (quick: a few steps, not trained to convergence)"
        return f"{main}\n<details><summary>{summary}</summary>\n{inner}\n</details>"

    def __repr__(self) -> str:
        return self.markdown()

    def _repr_html_(self) -> str:
        return self.html()


def view(identity: str, **options: Any) -> View:
    """A table of a source as the book shows it, e.g. ``view("eigen.table1")``; keywords as for
    :func:`mdepth.ledger.build`.

    Errors: ``ValueError`` naming the tables that there are.

    Example:
        >>> view("eigen.table1").markdown().splitlines()[2][:44]
        '| Mean image of the training set | reported '
    """
    source, _, table = identity.partition(".")
    tables = reported.load(source).tables
    if table not in tables:
        raise ValueError(f"no table {identity!r}; {source} has {', '.join(tables)}")
    ledger = build([source], **options)
    return View(ledger, ledger.sources[source], tables[table])


def _cell(row: Row, which: str, decimals: int) -> str:
    """What stands in a cell; what is computed has as many decimals as are printed, but three at least."""
    if which == "reported":
        return row.reported + ("" if row.verified == "verified" else " †")
    value = getattr(row, which)
    if value == NONE:
        return row.verdict
    spread = (
        f" ± {shown(row.sd)}" if which == "reference" and isinstance(row.sd, float) and row.sd > 0 else ""
    )
    level = getattr(row, f"{which}_level")
    digits = max(3, decimals) if level == "A" else 3
    return f"{shown(value, digits)}{spread} ⟨{level}⟩"
