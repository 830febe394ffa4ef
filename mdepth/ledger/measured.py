"""What our runs measured: records gathered by variant and profile, summarised over seeds, with level and
provenance.

A number never travels without its level of evidence, which :func:`mdepth.results.level_of` decides.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from mdepth import results
from mdepth.ledger.stats import Summary, summarise
from mdepth.results import Record, level_of

__all__ = ["LEVELS", "Measurement", "Runs", "gather"]

LEVELS = {
    "A": "needs no data: counts, sizes, identities",
    "B": "regenerated on the synthetic worlds: the direction of a claim",
    "C": "from published weights or predictions, on real data",
    "D": "trained on the paper's data",
    "d": "trained or evaluated on other real frames",
    "T": "time, memory or throughput on stated hardware, compared as a ratio",
}


@dataclass(frozen=True)
class Measurement:
    """One metric of one variant under one protocol, over all its seeds."""

    metric: str
    protocol: str
    level: str
    values: dict[int, float]
    images: tuple[float, ...]
    records: tuple[Record, ...]

    @property
    def n_images(self) -> int:
        """On how many images each seed was scored."""
        return self.records[0].metrics[self.protocol]["n_images"]

    @cached_property
    def summary(self) -> Summary:
        """Mean, sd and interval."""
        return summarise(list(self.values.values()), self.images)


@dataclass(frozen=True)
class Runs:
    """All records of one variant under one profile, in the order of their seeds."""

    source: str
    variant: str
    profile: str
    records: tuple[Record, ...]

    @property
    def name(self) -> str:
        """``eigen/coarse-rooms``."""
        return f"{self.source}/{self.variant}"

    @property
    def level(self) -> str:
        """The weakest level among the records."""
        order = "DCdB"
        return max((level_of(record) for record in self.records), key=order.index)

    @property
    def command(self) -> str:
        """The one command that runs this again."""
        return f"mdepth run {self.name} --profile {self.profile}"

    @property
    def protocols(self) -> tuple[str, ...]:
        """Keys of the metrics that every record has, baselines (``worlds@mean-map``) among them."""
        first, *others = (record.metrics for record in self.records)
        return tuple(key for key in first if all(key in metrics for metrics in others))

    def measure(self, metric: str, protocol: str, *, averaging: str = "mean") -> Measurement | None:
        """One metric over the seeds; ``None`` where the records do not have it.

        Args:
            metric: a key of :data:`mdepth.metrics.METRICS`, or of the metrics of normals or labels.
            protocol: a protocol's name, ``normals`` or ``labels``; with ``@baseline`` what else was scored.
            averaging: ``mean`` over images, or ``pooled`` over all pixels.
        """
        found = {record.run["seed"]: record for record in self.records
                 if record.metrics.get(protocol, {}).get(averaging, {}).get(metric) is not None}  # fmt: skip
        if not found:
            return None
        values = {seed: float(record.metrics[protocol][averaging][metric]) for seed, record in found.items()}
        first = next(iter(found.values()))
        images = first.metrics[protocol]["per_image"].get(metric, []) if averaging == "mean" else []
        kept = tuple(value for value in images if value is not None)
        return Measurement(metric, protocol, self.level, values, kept, tuple(found.values()))

    def on_worlds(self, metric: str, of: str = "") -> Measurement | None:
        """One metric on the synthetic worlds, of the network or ``of`` something else scored in the records
        (``@mean-map``): in metres, or scaled by the medians where the network has no metres.
        """
        return self.measure(metric, f"worlds{of}") or self.measure(metric, f"worlds-median{of}")


@lru_cache(maxsize=512)
def _read(place: Path, changed: tuple[int, ...]) -> Record:
    """A record, read once as long as its files do not change: a page shows many views of the same ones."""
    return results.read(place)


def _changed(place: Path) -> tuple[int, ...]:
    return tuple((place / name).stat().st_mtime_ns for name in results.FILES if (place / name).is_file())


def gather(
    profile: str, folder: Path | None = None, *, sources: Iterable[str] | None = None
) -> dict[str, Runs]:
    """All records of a profile, by ``source/variant``; an empty dictionary where there are none.

    Errors: :class:`~mdepth.shapes.DataError` naming the file of a damaged record.
    """
    base = results.shelf(profile) if folder is None else folder / profile
    wanted = None if sources is None else set(sources)
    runs: dict[tuple[str, str], list[Record]] = {}
    for place in sorted(base.glob("*/*/seed*"), key=lambda path: (path.parent, int(path.name[4:] or 0))):
        source, variant = place.parts[-3:-1]
        if (wanted is None or source in wanted) and (place / results.FILES[0]).is_file():
            runs.setdefault((source, variant), []).append(_read(place, _changed(place)))
    return {
        f"{source}/{variant}": Runs(source, variant, profile, tuple(records))
        for (source, variant), records in runs.items()
    }
