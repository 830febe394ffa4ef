"""What a synthetic data set is: a frozen dataclass of numbers and switches, from which everything else
follows.
"""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from mdepth.shapes import Float, Tensor

WORLD_VERSION = 2  # raised by hand whenever the same World gives other images on purpose

SPLITS = {"train": 1, "val": 2, "test": 3}
STREAMS = {
    "layout": 1,
    "looks": 2,
    "light": 3,
    "camera": 4,
    "motion": 5,
    "sensor": 6,
    "occluders": 7,
    "traffic": 8,
    "paint": 9,
}
LOOKS = ("natural", "swapped", "any")
SIZES = {"rooms": (96, 128), "roads": (64, 192)}
FOCAL = {"rooms": 0.81, "roads": 0.58}  # focal length / width: NYU's 518.86 / 640, KITTI's 721.5 / 1242
BASELINE = {"rooms": 0.10, "roads": 0.54}  # metres
MAX_DEPTH = {"rooms": 10.0, "roads": 80.0}  # metres; beyond it a sample's depth is unknown
FRAME_TIME = 0.1  # seconds


@dataclass(frozen=True)
class World:
    """A synthetic data set: ``scenes`` scenes of ``frames`` frames, of rooms or of roads, and what is
    switched on in it.

    Scene number i is the same whatever ``scenes`` is, and depends on (kind, seed, split, i) and the switches
    alone. The splits draw from disjoint random streams. A switch changes what it says and nothing else: the
    draws of all other parts stay what they were.

    Attributes:
        kind: "rooms" (indoors, 0.5 to 10 m, like NYU Depth V2) or "roads" (a street, 1 to 80 m, like KITTI).
        split: "train", "val" or "test".
        scenes: number of scenes.
        frames: frames per scene; more than one is a sequence at 10 frames a second with a moving camera.
        height, width: of the images, in pixels; 0 means the standard size of the kind (rooms 96 × 128, roads
            64 × 192).
        seed: another number is another world of the same kind.
        stereo: also render the right eye (``image_right``; 0.10 m to the right in rooms, 0.54 m on roads).
            For stereo matching, and for Monodepth2's stereo training.
        normals: also store surface normals. For Hu's losses on normals.
        antialias: rays per pixel and axis for the colour. 1 shows what aliasing does to a photometric loss.
        textures: off leaves every material its mean colour. Tests the cue of texture (introduction).
        texture_contrast: factor on the contrast of all textures. Low values make the large plain surfaces on
            which Monodepth2's full-resolution multi-scale loss is to help.
        looks: whose surfaces things have. "natural"; "swapped": the surfaces of a scene change places, so
            that a floor may have the pattern of a curtain; "any": each is painted in any pattern and colours.
            Geometry, light and camera stay. Shape against texture (transfer).
        texture_gradient: off paints textures in the image plane, equally fine near and far. The cue of
            texture gradient (introduction).
        shading: off shows reflectance without any light. The cue of shading (introduction).
        shadows: off lets lamps shine through things. Cast shadows as a cue, and van Dijk's dark patch under
            the car.
        haze: off makes the air clear. The cue of atmospheric perspective (introduction).
        parallel_lines: off turns every building and piece of furniture its own way and takes markings and
            kerbs off the road. The cue of perspective; with it on, a road's vanishing point is in
            ``vanishing_point`` (Hu's masks look there).
        object_size_jitter: 1 is natural variety, 0 makes all things of a kind equally large, 3 makes size
            useless. The cue of known size.
        camera_height_jitter, camera_pitch_jitter: 1 is a hand-held camera or a car's suspension, 0 fixes the
            camera, more makes the position in the image useless. The cue of height in the visual field; van
            Dijk's and Hu's questions.
        furniture: off leaves rooms empty and roads without cars, trees and poles.
        occluders: off takes away poles, trees and people in front (roads) and what stands near the camera
            (rooms). Occlusion: what Monodepth2's minimum reprojection answers.
        moving_objects: off parks every car. Motion that no camera motion explains.
        comoving_car: off removes the car that drives ahead at the camera's own speed in a third of the
            sequences on roads. What Monodepth2's auto-masking answers ("holes of infinite depth").
        static_frames: off lets every camera move; on, one sequence in six stands still. The other case of
            auto-masking.
        ego_motion: off stops the camera in all sequences.
        kinect: also give ``sensor_depth`` as a structured-light sensor would: quantised disparity, holes in
            its shadow, on grazing, dark and far surfaces. Masks and losses on incomplete depth; NYU.
        lidar: also give ``sensor_depth`` as 64 laser beams would. Sparse supervision; KITTI.

    Raises:
        ValueError: for an unknown kind or split, or a number out of range; the message names the field.

    Example:
        >>> World("rooms", "val", scenes=2).describe()["height"]
        96
    """

    kind: str
    split: str = "train"
    scenes: int = 100
    frames: int = 1
    height: int = 0
    width: int = 0
    seed: int = 0
    stereo: bool = False
    normals: bool = False
    antialias: int = 2
    textures: bool = True
    texture_contrast: float = 1.0
    texture_gradient: bool = True
    shading: bool = True
    shadows: bool = True
    haze: bool = True
    parallel_lines: bool = True
    object_size_jitter: float = 1.0
    camera_height_jitter: float = 1.0
    camera_pitch_jitter: float = 1.0
    furniture: bool = True
    occluders: bool = True
    moving_objects: bool = True
    comoving_car: bool = True
    static_frames: bool = True
    ego_motion: bool = True
    kinect: bool = False
    lidar: bool = False
    looks: str = "natural"

    def __post_init__(self) -> None:
        if self.kind not in SIZES:
            raise ValueError(f"World.kind must be one of {list(SIZES)}, got {self.kind!r}")
        if self.split not in SPLITS:
            raise ValueError(f"World.split must be one of {list(SPLITS)}, got {self.split!r}")
        if self.looks not in LOOKS:
            raise ValueError(f"World.looks must be one of {list(LOOKS)}, got {self.looks!r}")
        height, width = SIZES[self.kind]
        object.__setattr__(self, "height", self.height or height)
        object.__setattr__(self, "width", self.width or width)
        for name in ("scenes", "frames", "height", "width", "antialias"):
            if getattr(self, name) < 1:
                raise ValueError(f"World.{name} must be at least 1, got {getattr(self, name)}")
        for name in (
            "seed",
            "texture_contrast",
            "object_size_jitter",
            "camera_height_jitter",
            "camera_pitch_jitter",
        ):
            if getattr(self, name) < 0:
                raise ValueError(f"World.{name} must not be negative, got {getattr(self, name)}")
        if self.kinect and self.lidar:
            raise ValueError("World.kinect and World.lidar both give sensor_depth: switch one of them off")

    def describe(self) -> dict[str, Any]:
        """All fields and the version, ready for JSON: what a run records about its data. Natural looks are
        not mentioned: worlds were described so before there were others.
        """
        fields = dataclasses.asdict(self)
        if self.looks == "natural":
            del fields["looks"]
        return {"world_version": WORLD_VERSION, **fields}

    def identity(self) -> str:
        """A name that says the main things and, by a hash, all of them: also the name of its folder in the
        cache.

        Example:
            >>> World("roads", "test", scenes=10).identity()[:22]
            'roads-test-10x1-64x192'
        """
        text = json.dumps(self.describe(), sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        return f"{self.kind}-{self.split}-{self.scenes}x{self.frames}-{self.height}x{self.width}-{digest}"

    def intrinsics(self) -> Float[Tensor, "3 3"]:
        """K of every image: square pixels, the principal point in the middle."""
        focal = FOCAL[self.kind] * self.width
        return torch.tensor([[focal, 0, (self.width - 1) / 2], [0, focal, (self.height - 1) / 2], [0, 0, 1]])

    @property
    def baseline(self) -> float:
        """Metres from the left to the right eye."""
        return BASELINE[self.kind]

    @property
    def max_depth(self) -> float:
        """Metres beyond which a sample's depth counts as unknown: 10 in rooms, 80 on roads."""
        return MAX_DEPTH[self.kind]

    def random(self, scene: int, stream: str) -> np.random.Generator:
        """The generator of one part (a key of ``STREAMS``) of one scene.

        Example:
            >>> a = World("rooms", "train").random(0, "layout").random()
            >>> b = World("rooms", "test").random(0, "layout").random()
            >>> a == b
            False
        """
        kind = list(SIZES).index(self.kind)
        return np.random.default_rng([self.seed, kind, SPLITS[self.split], scene, STREAMS[stream]])

    def switches(self) -> dict[str, float]:
        """The switches that act when a scene is rendered, not when it is built."""
        names = ("textures", "texture_contrast", "texture_gradient", "shading", "shadows")
        return {name: float(getattr(self, name)) for name in names}
