"""Level A: numbers that need no data, computed now and held against what the source prints.

A check is a function that fills one table of ``data/reported/<source>.yaml``: it returns ``{"row.column":
value}`` for the cells that it can compute. Where our value is not the printed one, the registration says why;
a difference that nobody explained is an error, not a row.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache

__all__ = ["Check", "Value", "computed", "explanation", "register", "registered"]

Value = float | int | str


@dataclass(frozen=True)
class Check:
    """How one table is computed, and why cells differ where they do."""

    table: str
    function: Callable[[], Mapping[str, Value]]
    explanations: Mapping[str, str] = field(default_factory=dict)


_CHECKS: dict[str, Check] = {}


def register(table: str, **explanations: str) -> Callable:
    """Register a function as the check of a table; keywords explain cells, ``row__column="why it differs"``.

    Errors: ``ValueError`` where the table has a check already.
    """

    def decorate(function: Callable[[], Mapping[str, Value]]) -> Callable[[], Mapping[str, Value]]:
        if table in _CHECKS:
            raise ValueError(f"table {table} has a check already: {_CHECKS[table].function.__name__}")
        texts = {key.replace("__", "."): text for key, text in explanations.items()}
        _CHECKS[table] = Check(table, function, texts)
        return function

    return decorate


def registered() -> dict[str, Check]:
    """All checks by table, e.g. ``"eigen.parameters"``."""
    from mdepth.ledger.checks import (  # noqa: F401  (importing registers)
        eigen,
        hu,
        hu_losses,
        laina,
        monodepth2,
        monodepth2_networks,
        transfer,
    )

    return dict(_CHECKS)


@cache
def _run(table: str) -> dict[str, Value]:
    return dict(registered()[table].function())


def computed(identity: str) -> Value | None:
    """Our value for a reported number, computed now; ``None`` where no check computes it.

    Example:
        >>> computed("eigen.parameters.fc6.nyu")
        50335744
    """
    table, _, cell = _split(identity)
    return _run(table).get(cell) if table in registered() else None


def explanation(identity: str) -> str:
    """Why our value differs from the printed one; empty where nothing is said."""
    table, _, cell = _split(identity)
    check = registered().get(table)
    return check.explanations.get(cell, "") if check else ""


def _split(identity: str) -> tuple[str, str, str]:
    """``eigen.table1.coarse.abs_rel`` into ``eigen.table1``, ``.`` and ``coarse.abs_rel``."""
    parts = identity.split(".")
    return ".".join(parts[:2]), ".", ".".join(parts[2:])
