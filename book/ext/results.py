"""Numbers, provenance and the banner of a chapter, from the files that the build generates.

- ``{val}`eigen.coarse.worlds.abs_rel:.3f```: a number of the reference records; an unknown key is a warning,
  which fails the build.
- ``{records}`eigen/coarse```: which records a figure or table is drawn from, linked to them.
- ``{build-times}``: a table of each chapter's time and memory in this build, filled by assets/build.js.
- Below the title of every executed page: the profile it was run with.
"""

import json
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective, SphinxRole

log = logging.getLogger(__name__)


def generated(env, name: str) -> Any:
    """A generated JSON file, noted as something the current page depends on."""
    path = Path(env.srcdir) / "_generated" / name
    env.note_dependency(str(path))
    return json.loads(path.read_text())


class Val(SphinxRole):
    """A number of the reference records."""

    def run(self):
        key, _, style = self.text.partition(":")
        node = generated(self.env, "results.json")
        try:
            for part in key.split("."):
                node = node[part]
            text = format(node, style)
        except (KeyError, TypeError, ValueError) as error:
            log.warning(
                "no number %r in the reference records (%s)", self.text, error, location=self.get_location()
            )
            text = "MISSING"
        return [nodes.inline(text, text, classes=["result-value"])], []


class Records(SphinxRole):
    """The records that a figure or table is drawn from."""

    def run(self):
        source, _, variant = self.text.partition("/")
        told = generated(self.env, "results.json")["records"].get(source, {}).get(variant)
        if told is None:
            log.warning("no reference records of %r", self.text, location=self.get_location())
        context = self.env.config.html_context
        tree = f"https://github.com/{context['github_user']}/{context['github_repo']}/tree/{context['github_version']}"
        link = nodes.reference("", self.text, refuri=f"{tree}/results/laptop/{source}/{variant}")
        return [
            nodes.inline(
                "",
                "",
                nodes.Text("Reference records "),
                link,
                nodes.Text(f": {told}"),
                classes=["provenance"],
            )
        ], []


class BuildTimes(SphinxDirective):
    """An empty place that assets/build.js fills with the times of this build."""

    def run(self):
        return [nodes.raw("", '<div class="build-times"></div>', format="html")]


def add_banner(app: Sphinx, doctree: nodes.document) -> None:
    """Say below the title of an executed page with which profile it was run."""
    docname = app.env.docname
    title = next(iter(doctree.findall(nodes.title)), None)
    if not docname.startswith("executed/") or title is None:
        return
    told = generated(app.env, "banner.json")
    name = docname.removeprefix("executed/")
    text = nodes.paragraph("", "", nodes.Text("Run with the profile "), nodes.strong("", told["profile"]))
    text += nodes.Text(f": {told['text']}. {told['data']} ")
    text += nodes.raw("", f'<span class="build-info" data-chapter="{name}"></span>', format="html")
    title.parent.insert(title.parent.index(title) + 1, nodes.container("", text, classes=["profile-banner"]))


def setup(app: Sphinx) -> dict:
    app.add_role("val", Val())
    app.add_role("records", Records())
    app.add_directive("build-times", BuildTimes)
    app.connect("doctree-read", add_banner)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
