"""Open the chapters as notebooks in JupyterLab.

Each book/NAME.md is paired with lab/NAME.ipynb (jupytext.toml); saving one there writes the other.
"""

import os
import subprocess
import sys
from pathlib import Path

import nbformat
from chapters import read_notebook
from layout import Layout


def pair(layout: Layout) -> list[Path]:
    """Write the notebook beside each chapter anew, from its text; returns them."""
    (layout.root / "lab").mkdir(exist_ok=True)
    made = {layout.root / "lab" / f"{name}.ipynb": path for name, path in layout.chapters().items()}
    for notebook, text in made.items():
        nbformat.write(read_notebook(text), notebook)
    return list(made)


def main() -> int:
    layout = Layout(Path(__file__).resolve().parent.parent)
    pair(layout)
    command = [str(Path(sys.executable).parent / "jupyter"), "lab", "--notebook-dir", str(layout.root), "lab"]
    return subprocess.call(command, cwd=layout.root, env={**os.environ, **layout.environment()})


if __name__ == "__main__":
    sys.exit(main())
