"""What ports of Eigen et al. (2014) got wrong, each as the smallest change that does it.

Every function or class here is wrong on purpose. The right version stands in :mod:`mdepth.losses` and
:mod:`mdepth.models.eigen`; the chapter puts both side by side. Who did what is listed in the chapter; no code
of theirs is here.
"""

import torch

from mdepth.models.contract import DepthNetwork
from mdepth.shapes import Depth, Float, Tensor, Valid

__all__ = ["ReluOutput", "literal_sizes", "loss_all_pixels", "loss_plus", "relative_depth"]


class ReluOutput(torch.nn.Module):
    """Wraps a network and passes its log depth through a ReLU, as four ports do.

    Log depth is negative below one metre, so nothing nearer than one metre can be predicted any more.
    """

    def __init__(self, network: DepthNetwork) -> None:
        super().__init__()
        self.network = network

    def predict(self, image: Float[Tensor, "B 3 H W"]) -> Depth:
        """What ``network.predict`` would give with a ReLU behind its last layer: max(log depth, 0)."""
        return self.network.predict(image).clamp(min=1.0)  # exp(relu(l)) = max(exp(l), 1)


def loss_all_pixels(
    log_prediction: Depth, log_target: Depth, valid: Valid, lam: float = 0.5
) -> Float[Tensor, ""]:
    """The scale-invariant loss with n counted over all pixels instead of the valid ones.

    The two terms then shrink by different powers of the share of valid pixels: the first by s, the second by
    s squared, so what is forgiven of a global scale depends on how many holes the sensor left.
    """
    d = torch.where(valid, log_prediction - log_target, 0.0).flatten(1)
    return (d.square().mean(1) - lam * d.mean(1).square()).mean()


def loss_plus(log_prediction: Depth, log_target: Depth, valid: Valid, lam: float = 0.5) -> Float[Tensor, ""]:
    """The scale-invariant loss with the second term added: a global scale error costs more instead of
    less.
    """
    d = torch.where(valid, log_prediction - log_target, 0.0).flatten(1)
    n = valid.flatten(1).sum(1).clamp(min=1)
    return (d.square().sum(1) / n + lam * (d.sum(1) / n).square()).mean()


def relative_depth(depth: Depth) -> Depth:
    """Depth divided by the image's largest: the target of ports that train on 8-bit pictures of depth.

    All metric scale is gone before training begins; the network cannot learn what the numbers in its target
    do not say.
    """
    return depth / depth.amax(dim=(1, 2, 3), keepdim=True).clamp(min=1e-6)


def literal_sizes(height: int, width: int) -> list[tuple[str, int, int]]:
    """Rows and columns of every coarse stage if Figure 1 is read literally: an unpadded first convolution and
    2x2 pools.
    """
    rows, columns, sizes = height, width, []
    for stage, kernel, stride, padding, pool in (
        ("coarse1", 11, 4, 0, True),
        ("coarse2", 5, 1, 2, True),
        ("coarse3", 3, 1, 1, False),
        ("coarse4", 3, 1, 1, False),
        ("coarse5", 3, 1, 1, True),
    ):
        rows, columns = ((side + 2 * padding - kernel) // stride + 1 for side in (rows, columns))
        if pool:
            rows, columns = rows // 2, columns // 2
        sizes.append((stage, rows, columns))
    return sizes
