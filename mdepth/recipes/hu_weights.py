r"""The released weights of Hu et al. 2019 under their own names, both ways.

Each network is one flat state dictionary: three depth networks with the parts ``E``, ``D``, ``MFF`` and
``R``, and mask predictors with ``E`` and ``D``. Within the parts the names are ours, but for two encoders:
the stages of SENet and of DRN are numbered (``E.base.1`` for ``layer1``), and the layers of a DenseNet have a
dot in their names (``norm.1`` for ``norm1``), as PyTorch once allowed. Before each name stands ``module.``,
since the networks were saved from several devices; it may be missing. A norm's counter of training steps did
not exist yet, and is neither wanted nor written.

The released files themselves were not at hand: the names are those that the released code saves.

Source: names and shapes of the entries (facts, no code).
"""

from collections.abc import Mapping
from pathlib import Path

import torch

from mdepth import weights
from mdepth.models.encoders import ResNet
from mdepth.models.hu import ENCODERS, Hu
from mdepth.models.hu_masks import MaskPredictor
from mdepth.recipes.imagenet import OLD_NAMES
from mdepth.shapes import DataError, Tensor

__all__ = ["from_released", "load_released", "official"]

PREFIX = "module."
TO_OURS = [
    (r"^module\.", ""), (r"^E\.base\.(\d)\.", r"encoder.layer\1."), (r"^E\.", "encoder."),
    (r"^D\.", "decoder."), (r"^MFF\.", "fusion."), (r"^R\.", "refinement."), *OLD_NAMES,
]  # fmt: skip
TO_THEIRS = [
    (r"^encoder\.", "E."), (r"^decoder\.", "D."), (r"^fusion\.", "MFF."), (r"^refinement\.", "R."),
    (r"(denselayer\d+\.(?:norm|conv))(\d\.)", r"\1.\2"),
]  # fmt: skip
NUMBERED = [(r"^E\.layer(\d)\.", r"E.base.\1.")]
"""Of SENet and DRN; a ResNet's stages keep their name."""
COUNTER = "num_batches_tracked"


def official(network: Hu | MaskPredictor, prefix: str = PREFIX) -> dict[str, Tensor]:
    """The state dictionary of a network under the released names; ``torch.save`` writes it.

    Example:
        >>> from mdepth.models.hu_masks import mask_predictor
        >>> list(official(mask_predictor("hu-mask-light")))[0]
        'module.E.base.0.0.weight'
    """
    state = {key: value for key, value in network.state_dict().items() if not key.endswith(COUNTER)}
    table = TO_THEIRS if isinstance(network.encoder, ResNet) else TO_THEIRS + NUMBERED
    return {prefix + key: value for key, value in weights.rename(state, table).items()}


def load_released(
    network: Hu | MaskPredictor, source: Path | str | Mapping[str, Tensor], *, strict: bool = True
) -> weights.Report:
    """Put released weights into a network of the same kind and size, and say what fitted.

    Args:
        network: changed in place.
        source: a file, or what is in it.
        strict: raise unless every entry has its place and every place its entry.

    Raises:
        DataError: the file cannot be read, or, where ``strict``, an entry is missing, left over or of another
            shape; the message names them as we do. The network is unchanged then.
    """
    state = weights.rename(source if isinstance(source, Mapping) else weights.read(source), TO_OURS)
    own = network.state_dict()
    counters = {key: torch.zeros_like(value) for key, value in own.items() if key.endswith(COUNTER)}
    return weights.load(network, counters | state, strict=strict)


def from_released(source: Path | str | Mapping[str, Tensor]) -> Hu | MaskPredictor:
    """The network that a released file holds: a depth network, by its encoder, or a mask predictor.

    Raises:
        DataError: the file is none of these, or does not fit.
    """
    state = source if isinstance(source, Mapping) else weights.read(source)
    names = {key.removeprefix(PREFIX) for key in state}
    network: Hu | MaskPredictor
    if "MFF.conv.weight" in names:
        marks = {"E.features.conv0.weight": "densenet161", "E.base.0.conv1.weight": "senet154",
                 "E.conv1.weight": "resnet50"}  # fmt: skip
        found = [encoder for mark, encoder in marks.items() if mark in names]
        if len(found) != 1:
            raise DataError("expected the encoder of a ResNet, DenseNet or SENet with the released names")
        network = Hu(ENCODERS[found[0]])
    elif "E.base.8.0.weight" in names:
        network = MaskPredictor()
    else:
        raise DataError(
            "expected the parts E, D, MFF and R of a depth network, or E and D of a mask predictor"
        )
    load_released(network, state)
    return network
