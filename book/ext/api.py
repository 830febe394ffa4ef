"""API pages from docstrings that are written as plain text.

Vertical bars (``|v|``) in a docstring mean themselves, and a reference to an object reaches it under the
name where it is
documented: its shortest public one, whatever module it is defined in. The pages of source text lose their
links back, which lead to the other names.
"""

import importlib
import inspect
import re
from pathlib import Path
from typing import Annotated, get_args, get_origin

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.nodes import make_refnode

BACK_LINK = re.compile(r'<a class="viewcode-back"[^>]*>\[docs\]</a>')
LITERAL = re.compile(r"``.*?``|:\w+:`[^`]*`|`[^`]*`_*")


def escape_bars(app: Sphinx, what: str, name: str, obj: object, options: dict, lines: list[str]) -> None:
    """Escape vertical bars outside literals, formulas and examples, or they would be taken for
    substitutions.
    """
    block: int | None = None  # the indentation of the line that opened a literal or formula block
    for number, line in enumerate(lines):
        indent = len(line) - len(line.lstrip())
        if block is not None and line.strip() and indent <= block:
            block = None
        if block is None and not line.lstrip().startswith((">>>", "...")):
            lines[number] = _escaped(line)
        if (block is None and line.rstrip().endswith("::")) or re.match(r"\s*\.\. math::", line):
            block = indent


def _escaped(line: str) -> str:
    literals = LITERAL.findall(line)
    plain = [part.replace("|", r"\|") for part in LITERAL.split(line)]
    return "".join(text for pair in zip(plain, [*literals, ""], strict=True) for text in pair)


def drop_command_line_options(app: Sphinx, obj: object, bound_method: bool) -> None:
    """Show the type of a command's argument alone: what else is written beside it has a new address at every
    run.
    """
    if inspect.isfunction(obj):
        hints = {name: hint for name, hint in obj.__annotations__.items() if get_origin(hint) is Annotated}
        if any("typer" in type(extra).__module__ for hint in hints.values() for extra in get_args(hint)[1:]):
            obj.__annotations__ |= {name: get_args(hint)[0] for name, hint in hints.items()}


def imported(name: str) -> object | None:
    """The object that a dotted name means, or None."""
    parts = name.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:cut]))
            for part in parts[cut:]:
                found = getattr(found, part)
        except (ImportError, AttributeError, ValueError):
            continue
        return found
    return None


def documented(env) -> dict[str, list]:
    """Everything that the API pages document, by the last part of its name; gathered once, when all is
    read.
    """
    if not hasattr(env, "mdepth_documented"):
        env.mdepth_documented = {}
        for name, entry in sorted(env.get_domain("py").objects.items()):
            env.mdepth_documented.setdefault(name.rsplit(".", 1)[-1], []).append((name, entry))
    return env.mdepth_documented


def resolve(app: Sphinx, env, node: nodes.Element, content: nodes.Element) -> nodes.Element | None:
    """Link a reference by the defining module to the place where the same object is documented."""
    target = node.get("reftarget", "")
    packages = {name.split(".")[0] for name in env.get_domain("py").modules}
    if node.get("refdomain") != "py" or target.split(".")[0] not in packages:
        return None
    wanted = imported(target)
    for name, entry in documented(env).get(target.rsplit(".", 1)[-1], []):
        if wanted is not None and imported(name) is wanted:
            return make_refnode(app.builder, node["refdoc"], entry.docname, entry.node_id, content, name)
    real_but_not_public = wanted is not None and node["refdoc"].startswith("api/")
    return content if real_but_not_public else None


def drop_back_links(app: Sphinx, exception: Exception | None) -> None:
    """Remove the links from the source text to the documentation."""
    for path in (Path(app.outdir) / "_modules").rglob("*.html") if exception is None else ():
        path.write_text(BACK_LINK.sub("", path.read_text()))


def setup(app: Sphinx) -> dict:
    app.connect("autodoc-process-docstring", escape_bars)
    app.connect("autodoc-before-process-signature", drop_command_line_options)
    app.connect("missing-reference", resolve)
    app.connect("build-finished", drop_back_links)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
