r"""The weights that DenseDepth's authors released, for :mod:`mdepth.models.transfer`.

A released state dictionary of DenseDepth's PyTorch code has 1035 entries. Two of them, a classifier of 1000
classes that no image ever passes, are left out; the others are ours but for one part of the name:
``encoder.original_model.features...`` is ``encoder.features...`` here.

Source: names and shapes of the released entries (facts, no code).
"""

from collections.abc import Mapping
from pathlib import Path

from mdepth import weights
from mdepth.models.transfer import DenseDepth
from mdepth.shapes import Tensor

__all__ = ["load_released", "official"]

RELEASED = [(r"^module\.", ""), (r"^encoder\.original_model\.", "encoder.")]
UNUSED = "encoder.classifier."


def load_released(network: DenseDepth, source: Path | str | Mapping[str, Tensor]) -> weights.Report:
    """Put the released weights of DenseDepth's PyTorch code into ``build("densedepth")``.

    The classifier of the file is left out, and so is the prefix ``module.`` of a network that was saved
    from several devices.

    Raises:
        DataError: the file cannot be read, or an entry is missing, left over or of another shape. The network
            is unchanged then.
    """
    state = weights.rename(source if isinstance(source, Mapping) else weights.read(source), RELEASED)
    return weights.load(network, {key: value for key, value in state.items() if not key.startswith(UNUSED)})


def official(network: DenseDepth) -> dict[str, Tensor]:
    """The state dictionary of a network under the released names, without the classifier.

    Example:
        >>> from mdepth.models import build
        >>> list(official(build("densedepth-rooms")))[0]
        'encoder.original_model.features.conv0.weight'
    """
    return weights.rename(network.state_dict(), [(r"^encoder\.", "encoder.original_model.")])
