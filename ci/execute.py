"""Execute one chapter: strict parameters, every cell proven to have run, the notebook the same at every
build.

``python ci/execute.py --root . --profile quick --data "" --chapter metrics``; called by the Snakefile.
"""

import argparse
import contextlib
import json
import math
import os
import re
import sys
import time
from pathlib import Path

from chapters import read_notebook
from include import expanded
from layout import CI, PROFILES, Layout, PipelineError, write_changed, write_json
from tidy import parameters_of, problems, tidied

PATIENCE = 3  # seconds between two lines about one chapter
FAREWELL = 60.0  # seconds that a kernel may take to end, and to leave its report, on a busy machine
INSTALL = """\
# Outside the repository: install the release this page belongs to.
import importlib.util

if importlib.util.find_spec("{package}") is None:
    %pip install --quiet {url}"""


def check_parameters(path: Path, notebook, given: dict[str, object]) -> None:
    """Refuse a chapter whose parameters cell does not declare exactly what the build hands in."""
    declared = set(parameters_of(notebook))
    if not declared:
        return
    if unknown := set(given) - declared:
        raise PipelineError(
            f"{path}: unknown parameters {sorted(unknown)}; its parameters cell declares {sorted(declared)}"
        )
    if missing := declared - set(given):
        raise PipelineError(
            f"{path}: its parameters cell declares {sorted(missing)}, which no build sets; use another cell"
        )


def install_kernel(folder: Path) -> str:
    """A kernel of this very interpreter, whatever other kernels the machine knows; returns its name."""
    name = "mdepth-book"
    argv = [sys.executable, str(CI / "kernel.py"), "-f", "{connection_file}"]
    write_json(
        folder / "kernels" / name / "kernel.json",
        {"argv": argv, "display_name": "Python 3", "language": "python"},
    )
    return name


def set_environment(layout: Layout, report: Path) -> None:
    """The variables a chapter runs under: nothing of the user's own settings, one thread, no progress
    bars.
    """
    state = layout.root / ".mdepth"
    os.environ.update(
        layout.environment(),
        JUPYTER_PATH=str(state / "jupyter"),
        IPYTHONDIR=str(state / "ipython"),
        MATPLOTLIBRC=os.devnull,
        MDEPTH_BOOK="1",
        MDEPTH_KERNEL_REPORT=str(report),
        MDEPTH_KERNEL_WATCH=str(layout.root / "results"),
        OMP_NUM_THREADS="1",
        MKL_NUM_THREADS="1",
        PYDEVD_DISABLE_FILE_VALIDATION="1",
        TQDM_DISABLE="1",
    )


def run_cells(
    name: str, source: Path, target: Path, parameters: dict[str, object], root: Path, kernel: str
) -> None:
    """Papermill, saying now and then which cell is at work."""
    import papermill
    from papermill.engines import NBClientEngine, papermill_engines
    from traitlets.config import Config

    settings = Config({"KernelManager": {"shutdown_wait_time": FAREWELL}})

    class Telling(NBClientEngine):
        @classmethod
        def execute_managed_notebook(cls, nb_man, kernel_name, **options):
            cells, start, told = nb_man.nb.cells, nb_man.cell_start, -math.inf

            def cell_start(cell, cell_index=None, **more):
                nonlocal told
                if cell.cell_type == "code" and time.monotonic() - told > PATIENCE:
                    print(f"  {name}: cell {cell_index + 1} of {len(cells)}", flush=True)
                    told = time.monotonic()
                return start(cell, cell_index, **more)

            nb_man.cell_start = cell_start
            return super().execute_managed_notebook(nb_man, kernel_name, config=settings, **options)

    papermill_engines.register("telling", Telling)
    with contextlib.redirect_stderr(_Filtered(sys.stderr)):
        papermill.execute_notebook(
            source,
            target,
            parameters,
            engine_name="telling",
            kernel_name=kernel,
            cwd=root,
            progress_bar=False,
        )


class _Filtered:
    """A stream that keeps papermill's advertisement of its own arguments to itself."""

    def __init__(self, stream):
        self.stream = stream

    def write(self, text: str) -> int:
        return (
            len(text)
            if re.search(r"Passed unknown parameter|Input notebook does not", text)
            else self.stream.write(text)
        )

    def __getattr__(self, name: str):
        return getattr(self.stream, name)


def check_reads(layout: Layout, name: str, read: list[str], inputs: dict) -> None:
    """Refuse a chapter that read a record of a source it does not name, or times without a call that says so:
    the build could not know when to run it again.
    """
    sources = inputs["sources"]
    paths = [Path(path).relative_to(layout.root / "results").parts for path in read]
    if unknown := {parts[1] for parts in paths if parts[0] in PROFILES} - set(sources):
        raise PipelineError(
            f"{name}: read records of {sorted(unknown)} but names only {sources}; name the source in a code "
            "cell"
        )
    if any(parts[0] == "benchmarks" for parts in paths) and not inputs["times"]:
        raise PipelineError(f"{name}: read measured times without calling `benchmark(` by its name")


def execute(layout: Layout, name: str, data_dir: str) -> None:
    """Run one chapter and place the tidied notebook and its time and memory in the state of the profile."""
    import nbformat
    from papermill.exceptions import PapermillExecutionError

    inputs = json.loads((layout.state / "inputs" / f"{name}.json").read_text())
    path = layout.chapters()[name]
    notebook = read_notebook(path)
    for cell in notebook.cells:
        cell.source = expanded(cell.source, layout.book) if cell.cell_type == "markdown" else cell.source
    parameters = {"profile": layout.profile, "data_dir": data_dir}
    check_parameters(path, notebook, parameters)
    work = layout.state / "work"
    work.mkdir(parents=True, exist_ok=True)
    source, target, report = (work / f"{name}.{kind}" for kind in ("in.ipynb", "out.ipynb", "report.json"))
    report.unlink(missing_ok=True)
    set_environment(layout, report)
    nbformat.write(notebook, source)
    started = time.monotonic()
    try:
        declared = parameters if parameters_of(notebook) else {}
        run_cells(
            name, source, target, declared, layout.root, install_kernel(layout.root / ".mdepth" / "jupyter")
        )
    except PapermillExecutionError as error:
        raise PipelineError(f"{path}: cell {error.cell_index} failed\n{error}") from None
    executed = nbformat.read(target, as_version=4)
    private = (str(layout.root), str(Path.home()) + os.sep, *filter(None, [data_dir]))
    if found := list(problems(executed, forbidden=private)):
        raise PipelineError("\n".join(f"{path}: {problem}" for problem in found))
    used = json.loads(report.read_text()) if report.is_file() else {"read": [], "peak_mb": None}
    check_reads(layout, name, used["read"], inputs)
    first = INSTALL.format(package=layout.package, url=layout.wheel_url)
    result = tidied(executed, {"profile": layout.profile, "data_dir": ""}, first)
    seconds = round(time.monotonic() - started, 1)
    write_json(layout.state / "timings" / f"{name}.json", {"seconds": seconds, "peak_mb": used["peak_mb"]})
    write_changed(layout.state / "executed" / f"{name}.ipynb", nbformat.writes(result) + "\n")
    print(f"  {name}: done in {seconds} s, {used['peak_mb']} MB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    for option in ("root", "profile", "data", "chapter"):
        parser.add_argument(f"--{option}", required=True)
    options = parser.parse_args()
    try:
        execute(Layout(Path(options.root), options.profile), options.chapter, options.data)
    except PipelineError as error:
        sys.exit(f"\n{error}\n")


if __name__ == "__main__":
    main()
