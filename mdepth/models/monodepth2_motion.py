r"""How the camera moved between two frames: the pose networks of Monodepth2, and both networks together.

A pose network sees the target image and its neighbours in time and answers six numbers a neighbour, times
0.01: a rotation as axis and angle (radians) and a translation (units of the depth). They become
``T_neighbour_target``, which takes points of the target camera's frame into the neighbour's. Three networks
are compared in the paper's supplement (Table 12), each with two ways to show it the frames:

=================  ==========================================  ===============================================
class              what sees the frames                        six numbers from
=================  ==========================================  ===============================================
``PoseResNet``     a ResNet of its own, with the frames one    1x1, 3x3, 3x3, 1x1 behind its last maps, mean
                   behind the other along the channels         over the pixels
``SharedPose``     the depth network's encoder, each frame     the same, behind the maps of all frames
                   by itself
``PoseCNN``        seven convolutions of stride 2 (Zhou et     1x1, mean over the pixels; the translation is
                   al. 2017)                                   then multiplied by the mean inverse depth
=================  ==========================================  ===============================================

``pairs``: target and one neighbour, **in the order of time**, the earlier first. For a neighbour behind in
time the answer is therefore the motion neighbour -> target, and is inverted. ``all``: the target first, then
all neighbours, whatever their time; nothing is inverted.

The released networks answer for two neighbours even where they see a pair, and the second six numbers are
never used. They are kept, since the released files have them (12 channels; the paper's Table 5 says 6). A
released ``PoseCNN`` that sees all frames uses its first six for every neighbour; ours uses each neighbour's.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import ClassVar, NamedTuple

import torch
from torch import nn

from mdepth.geometry import invert_transform, transform_from_axis_angle
from mdepth.models.contract import evaluating
from mdepth.models.encoders import ResNet, resnet18
from mdepth.models.monodepth2 import MEAN, STD, DepthDecoder, Monodepth2
from mdepth.shapes import Float, Image, Tensor, Transform

__all__ = [
    "DepthAndPose",
    "PoseCNN",
    "PoseDecoder",
    "PoseNetwork",
    "PoseResNet",
    "Prediction",
    "SharedPose",
    "motion",
]

Views = Sequence[Tensor]
"""One entry a frame: the image in [0, 1], or the depth encoder's last maps of it."""
SMALL = 0.01
"""Factor on what a pose network answers, so that training begins near standing still."""
RESNET18 = partial(resnet18, form="torchvision")


class PoseNetwork(nn.Module):
    """Frames to the motions from the target to each neighbour; subclasses give ``numbers``.

    Args:
        offsets: of the neighbours from the target, in frames.
        shown: ``pairs`` or ``all``, see the module's text.

    Raises:
        ValueError: another ``shown``, or an offset of 0.
    """

    shares_encoder: ClassVar[bool] = False
    """Whether its views are the depth encoder's maps."""
    scaled_by_depth: ClassVar[bool] = False
    """Whether translations are to be multiplied by the mean inverse depth of the prediction."""

    def __init__(self, offsets: Sequence[int] = (-1, 1), shown: str = "pairs") -> None:
        super().__init__()
        if shown not in ("pairs", "all") or 0 in offsets:
            raise ValueError(f"shown must be 'pairs' or 'all', and no offset 0, got {shown!r} and {offsets}")
        self.offsets, self.shown = tuple(offsets), shown

    @property
    def frames(self) -> int:
        """How many frames it sees at once."""
        return 2 if self.shown == "pairs" else 1 + len(self.offsets)

    def numbers(self, views: Views) -> Float[Tensor, "B S 6"]:
        """Rotation (three, axis times angle) and translation (three) of every slot."""
        raise NotImplementedError

    def forward(self, target: Tensor, neighbours: Views) -> Float[Tensor, "B N 4 4"]:
        """``T_neighbour_target`` for every neighbour, from the views of the target and of the neighbours."""
        if self.shown == "all":
            numbers = self.numbers([target, *neighbours])
            return torch.stack([motion(numbers[:, i]) for i in range(len(neighbours))], dim=1)
        motions = []
        for offset, neighbour in zip(self.offsets, neighbours, strict=True):
            pair = [target, neighbour] if offset > 0 else [neighbour, target]
            motions.append(motion(self.numbers(pair)[:, 0], inverse=offset < 0))
        return torch.stack(motions, dim=1)


def motion(numbers: Float[Tensor, "B 6"], *, inverse: bool = False) -> Transform:
    """Axis times angle (three numbers) and translation (three) to a rigid motion, or to its inverse.

    In 32 bits at least, whatever the convolutions are computed in: a rotation of 16 bits is none.
    """
    common = torch.promote_types(numbers.dtype, torch.float32)
    with torch.autocast(numbers.device.type, enabled=False):
        T = transform_from_axis_angle(numbers[:, :3].to(common), numbers[:, 3:].to(common))
        return invert_transform(T) if inverse else T


class PoseDecoder(nn.Module):
    r"""Last feature maps of one or more views to six numbers for every slot.

    (1x1, ReLU) for each view, side by side, (3x3, ReLU) twice, 1x1, the mean over all pixels, times 0.01.

    Args:
        channels: of one view's last maps.
        views: how many come in.
        slots: for how many motions it answers.
        width: channels of its own maps.

    Source: Monodepth2, supplement, Table 5.

    Example:
        >>> PoseDecoder(64, views=1, slots=2, width=16)([torch.zeros(2, 64, 2, 3)]).shape
        torch.Size([2, 2, 6])
    """

    def __init__(self, channels: int, *, views: int, slots: int, width: int = 256) -> None:
        super().__init__()
        self.slots = slots
        self.squeeze = nn.Conv2d(channels, width, 1)
        self.conv1 = nn.Conv2d(views * width, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.answer = nn.Conv2d(width, 6 * slots, 1)

    def forward(self, views: Views) -> Float[Tensor, "B S 6"]:
        """Maps to rotations and translations."""
        x = torch.cat([self.squeeze(view).relu_() for view in views], dim=1)
        x = self.conv2(self.conv1(x).relu_()).relu_()
        return SMALL * self.answer(x).mean(dim=(2, 3)).view(-1, self.slots, 6)


class PoseResNet(PoseNetwork):
    r"""A ResNet that sees the frames at once.

    Args:
        offsets, shown: as in :class:`PoseNetwork`.
        encoder: makes a ResNet for a number of ``images``.
        width: channels of the decoder.

    Source: Monodepth2, section 3.1 ("pose network") and supplement, Table 12, "separate ResNet".

    Example:
        >>> pose = PoseResNet(encoder=partial(RESNET18, width=8), width=16)
        >>> frame = torch.rand(2, 3, 32, 64)
        >>> pose(frame, [frame, frame]).shape
        torch.Size([2, 2, 4, 4])
    """

    def __init__(
        self,
        offsets: Sequence[int] = (-1, 1),
        shown: str = "pairs",
        encoder: Callable[..., ResNet] = RESNET18,
        width: int = 256,
    ) -> None:
        super().__init__(offsets, shown)
        self.encoder = encoder(images=self.frames)
        slots = max(2, len(self.offsets))
        self.decoder = PoseDecoder(self.encoder.channels[-1], views=1, slots=slots, width=width)

    def begin_with(self, encoder: ResNet) -> None:
        """Take over the weights of a ResNet that sees one image: its first convolution once for every image,
        divided by their number, so that equal images look to it like one.

        Source: released code, for ImageNet's weights.
        """
        state = dict(encoder.state_dict())
        first = state["conv1.weight"]
        state["conv1.weight"] = torch.cat([first / self.frames] * self.frames, dim=1)
        self.encoder.load_state_dict(state)

    def numbers(self, views: Views) -> Float[Tensor, "B S 6"]:
        """Images in [0, 1] to the numbers of two slots, or of all neighbours where there are more."""
        return self.decoder([self.encoder((torch.cat(list(views), dim=1) - MEAN) / STD)[-1]])


class SharedPose(PoseNetwork):
    r"""No encoder of its own: its views are the depth encoder's last maps of each frame.

    Args:
        channels: of those maps.
        offsets, shown: as in :class:`PoseNetwork`.
        width: channels of the decoder.

    Source: Monodepth2, supplement, Table 12, "shared encoder".
    """

    shares_encoder = True

    def __init__(
        self,
        channels: int = 512,
        offsets: Sequence[int] = (-1, 1),
        shown: str = "pairs",
        width: int = 256,
    ) -> None:
        super().__init__(offsets, shown)
        self.decoder = PoseDecoder(channels, views=self.frames, slots=self.frames - 1, width=width)

    def numbers(self, views: Views) -> Float[Tensor, "B S 6"]:
        """Feature maps to numbers, a slot for every frame but the first."""
        return self.decoder(views)


class PoseCNN(PoseNetwork):
    r"""Seven convolutions of stride 2, each with a ReLU, and 1x1: the pose network of Zhou et al.

    Its images are not normalised.

    Args:
        offsets, shown: as in :class:`PoseNetwork`.
        widths: channels of the seven convolutions.

    Source: Zhou et al. 2017; Monodepth2, supplement, Table 12, "PoseCNN".

    Example:
        >>> PoseCNN(shown="all").numbers([torch.zeros(1, 3, 32, 64)] * 3).shape
        torch.Size([1, 2, 6])
    """

    scaled_by_depth = True

    def __init__(
        self,
        offsets: Sequence[int] = (-1, 1),
        shown: str = "pairs",
        widths: Sequence[int] = (16, 32, 64, 128, 256, 256, 256),
    ) -> None:
        super().__init__(offsets, shown)
        inputs, kernels = (3 * self.frames, *widths[:-1]), (7, 5, *[3] * (len(widths) - 2))
        self.layers = nn.ModuleList(
            nn.Conv2d(before, width, kernel, stride=2, padding=kernel // 2)
            for before, width, kernel in zip(inputs, widths, kernels, strict=True)
        )
        self.slots = self.frames - 1
        self.answer = nn.Conv2d(widths[-1], 6 * self.slots, 1)

    def numbers(self, views: Views) -> Float[Tensor, "B S 6"]:
        """Images in [0, 1] to numbers, a slot for every frame but the first."""
        x = torch.cat(list(views), dim=1)
        for layer in self.layers:
            x = layer(x).relu_()
        return SMALL * self.answer(x).mean(dim=(2, 3)).view(-1, self.slots, 6)


class Prediction(NamedTuple):
    """What both networks say of a target image and its neighbours."""

    sigmoids: list[Tensor]
    """Inverse depth between its two ends, at the sides times 1, 1/2, 1/4 and 1/8."""
    T_neighbour_target: Tensor
    """(B, N, 4, 4), translations in units of the depth; N = 0 without a pose network."""
    masks: list[Tensor]
    """Of Zhou et al.'s explainability, (B, N, h, w) at the same sizes; empty without a head for them."""


class DepthAndPose(nn.Module):
    r"""The depth network and, for training from video, a pose network: what is trained together.

    Args:
        depth: the depth network.
        pose: the pose network; ``None`` for training from stereo alone.
        mask: a decoder with an output for every neighbour, the predictive mask of the paper's ablation.

    Example:
        >>> small, frame = partial(RESNET18, width=8), torch.rand(1, 3, 64, 64)
        >>> depth = Monodepth2((64, 64), small, (4, 4, 8, 8, 16))
        >>> both = DepthAndPose(depth, PoseResNet(encoder=small, width=16))
        >>> both(frame, torch.rand(1, 2, 3, 64, 64)).T_neighbour_target.shape
        torch.Size([1, 2, 4, 4])
    """

    def __init__(
        self, depth: Monodepth2, pose: PoseNetwork | None = None, mask: DepthDecoder | None = None
    ) -> None:
        super().__init__()
        self.depth, self.pose, self.mask = depth, pose, mask

    def forward(self, image: Image, neighbours: Float[Tensor, "B N 3 H W"]) -> Prediction:
        """Images in [0, 1] of any size that the depth network takes."""
        shared = self.pose is not None and self.pose.shares_encoder
        frames = [image, *neighbours.unbind(dim=1)]
        seen = torch.cat(frames) if shared else image
        maps, size = self.depth.encoder(self.depth.normalise(seen)), (image.shape[-2], image.shape[-1])
        features = [each[: len(image)] for each in maps]
        sigmoids = self.depth.decoder(features, size)
        masks = self.mask(features, size) if self.mask is not None else []
        if self.pose is None:
            return Prediction(sigmoids, image.new_zeros(len(image), 0, 4, 4), masks)
        target, *others = maps[-1].chunk(len(frames)) if shared else frames
        return Prediction(sigmoids, self.pose(target, others), masks)

    @torch.no_grad()
    def between(self, earlier: Image, later: Image) -> Transform:
        """``T_later_earlier`` of two frames that follow each other, in evaluation mode: motions of which
        :func:`mdepth.evaluate.trajectories.chain` makes a path.

        Raises:
            ValueError: there is no pose network, or it wants to be shown more frames.
        """
        if self.pose is None or self.pose.frames != 2:
            raise ValueError("a path needs a pose network that is shown pairs")
        with evaluating(self):
            views = [earlier, later]
            if self.pose.shares_encoder:
                views = [self.depth.encoder(self.depth.normalise(view))[-1] for view in views]
            return motion(self.pose.numbers(views)[:, 0])
