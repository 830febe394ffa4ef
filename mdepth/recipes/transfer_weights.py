r"""Weights from elsewhere for the networks of :mod:`mdepth.models.transfer`: ImageNet's for an encoder, and
those that DenseDepth's authors released.

A released state dictionary of DenseDepth's PyTorch code has 1035 entries. Two of them, a classifier of 1000
classes that no image ever passes, are left out; the others are ours but for one part of the name:
``encoder.original_model.features...`` is ``encoder.features...`` here. torchvision's file for DenseNet-169 is
older than its own code, which calls ``norm1`` what the file calls ``norm.1``.

Source: names and shapes of the released entries (facts, no code).
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from mdepth import weights
from mdepth.models.transfer import DenseDepth
from mdepth.shapes import DataError, Tensor

__all__ = ["load_imagenet", "load_released", "official"]

RELEASED = [(r"^module\.", ""), (r"^encoder\.original_model\.", "encoder.")]
UNUSED = "encoder.classifier."
OLD_NAMES = [(r"(denselayer\d+\.(?:norm|conv))\.(\d\.)", r"\1\2")]
"""``denselayer1.norm.1.weight`` of torchvision's files is ``denselayer1.norm1.weight`` of its code."""
CLASSIFIERS = ("fc.", "classifier.")


def load_released(network: DenseDepth, source: Path | str | Mapping[str, Tensor]) -> weights.Report:
    """Put the released weights of DenseDepth's PyTorch code into ``build("densedepth")``.

    The classifier of the file is left out, and so is the prefix ``module.`` of a network that was saved
    from several devices.

    Raises:
        DataError: the file cannot be read, or an entry is missing, left over or of another shape. The network
            is unchanged then.
    """
    state = weights.rename(_state(source), RELEASED)
    return weights.load(network, {key: value for key, value in state.items() if not key.startswith(UNUSED)})


def official(network: DenseDepth) -> dict[str, Tensor]:
    """The state dictionary of a network under the released names, without the classifier.

    Example:
        >>> from mdepth.models import build
        >>> list(official(build("densedepth-rooms")))[0]
        'encoder.original_model.features.conv0.weight'
    """
    return weights.rename(network.state_dict(), [(r"^encoder\.", "encoder.original_model.")])


def load_imagenet(
    encoder: nn.Module, name: str, source: Path | str | Mapping[str, Tensor] | None = None
) -> weights.Report:
    """Put torchvision's ImageNet weights into an encoder, all but the classifier.

    Args:
        encoder: :class:`~mdepth.models.encoders.ResNet` of form ``torchvision``, or
            :class:`~mdepth.models.encoders.DenseNet`, of full width.
        name: what torchvision calls the network, for example ``resnet34`` or ``densenet169``.
        source: a file of its weights, or what is in it; downloaded where ``None``, and kept where torch keeps
            downloads.

    Raises:
        ValueError: torchvision has no weights of that name.
        DataError: no file can be had, or it does not fit; the encoder is unchanged then.

    Example:
        >>> from mdepth.models.encoders import resnet18
        >>> made_up = {**resnet18(form="torchvision").state_dict(), "fc.bias": torch.zeros(1000)}
        >>> load_imagenet(resnet18(form="torchvision"), "resnet18", made_up).complete
        True
    """
    state = weights.rename(_downloaded(name) if source is None else _state(source), OLD_NAMES)
    state = {key: value for key, value in state.items() if not key.startswith(CLASSIFIERS)}
    own = encoder.state_dict()
    counters = {key: torch.zeros_like(own[key]) for key in own if key.endswith("num_batches_tracked")}
    return weights.load(encoder, counters | state)  # old files have no counters


def _state(source: Path | str | Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    return source if isinstance(source, Mapping) else weights.read(source)


def _downloaded(name: str) -> Mapping[str, Tensor]:
    """The file of ImageNet weights, whose name carries the beginning of its checksum."""
    from torchvision.models import get_model_weights, list_models

    if name not in list_models():
        raise ValueError(f"torchvision has no network called {name!r}; for example resnet34 or densenet169")
    file = get_model_weights(name)["IMAGENET1K_V1"]
    try:
        return file.get_state_dict(progress=False, check_hash=True)
    except (OSError, RuntimeError) as error:  # no network; or a damaged file
        raise DataError(
            f"{file.url}: ImageNet weights cannot be downloaded ({error}); get the file by another way and "
            "give its path"
        ) from None
