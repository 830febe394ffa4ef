"""A package with fake runs: what the pipeline is tested on."""

__version__ = "1.0"
