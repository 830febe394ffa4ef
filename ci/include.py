"""Put the library's own code where a chapter includes it, so that a downloaded notebook shows it too.

A ``literalinclude`` of a chapter, with its path counted from ``book/``, becomes a plain block of code when
the chapter is executed. The options ``language``, ``pyobject`` and ``lines`` (counted within the object) are
understood.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from layout import PipelineError

DIRECTIVE = re.compile(
    r"^(?P<fence>`{3,})\{literalinclude\} (?P<path>\S+)\n(?P<options>(?::[\w-]+:.*\n)*)(?P=fence)`*$",
    re.MULTILINE,
)
UNDERSTOOD = {"language", "pyobject", "lines"}


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
    code = source_of(code, options["pyobject"], match["path"]) if "pyobject" in options else code
    lines = code.rstrip().splitlines()
    chosen = [lines[i] for i in _numbers(options["lines"], len(lines))] if "lines" in options else lines
    return "\n".join([f"{match['fence']}{options.get('language', 'python')}", *chosen, match["fence"]])


def source_of(code: str, name: str, path: str) -> str:
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
    lines = code.splitlines()[first - 1 : node.end_lineno]
    return "\n".join(line[node.col_offset :] for line in lines)


def _numbers(spec: str, total: int) -> Iterator[int]:
    """The indices that ``1,3-5,8-`` means, counted from 0."""
    for part in spec.split(","):
        first, dash, last = part.strip().partition("-")
        yield from range(int(first or 1) - 1, int(last or total) if dash else int(first))
