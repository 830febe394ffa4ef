r"""Which pixels does a depth network need? (Hu, Zhang and Okatani, ICCV 2019) For any network of the package.

A network N is given and not touched. A **mask** M says of every pixel of an image I how much of it is
kept, between 0 and 1; what is removed is replaced by something that says nothing. The mask that is looked for
keeps as little as it can, while N still says of the masked image what it says of the whole one:

.. math:: \min_M\ l_{dif}\big(N(I \otimes M),\ N(I)\big) + \lambda\, \tfrac1n \textstyle\sum_i M_i .

* :mod:`~mdepth.masks.objective`: what is minimised, and what can stand in for a removed pixel;
* :mod:`~mdepth.masks.search`: the mask of one image, sought pixel by pixel, and the mask that a trained
  predictor gives at once;
* :mod:`~mdepth.masks.importance`: other opinions on which pixels count: chance, a grid, edges, gradients,
  occlusion;
* :mod:`~mdepth.masks.judging`: the best pixels by any opinion, as many of each, and how well N does on them;
  and whether it is the pixels that N reads, or the outline of the mask.

Nothing here looks at the true depth: the target is N's own answer, right or wrong.
"""

from mdepth.masks.importance import IMPORTANCE, importance
from mdepth.masks.judging import Curve, curve, keep, moved_by, sparseness
from mdepth.masks.objective import FILLS, Objective, answer, frozen, mask_objective, remove
from mdepth.masks.search import find_mask, place, predict_mask

__all__ = [
    "FILLS", "IMPORTANCE", "Curve", "Objective", "answer", "curve", "find_mask", "frozen", "importance",
    "keep", "mask_objective", "moved_by", "place", "predict_mask", "remove", "sparseness",
]  # fmt: skip
