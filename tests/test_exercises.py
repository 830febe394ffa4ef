"""The checkers: right answers are right, and every mistake that they know is recognised as itself."""

import itertools
import math
import re
from pathlib import Path

import pytest
import torch

from mdepth import exercises
from mdepth.exercises import check

MISTAKES = [
    (name, number) for name, one in exercises.everything().items() for number in range(len(one.mistakes))
]


def filled(answer):
    """An answer that a reader could give: wildcards become a number that is wrong for certain."""
    return tuple(9.87 if part is None else part for part in answer) if isinstance(answer, tuple) else answer


@pytest.mark.parametrize("name", exercises.names())
def test_the_right_answer_is_right(name: str) -> None:
    verdict = check(name, exercises.everything()[name].right)
    assert verdict.right
    assert str(verdict).startswith("Right.")


@pytest.mark.parametrize(("name", "number"), MISTAKES)
def test_a_mistake_gets_its_own_hint(name: str, number: int) -> None:
    mistake, hint = exercises.everything()[name].mistakes[number]
    verdict = check(name, filled(mistake))
    assert not verdict.right
    assert str(verdict) == f"Not yet: {hint}"


@pytest.mark.parametrize("name", exercises.names())
def test_hints_tell_mistakes_apart(name: str) -> None:
    hints = [hint for _, hint in exercises.everything()[name].mistakes]
    assert len(hints) >= 3
    assert all(len(hint) > 15 and hint.endswith((".", "?")) for hint in hints)


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("introduction.dolls_house", (1, 0.1)),
        ("introduction.known_size", 2),
        ("introduction.stereo", (2.0, 0.19)),
        ("introduction.ground", 9.19),
        ("introduction.ground", 9.2),
        ("prerequisites.bilinear", (1.25, 1)),
        ("data.wrap", 1.4464),
        ("metrics.best_scale", (0.25, 0.84)),
        ("eigen.fc6_parameters", 256 * 6 * 8 * 4096 + 4096),
        ("eigen.feature_size", (4, 17)),
        ("eigen.fine_field", (9 + 2 * 2 + 4 * 4 + 4 * 4, 9 + 1 * 2 + 4 * 4 + 4 * 4)),
        ("eigen.forgiven", (0.48045, 0.24023, 0)),
        ("eigen.zoomed", (3.2, -0.22314)),
        ("eigen.opinions", (2.4975124, 2.5024876)),
        ("eigen.enlarged_size", (7 + 4 * 13, 7 + 4 * 18)),
        ("laina.kernels", (3 * 3, 4 * 3, 3 * 4, 4 * 4)),
        ("laina.field", (7 + 2 * 2 + 2 * 8 + 6 * 24, 7 + 2 * 2 + 2 * 8 + 6 * 48)),
        ("laina.fc_parameters", 201_338_880),
        ("laina.output_size", (16 * math.ceil(230 / 32), 16 * math.ceil(173 / 32))),
        ("transfer.unpadded", (16 * 15 + 12, 16 * 15 + 12 - 184)),
        ("transfer.halvings", (120, 60, 30, 15, math.ceil(15 / 2), 2 * math.ceil(15 / 2))),
        ("transfer.constants", (0.01**2 * 100**2, 0.03**2 * 100**2, 0.01**2, 0.03**2)),
        ("transfer.arguments", (0.25, 0.2, 0)),
        ("transfer.pooled", (0.6, 0.6708)),
        ("transfer.channels", (5 / 12, 5 / 14)),
        ("monodepth2.samplers", (2, 0 * 192 / 191 - 0.5, 0, 191 * 192 / 191 - 0.5 - 191)),
        ("monodepth2.metres", (5.4, 1.2, 10.8, 36)),
    ],
)
def test_answers_worked_out_by_hand(name: str, answer) -> None:
    assert check(name, answer).right


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (0.296, "changed places"),
        (183.8, "divide by the 20 rows"),
        (33, "multiply by f"),
        (0.0825, "the focal length"),
        (5.57, "the camera's height"),
        (9.3, "not by one of the usual mistakes"),
    ],
)
def test_metres_from_the_horizon_tell_what_went_wrong(answer: float, hint: str) -> None:
    verdict = check("introduction.ground", answer)
    assert not verdict.right
    assert hint in str(verdict)


def test_functions_worked_out_by_hand() -> None:
    def error(prediction, target, valid):
        d = [
            math.log(p / t)
            for p, t, v in zip(prediction.tolist(), target.tolist(), valid.tolist(), strict=True)
            if v
        ]
        return sum(x * x for x in d) / len(d) - (sum(d) / len(d)) ** 2

    def scale(prediction, target, valid):
        ratios = (target / prediction)[valid]
        return ratios.prod() ** (1 / len(ratios))

    def delta(prediction, target, valid):
        within = [
            v and t / 1.25 < p < 1.25 * t
            for p, t, v in zip(prediction.tolist(), target.tolist(), valid.tolist(), strict=True)
        ]
        return sum(within) / sum(valid.tolist())

    def berhu(differences, valid):
        sizes = [abs(x) for x, v in zip(differences.tolist(), valid.tolist(), strict=True) if v]
        c = max(sizes) / 5
        return sum(x if x <= c else (x * x + c * c) / (2 * c) for x in sizes) / len(sizes)

    def slopes(prediction, target):
        e = (prediction - target).tolist()
        rows, columns = len(e), len(e[0])
        right = [abs(e[r][c + 1] - e[r][c]) for r in range(rows) for c in range(columns - 1)]
        below = [abs(e[r + 1][c] - e[r][c]) for r in range(rows - 1) for c in range(columns)]
        return sum(right + below) / (rows * columns)

    def split(scenes, share):
        known = set(list(dict.fromkeys(scenes))[: math.floor(share * len(set(scenes)))])
        frames = range(len(scenes))
        return [i for i in frames if scenes[i] in known], [i for i in frames if scenes[i] not in known]

    def warp(depth, K, T):
        pixels = torch.empty(len(K), 2, *depth.shape[2:])
        for b, v, u in itertools.product(*map(range, (len(K), *depth.shape[2:]))):
            x = (u - K[b, 0, 2]) / K[b, 0, 0] * depth[b, 0, v, u]
            y = (v - K[b, 1, 2]) / K[b, 1, 1] * depth[b, 0, v, u]
            X = T[b] @ torch.stack((x, y, depth[b, 0, v, u], torch.ones(())))
            pixels[b, 0, v, u] = K[b, 0, 0] * X[0] / X[2] + K[b, 0, 2]
            pixels[b, 1, v, u] = K[b, 1, 1] * X[1] / X[2] + K[b, 1, 2]
        return pixels

    def bilinear(image, u, v):
        u, v = min(max(u, 0), image.shape[1] - 1), min(max(v, 0), image.shape[0] - 1)
        near = {(x, y): (1 - abs(x - u)) * (1 - abs(y - v)) for x in range(5) for y in range(5)}
        return sum(image[y, x] * w for (x, y), w in near.items() if abs(x - u) < 1 and abs(y - v) < 1)

    def least(warped, still):
        loss, mask = torch.empty_like(warped[:, 0]), torch.empty_like(warped[:, 0])
        for b, v, u in itertools.product(*map(range, loss.shape)):
            moved, unmoved = warped[b, :, v, u].tolist(), still[b, :, v, u].tolist()
            loss[b, v, u], mask[b, v, u] = min(moved + unmoved), min(moved) < min(unmoved)
        return loss, mask.bool()

    answers = {
        "monodepth2.warp": warp,
        "monodepth2.bilinear": bilinear,
        "monodepth2.least": least,
        "transfer.reciprocal": lambda depth: [min(100, max(1, 10 / z)) for z in depth.tolist()],
        "transfer.slopes": slopes,
        "transfer.split": split,
        "laina.berhu": berhu,
        "eigen.scale_invariant": error,
        "eigen.aligning_scale": scale,
        "metrics.delta": delta,
        "metrics.abs_rel": lambda p, t, v: (p[v] - t[v]).abs().div(t[v]).mean(),
        "geometry.backproject": lambda u, v, z, fx, fy, cx, cy: (
            torch.linalg.solve(
                torch.tensor([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]], dtype=torch.float64),
                torch.tensor([u, v, 1.0], dtype=torch.float64),
            )
            * z
        ),
        "geometry.disparity": lambda d, f, b: b / (d / f),
    }
    for name, answer in answers.items():
        assert check(name, answer).right, check(name, answer)


def test_the_taps_of_the_four_kernels_are_those_that_meet_a_value() -> None:
    unpooled = torch.zeros(1, 1, 12, 12)
    unpooled[..., ::2, ::2] = 1
    met = torch.nn.functional.conv2d(unpooled, torch.ones(1, 1, 7, 7), padding=3)[0, 0]
    counts = met[4, 4], met[5, 4], met[4, 5], met[5, 5]  # A, B, C, D
    assert check("laina.kernels", tuple(int(count) for count in counts)).right


def test_only_252_of_the_sides_from_240_to_252_pass_the_unpadded_network() -> None:
    from mdepth.models.transfer_unpadded import UNet2015

    with torch.device("meta"):
        network = UNet2015()
        for side in range(240, 252):
            with pytest.raises(ValueError, match="would do"):
                network(torch.zeros(1, 3, side, side))
        output = network(torch.zeros(1, 3, 252, 252))
    assert check("transfer.unpadded", (252, output.shape[-1])).right


def test_scenes_are_split_as_the_recipe_splits_them() -> None:
    from mdepth.recipes.transfer_data import divided
    from mdepth.recipes.transfer_settings import Settings

    scenes = [f"room {index // 4}" for index in range(40)]
    settings = Settings("unet-rooms", "rooms", labels=10, frames=4, split="scene")
    assert exercises.everything()["transfer.split"].right(scenes, 0.7) == divided(40, settings)


def test_a_function_may_spoil_what_it_is_given() -> None:
    def in_place(depth, K, T):
        K[:, :2] *= 2
        return depth.mul_(0).expand(-1, 2, -1, -1)

    assert not check("monodepth2.warp", in_place).right
    assert check("monodepth2.warp", exercises.everything()["monodepth2.warp"].right).right


def test_a_pixel_that_does_not_exist_is_answered_with_a_hint() -> None:
    def without_a_border(image, u, v):
        a, b = u % 1, v % 1
        rows = image[int(v)] * (1 - b) + image[int(v) + 1] * b
        return rows[int(u)] * (1 - a) + rows[int(u) + 1] * a

    assert "pixel that does not exist" in str(check("monodepth2.bilinear", without_a_border))


def test_the_samplers_may_be_measured() -> None:
    from mdepth.exercises.monodepth2_sampling import samplers

    u = torch.tensor([1.0, 95.5, 190.0])
    ramp, asked = torch.arange(192.0).expand(1, 1, 2, 192), torch.stack((u, torch.zeros(3)))[None, :, None]
    off = [sampler(ramp, asked).flatten() - u for sampler in samplers()]
    which = 1 + max(range(3), key=lambda number: off[number].abs().max().item())
    assert [bool(one.abs().max() < 1e-3) for one in off] == [True, False, True]
    assert check("monodepth2.samplers", (which, *off[which - 1].tolist())).right
    hidden = samplers()[1](ramp, asked * torch.tensor([0.0, 1.0, 191 / 190])).flatten()
    assert hidden[0] == 0
    assert "number" in str(check("monodepth2.samplers", (samplers()[1], -0.5, 0, 0.5)))
    assert "four numbers" in str(check("monodepth2.samplers", 2))


def test_units_of_the_stereo_pair_are_those_of_the_protocol() -> None:
    from mdepth.evaluate import get_protocol
    from mdepth.geometry import depth_to_disparity

    factor = get_protocol("monodepth2-kitti-stereo").factor
    pixels = depth_to_disparity(torch.tensor(2 * factor), focal=720.0, baseline=0.54)
    assert check("monodepth2.metres", (factor, 0.12 / 0.1, 2 * factor, pixels.item())).right
    in_units = depth_to_disparity(torch.tensor(2.0), focal=720.0, baseline=0.1)
    assert in_units.item() == pytest.approx(pixels.item())


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (lambda warped, still: None, "returns nothing"),
        (lambda warped, still: (warped.amin(1), None), "returns nothing"),
        (lambda warped, still: (torch.rand(2), torch.rand(2)), "leave out the noise"),
        (lambda warped, still: warped.mean(), "not by one of the usual mistakes"),
        (lambda warped: warped, "positional argument"),
    ],
)
def test_other_answers_about_the_minimum(answer, hint: str) -> None:
    assert hint in str(check("monodepth2.least", answer))


COLUMNS = torch.arange(80.0)
TEXTURE = torch.rand(3, 32, 80, generator=torch.Generator().manual_seed(7))


def views(pattern, rows: int = 27) -> tuple:
    """Target, previous and next image of a wall with a pattern above and texture below."""
    wall = TEXTURE.clone()
    wall[:, :rows] = torch.as_tensor(pattern)
    return wall[..., 8:72], wall[..., :64], wall[..., 16:]


@pytest.mark.parametrize(
    "pattern",
    [
        0.5 + 0.4 * torch.sin(COLUMNS * math.tau / 8),
        0.5 + 0.4 * torch.sin(COLUMNS * math.tau / 4),
        COLUMNS % 2,
        COLUMNS // 4 % 2,
        TEXTURE[:, :27, :8].repeat(1, 1, 10),
    ],
)
def test_a_pattern_that_repeats_after_a_step_fools_the_mask(pattern) -> None:
    target, before, after = views(pattern)
    assert check("monodepth2.broken_mask", (target, before, after)).right
    assert check(
        "monodepth2.broken_mask", [image.double().numpy() for image in (target, before, after)]
    ).right
    assert "changed places" in str(check("monodepth2.broken_mask", (target, after, before)))
    assert "are not the target" in str(check("monodepth2.broken_mask", (target, 0.5 * before, after)))


@pytest.mark.parametrize(
    ("scene", "hint"),
    [
        (views(0.5), "rightly"),
        (views(0.5, rows=16), "rightly"),
        (views(0.5 + 0.002 * torch.sin(COLUMNS * math.tau / 8)), "rightly"),
        (views(0.5, rows=4), "the mask works"),
        (views(COLUMNS // 4 % 2, rows=16), "let more of the wall repeat"),
        (views(COLUMNS // 4 % 2, rows=32), "the three images are the same"),
        (views(math.nan), "between 0 and 1"),
        ((TEXTURE,) * 3, "three images of shape"),
        (TEXTURE, "three images of shape"),
    ],
)
def test_scenes_that_do_not_fool_the_mask(scene, hint: str) -> None:
    assert hint in str(check("monodepth2.broken_mask", scene))


def test_a_scene_is_judged_without_a_trace() -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    check("monodepth2.broken_mask", views(COLUMNS % 2))
    assert torch.equal(torch.rand(2), expected)


@pytest.mark.parametrize("answer", [None, (None, None), (2.0, None), [None]])
def test_nothing_answered_yet(answer) -> None:
    verdict = check("introduction.stereo", answer)
    assert not verdict.right
    assert "replace None" in str(verdict)


def test_other_answers_are_wrong_without_a_guess() -> None:
    for name, answer in (
        ("data.wrap", 3.0),
        ("data.wrap", float("nan")),
        ("prerequisites.bilinear", (1.25, 1.0, 0.0)),
        ("metrics.abs_rel", lambda p, t, v: torch.zeros(())),
    ):
        verdict = check(name, answer)
        assert not verdict.right
        assert "not by one of the usual mistakes" in str(verdict)


def unwritten(prediction, target, valid):
    raise NotImplementedError


def test_the_wrong_kind_of_answer_is_told() -> None:
    assert "asks for a function" in str(check("metrics.abs_rel", 0.2))
    assert "asks for a number" in str(check("data.wrap", lambda: 1.4464))
    assert "2 positional arguments" in str(check("metrics.abs_rel", lambda p, t: 0.0))
    with_error = str(check("metrics.abs_rel", unwritten))
    assert with_error.startswith("Not answered yet")
    assert "returns nothing" in str(check("metrics.abs_rel", lambda p, t, v: None))
    assert "could not convert" in str(check("data.wrap", "deep"))


def test_an_unknown_exercise_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"metrics\.delta"):
        check("metrics.nonsense", 1.0)


def test_every_exercise_that_a_chapter_asks_for_exists(root: Path) -> None:
    asked = {
        name
        for page in (root / "book").glob("*.md")
        for name in re.findall(r'exercises\.check\(\s*"([^"]+)"', page.read_text(encoding="utf-8"))
    }
    assert asked <= set(exercises.names())
    assert len(asked) >= 4
