"""The rule for claims: fixed words, paired by seed, against a smallest effect of interest."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdepth import recipes, results
from mdepth.ledger.judging import WORDS, ClaimRow, claims, decide, judge
from mdepth.ledger.measured import gather
from mdepth.recipes import Claim
from mdepth.results import Record

CLAIM = Claim(
    id="beats-the-mean",
    statement="The network is better than the mean map.",
    place="Table 1",
    variant="coarse",
    metric="abs_rel",
    a="worlds",
    b="worlds@mean-map",
    direction="lower",
    smallest=0.1,
    why="less is not visible",
)


def write(folder: Path, variant: str, seed: int, values: dict[str, float], level: str = "B") -> None:
    """A record whose protocols have these means of AbsRel."""
    run = {
        "format": results.FORMAT,
        "source": "eigen",
        "variant": variant,
        "profile": "laptop",
        "seed": seed,
        "identity": "i",
        "meaning": "m",
        "description": {},
        "commit": None,
        "versions": {},
        "hardware": {},
        "finished": "",
        "seconds": 1.0,
        "train_seconds": 1.0,
        "peak_memory_mb": 1.0,
        "parameters": 1,
        "sample_ids": [],
        "extra": {"level": level},
        "data": {"hash": "h", "real": level != "B", "train": {}, "test": {}},
    }
    metrics = {
        key: {
            "mean": {"abs_rel": value, "rmse": 2 * value},
            "pooled": {},
            "per_image": {},
            "ids": [],
            "n_images": 0,
            "n_pixels": 0,
        }
        for key, value in values.items()
    }
    place = folder / f"laptop/eigen/{variant}/seed{seed}"
    results.write(Record(run, metrics, {name: [0.0] for name in ("step", "loss", "lr", "seconds")}), place)


def judged(claim: Claim, folder: Path) -> ClaimRow:
    return judge(claim, "eigen", gather("laptop", folder))


@pytest.mark.parametrize(
    ("effects", "word"),
    [
        ([0.010, -0.012, 0.005], "holds"),
        ([-0.090, 0.080, 0.010], "inconclusive"),  # alike on average, and far from it one by one
        ([0.50, 0.52, 0.51], "does not hold"),
        ([-0.50, -0.52, -0.51], "does not hold"),
        ([0.01, 0.01], "inconclusive"),
    ],
)
def test_sameness_needs_an_interval_between_the_borders(effects: list[float], word: str) -> None:
    assert decide(effects, 0.1, same=True)[0] == word


def test_a_claim_of_sameness_is_judged_so(tmp_path: Path) -> None:
    for seed, value in enumerate((0.101, 0.099, 0.100)):
        write(tmp_path, "coarse", seed, {"worlds": value, "worlds@mean-map": 0.1})
    row = judged(replace(CLAIM, direction="same"), tmp_path)
    assert (row.verdict, row.expression.endswith("same")) == ("holds", True)
    assert "lies within the smallest effect of interest" in row.why
    assert judged(replace(CLAIM, direction="lower"), tmp_path).verdict == "does not hold"


@pytest.mark.parametrize(
    ("effects", "smallest", "word"),
    [
        ([0.50, 0.52, 0.51], 0.1, "holds"),
        ([0.11, 0.52, 0.31], 0.1, "inconclusive"),  # large, but it may be luck
        ([0.050, 0.051, 0.049], 0.1, "does not hold"),  # certain, but too small to matter
        ([-0.50, -0.52, -0.51], 0.1, "does not hold"),
        ([0.0, 0.0, 0.0], 0.0, "holds"),  # "not worse" with a smallest effect of zero
        ([0.50, 0.52], 0.1, "inconclusive"),  # two seeds say nothing
        ([], 0.1, "inconclusive"),
    ],
)
def test_the_three_words(effects: list[float], smallest: float, word: str) -> None:
    assert decide(effects, smallest)[0] == word


def test_the_ends_of_the_interval() -> None:
    """An interval that begins at the smallest effect holds, one that ends there decides nothing."""
    effects = [0.2, 0.3, 0.25]
    low, high = decide(effects, 0.0)[1] or (0.0, 0.0)
    assert 0 < low < high
    assert decide(effects, low)[0] == "holds"
    assert decide(effects, math.nextafter(low, 1))[0] == "inconclusive"
    assert decide(effects, high)[0] == "inconclusive"
    assert decide(effects, math.nextafter(high, 1))[0] == "does not hold"


@given(st.lists(st.floats(-1, 1), min_size=3, max_size=8), st.floats(0, 0.5), st.floats(0, 0.5))
def test_a_stricter_smallest_effect_never_turns_a_claim_true(
    effects: list[float], first: float, second: float
) -> None:
    order = ("does not hold", "inconclusive", "holds")
    low, high = sorted((first, second))
    assert order.index(decide(effects, high)[0]) <= order.index(decide(effects, low)[0])


def test_a_headline_takes_five_seeds(tmp_path: Path) -> None:
    for seed in range(4):
        write(tmp_path, "coarse", seed, {"worlds": 0.2 + seed / 1000, "worlds@mean-map": 0.4})
    four = gather("laptop", tmp_path)
    assert judge(CLAIM, "eigen", four).verdict == "holds"
    headline = judge(replace(CLAIM, headline=True), "eigen", four)
    assert (headline.verdict, headline.interval) == ("inconclusive", "none")
    assert "at least 5" in headline.why
    write(tmp_path, "coarse", 4, {"worlds": 0.21, "worlds@mean-map": 0.4})
    assert judge(replace(CLAIM, headline=True), "eigen", gather("laptop", tmp_path)).verdict == "holds"


def test_a_negative_smallest_effect_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        decide([1.0, 1.0, 1.0], -0.1)


def test_effects_are_paired_by_seed(tmp_path: Path) -> None:
    """The two sides vary a lot together; only the pairing shows that one always wins by a fifth."""
    for seed, level in enumerate((0.1, 0.4, 0.9, 0.2, 0.6)):
        write(tmp_path, "coarse", seed, {"worlds": 0.8 * level, "worlds@mean-map": level})
    row = judged(CLAIM, tmp_path)
    assert (row.verdict, row.seeds, row.level) == ("holds", 5, "B")
    assert row.effect == pytest.approx(-0.2)
    assert row.interval == "-0.200 to -0.200"
    assert judged(replace(CLAIM, relative=False), tmp_path).verdict == "inconclusive"


def test_two_variants_share_only_their_common_seeds(tmp_path: Path) -> None:
    claim = replace(CLAIM, b="worlds", variant_b="plain", metric_b="rmse", relative=False)
    for seed in range(5):
        write(tmp_path, "coarse", seed, {"worlds": 0.5})
    for seed in range(2, 9):
        write(tmp_path, "plain", seed, {"worlds": 0.4})
    row = judged(claim, tmp_path)
    assert (row.seeds, row.verdict) == (3, "holds")
    assert row.effect == pytest.approx(0.5 - 0.8)
    assert (
        row.command == "mdepth run eigen/coarse --profile laptop && mdepth run eigen/plain --profile laptop"
    )
    assert "rmse of plain:worlds" in row.expression


@pytest.mark.parametrize(("levels", "weakest"), [("DD", "D"), ("Dd", "d"), ("DB", "B"), ("Bd", "B")])
def test_a_claim_is_as_good_as_its_weaker_side(levels: str, weakest: str, tmp_path: Path) -> None:
    for variant, level in zip(("coarse", "plain"), levels, strict=True):
        write(tmp_path, variant, 0, {"worlds": 0.5}, level)
    row = judged(replace(CLAIM, b="worlds", variant_b="plain"), tmp_path)
    assert row.level == weakest


def test_the_direction_counts(tmp_path: Path) -> None:
    for seed in range(3):
        write(tmp_path, "coarse", seed, {"worlds": 0.5 + 0.001 * seed, "worlds@mean-map": 1.0})
    assert judged(CLAIM, tmp_path).verdict == "holds"
    assert judged(replace(CLAIM, direction="higher"), tmp_path).verdict == "does not hold"


def test_against_zero(tmp_path: Path) -> None:
    for seed in range(3):
        write(tmp_path, "coarse", seed, {"worlds": 0.5})
    row = judged(replace(CLAIM, b="", direction="higher"), tmp_path)
    assert (row.verdict, row.effect) == ("holds", pytest.approx(0.5))


def test_without_records_it_is_inconclusive_and_says_so(tmp_path: Path) -> None:
    row = judged(CLAIM, tmp_path)
    assert (row.verdict, row.seeds, row.why) == ("inconclusive", 0, "no record has both sides")
    write(tmp_path, "coarse", 0, {"worlds": 0.5, "worlds@mean-map": 1.0})
    assert "at least 3" in judged(CLAIM, tmp_path).why


def test_stale_records_are_no_evidence(tmp_path: Path) -> None:
    claim = recipes.get("eigen").CLAIMS[0]
    for seed in range(5):
        write(tmp_path, claim.variant, seed, {claim.a: 0.5 + 0.001 * seed, claim.b: 1.0})

    def seeds(is_stale: Callable[[Record], bool]) -> int:
        found = claims(["eigen"], results=tmp_path, is_stale=is_stale)
        return next(row.seeds for row in found if row.id.endswith(claim.id))

    assert seeds(lambda record: False) == 5
    assert seeds(lambda record: record.run["seed"] > 1) == 2
    assert seeds(lambda record: True) == 0


def test_the_recipes_claims_are_judged_with_the_fixed_words(tmp_path: Path) -> None:
    found = claims(results=tmp_path)
    assert found
    assert {row.verdict for row in found} == {"inconclusive"}
    assert len({row.id for row in found}) == len(found)
    assert all(row.smallest > 0 and row.statement and row.why for row in claims())
    assert all(row.verdict in WORDS for row in claims())


def test_a_gain_that_grows_is_the_difference_of_two_effects(tmp_path: Path) -> None:
    """With few labels 0.6 for 0.8, a quarter off; with many 0.27 for 0.3, a tenth."""
    values = {"few-taught": 0.6, "few-random": 0.8, "many-taught": 0.27, "many-random": 0.3}
    for name, value in values.items():
        for seed in range(3):
            write(tmp_path, name, seed, {"worlds": value + 0.001 * seed})
    claim = replace(
        CLAIM, variant="few-taught", variant_b="few-random", b="worlds", less=("many-taught", "many-random")
    )
    found = judged(claim, tmp_path)
    assert found.effect == pytest.approx(-0.25 + 0.1, abs=1e-3)
    assert found.verdict == "holds"
    assert found.expression.endswith("lower; less the same of many-taught and many-random")
    assert found.command.count("mdepth run") == 4
    assert judged(replace(claim, smallest=0.2), tmp_path).verdict == "does not hold"
    without = judged(replace(claim, less=("many-taught", "nobody")), tmp_path)
    assert (without.seeds, without.verdict) == (0, "inconclusive")
