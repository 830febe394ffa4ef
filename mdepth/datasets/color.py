"""Changes of colour, as pure functions of a sample or a batch; ``mdepth.datasets.transforms`` offers them
beside the geometric ones.

Both images of a stereo pair and all frames of a sequence change alike, or matching them would learn the
change.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from mdepth.shapes import Float, Tensor

__all__ = ["COLORS", "channel_swap", "color_gain", "color_jitter", "pca_lighting"]

COLORS = ("image", "image_right", "neighbours", "augmented", "augmented_right", "augmented_neighbours")
Item = Mapping[str, Any]


def _recolor(item: Item, change: Callable[[Tensor], Tensor], clamp: bool = True) -> dict[str, Any]:
    """The item with its images passed through ``change``, a function of (..., B, 3, H, W), and clamped to
    [0, 1]."""
    result = dict(item)
    for key in COLORS:
        if key in item:
            changed = change(_frames_first(item[key]))
            result[key] = _frames_first(changed.clamp(0, 1) if clamp else changed)
    return result


def _frames_first(image: Tensor) -> Tensor:
    """The frames of a batch of sequences, (B, N, 3, H, W), as (N, B, 3, H, W), and back: what belongs to an
    item of the batch then fits its last axes; other images as they are."""
    return image.transpose(0, 1) if image.ndim == 5 else image


def _per_image(values: Any, image: Tensor) -> Tensor:
    """One number an image, shaped to multiply (..., C, H, W)."""
    return torch.as_tensor(values, dtype=image.dtype, device=image.device)[..., None, None, None]


def color_gain(item: Item, gain: Sequence[float] | Tensor) -> dict[str, Any]:
    """Multiply red, green and blue by their own factors: (3,), or (B, 3) for a batch. Source: Eigen et al.
    2014, section 3.4."""
    return _recolor(
        item,
        lambda image: image * torch.as_tensor(gain, dtype=image.dtype, device=image.device)[..., None, None],
    )


def channel_swap(item: Item, order: Sequence[int]) -> dict[str, Any]:
    """The colour channels in another order, for example (2, 1, 0). Source: DenseDepth, section 3.3."""
    return _recolor(item, lambda image: image[..., list(order), :, :])


GREY = (0.299, 0.587, 0.114)


def _grey(image: Float[Tensor, "*B 3 H W"]) -> Float[Tensor, "*B 1 H W"]:
    """Luma of ITU-R 601."""
    return (image * image.new_tensor(GREY)[:, None, None]).sum(-3, keepdim=True)


def _hue(image: Float[Tensor, "*B 3 H W"], shift: Any) -> Float[Tensor, "*B 3 H W"]:
    """Turn the colour circle by ``shift`` of a full turn."""
    from torchvision.transforms.v2.functional import adjust_hue

    shifts = torch.as_tensor(shift).reshape(-1).tolist()
    images = image.reshape(-1, *image.shape[-3:])
    shifts = shifts * (len(images) // len(shifts))
    return torch.stack([adjust_hue(one, by) for one, by in zip(images, shifts, strict=True)]).reshape(
        image.shape
    )


JITTERS: dict[str, Callable[[Tensor, Any], Tensor]] = {
    "brightness": lambda image, f: image * _per_image(f, image),
    "contrast": lambda image, f: torch.lerp(
        _grey(image).mean((-2, -1), keepdim=True), image, _per_image(f, image)
    ),
    "saturation": lambda image, f: torch.lerp(_grey(image).expand_as(image), image, _per_image(f, image)),
    "hue": _hue,
}


def color_jitter(item: Item, factors: Mapping[str, Any], *, clamp: bool = True) -> dict[str, Any]:
    """Brightness, contrast, saturation and hue, in the order of ``factors``; both images of a stereo pair
    alike.

    Args:
        item: sample or batch.
        factors: by name; a number, or one per image. 1 (hue: 0) changes nothing. Contrast moves towards the
            image's mean grey, saturation towards each pixel's grey, hue turns the colour circle by that part
            of a full turn (at most half).
        clamp: keep to [0, 1] after every step, as torchvision does; Hu et al.'s code does not.

    Raises:
        ValueError: an unknown name.
    """
    unknown = set(factors) - set(JITTERS)
    if unknown:
        raise ValueError(f"color_jitter knows {list(JITTERS)}, got {sorted(unknown)}")
    for name, factor in factors.items():
        item = _recolor(item, lambda image, name=name, factor=factor: JITTERS[name](image, factor), clamp)  # type: ignore[misc]
    return dict(item)


# Principal components of ImageNet's colours (Krizhevsky et al. 2012), as Hu et al. 2019 use them: column j
# belongs to value j.
PCA_VALUES = (0.2175, 0.0188, 0.0045)
PCA_VECTORS = ((-0.5675, 0.7192, 0.4009), (-0.5808, -0.0045, -0.8140), (-0.5836, -0.6948, 0.4203))


def pca_lighting(item: Item, alphas: Sequence[float] | Tensor, *, clamp: bool = True) -> dict[str, Any]:
    """Add ``sum_j alpha_j value_j vector_j`` to every pixel: (3,), or (B, 3) for a batch. Source: Krizhevsky
    et al. 2012; Hu et al. 2019."""

    def add(image: Tensor) -> Tensor:
        weights = torch.as_tensor(alphas, dtype=image.dtype, device=image.device) * image.new_tensor(
            PCA_VALUES
        )
        return image + (weights @ image.new_tensor(PCA_VECTORS).T)[..., None, None]

    return _recolor(item, add, clamp)
