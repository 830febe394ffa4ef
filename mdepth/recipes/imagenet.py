"""torchvision's ImageNet weights for an encoder.

Files that are older than torchvision's own code call ``norm.1`` what the code calls ``norm1``.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from mdepth import weights
from mdepth.shapes import DataError, Tensor

__all__ = ["load_imagenet"]

OLD_NAMES = [(r"(denselayer\d+\.(?:norm|conv))\.(\d\.)", r"\1\2")]
"""``denselayer1.norm.1.weight`` of torchvision's files is ``denselayer1.norm1.weight`` of its code."""
CLASSIFIERS = ("fc.", "classifier.", "last_linear.")


def load_imagenet(
    encoder: nn.Module, name: str, source: Path | str | Mapping[str, Tensor] | None = None
) -> weights.Report:
    """Put torchvision's ImageNet weights into an encoder, all but the classifier.

    Args:
        encoder: :class:`~mdepth.models.encoders.ResNet` of form ``torchvision``, or
            :class:`~mdepth.models.encoders.DenseNet`, of full width. From a ``source`` also SENet and DRN,
            whose files of weights are named alike but are not torchvision's.
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
    if source is None:
        source = _downloaded(name)
    state = weights.rename(source if isinstance(source, Mapping) else weights.read(source), OLD_NAMES)
    state = {key: value for key, value in state.items() if not key.startswith(CLASSIFIERS)}
    own = encoder.state_dict()
    counters = {key: torch.zeros_like(own[key]) for key in own if key.endswith("num_batches_tracked")}
    return weights.load(encoder, counters | state)  # old files have no counters


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
