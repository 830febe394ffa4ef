"""Every network, by name. A dictionary is all the registry there is: ``build("eigen-coarse-rooms")`` looks
it up and calls it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from mdepth.models import (
    eigen,
    eigen_local,
    eigen_multiscale,
    hu,
    laina,
    laina_sizes,
    monodepth2,
    transfer,
    transfer_ablations,
    transfer_unpadded,
)
from mdepth.models.contract import DepthNetwork, Layer, count_parameters, layer_sizes

__all__ = ["MODELS", "DepthNetwork", "Entry", "Layer", "build", "count_parameters", "layer_sizes", "names"]


@dataclass(frozen=True)
class Entry:
    """A network's name card."""

    build: Callable[..., DepthNetwork]
    """Makes it with random weights; keyword arguments are the network's own."""
    source: str
    """The paper, as it is called in every folder."""
    summary: str


MODELS: dict[str, Entry] = {
    "eigen-coarse-nyu": Entry(
        partial(eigen.EigenCoarse, eigen.NYU), "eigen", "coarse network at the paper's size for NYU Depth V2"
    ),
    "eigen-coarse-kitti": Entry(
        partial(eigen.EigenCoarse, eigen.KITTI), "eigen", "coarse network at the paper's size for KITTI"
    ),
    "eigen-coarse-rooms": Entry(
        partial(eigen.EigenCoarse, eigen.ROOMS), "eigen", "small coarse network for the synthetic rooms"
    ),
    "eigen-coarse-roads": Entry(
        partial(eigen.EigenCoarse, eigen.ROADS), "eigen", "small coarse network for the synthetic roads"
    ),
    "eigen-fine-nyu": Entry(
        partial(eigen.EigenFine, eigen.NYU), "eigen", "coarse and fine network, paper size for NYU"
    ),
    "eigen-fine-kitti": Entry(
        partial(eigen.EigenFine, eigen.KITTI),
        "eigen",
        "coarse and fine network, paper size for KITTI",
    ),
    "eigen-fine-rooms": Entry(
        partial(eigen.EigenFine, eigen.ROOMS),
        "eigen",
        "small coarse and fine network, synthetic rooms",
    ),
    "eigen-fine-roads": Entry(
        partial(eigen.EigenFine, eigen.ROADS),
        "eigen",
        "small coarse and fine network, synthetic roads",
    ),
    "eigen-released-nyu": Entry(
        eigen.EigenReleased, "eigen", "coarse and fine network as the released code builds it, NYU"
    ),
    "eigen-upsampled-nyu": Entry(
        partial(eigen.EigenUpsampled, eigen.NYU), "eigen", "coarse network with an enlarged 6 x 8 output, NYU"
    ),
    "eigen-upsampled-rooms": Entry(
        partial(eigen.EigenUpsampled, eigen.ROOMS),
        "eigen",
        "the same, small, for the synthetic rooms",
    ),
    "eigen-multiscale-alexnet": Entry(
        partial(eigen_multiscale.EigenMultiscale, eigen_multiscale.ALEXNET),
        "eigen",
        "three scales of 2015, NYU",
    ),
    "eigen-multiscale-vgg": Entry(
        partial(eigen_multiscale.EigenMultiscale, eigen_multiscale.VGG),
        "eigen",
        "three scales of 2015 with VGG-16, NYU",
    ),
    "eigen-multiscale-rooms": Entry(
        partial(eigen_multiscale.EigenMultiscale, eigen_multiscale.ROOMS),
        "eigen",
        "small network of three scales, synthetic rooms",
    ),
    "eigen-local-nyu": Entry(
        partial(eigen_local.EigenLocal, eigen_local.NYU),
        "eigen",
        "harmonised local predictions of 2016, NYU",
    ),
    "eigen-local-rooms": Entry(
        partial(eigen_local.EigenLocal, eigen_local.ROOMS),
        "eigen",
        "small network of harmonised local predictions, synthetic rooms",
    ),
    "laina-alexnet-fc": Entry(
        partial(laina.LainaFC, laina.ALEXNET), "laina", "AlexNet and two fully connected layers"
    ),
    "laina-alexnet-upconv": Entry(
        partial(laina.Laina, laina.ALEXNET, decoder="upconv"), "laina", "AlexNet and up-convolutions"
    ),
    "laina-vgg16-upconv": Entry(
        partial(laina.Laina, laina.VGG, decoder="upconv"), "laina", "VGG-16 and up-convolutions"
    ),
    "laina-resnet50-fc": Entry(
        partial(laina.LainaFC, laina.RESNET50), "laina", "ResNet-50 and one fully connected layer"
    ),
    "laina-resnet50-deconv": Entry(
        partial(laina.Laina, laina.RESNET50, decoder="deconv"), "laina", "ResNet-50 and deconvolutions"
    ),
    "laina-resnet50-upconv": Entry(
        partial(laina.Laina, laina.RESNET50, decoder="upconv"), "laina", "ResNet-50 and up-convolutions"
    ),
    "laina-resnet50-upproj": Entry(
        partial(laina.Laina, laina.RESNET50, decoder="upproj"),
        "laina",
        "ResNet-50 and up-projections, the paper's network",
    ),
    "laina-resnet50-upconv-fast": Entry(
        partial(laina.Laina, laina.RESNET50, decoder="upconv", fast=True),
        "laina",
        "the same up-convolutions without products with zero",
    ),
    "laina-resnet50-upproj-fast": Entry(
        partial(laina.Laina, laina.RESNET50, decoder="upproj", fast=True),
        "laina",
        "the same up-projections without products with zero",
    ),
    "laina-resnet50-upproj-make3d": Entry(
        partial(laina.Laina, laina_sizes.MAKE3D, decoder="upproj"),
        "laina",
        "the paper's network at the size for Make3D",
    ),
    "laina-resnet18-fc-rooms": Entry(
        partial(laina.LainaFC, laina.ROOMS), "laina", "small, fully connected, synthetic rooms"
    ),
    "laina-resnet18-fc-coarse-rooms": Entry(
        partial(laina.LainaFC, laina.ROOMS, maps=(24, 32)),
        "laina",
        "the same to a map of half the sides, synthetic rooms",
    ),
    "laina-resnet18-deconv-rooms": Entry(
        partial(laina.Laina, laina.ROOMS, decoder="deconv"), "laina", "small, deconvolutions, synthetic rooms"
    ),
    "laina-resnet18-upconv-rooms": Entry(
        partial(laina.Laina, laina.ROOMS, decoder="upconv"),
        "laina",
        "small, up-convolutions, synthetic rooms",
    ),
    "laina-resnet18-upproj-rooms": Entry(
        partial(laina.Laina, laina.ROOMS, decoder="upproj"), "laina", "small, up-projections, synthetic rooms"
    ),
    "laina-resnet18-upproj-roads": Entry(
        partial(laina.Laina, laina_sizes.ROADS, decoder="upproj"),
        "laina",
        "small, up-projections, synthetic roads",
    ),
    "laina-alexnet-fc-rooms": Entry(
        partial(laina.LainaFC, laina_sizes.ALEXNET_ROOMS),
        "laina",
        "small AlexNet and two fully connected layers, synthetic rooms",
    ),
    "laina-alexnet-upconv-rooms": Entry(
        partial(laina.Laina, laina_sizes.ALEXNET_ROOMS, decoder="upconv"),
        "laina",
        "small AlexNet and up-convolutions, synthetic rooms",
    ),
    "laina-vgg16-upconv-rooms": Entry(
        partial(laina.Laina, laina_sizes.VGG_ROOMS, decoder="upconv"),
        "laina",
        "small VGG-16 and up-convolutions, synthetic rooms",
    ),
    **{
        f"laina-field{side}-rooms": Entry(
            partial(laina.Laina, laina_sizes.field_size(dilation), decoder="upproj"),
            "laina",
            f"up-projections behind an encoder that sees {side} pixels, synthetic rooms",
        )
        for dilation, side in laina_sizes.FIELDS.items()
    },
    "unet": Entry(transfer.UNet, "transfer", "U-Net with padding and batch norm, from scratch"),
    "unet-2015": Entry(transfer_unpadded.UNet2015Depth, "transfer", "U-Net without padding, as published"),
    "transfer-resnet34": Entry(transfer.ResNetUNet, "transfer", "ResNet-34 and the decoder of a U-Net"),
    "densedepth": Entry(transfer.DenseDepth, "transfer", "DenseNet-169, full width, as released"),
    "densedepth-half": Entry(
        partial(transfer.DenseDepth, width=832, between=True),
        "transfer",
        "the later Keras code: half the width, one more activation",
    ),
    "unet-rooms": Entry(
        partial(transfer.UNet, **transfer.UNET_ROOMS), "transfer", "small U-Net, synthetic rooms"
    ),
    "transfer-resnet18-rooms": Entry(
        partial(transfer.ResNetUNet, **transfer.RESNET18_ROOMS),
        "transfer",
        "small ResNet-18 and the decoder of a U-Net, synthetic rooms",
    ),
    "unet-skipless-rooms": Entry(
        partial(transfer_ablations.SkiplessUNet, **transfer.UNET_ROOMS),
        "transfer",
        "the small U-Net without its skips, synthetic rooms",
    ),
    "transfer-plain18-rooms": Entry(
        partial(
            transfer.ResNetUNet,
            **transfer.RESNET18_ROOMS
            | {
                "encoder": partial(
                    transfer_ablations.PlainNet, (2, 2, 2, 2), bottleneck=False, width=24, form="torchvision"
                )
            },
        ),
        "transfer",
        "the small ResNet-18 without its sums and the decoder of a U-Net, synthetic rooms",
    ),
    "densedepth-rooms": Entry(
        partial(transfer.DenseDepth, **transfer.DENSE_ROOMS),
        "transfer",
        "small DenseNet and DenseDepth's decoder, synthetic rooms",
    ),
    **{
        f"monodepth2-resnet{layers}": Entry(
            partial(monodepth2.Monodepth2, encoder=encoder),
            "monodepth2",
            f"ResNet-{layers} and the decoder of Monodepth2, 192 x 640",
        )
        for layers, encoder in monodepth2.RESNETS.items()
    },
    "monodepth2-resnet18-40x120-roads": Entry(
        partial(monodepth2.Monodepth2, **monodepth2.ROADS | {"input_size": (40, 120)}),
        "monodepth2",
        "small ResNet-18 and the decoder of Monodepth2, fewer pixels, synthetic roads",
    ),
    "monodepth2-resnet18-roads": Entry(
        partial(monodepth2.Monodepth2, **monodepth2.ROADS),
        "monodepth2",
        "small ResNet-18 and the decoder of Monodepth2, synthetic roads",
    ),
    "hu-resnet50": Entry(
        partial(hu.Hu, hu.ENCODERS["resnet50"]), "hu", "ResNet-50, decoder, multi-scale fusion, refinement"
    ),
    "hu-densenet161": Entry(partial(hu.Hu, hu.ENCODERS["densenet161"]), "hu", "the same behind DenseNet-161"),
    "hu-senet154": Entry(partial(hu.Hu, hu.ENCODERS["senet154"]), "hu", "the same behind SENet-154"),
    **{
        f"hu-{encoder}-rooms": Entry(
            partial(hu.Hu, make, **hu.ROOMS), "hu", f"small {title}, the same parts, synthetic rooms"
        )
        for (encoder, make), title in zip(hu.SMALL.items(), ("ResNet-18", "DenseNet", "SENet"), strict=True)
    },
    "hu-resnet18-roads": Entry(
        partial(hu.Hu, hu.SMALL["resnet18"], **hu.ROADS),
        "hu",
        "small ResNet-18, the same parts, synthetic roads",
    ),
}


def names() -> list[str]:
    """The names that ``build`` knows, in the order of the book."""
    return list(MODELS)


def build(name: str, **kwargs: Any) -> DepthNetwork:
    """Make the network called ``name`` with random weights.

    Raises:
        ValueError: no network has that name; the message lists those that exist.

    Example:
        >>> build("eigen-coarse-rooms").input_size
        (92, 124)
    """
    if name not in MODELS:
        raise ValueError(f"unknown network {name!r}; choose one of {', '.join(MODELS)}")
    return MODELS[name].build(**kwargs)
