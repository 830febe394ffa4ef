"""What releases and ports of Hu et al. get wrong, or easily might, each as the smallest change that does it.

Everything here is wrong on purpose, or harmless, or another convention, and says which. The right versions
stand in :mod:`mdepth.losses`, :mod:`mdepth.metrics`, :mod:`mdepth.image` and :mod:`mdepth.datasets`. First
how files become depth, then sizes, then what a mask hides and how it is learnt, then the loss, then scores.

Two papers share a code: the depth networks (WACV 2019) and the mask that shows which pixels such a network
needs (ICCV 2019). "The released code" is theirs; no code of it, or of any port, is here. N is the depth
network that is looked into, G the one that predicts masks. Depth is in metres.
"""

from collections.abc import Callable
from copy import deepcopy
from typing import Any, TypeVar

import numpy as np
import torch
from torch import nn

from mdepth.image import resize, sobel
from mdepth.losses import hu_gradient_loss, hu_loss
from mdepth.metrics import edge_scores, per_image
from mdepth.models.encoders import IMAGENET
from mdepth.shapes import Depth, Float, Image, Tensor, Valid

__all__ = [
    "accuracy_with_negatives", "averaged_with_empty", "binarised", "black_removed", "compared_with_truth",
    "edges_with_ring", "gradient_of_error", "half_pixel", "in_training_mode", "levels_as_millimetres",
    "log10_of_negatives", "logged", "loss_with_corners", "loss_with_ring", "millimetres_as_levels",
    "normalised", "pillow_default", "rmse_of_small", "saved_the_other", "splined", "summed_masks",
    "up_to_the_threshold",
]  # fmt: skip

Maps = Float[Tensor, "B C H W"]
Mask = Float[Tensor, "B 1 H W"]
Scores = tuple[Float[Tensor, " B"], Float[Tensor, " B"], Float[Tensor, " B"]]
Network = TypeVar("Network", bound=nn.Module)

STEP = 10 / 255
"""Metres for a level of the 8-bit training files."""


# Files


def millimetres_as_levels(stored: Float[Tensor, "*S"]) -> Float[Tensor, "*S"]:
    """Metres of a 16-bit test file, which counts millimetres, by the rule of the 8-bit training files.

    Depth times 1000, times 10 / 255: 39 times what it should be, a wall at 3 m is 118 m away. The data set
    holds both kinds of files; several threads about its users are one long confusion of the two factors
    (issues 32, 146 and 184 of DenseDepth, 10 of SARPN, 1 of wavelet-monodepth).
    """
    return stored * STEP


def levels_as_millimetres(stored: Float[Tensor, "*S"]) -> Float[Tensor, "*S"]:
    """Metres of an 8-bit training file by the rule of the 16-bit test files: the room ends at 25.5 cm.

    The other way to confuse them. The network learns it without complaint, and its loss is lower than ever,
    since all errors are. Only against the test files everything is 39 times too near.
    """
    return stored / 1000


def pillow_default(depth: Depth, size: tuple[int, int]) -> Float[Tensor, "B 1 h w"]:
    """Depth of an 8-bit file resized by Pillow with no filter named: bicubic, since some version.

    The released code names none for its targets; when it was written that meant the nearest pixel (as far as
    one remembers: before Pillow 7). Today an edge from 1 m to 9 m gets a row of pixels at 5 m, where nothing
    is, one nearer than what is near, and one farther than what is far: the sharp boundaries that the paper is
    about, blurred in the truth itself.
    """
    from PIL import Image as Pillow

    levels = (depth / STEP).round().clamp(0, 255).to(torch.uint8)
    resized = [Pillow.fromarray(each[0].numpy()).resize((size[1], size[0])) for each in levels]
    return torch.stack([torch.from_numpy(np.array(each))[None] for each in resized]) * STEP


def splined(depth: Depth, degrees: float) -> Depth:
    """Depth of an 8-bit file turned about its middle by splines of order 2, outside filled with 0.

    The released augmentation. Splines mix the depths of both sides of an edge and swing beyond both; what
    leaves 0 to 255 is cut off there. And from about 2.5 degrees on the crop of 304 x 228 has corners without
    depth, 0.94 % of it at 5 degrees, which the loss takes for surfaces at 0 m.
    """
    from scipy.ndimage import rotate

    levels = (depth / STEP).round().clamp(0, 255).to(torch.uint8).numpy()
    turned = rotate(levels, degrees, axes=(-1, -2), reshape=False, order=2)
    return torch.from_numpy(turned) * STEP


# Sizes


def half_pixel(maps: Maps, size: tuple[int, int]) -> Float[Tensor, "B C h w"]:
    """Maps enlarged with ``align_corners`` left to its default of False.

    The released networks were trained on a torch whose resize kept the centres of the corner pixels in the
    corners; a port that leaves the switch alone moves everything towards the middle, by up to half a pixel of
    the enlarged map. The decoder enlarges four times and the evaluation once more, and every later step
    doubles what was wrong before: what was seen in the second of ten columns ends up 11 columns of 304
    further in. Nothing moves in the very middle. At least one re-evaluation runs the released weights so.
    """
    return resize(maps, size, align_corners=False)


# Masks


def normalised(image: Image) -> Image:
    """RGB in [0, 1] as the networks get it: ImageNet's mean is 0. This one is right."""
    mean, std = (image.new_tensor(values)[:, None, None] for values in IMAGENET)
    return (image - mean) / std


def black_removed(image: Image, mask: Mask) -> Image:
    """What N gets of a masked image, the mask multiplied before the image is normalised.

    Easy to make, since it looks like the formula I (x) M. What is removed is black then, -2.12, -2.04 and
    -1.80 to the network, as dark as it gets; the released code normalises first, and what is removed has
    ImageNet's mean colour, 0. A mask of 0.3 takes contrast from the picture either way; here it also darkens
    it, by 1.48 in red, whatever is shown.
    """
    return normalised(image * mask)


def binarised(mask: Mask, threshold: float = 0.5) -> Mask:
    """A mask cut at one half, as one cuts the answer of a classifier.

    The masks of the released code are soft gains whose largest values lie between 0.18 and 0.40 in the
    published figure: at one half nothing is left of any of them, and N sees a picture of one colour. The
    paper is remembered to cut at 0.025 (from memory, not checked), and the code never cuts.
    """
    return (mask > threshold).to(mask.dtype)


def compared_with_truth(
    network: Callable[[Image], Depth],
    image: Image,
    mask: Mask,
    truth: Depth,
    valid: Valid,
    lam: float = 5.0,
) -> Float[Tensor, ""]:
    """The mask's objective with the truth where N's own answer to the whole image belongs.

    A question of its own: which picture would N have needed to be right? A mask is a gain, and gains can
    repair: a network that sees everything too far is best explained by a mask that hides nothing and corrects
    that. The released code trains against N's own answer, for which nothing is better than the whole image;
    it then tests against the truth (issue 12 of it asks why, and has no answer).
    """
    seen = normalised(image) * mask
    return hu_loss(network(seen), truth, valid) + lam * mask.mean()


def in_training_mode(network: Network) -> Network:
    """A copy of N left in training mode while G learns, frozen only in that the optimiser leaves it alone.

    Easy to make: G must be in training mode, and one call sets both if N is a part of G's module. Batch
    normalisation then takes the statistics of the batch at hand, so that N's answer to an image depends on
    the images beside it; and it averages over masked images too, so that N is another network in the end
    although no step was taken. The released code calls ``eval()`` on N.
    """
    return deepcopy(network).train()


def logged(difference: Float[Tensor, ""], mask: Mask) -> Float[Tensor, ""]:
    """What the released training prints as "Loss": the mean of the mask, and nothing else.

    Harmless to what is learnt, not to who watches. A mask that fades away and takes the answer with it looks
    like a training that goes well; and a run with twice the difference prints the same.
    """
    return mask.mean()


def saved_the_other(frozen: nn.Module, predictor: nn.Module) -> dict[str, Any]:
    """What is written to a file when G has been trained: the weights of N.

    The released training script, for three years (issue 11 of it). N is frozen, so the file holds what one
    had before; of G nothing is left. Both have a decoder with the same names but other sizes, so that loading
    the file into G fails, and a loader that skips what does not fit leaves G as it was drawn.
    """
    return dict(frozen.state_dict())


# The loss


def loss_with_ring(prediction: Depth, target: Depth, valid: Valid) -> Float[Tensor, ""]:
    """The released loss, Sobel padded with zeros.

    The library's default, since it is what the networks were trained with. The outermost pixels answer with
    4 times their depth. So a slope that should not mind an offset does, there: half a metre too far
    everywhere costs 0.049 more than it should, of a loss of -1.337.
    """
    return hu_loss(prediction, target, valid, padding="zeros")


def loss_with_corners(prediction: Depth, target: Depth) -> Float[Tensor, ""]:
    """The released loss, which has no mask: pixels without depth are surfaces at 0 m.

    Corners left by a turn, or holes, count in every mean, with an error as large as what stands there; and
    around each there is an edge that no network should draw. :func:`splined` leaves such corners.
    """
    return hu_loss(prediction, target, torch.ones_like(target, dtype=torch.bool))


def gradient_of_error(prediction: Depth, target: Depth, valid: Valid) -> Float[Tensor, ""]:
    """The gradient term with the gradient of the absolute error, not the difference of the gradients.

    Another convention: so the paper is remembered to print it (from memory, not checked); the released code
    has the other. Sobel is linear, so they agree wherever the error keeps its sign. Where it changes its sign
    half of what happens is not seen: a step drawn from half a metre too near to half a metre too far, on an
    even wall, costs nothing at all.
    """
    return hu_gradient_loss(prediction, target, valid, form="error")


# Scores


def summed_masks(prediction: Depth, target: Depth, valid: Valid, threshold: float = 0.25) -> Scores:
    """Precision, recall and F1 of edges, both masks added and compared with 2.

    The released evaluation, on any torch since 1.2. Comparisons gave bytes then, 1 + 1 was 2; now they give
    booleans, true + true is true, and true is not 2. No edge ever agrees: precision and recall are 0 for
    every prediction, the truth itself included, and F1 is 0 / 0.
    """
    found, true = (torch.hypot(*sobel(depth)) > threshold for depth in (prediction, target))
    both = ((found & valid) + (true & valid) == 2).sum(dim=(1, 2, 3)).double()
    precision, recall = (both / (marked & valid).sum(dim=(1, 2, 3)) for marked in (found, true))
    return precision, recall, 2 * precision * recall / (precision + recall)


def edges_with_ring(prediction: Depth, target: Depth, valid: Valid, threshold: float = 0.25) -> Scores:
    """Precision, recall and F1 of edges with Sobel padded with zeros.

    The released evaluation. The outermost ring, 1,060 of 69,312 pixels, is an edge of every map that is
    farther than a quarter of the threshold: free hits for all. An even wall, which has no edge, scores a
    precision of 1; and where a scene has no edge as steep, everything is perfect.
    """
    return edge_scores(prediction, target, valid, threshold, border=True)


def averaged_with_empty(scores: Float[Tensor, " B"]) -> Float[Tensor, ""]:
    """The mean over images, with no guard for an image without edges: one of them, and the mean is NaN.

    The released evaluation divides by the number of edges as it is. Its ring hides that, since no image is
    without edges then; who takes the ring away meets it.
    """
    return scores.mean()


def log10_of_negatives(prediction: Depth, target: Depth) -> Float[Tensor, ""]:
    """Mean absolute error of log10, whatever the sign of the prediction.

    The released evaluation, whose networks end in a convolution that may say anything. One pixel at or below
    0 makes the score of the image NaN or infinite, and with it that of the set. The library refuses it.
    """
    return (prediction.log10() - target.log10()).abs().mean()


def accuracy_with_negatives(prediction: Depth, target: Depth) -> Float[Tensor, ""]:
    """The share of pixels with max(p / t, t / p) up to 1.25, whatever the sign of the prediction p.

    The released evaluation. Below 0 both ratios are negative, and so far below 1.25: a network that sees
    everything behind the camera is always right.
    """
    return (torch.maximum(prediction / target, target / prediction) <= 1.25).double().mean()


def up_to_the_threshold(prediction: Depth, target: Depth, valid: Valid) -> Float[Tensor, ""]:
    """The share of ratios up to and including 1.25, where the papers have those below.

    Another convention, of the released code, and harmless but where depths come in few levels: 4 and 5 levels
    of an 8-bit file are exactly 1.25 apart, as are all multiples of them.
    """
    ratio = torch.maximum(prediction / target, target / prediction)
    return (ratio <= 1.25)[valid].double().mean()


def rmse_of_small(prediction: Float[Tensor, "B 1 h w"], target: Depth, valid: Valid) -> Float[Tensor, " B"]:
    """RMSE of every image at the size of the network's map, the truth's nearest pixels taken.

    The evaluation of masks (ICCV), where that of the depth networks (WACV) enlarges the map first. Not wrong,
    but another number: a map that holds every second pixel of the truth is perfect here, and blurs every edge
    there. Errors of the two papers do not compare.
    """
    size = (prediction.shape[-2], prediction.shape[-1])
    small, known = resize(target, size, mode="nearest"), resize(valid.float(), size, mode="nearest") > 0
    return per_image("rmse", prediction, small, known)
