"""Promises of the whole house that no part's own tests hold: every switch of the worlds acts, pictures change
only with their version, tables are replaced whole, and folders that cannot be written are told.
"""

import dataclasses
import json
from functools import cache
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from mdepth.datasets import check
from mdepth.datasets.sources import SOURCES
from mdepth.datasets.worlds import WORLD_VERSION, World, load, scene
from mdepth.datasets.worlds.dataset import array_spec
from mdepth.shapes import DataError

# ---- every phenomenon is a switch ----

#: What a world is (tested elsewhere), as against what is switched on in it.
STRUCTURE = {"kind", "split", "scenes", "frames", "height", "width", "seed", "antialias"}
#: Switch -> another setting of it, and the kinds of worlds in which it must make a difference.
SWITCHES = {
    "stereo": (True, ("rooms", "roads")),
    "normals": (True, ("rooms", "roads")),
    "kinect": (True, ("rooms", "roads")),
    "lidar": (True, ("rooms", "roads")),
    "textures": (False, ("rooms", "roads")),
    "texture_contrast": (0.3, ("rooms", "roads")),
    "looks": ("swapped", ("rooms", "roads")),
    "texture_gradient": (False, ("rooms", "roads")),
    "shading": (False, ("rooms", "roads")),
    "shadows": (False, ("rooms", "roads")),
    "haze": (False, ("roads",)),
    "parallel_lines": (False, ("rooms", "roads")),
    "object_size_jitter": (3.0, ("rooms", "roads")),
    "camera_height_jitter": (3.0, ("rooms", "roads")),
    "camera_pitch_jitter": (3.0, ("rooms", "roads")),
    "furniture": (False, ("rooms", "roads")),
    "occluders": (False, ("rooms", "roads")),
    "moving_objects": (False, ("roads",)),
    "comoving_car": (False, ("roads",)),
    "static_frames": (False, ("rooms", "roads")),
    "ego_motion": (False, ("rooms", "roads")),
}
TINY = {"rooms": {"height": 12, "width": 16}, "roads": {"height": 12, "width": 36}}


def small(kind: str, **fields) -> World:
    return World(kind, **{"scenes": 12, "frames": 2, "antialias": 1, **TINY[kind], **fields})


@cache
def content(world: World, index: int) -> list:
    """All that the pictures of one scene are made from, and the arrays that are kept of them."""
    view = scene(world, index)
    tensors = [*vars(view.solids).values(), view.materials, view.T_world_camera]
    rest = [repr(view.lights), repr(view.air), view.labels, view.times, sorted(view.switches.items())]
    return [sorted(array_spec(world)), [value.tolist() for value in tensors], rest]


def test_every_field_of_a_world_is_structure_or_a_switch_that_is_tested() -> None:
    fields = {field.name for field in dataclasses.fields(World)}
    assert fields == STRUCTURE | set(SWITCHES)
    assert not STRUCTURE & set(SWITCHES)


@pytest.mark.parametrize(
    ("kind", "switch"), [(kind, switch) for switch, (_, kinds) in SWITCHES.items() for kind in kinds]
)
def test_every_switch_acts(kind: str, switch: str) -> None:
    """In some scene: not every sequence has a car ahead, or stands still."""
    plain = small(kind)
    changed = dataclasses.replace(plain, **{switch: SWITCHES[switch][0]})
    assert changed.identity() != plain.identity()
    assert any(content.__wrapped__(changed, index) != content(plain, index) for index in range(plain.scenes))


def headings(world: World) -> torch.Tensor:
    """By how much upright boxes are turned out of the grid of the walls or of the road, in degrees."""
    angles = []
    for index in range(world.scenes):
        view = scene(world, index)
        axis = view.solids.rotation[view.solids.kind == 0][:, :, 2]  # each box's forward axis in the world
        main = torch.tensor(view.main_directions[0])
        turn = torch.atan2(axis[:, 0], axis[:, 2]) - torch.atan2(main[0], main[2])
        angles.append(torch.rad2deg(turn))
    turned = torch.cat(angles) % 90
    return torch.minimum(turned, 90 - turned)


@pytest.mark.parametrize("kind", ["rooms", "roads"])
def test_without_parallel_lines_things_stand_askew(kind: str) -> None:
    on, off = (headings(small(kind, frames=1, parallel_lines=value)) for value in (True, False))
    assert (on < 1).float().mean() > (off < 1).float().mean() + 0.2
    assert off.mean() > 2 * on.mean()


@pytest.mark.parametrize("kind", ["rooms", "roads"])
def test_camera_jitter_spreads_height_and_pitch_and_nothing_else(kind: str) -> None:
    def cameras(**fields) -> tuple[torch.Tensor, torch.Tensor]:
        world = small(kind, scenes=16, frames=1, **fields)
        poses = torch.stack([scene(world, index).T_world_camera[0] for index in range(16)])
        return poses[:, 1, 3], torch.asin(poses[:, 1, 2])

    height, pitch = cameras()
    higher, same_pitch = cameras(camera_height_jitter=3.0)
    same_height, nodding = cameras(camera_pitch_jitter=3.0)
    assert higher.std() > 2 * height.std()
    assert nodding.std() > 2 * pitch.std()
    assert torch.equal(same_height, height)
    assert torch.allclose(same_pitch, pitch, atol=1e-6)


# ---- the same sentence, the same pictures ----

#: Mean brightness and mean log depth of four frames each, as this version of the worlds draws them.
DRAWN = {
    "rooms": {
        "version": 2,
        "image": [0.4702, 0.5095, 0.625, 0.4152],
        "depth": [1.3967, 1.0841, 0.8554, 1.4076],
    },
    "roads": {
        "version": 2,
        "image": [0.5738, 0.5073, 0.4215, 0.449],
        "depth": [2.5675, 2.4136, 2.2664, 2.3383],
    },
}


@pytest.mark.parametrize("kind", DRAWN)
def test_pictures_change_only_with_their_version(kind: str) -> None:
    """Records of runs are found by WORLD_VERSION: whoever changes the drawing raises it and renews these."""
    batch = load(World(kind, scenes=4, height=24, width=48), cache=False).batch(range(4))
    assert DRAWN[kind]["version"] == WORLD_VERSION
    assert batch["image"].mean((1, 2, 3)).tolist() == pytest.approx(DRAWN[kind]["image"], abs=5e-4)
    known = [one[one > 0].log().mean().item() for one in batch["depth"]]
    assert known == pytest.approx(DRAWN[kind]["depth"], abs=2e-3)


# ---- what data are missing, and under which terms they may be had ----


def test_the_check_tells_place_and_terms_of_everything_that_is_missing(tmp_path: Path) -> None:
    report = check.report(tmp_path)
    assert [item["key"] for item in report["missing"]] == [source.key for source in SOURCES]
    text = check.to_text(report)
    for item in report["missing"]:
        assert item["where"]
        assert item["terms"]
        line = next(line for line in text.splitlines() if line.split()[:1] == [item["key"]])
        assert item["where"] in line
        assert f"terms: {item['terms']}" in line


# ---- nothing half-written, whatever the disk says ----


def refuse(error: OSError):
    """A function that the system refuses."""

    def call(*_, **__):
        raise error

    return call


FULL = OSError(28, "No space left on device")
DENIED = PermissionError(13, "Permission denied")


@pytest.mark.parametrize("error", [FULL, DENIED], ids=["full disk", "read-only"])
def test_a_ledger_that_cannot_be_written_keeps_the_old_file(
    error: OSError, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mdepth import ledger
    from mdepth.cli import app

    target = tmp_path / "ledger.csv"
    target.write_text("old")

    def half(rows, path) -> None:
        Path(path).write_text("half")
        raise error

    monkeypatch.setattr(ledger, "write_csv", half)
    told = CliRunner().invoke(app, ["ledger", "--source", "eigen", "--csv", str(target)], prog_name="mdepth")
    assert told.exit_code == 2
    assert "ledger.csv: could not be written" in told.stderr
    assert error.strerror in told.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["ledger.csv"]
    assert target.read_text() == "old"


def test_a_cache_that_may_not_be_written_is_told_to_a_superuser_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Denied by the system call itself: root may write anywhere, so no mode of a folder stops it."""
    world = small("rooms", scenes=1, frames=1)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "mkdir", refuse(DENIED))
        with pytest.raises(DataError, match=r"Permission denied.*MDEPTH_CACHE.*cache=False"):
            load(world, cache=tmp_path / "cache")
    assert list(tmp_path.iterdir()) == []
    assert len(load(world, cache=tmp_path / "cache")) == 1


def test_weights_that_may_not_be_written_leave_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import safetensors.torch

    from mdepth import weights
    from mdepth.models import build

    network = build("eigen-coarse-rooms")
    with monkeypatch.context() as patch:
        patch.setattr(safetensors.torch, "save_file", refuse(DENIED))
        patch.setattr("os.replace", refuse(DENIED))
        patch.setattr(Path, "replace", refuse(DENIED))
        with pytest.raises((DataError, OSError)) as told:
            weights.save(network, tmp_path / "w.safetensors")
    assert "Permission denied" in str(told.value)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


# ---- the command line ----


@pytest.mark.parametrize("layout", ["nyu-mat", "kitti-raw", "make3d"])
def test_an_export_without_permission_is_one_line(
    layout: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tempfile

    from mdepth.cli import app

    monkeypatch.setattr(tempfile, "mkdtemp", refuse(DENIED))
    kind = "roads" if layout == "kitti-raw" else "rooms"
    arguments = ["data", "export", kind, "--layout", layout, "-o", str(tmp_path / "out"), "--scenes", "1"]
    told = CliRunner().invoke(app, [*arguments, "--size", "24x32"], prog_name="mdepth")
    assert told.exit_code == 2
    assert "could not be written (Permission denied)" in told.stderr
    assert told.stderr.splitlines()[-1].startswith("error: ")
    assert "Traceback" not in told.output
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


COMMANDS = ("predict", "evaluate", "models", "runs", "run", "train", "ledger", "version")
COMMANDS += ("data check", "data fetch", "data export")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_with_an_answer_can_give_it_as_json(command: str) -> None:
    from mdepth.cli import app

    told = CliRunner().invoke(app, [*command.split(), "--help"], prog_name="mdepth")
    assert told.exit_code == 0
    assert "--json" in told.stdout


def test_every_network_that_is_listed_can_be_built() -> None:
    """The dictionary of names is all the registry there is; sizes only, on no device."""
    from mdepth.cli import app
    from mdepth.models import build, count_parameters

    listed = json.loads(CliRunner().invoke(app, ["models", "--json"], prog_name="mdepth").stdout)
    assert listed
    for card in listed:
        with torch.device("meta"):
            assert count_parameters(build(card["name"])) == card["parameters"]
        assert {"source", "parameters", "input_size", "output_size"} <= set(card)


# ---- claims ----


def test_the_headline_claims_of_a_chapter_rest_on_five_seeds() -> None:
    """Five seeds for the claims that a chapter leads with, three for the rest."""
    from mdepth import recipes

    for source in recipes.available():
        recipe = recipes.get(source)
        variants = {name for claim in recipe.CLAIMS for name in (claim.variant, claim.variant_b) if name}
        planned = [
            len(recipe.seeds(name, "laptop")) for name in variants if not recipe.VARIANTS[name].realdata
        ]
        assert planned
        assert max(planned) >= 5
        assert min(planned) >= 3
