"""A long table that can be searched, filtered and sorted in the page, without a kernel, a library or a
request.

All rows stand in the page, so that it can be read, found by the book's search and printed without scripts;
the script only hides and orders them. Columns with few different values get a menu.
"""

from collections.abc import Sequence
from html import escape
from typing import Any

__all__ = ["search_html", "search_table"]

MENU = 12  # a column with so many different values or fewer gets a menu

SCRIPT = r"""
(function () {
  const box = document.getElementById("NAME"), body = box.querySelector("tbody"), rows = [...body.rows];
  const words = box.querySelector("input"), count = box.querySelector("output");
  const menus = [...box.querySelectorAll("select")], buttons = [...box.querySelectorAll("th button")];
  const text = rows.map(row => row.textContent.toLowerCase());
  function update() {
    const parts = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    let found = 0;
    rows.forEach((row, i) => {
      const keep = parts.every(part => text[i].includes(part)) &&
        menus.every(menu => !menu.value || row.cells[menu.dataset.column].textContent === menu.value);
      row.hidden = !keep;
      found += keep;
    });
    count.textContent = found + " of " + rows.length + " rows";
  }
  buttons.forEach((button, column) => button.addEventListener("click", () => {
    const up = button.dataset.order !== "up";
    for (const other of buttons) {
      delete other.dataset.order;
      other.closest("th").removeAttribute("aria-sort");
    }
    button.dataset.order = up ? "up" : "down";
    button.closest("th").setAttribute("aria-sort", up ? "ascending" : "descending");
    const key = row => row.cells[column].textContent, number = value => parseFloat(value.replace(/,/g, ""));
    rows.slice().sort((a, b) => {
      const x = number(key(a)), y = number(key(b));
      const order = isNaN(x) || isNaN(y) ? (isNaN(x) - isNaN(y)) || key(a).localeCompare(key(b)) : x - y;
      return up ? order : -order;
    }).forEach(row => body.appendChild(row));
  }));
  words.addEventListener("input", update);
  menus.forEach(menu => menu.addEventListener("change", update));
  update();
})();
"""

STYLE = """
#NAME .mdepth-rows{max-height:30rem;overflow:auto}
#NAME .mdepth-controls{display:flex;flex-wrap:wrap;gap:.5rem;margin-bottom:.5rem;align-items:center}
#NAME th{position:sticky;top:0;background:var(--pst-color-surface,#eee);text-align:left}
#NAME th button{all:unset;cursor:pointer;font-weight:bold}
#NAME th button:focus-visible{outline:2px solid currentColor}
#NAME th button[data-order=up]::after{content:" ▲"}
#NAME th button[data-order=down]::after{content:" ▼"}
#NAME td,#NAME th{padding:.2rem .5rem;vertical-align:top;font-size:.85rem}
@media print{#NAME .mdepth-controls{display:none}#NAME .mdepth-rows{max-height:none}}
"""


def search_table(frame: Any, *, name: str, label: str = "Search the rows") -> None:
    """Display a pandas frame as a table with a search field, menus and sortable columns; every word typed
    must be found.

    Args:
        frame: the rows; values are shown as they print.
        name: id of the table in the page.
        label: what the search field is called.
    """
    from IPython.display import HTML, display

    rows = [[str(value) for value in row] for row in frame.itertuples(index=False)]
    display(HTML(search_html([str(column) for column in frame.columns], rows, name=name, label=label)))


def search_html(
    header: Sequence[str], rows: Sequence[Sequence[str]], *, name: str, label: str = "Search the rows"
) -> str:
    """What :func:`search_table` displays, as text.

    Errors: ``ValueError`` for a row of another length, or a name that cannot be an id.

    Example:
        >>> "<td>exact</td>" in search_html(["verdict"], [["exact"]], name="small")
        True
    """
    if not name.replace("-", "").isalnum():
        raise ValueError(f"name {name!r} must be letters, digits and hyphens")
    if wrong := [row for row in rows if len(row) != len(header)]:
        raise ValueError(f"a row has {len(wrong[0])} cells for {len(header)} columns: {wrong[0]}")
    id = f"search-{name}"
    menus = "".join(
        _menu(title, number, [row[number] for row in rows]) for number, title in enumerate(header)
    )
    head = "".join(f'<th scope="col"><button type="button">{escape(title)}</button></th>' for title in header)
    body = "\n".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    says = escape(label, quote=True)
    field = f'<input type="search" aria-label="{says}" placeholder="{says}">'
    return (
        f'<style>{STYLE.replace("NAME", id)}</style><div id="{id}" class="mdepth-search">'
        f'<div class="mdepth-controls">{field}{menus}'
        f'<output aria-live="polite">{len(rows)} rows</output></div>'
        f'<div class="mdepth-rows" tabindex="0"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>\n{body}\n</tbody></table></div>"
        f"</div><script>{SCRIPT.replace('NAME', id)}</script>"
    )


def _menu(title: str, number: int, values: Sequence[str]) -> str:
    """A menu of a column's values, where they are few and repeat."""
    found = sorted(set(values))
    if not 1 < len(found) <= MENU or len(found) == len(values):
        return ""
    options = "".join(f"<option>{escape(value)}</option>" for value in found)
    return (f'<select data-column="{number}" aria-label="{escape(title, quote=True)}">'
            f'<option value="">{escape(title)}: all</option>{options}</select>')  # fmt: skip
