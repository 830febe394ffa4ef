"""What ports and releases of Monodepth2 got wrong around the loss, each as the smallest change that does it.

Everything here is wrong on purpose, or nearly harmless, and says which: motions, cameras, images, and how the
networks are trained. The right versions stand in :mod:`mdepth.geometry`,
:mod:`mdepth.models.monodepth2_motion`, :mod:`mdepth.datasets.transforms` and :mod:`mdepth.models.monodepth2`.
The loss itself is in ``mdepth_bugs.monodepth2``. "The released code" is that of Monodepth2, "the benchmark
study" that of Spencer et al. (2022); no code of them, or of any port, is here.
"""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import nn

from mdepth.datasets.transforms import hflip
from mdepth.geometry import invert_transform, transform_from_axis_angle
from mdepth.models.contract import DepthNetwork
from mdepth.models.encoders import IMAGENET
from mdepth.models.monodepth2_motion import PoseNetwork
from mdepth.shapes import Float, Intrinsics, Tensor

__all__ = [
    "adam_of_file", "first_slot_for_all", "flipped_without_baseline", "flipped_without_camera",
    "imagenet_input", "jittered_one_by_one", "judged_as_seen", "normalised_by_the_resized", "not_inverted",
    "rates", "released_camera", "rotation_with_epsilon", "scaled_without_half_pixel", "target_first",
    "zero_padded",
]  # fmt: skip

Item = Mapping[str, Any]
Motions = Float[Tensor, "B N 4 4"]


# Motion


def not_inverted(pose: PoseNetwork, target: Tensor, neighbours: Sequence[Tensor]) -> Motions:
    """The motions of a network that sees pairs, those to earlier frames left as they are answered.

    Easy to make. Shown (-1, 0) and (0, +1), the network sees a car drive on in both, and is asked for that
    motion in one and for its inverse in the other. Whatever it answers, one of the sources is warped the
    wrong way and explains less than if it had not been warped at all; and forward and backward cost nearly
    the same, so that little tells it which way the car drives.
    """
    T = pose(target, neighbours)
    each = zip(pose.offsets, T.unbind(dim=1), strict=True)
    return torch.stack([invert_transform(one) if offset < 0 else one for offset, one in each], dim=1)


def target_first(pose: PoseNetwork, target: Tensor, neighbours: Sequence[Tensor]) -> Motions:
    """The motions of a network that is shown every pair with the target first; earlier ones still inverted.

    Easy to make. To a network that sees how the camera moves from its first frame to its second, a target
    before its predecessor is a car that drives backwards, and inverted that is forwards again: the same
    motions as with :func:`not_inverted`. Without the inversion the order can be learnt, but weights that were
    trained in the order of time have hardly ever seen a car drive backwards.
    """
    back = [pose.numbers([target, neighbour])[:, 0] for neighbour in neighbours]
    T = [transform_from_axis_angle(numbers[:, :3], numbers[:, 3:]) for numbers in back]
    each = zip(pose.offsets, T, strict=True)
    return torch.stack([invert_transform(one) if offset < 0 else one for offset, one in each], dim=1)


def first_slot_for_all(pose: PoseNetwork, target: Tensor, neighbours: Sequence[Tensor]) -> Motions:
    """The motions of a network that sees all frames at once, every one made of its first six numbers.

    The released code does so with the pose network of Zhou et al., and inverts for earlier frames. All
    neighbours are taken to have moved alike, and the other six of the twelve numbers are never heard: they
    have no gradient.
    """
    numbers = pose.numbers([target, *neighbours])[:, 0]
    T = transform_from_axis_angle(numbers[:, :3], numbers[:, 3:])
    return torch.stack([invert_transform(T) if offset < 0 else T for offset in pose.offsets], dim=1)


def rotation_with_epsilon(axis_angle: Float[Tensor, "B 3"]) -> Float[Tensor, "B 3 3"]:
    """Rodrigues' formula with the axis v / (|v| + 1e-7), as in the released code.

    Nearly harmless. The axis is a little too short, so that the matrix is a rotation but for 1e-7. At the
    angle 0 itself there is no gradient, where turning should be learnt as well as anywhere.
    """
    angle = torch.linalg.vector_norm(axis_angle, dim=1)[:, None, None]
    x, y, z = (axis_angle / (angle[:, 0] + 1e-7)).unbind(dim=1)
    zero = torch.zeros_like(x)
    V = torch.stack((zero, -z, y, z, zero, -x, -y, x, zero), dim=1).reshape(-1, 3, 3)
    axis = torch.stack((x, y, z), dim=1)
    return (
        angle.cos() * torch.eye(3, device=V.device, dtype=V.dtype)
        + angle.sin() * V
        + (1 - angle.cos()) * axis[:, :, None] * axis[:, None, :]
    )


# Cameras


def scaled_without_half_pixel(K: Intrinsics, old: tuple[int, int], new: tuple[int, int]) -> Intrinsics:
    """The camera of a resized image, all its entries times the factor.

    The released code, and nearly every other. Where pixels count from their centres the principal point is
    then (1 - s) / 2 pixels off, 0.44 at an eighth of the size. A camera that moves sideways does not notice;
    for one that drives forward, the point from which everything streams is in the wrong place.
    """
    return K.new_tensor([new[1] / old[1], new[0] / old[0], 1.0])[:, None] * K


def released_camera(height: int, width: int) -> Intrinsics:
    """The one camera of the released code for all drives: 0.58 and 1.92 of the sides, centred on W/2, H/2.

    The focal lengths agree with KITTI's to half a per cent. The principal point of a real drive lies 11
    pixels further left and 15 further up, of 1242 and 375; and even in the middle it would be at (W - 1) / 2,
    where pixels count from their centres.
    """
    return torch.tensor(
        [[[0.58 * width, 0.0, 0.5 * width], [0.0, 1.92 * height, 0.5 * height], [0.0, 0.0, 1.0]]]
    )


def normalised_by_the_resized(K: Intrinsics, old: tuple[int, int], new: tuple[int, int]) -> Intrinsics:
    """The camera of a resized image, its normalised form made by the new size instead of the old.

    What users ask who bring data of their own. Division and multiplication cancel: it is the camera of the
    large image, on the small one. Depth from a stereo pair comes out too far by the factor of the sizes, 1.94
    for 1242 columns at 640, and the principal point lies at the right border.
    """
    sides = K.new_tensor([new[1], new[0], 1.0])[:, None]
    return sides * (K / sides)


# Images


def flipped_without_camera(item: Item) -> dict[str, Any]:
    """An item mirrored as it should be but for ``K``.

    The released code, whose ``K`` has its principal point in the middle by decree. With the calibrated one of
    KITTI the mirrored scene is seen by a camera whose axis is 22 pixels off.
    """
    return hflip(item) | {"K": item["K"]}


def flipped_without_baseline(item: Item) -> dict[str, Any]:
    """An item mirrored as it should be but for ``T_right_left``.

    Easy to make. In a mirror image the right eye stands on the left. If the motion does not say so, every
    point is looked for on the wrong side, where no depth finds it: the farther all is, the better.
    """
    return hflip(item) | {"T_right_left": item["T_right_left"]}


def jittered_one_by_one(item: Item) -> dict[str, Any]:
    """An item with ``augmented`` views, every frame through a ``ColorJitter`` object of torchvision.

    The popular mend for a function of torchvision that changed. That function drew one jitter, for all frames
    to be passed through; the object draws at every call. The networks see a world whose colours flicker. To a
    camera at rest the frames differ by a third of what driving makes of them.
    """
    from torchvision.transforms import ColorJitter

    jitter = ColorJitter(0.2, 0.2, 0.2, 0.1)
    neighbours = torch.stack([jitter(frame) for frame in item["neighbours"]])
    return dict(item) | {"augmented": jitter(item["image"]), "augmented_neighbours": neighbours}


def judged_as_seen(item: Item) -> dict[str, Any]:
    """An item whose loss is that of the images which the networks see, altered colours and all.

    Easy to make. Even with one jitter for all frames the loss is another one: of a darkened item every
    difference counts less, and what a brightened one has above white is even and teaches nothing. With a
    jitter for each frame even the true depth costs half as much again.
    """
    return dict(item) | {"image": item["augmented"], "neighbours": item["augmented_neighbours"]}


# Networks and training


def zero_padded(network: DepthNetwork) -> DepthNetwork:
    """A copy of the network with zeros around the maps of its decoder instead of their reflection.

    The predecessor's way, and torch's default. Released weights fit; near the border their maps bend.
    """
    copy = deepcopy(network)
    for part in copy.get_submodule("decoder").modules():
        if isinstance(part, nn.Conv2d):
            part.padding_mode = "zeros"
    return copy


def imagenet_input(network: DepthNetwork) -> DepthNetwork:
    """A copy of the network fed RGB by ImageNet's mean and deviation of each channel.

    The benchmark study, for networks of its own, where it is right. Weights of the released code were trained
    with 0.45 and 0.225 for all three, and would see every grey with too little red and too much blue.
    """
    copy = deepcopy(network)
    copy.mean, copy.std = IMAGENET
    return copy


def rates(epochs: int = 20, rate: float = 1e-4, step: int = 15, *, stepped_first: bool) -> list[float]:
    """The learning rate in which every epoch trains, with the scheduler stepped before or after it.

    The released code steps first: with a current torch 14 epochs have the first rate, where the paper says
    15. torch warns of the order, once, and trains on (here it is kept silent).
    """
    optimizer = torch.optim.Adam([nn.Parameter(torch.zeros(1))], lr=rate)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step)
    used = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        for _ in range(epochs):
            if stepped_first:
                scheduler.step()
            used.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            if not stepped_first:
                scheduler.step()
    return used


def adam_of_file(parameters: Iterable[nn.Parameter], rate: float, state: dict[str, Any]) -> torch.optim.Adam:
    """An Adam for fine-tuning at ``rate``, with its moments read from the file of an earlier training.

    The released code. The file holds that training's rate as well, and with a current torch it wins: who asks
    for 1e-5 gets 1e-4.
    """
    optimizer = torch.optim.Adam(parameters, lr=rate)
    optimizer.load_state_dict(state)
    return optimizer
