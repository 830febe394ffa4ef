"""Keep every page free of requests to elsewhere, and quiet when it is opened as a file.

The theme adds scripts for live code unasked, the only ones with an address outside the book. It also asks
for icon fonts ahead of their use, which browsers refuse for files and which no icon needs: they are drawn by
a script.
"""

import re
from pathlib import Path

from sphinx.application import Sphinx

FONT_PRELOAD = re.compile(r"[ \t]*<link rel=\"preload\" as=\"font\"[^>]*>\n?")


def drop_live_code(app: Sphinx, pagename: str, templatename: str, context: dict, doctree) -> None:
    """Remove the scripts and styles of live code from a page."""
    for kind in ("script_files", "css_files"):
        context[kind] = [file for file in context.get(kind, []) if not _is_live_code(file)]


def _is_live_code(file) -> bool:
    body = (getattr(file, "attributes", None) or {}).get("body") or ""
    return "thebe" in str(getattr(file, "filename", file)).lower() or "THEBE_JS_URL" in body


def drop_font_preloads(app: Sphinx, exception: Exception | None) -> None:
    """Remove the early requests for icon fonts from all pages."""
    for path in Path(app.outdir).rglob("*.html") if exception is None else ():
        text = path.read_text()
        if FONT_PRELOAD.search(text):
            path.write_text(FONT_PRELOAD.sub("", text))


def setup(app: Sphinx) -> dict:
    app.connect("html-page-context", drop_live_code, priority=900)
    app.connect("build-finished", drop_font_preloads)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
