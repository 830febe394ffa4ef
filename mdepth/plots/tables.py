"""Tables as HTML and as Markdown: the same header and rows, escaped, deterministic, readable on a phone (they
scroll sideways).
"""

from collections.abc import Sequence
from html import escape

__all__ = ["html_table", "markdown_table"]


def html_table(header: Sequence[str], rows: Sequence[Sequence[str]], *, caption: str = "", name: str = "",
               classes: Sequence[str] = ()) -> str:  # fmt: skip
    """A table in a box that scrolls sideways; cell text is escaped, except a level in angle brackets, which
    becomes a badge.

    Args:
        header: column titles.
        rows: as many cells each as the header has.
        caption: one sentence above the table.
        name: id to link to.
        classes: one CSS class per row; none by default.

    Errors: ``ValueError`` for a row of another length.

    Example:
        >>> "<td>0.31 <sup" in html_table(["AbsRel"], [["0.31 ⟨B⟩"]])
        True
    """
    _check(header, rows)
    named = f' id="{escape(name, quote=True)}"' if name else ""
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in header)
    marks = [f' class="{escape(text, quote=True)}"' for text in classes] or [""] * len(rows)
    body = "\n".join(f"<tr{mark}>{''.join(f'<td>{_badge(cell)}</td>' for cell in row)}</tr>"
                     for mark, row in zip(marks, rows, strict=True))  # fmt: skip
    return (
        f'<div class="mdepth-table"{named} style="overflow-x:auto"><table>{title}\n'
        f"<thead><tr>{head}</tr></thead>\n"
        f"<tbody>\n{body}\n</tbody></table></div>"
    )


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A pipe table; a bar inside a cell is escaped.

    Example:
        >>> print(markdown_table(["a", "b"], [["1", "x|y"]]))
        | a | b |
        | --- | --- |
        | 1 | x\\|y |
    """
    _check(header, rows)
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(
        "| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines
    )


def _badge(text: str) -> str:
    """``0.31 ⟨B⟩`` with its level as a badge."""
    parts = escape(text).split("⟨")
    return parts[0] + "".join(_level(part) for part in parts[1:])


def _level(part: str) -> str:
    level, _, rest = part.partition("⟩")
    kind = f'class="mdepth-level mdepth-level-{level}" title="level of evidence {level}"'
    return f"<sup {kind}>{level}</sup>{rest}"


def _check(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    for number, row in enumerate(rows):
        if len(row) != len(header):
            raise ValueError(f"row {number} has {len(row)} cells for {len(header)} columns: {list(row)}")
