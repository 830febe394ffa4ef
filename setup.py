"""What pyproject.toml cannot say about packaging.

The wheel carries what chapters draw from, the reference records, the measured times and the reported numbers,
so that a downloaded notebook runs where only the wheel is; and the known bugs of ports, which live beside the
chapters in ``book/bugs``, are importable as ``mdepth_bugs``.
"""

import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

CARRIED = {
    "results/laptop": "_records/laptop",
    "results/benchmarks": "_records/benchmarks",
    "data/reported": "reported",
}
WEIGHTS = shutil.ignore_patterns("weights.safetensors", "checkpoint.pt")


class BuildWithRecords(build_py):
    """Copy the committed reference records, times and reported numbers into the package."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        for source, target in CARRIED.items():
            place = Path(self.build_lib) / "mdepth" / target
            shutil.rmtree(place, ignore_errors=True)  # what an earlier build left there
            if Path(source).is_dir():
                shutil.copytree(source, place, ignore=WEIGHTS)


setup(
    packages=[*find_packages(include=["mdepth", "mdepth.*"]), "mdepth_bugs"],
    package_dir={"mdepth_bugs": "book/bugs"},
    cmdclass={"build_py": BuildWithRecords},
)
