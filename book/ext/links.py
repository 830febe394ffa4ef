"""Let authors write every path as it is in their file, although executed chapters are rendered from
``executed/``.

Links, pictures and included files of ``book/metrics.md`` count from ``book/``, in an editor, in JupyterLab
and here. The buttons of a page lead to what a reader wants: edit to the text (or the module, for an API
page), Colab to the published notebook.
"""

import posixpath
import re

from sphinx.application import Sphinx

PAGE_LINK = re.compile(r"\]\((?![a-z]+:|#|/)([\w./-]+?)\.(?:md|ipynb)(?=[#)])")
INCLUDED = re.compile(r"""(\{(?:include|figure|image)\} +|:file: +)(?!/|https?:)([^\s`\\"]+)""")
PICTURE = re.compile(r"(!\[[^\]]*\]\()(?!/|[a-z]+:)([^)\s\\]+\))")


def resolve(text: str, docname: str, found_docs: set[str]) -> str:
    """The text of a page with paths that hold wherever the page is rendered."""
    executed = docname.startswith("executed/")
    folder = "" if executed else posixpath.dirname(docname)

    def page(match: re.Match) -> str:
        name = posixpath.normpath(posixpath.join(folder, match[1]))
        return f"](/executed/{name}.ipynb" if f"executed/{name}" in found_docs else f"](/{name}.md"

    text = PAGE_LINK.sub(page, text)
    return PICTURE.sub(r"\1/\2", INCLUDED.sub(r"\1/\2", text)) if executed else text


def read_source(app: Sphinx, docname: str, source: list[str]) -> None:
    """Resolve the paths of a page as it is read."""
    source[0] = resolve(source[0], docname, app.env.found_docs)


def addresses(app: Sphinx, pagename: str) -> dict[str, str]:
    """Where the buttons of a page lead: label or text -> address."""
    context = app.config.html_context
    owner = f"{context['github_user']}/{context['github_repo']}"
    name = pagename.removeprefix("executed/")
    if pagename.startswith("api/mdepth"):
        base = name.removeprefix("api/").replace(".", "/")
        file = f"{base}.py" if (app.srcdir.parent / f"{base}.py").is_file() else f"{base}/__init__.py"
    else:
        file = f"book/{name}.md"
    return {
        "source-edit-button": f"https://github.com/{owner}/edit/{context['github_version']}/{file}",
        "Colab": f"https://colab.research.google.com/github/{owner}/blob/{app.config.notebooks_branch}/{name}.ipynb",
    }


def fix_buttons(app: Sphinx, pagename: str, templatename: str, context: dict, doctree) -> None:
    """Give the edit and launch buttons of a page their addresses; generated pages without a text lose the
    edit button.
    """
    where = addresses(app, pagename)

    def fixed(buttons: list[dict]) -> list[dict]:
        for button in buttons:
            key = button.get("label") if button.get("label") in where else button.get("text")
            button.update({"url": where[key]} if key in where else {})
            if "buttons" in button:
                button["buttons"] = fixed(button["buttons"])
        gone = {"source-edit-button"} if pagename in ("api/index", "genindex", "search") else set()
        return [button for button in buttons if button.get("label") not in gone]

    context["header_buttons"] = fixed(context.get("header_buttons", []))


def setup(app: Sphinx) -> dict:
    app.add_config_value("notebooks_branch", "notebooks", "html")
    app.connect("source-read", read_source)
    app.connect("html-page-context", fix_buttons, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
