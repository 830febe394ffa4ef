"""Make an executed notebook the same at every build, and prove that it is whole.

`tidied` takes out what varies (cell ids, times, the way output arrived in pieces) and folds the parameters
that ran into the cell that declares them. `problems` says why a notebook must not be published: a cell that
did not run, an error, something on stderr, an output that will differ next time or names a folder of this
machine.
"""

import ast
import copy
import hashlib
import re
from collections.abc import Iterator

import nbformat

ADDRESS = re.compile(r" ?\bat 0x[0-9a-f]{6,}\b")
STYLED = re.compile(r"\bT_[0-9a-f]{5}(?=[_\" ])")  # the random name that pandas gives a styled table
KEPT_NOTEBOOK = ("kernelspec", "language_info")
DROPPED_CELL = ("papermill", "execution", "collapsed", "scrolled", "jupyter")


def parameters_of(notebook) -> dict[str, object]:
    """The names and defaults that the cell tagged ``parameters`` declares; empty without such a cell."""
    cell = next((c for c in notebook.cells if "parameters" in c.metadata.get("tags", [])), None)
    if cell is None:
        return {}
    assignments = [n for n in ast.parse(cell.source).body if isinstance(n, ast.Assign)]
    return {n.targets[0].id: ast.literal_eval(n.value) for n in assignments}  # type: ignore[attr-defined]


def tidied(notebook, shown: dict[str, object], first_cell: str):
    """A copy of an executed notebook without anything that varies; ``shown`` are the parameters the page
    tells.
    """
    result = copy.deepcopy(notebook)
    result.cells = [c for c in result.cells if "injected-parameters" not in c.metadata.get("tags", [])]
    for cell in result.cells:
        if "parameters" in cell.metadata.get("tags", []):
            cell.source = "\n".join(f"{name} = {value!r}" for name, value in shown.items())
    install = nbformat.v4.new_code_cell(first_cell, metadata={"tags": ["remove-cell"]})
    result.cells.insert(0, install)
    result.metadata = {key: result.metadata[key] for key in KEPT_NOTEBOOK if key in result.metadata}
    result.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    for number, cell in enumerate(result.cells):
        cell["id"] = hashlib.sha1(f"{number}{cell.source}".encode()).hexdigest()[:8]
        cell.metadata = {key: value for key, value in cell.metadata.items() if key not in DROPPED_CELL}
        if cell.cell_type == "code":
            cell.outputs = [_described(_named(output), cell) for output in _joined(cell.outputs)]
    result.nbformat, result.nbformat_minor = 4, 5
    nbformat.validate(result)
    return result


def _joined(outputs: list) -> list:
    """Outputs with the pieces of one stream put together: where a stream is cut depends on the clock."""
    joined: list = []
    for output in outputs:
        before = joined[-1] if joined else {}
        if output.output_type == "stream" and before.get("name") == output.name:
            before["text"] += output.text
        else:
            output.get("metadata", {}).pop("execution", None)
            joined.append(output)
    return joined


def _named(output):
    """An output that shows HTML, its random names replaced by one made from what it shows."""
    data = output.get("data", {})
    if "text/html" in data:
        name = "T_" + hashlib.sha1(STYLED.sub("", data["text/html"]).encode()).hexdigest()[:5]
        data["text/html"] = STYLED.sub(name, data["text/html"])
        data["text/plain"] = ADDRESS.sub("", data.get("text/plain", ""))
    return output


def _described(output, cell):
    """An output with an interactive figure, said in words for who cannot see it: the alt text of the cell."""
    html = output.get("data", {}).get("text/html", "")
    alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
    if "plotly-graph-div" in html and alt:
        words = alt.replace("&", "&amp;").replace('"', "&quot;").replace("\n", " ")
        output["data"]["text/html"] = f'<div role="img" aria-label="{words}">\n{html}\n</div>'
    return output


def problems(notebook, forbidden: tuple[str, ...] = ()) -> Iterator[str]:
    """Why an executed notebook must not be published, each reason once; nothing if all is well."""
    yield from dict.fromkeys(_all_problems(notebook, forbidden))


def _all_problems(notebook, forbidden: tuple[str, ...]) -> Iterator[str]:
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type != "code" or not cell.source.strip():
            continue
        where, tags = (
            f"cell {number} ({cell.source.strip().splitlines()[0][:60]!r})",
            cell.metadata.get("tags", []),
        )
        if cell.execution_count is None:
            yield f"{where} did not run"
        for output in cell.outputs:
            text = _text_of(output)
            if output.output_type == "error" and "raises-exception" not in tags:
                yield f"{where} ended in {output.ename}: {output.evalue}"
            if output.get("name") == "stderr" and "allow-stderr" not in tags:
                yield f"{where} wrote to stderr: {text.strip()[:300]}"
            if found := ADDRESS.search(text):
                yield f"{where} shows a memory address ({found[0]}), which differs at every run"
            yield from (
                f"{where} shows a folder of this machine ({path})" for path in forbidden if path in text
            )


def _text_of(output) -> str:
    """The text of an output that a reader sees."""
    data = output.get("data", {})
    texts = [data["text/html"]] if "text/html" in data else [data.get("text/plain", "")]
    return "\n".join([*texts, output.get("text", ""), *output.get("traceback", [])])
