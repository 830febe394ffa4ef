"""Claims: a sentence of a paper, the effect in our records per seed, and one of three words.

The rule is fixed before the runs. The effect is ``a`` minus ``b`` (relative to ``b`` where the claim says
so), seed by seed, so that what both share cancels. With the 95 % t interval of these differences and the
smallest effect of interest ``s`` (both counted in the direction of the claim):

* **holds**: the whole interval lies at or beyond ``s``;
* **does not hold**: the whole interval lies short of ``s``: an effect that would matter is ruled out;
* **inconclusive**: the interval contains ``s``, or there are fewer than three seeds.

A difference that is real but too small to matter does therefore not hold, and a large one that rests on luck
is inconclusive. Where a claim says that a gain grows, the effect of another pair of runs is taken off first.
A claim that two things are the **same** holds where the whole interval lies between ``-s`` and ``s``, does
not hold where all of it lies outside, and is inconclusive where it crosses a border.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace
from pathlib import Path

from mdepth import recipes
from mdepth.ledger.compare import NONE, shown
from mdepth.ledger.measured import Runs, gather
from mdepth.ledger.stats import t_interval
from mdepth.recipes import Claim
from mdepth.results import Record

__all__ = ["WORDS", "ClaimRow", "claims", "decide", "judge"]

WORDS = ("holds", "does not hold", "inconclusive")
WHERE = ("lies beyond", "lies short of", "contains")
LEAST_SEEDS = 3


@dataclass(frozen=True)
class ClaimRow:
    """A claim as a row of the ledger."""

    id: str
    source: str
    statement: str
    place: str
    expression: str
    level: str
    seeds: int
    effect: int | float | str
    smallest: int | float
    interval: str
    verdict: str
    why: str
    profile: str
    command: str

    def __post_init__(self) -> None:
        empty = [field.name for field in fields(self) if getattr(self, field.name) in ("", None)]
        if empty:
            raise ValueError(f"claim {self.id}: {', '.join(empty)} is empty")
        if self.verdict not in WORDS:
            raise ValueError(f"claim {self.id}: verdict {self.verdict!r}, expected one of {', '.join(WORDS)}")


def decide(
    effects: Iterable[int | float],
    smallest: int | float,
    *,
    level: float = 0.95,
    seeds: int = LEAST_SEEDS,
    same: bool = False,
) -> tuple[str, tuple[float, float] | None]:
    """The verdict about effects per seed, positive in the direction of the claim, and the interval it rests
    on.

    Args:
        effects: one paired difference per seed.
        smallest: the smallest effect of interest, at least 0.
        level: of the t interval.
        seeds: with fewer effects the verdict is "inconclusive".
        same: whether the claim is that no effect reaches ``smallest``, either way.

    Errors: ``ValueError`` for a negative ``smallest``.

    Example:
        >>> decide([0.30, 0.32, 0.31], smallest=0.1)[0]
        'holds'
        >>> decide([0.30, 0.32], smallest=0.1)[0]
        'inconclusive'
        >>> decide([0.01, -0.02, 0.01], smallest=0.1, same=True)[0]
        'holds'
    """
    values = list(effects)
    if smallest < 0:
        raise ValueError(f"the smallest effect of interest must not be negative, got {smallest}")
    if len(values) < seeds:
        return "inconclusive", None
    low, high = t_interval(values, level)
    if same:
        inside, outside = -smallest < low and high < smallest, low >= smallest or high <= -smallest
        return "holds" if inside else "does not hold" if outside else "inconclusive", (low, high)
    if low >= smallest:
        return "holds", (low, high)
    return ("does not hold" if high < smallest else "inconclusive"), (low, high)


def judge(claim: Claim, source: str, runs: dict[str, Runs]) -> ClaimRow:
    """One claim against records by ``source/variant``."""
    left, right = (
        runs.get(f"{source}/{variant}") for variant in (claim.variant, claim.variant_b or claim.variant)
    )
    effects = _effects(claim, left, right) if left and right else {}
    others = [runs.get(f"{source}/{variant}") for variant in claim.less]
    if claim.less:
        effects = _less(effects, _effects(claim, *others) if all(others) else {})  # type: ignore[arg-type]
    sign = -1 if claim.direction == "lower" else 1
    found = [sign * value for value in effects.values()]
    same = claim.direction == "same"
    verdict, interval = decide(found, claim.smallest, seeds=claim.least_seeds, same=same)
    names = [name for name in (claim.variant, claim.variant_b, *claim.less) if name]
    profile = left.profile if left else "laptop"
    return ClaimRow(
        id=f"{source}.claim.{claim.id}",
        source=source,
        statement=claim.statement,
        place=claim.place,
        expression=_expression(claim),
        level=_weakest(left, right, *others),
        seeds=len(effects),
        effect=sum(effects.values()) / len(effects) if effects else NONE,
        smallest=claim.smallest,
        interval=_interval(interval, sign),
        verdict=verdict,
        why=_why(claim, verdict, len(effects)),
        profile=profile,
        command=" && ".join(f"mdepth run {source}/{name} --profile {profile}" for name in names),
    )


def claims(
    sources: Iterable[str] | None = None,
    *,
    results: Path | None = None,
    profile: str = "laptop",
    is_stale: Callable[[Record], bool] = lambda record: False,
) -> list[ClaimRow]:
    """All claims of the recipes, judged on the reference records; a recipe that a source does not have yet
    gives none. Records that ``is_stale`` (``mdepth.runs.is_stale``) are left out: they are of another run.
    """
    names = [name for name in (sources or recipes.SOURCES) if name in recipes.available()]
    gathered = gather(profile, results, sources=names)
    fresh = {key: [each for each in runs.records if not is_stale(each)] for key, runs in gathered.items()}
    runs = {key: replace(gathered[key], records=tuple(some)) for key, some in fresh.items() if some}
    return [judge(claim, name, runs) for name in names for claim in recipes.get(name).CLAIMS]


def _effects(claim: Claim, left: Runs, right: Runs) -> dict[int, float]:
    """``a`` minus ``b`` for every seed that has both."""
    a = left.measure(claim.metric, claim.a)
    b = right.measure(claim.metric_b or claim.metric, claim.b) if claim.b else None
    if a is None or (claim.b and b is None):
        return {}
    if b is None:
        return dict(a.values)
    common = [seed for seed in a.values if seed in b.values]
    scale = {seed: abs(b.values[seed]) if claim.relative else 1.0 for seed in common}
    return {seed: (a.values[seed] - b.values[seed]) / scale[seed] for seed in common if scale[seed]}


def _less(effects: dict[int, float], others: dict[int, float]) -> dict[int, float]:
    """One effect minus the other, for every seed that has both."""
    return {seed: value - others[seed] for seed, value in effects.items() if seed in others}


def _expression(claim: Claim) -> str:
    if claim.less:
        a, b = claim.less
        return f"{_expression(replace(claim, less=()))}; less the same of {a} and {b}"
    a, b = f"{claim.variant}:{claim.a}", f"{claim.variant_b or claim.variant}:{claim.b}"
    if not claim.b:
        way = "same as" if claim.direction == "same" else f"{claim.direction} than"
        return f"{claim.metric} of {a}, {way} 0"
    other = f"{claim.metric_b} of {b}" if claim.metric_b else b
    over = f" over {other}" if claim.relative else ""
    return f"{claim.metric} of {a} minus {other}{over}, {claim.direction}"


def _weakest(*sides: Runs | None) -> str:
    levels = [runs.level for runs in sides if runs]
    return max(levels, key="DCdB".index) if levels else NONE


def _interval(interval: tuple[float, float] | None, sign: int) -> str:
    """The interval of the effect itself, in its own sign."""
    if interval is None:
        return NONE
    low, high = sorted(sign * end for end in interval)
    return f"{shown(low)} to {shown(high)}"


def _why(claim: Claim, verdict: str, seeds: int) -> str:
    if seeds == 0:
        return "no record has both sides"
    if seeds < claim.least_seeds:
        return f"{seeds} seeds, the rule asks for at least {claim.least_seeds}"
    words = ("lies within", "lies beyond", "crosses") if claim.direction == "same" else WHERE
    place = dict(zip(WORDS, words, strict=True))[verdict]
    smallest = f"the smallest effect of interest, {claim.smallest:g}"
    return f"the 95 % t interval over {seeds} seeds {place} {smallest}: {claim.why}"
