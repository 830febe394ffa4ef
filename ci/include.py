"""Put the library's own code where a chapter includes it, so that a downloaded notebook shows it too.

A ``literalinclude`` of a chapter, with its path counted from ``book/``, becomes a plain block of code when
the chapter is executed. The options ``language``, ``pyobject``, ``lines`` (counted within the object) and
``without: docstring`` are understood. What is left of an object must be whole statements.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

from layout import PipelineError

DIRECTIVE = re.compile(
    r"^(?P<fence>`{3,})\{literalinclude\} (?P<path>\S+)\n(?P<options>(?::[\w-]+:.*\n)*)(?P=fence)`*$",
    re.MULTILINE,
)
UNDERSTOOD = {"language", "pyobject", "lines", "without"}


def included_files(book: Path, notebook) -> list[Path]:
    """The files whose code a chapter includes."""
    texts = (cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    return sorted({_file(book, match["path"]) for text in texts for match in DIRECTIVE.finditer(text)})


def expanded(text: str, book: Path) -> str:
    """A text with every ``literalinclude`` replaced by the code it names."""
    return DIRECTIVE.sub(lambda match: _block(match, book), text)


def _file(book: Path, path: str) -> Path:
    file = (book / path).resolve()
    if not file.is_file():
        raise PipelineError(f"literalinclude {path}: there is no {file}; paths count from book/")
    return file


def _block(match: re.Match, book: Path) -> str:
    options = dict(re.findall(r"^:([\w-]+): *(.*)$", match["options"], re.MULTILINE))
    if unknown := set(options) - UNDERSTOOD:
        raise PipelineError(
            f"literalinclude {match['path']}: in a chapter, {sorted(unknown)} is not understood"
        )
    code = _file(book, match["path"]).read_text()
    if "pyobject" in options:
        code = source_of(code, options["pyobject"], match["path"], docstring="without" not in options)
    lines = code.rstrip().splitlines()
    chosen = [lines[i] for i in _numbers(options["lines"], len(lines))] if "lines" in options else lines
    if "pyobject" in options:
        _check_whole("\n".join(chosen), match["path"], options["pyobject"])
    return "\n".join([f"{match['fence']}{options.get('language', 'python')}", *chosen, match["fence"]])


def _check_whole(code: str, path: str, name: str) -> None:
    """Lines were counted in an older version of the object, if what they leave is no code."""
    try:
        ast.parse(dedent(code))
    except SyntaxError as error:
        raise PipelineError(f"literalinclude {path}: these lines of {name} are no code: {error}") from None


def source_of(code: str, name: str, path: str, *, docstring: bool = True) -> str:
    """The source of a function, class or method (``Class.method``), with its decorators."""
    body, node = ast.parse(code).body, None
    for part in name.split("."):
        found = [n for n in body if isinstance(n, ast.FunctionDef | ast.ClassDef) and n.name == part]
        if not found:
            raise PipelineError(f"literalinclude {path}: it holds no {name}")
        node = found[-1]
        body = node.body
    assert node is not None
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    hidden = range(0) if docstring or not ast.get_docstring(node) else _lines_of(node.body[0])
    lines = [
        line
        for i, line in enumerate(code.splitlines()[: node.end_lineno], 1)
        if i >= first and i not in hidden
    ]
    return "\n".join(line[node.col_offset :] for line in lines)


def _lines_of(node: ast.stmt) -> range:
    return range(node.lineno, (node.end_lineno or node.lineno) + 1)


def _numbers(spec: str, total: int) -> Iterator[int]:
    """The indices that ``1,3-5,8-`` means, counted from 0."""
    for part in spec.split(","):
        first, dash, last = part.strip().partition("-")
        yield from range(int(first or 1) - 1, int(last or total) if dash else int(first))
