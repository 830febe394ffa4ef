"""What Hu et al. 2019 claim and how they trained: claims with their rule, hyper-parameters beside ours."""

from typing import Any

from mdepth.recipes import Claim, HyperParameter
from mdepth.recipes.hu_settings import FULL, LAMBDAS, LAPTOP, MaskSettings

__all__ = ["CLAIMS", "HYPERPARAMETERS", "HYPERPARAMETERS_MASK"]

SEES = "README of the released code"
OURS = "the test is ours"


def _claim(name: str, statement: str, place: str, smallest: float, why: str, **rest: Any) -> Claim:
    """A claim about the masks at lambda 2 of the network that is trained here, in rooms, unless told
    otherwise.
    """
    usual = {"variant": "mask-lambda2-rooms", "metric": "own_10", "direction": "lower"}
    return Claim(id=name, statement=statement, place=place, smallest=smallest, why=why, **usual | rest)


NETWORKS = [
    _claim(
        "beats-mean-map",
        "In rooms not seen in training, the network beats the mean depth map.",
        "not in the papers; without it no other claim means anything",
        0.1,
        "under a tenth, looking at the image would not pay",
        variant="resnet-rooms", metric="abs_rel", a="worlds", b="worlds@mean-map", headline=True,
    ),
    _claim(
        "sharper-than-laina",
        "Its edges of depth are more often right than those of Laina et al. 2016 (F1 at 0.25).",
        "WACV, Table 3 (recalled): F1 .454 to .562",
        0.1,
        "the paper's own gain is 24 %; under a tenth one sees no difference; Laina's network was trained "
        "once, so that the interval is over ours alone",
        variant="resnet-rooms", metric="edge_f1", a="edges-0.25", b="edges-0.25@laina", direction="higher",
        headline=True,
    ),
    _claim(
        "slopes-sharpen",
        "Without the errors of the slopes, edges of depth are less often right (F1 at 0.25).",
        "WACV, abstract: the terms complement each other; its table was not read",
        0.05,
        "half of what is a visible difference between networks",
        variant="resnet-rooms", variant_b="resnet-normals-rooms", metric="edge_f1", a="edges-0.25",
        b="edges-0.25", direction="higher",
    ),
    _claim(
        "normals-sharpen",
        "Without the errors of the normals, edges of depth are less often right (F1 at 0.25).",
        "WACV, abstract: the terms complement each other; its table was not read",
        0.05,
        "half of what is a visible difference between networks",
        variant="resnet-rooms", variant_b="resnet-slopes-rooms", metric="edge_f1", a="edges-0.25",
        b="edges-0.25", direction="higher",
    ),
    _claim(
        "terms-sharpen-together",
        "With depth alone in the loss, edges of depth are less often right than with all three terms.",
        "WACV, abstract: the terms complement each other; its table was not read",
        0.1,
        "a difference that one sees",
        variant="resnet-rooms", variant_b="resnet-depth-rooms", metric="edge_f1", a="edges-0.25",
        b="edges-0.25", direction="higher",
    ),
    _claim(
        "terms-cost-nothing",
        "The three terms together leave the relative error what it is with depth alone.",
        "not in our facts; the comparison is ours",
        0.05,
        "two trainings from two seeds differ by about half as much",
        variant="resnet-rooms", variant_b="resnet-depth-rooms", metric="abs_rel", a="worlds", b="worlds",
        direction="same",
    ),
    _claim(
        "border-does-not-matter",
        "Trained without the fake edge at the border, the network's edges are as often right.",
        "not in the papers; the border is in the released code",
        0.05,
        "half of what is a visible difference between networks",
        variant="resnet-borderless-rooms", variant_b="resnet-rooms", metric="edge_f1", a="edges-0.25",
        b="edges-0.25", direction="same",
    ),
    _claim(
        "senet-beats-resnet",
        "Behind a small SENet the relative error is lower than behind a small ResNet.",
        "WACV, own rows on NYU: REL .126 to .115",
        0.03,
        "a third of the paper's own gain; both start at random here",
        variant="senet-rooms", variant_b="resnet-rooms", metric="abs_rel", a="worlds", b="worlds",
    ),
]  # fmt: skip

MASKS = [
    _claim(
        "mask-beats-veil",
        "A mask leaves more of the answer than an even veil that lets as much through.",
        f"not in the papers; {OURS}",
        0.25,
        "if one could dim the whole image instead, the mask would say nothing",
        metric="own_rmse", a="masked", b="masked@uniform", headline=True,
    ),
    _claim(
        "mask-shows-its-pixels",
        "At lambda 2, an image under its mask leaves more of the answer than another image under that mask.",
        f"not in the papers; {OURS}; lambda was chosen so on validation rooms",
        0.25,
        "if it does not matter which pixels a mask keeps, it does not say which ones count",
        metric="own_rmse", a="masked", b="masked@swapped", headline=True,
    ),
    _claim(
        "mask-of-lambda5-shows-its-pixels",
        "It does so, too, at the released code's lambda of 5.",
        f"not in the papers; {OURS}; a first look at one seed said no",
        0.25,
        "as at lambda 2",
        variant="mask-rooms", metric="own_rmse", a="masked", b="masked@swapped", headline=True,
    ),
    _claim(
        "edges-show-their-pixels",
        "The same holds for the tenth of the pixels with the strongest edges.",
        f"not in the papers; {OURS}",
        0.25,
        "as for masks",
        metric="own_10", metric_b="swapped_10", a="kept-mean@edges", b="kept-mean@edges", headline=True,
    ),
    _claim(
        "mask-is-of-its-image",
        "A mask leaves more of the answer than the mean of the masks of all images.",
        f"not in the papers; {OURS}",
        0.1,
        "under a tenth, looking at the image would not pay",
        metric="own_rmse", a="masked", b="masked@average", headline=True,
    ),
    _claim(
        "mask-beats-edges",
        "Of as many pixels, a tenth, the mask's leave more of the answer than the strongest edges.",
        f"{SEES}: not the strongest edges of the image; the measure is ours",
        0.1,
        "under a tenth one would compute edges, which cost nothing",
        a="kept-mean@learnt", b="kept-mean@edges", headline=True,
    ),
    _claim(
        "mask-beats-chance",
        "Of as many pixels, a tenth, the mask's leave more of the answer than pixels drawn by lot.",
        f"not in the papers; {OURS}",
        0.1,
        "under a tenth one would draw lots",
        a="kept-mean@learnt", b="kept-mean@random", headline=True,
    ),
    _claim(
        "mask-beats-spots",
        "Of as many pixels, a tenth, the mask's leave more of the answer than spots drawn by lot.",
        f"not in the papers; {OURS}; a first look showed that pixels do better by lying together",
        0.1,
        "under a tenth it would only matter that the pixels lie together",
        a="kept-mean@learnt", b="kept-mean@spots", headline=True,
    ),
    _claim(
        "mask-beats-chance-infilled",
        "It does so, too, where colours are spread from the kept pixels over the others.",
        f"not in the papers; {OURS}; a first look at one seed said no",
        0.1,
        "what counts should count whatever stands in for the rest",
        a="kept-infill@learnt", b="kept-infill@random", headline=True,
    ),
    _claim(
        "mask-beats-gradients",
        "Of as many pixels, a tenth, the mask's leave more of the answer than integrated gradients do.",
        "ICCV (recalled): saliency is no good for depth; the measure is ours",
        0.1,
        "under a tenth one would take what needs no training",
        a="kept-mean@learnt", b="kept-mean@integrated", headline=True,
    ),
    _claim(
        "mask-beats-occlusion",
        "Of as many pixels, a tenth, the mask's leave more of the answer than those of occlusion.",
        f"not in the papers; {OURS}",
        0.1,
        "under a tenth one would take what needs no training",
        a="kept-mean@learnt", b="kept-mean@occlusion", headline=True,
    ),
    _claim(
        "lambda-thins",
        "At lambda 5 a mask keeps less than at lambda 2.",
        "ICCV (recalled): sparser as lambda grows",
        0.25,
        "more than twice the price should show",
        variant="mask-rooms", variant_b="mask-lambda2-rooms", metric="share", a="masked", b="masked",
    ),
    _claim(
        "lambda-costs",
        "At lambda 5 less of the answer is left than at lambda 2.",
        "ICCV (recalled): the error rises as lambda grows",
        0.1,
        "a tenth of the error is seen",
        variant="mask-rooms", variant_b="mask-lambda2-rooms", metric="own_rmse", a="masked", b="masked",
        direction="higher",
    ),
    _claim(
        "search-goes-lower",
        "Searched pixel by pixel, a mask has a lower objective than the predicted one.",
        "ICCV, first pages: direct optimisation gives noisy results",
        0.05,
        "a fortieth of what a whole mask costs",
        metric="objective_searched", metric_b="objective_learnt", a="searched", b="searched", relative=False,
        headline=True,
    ),
    _claim(
        "search-does-not-carry-over",
        "Yet of its best tenth another network can make less than of the predicted mask's.",
        "ICCV, first pages: adversarial-like results; the test is ours",
        0.05,
        "a twentieth of the error is seen; under it, the two masks would show the same",
        metric="other_searched", metric_b="other_learnt", a="searched", b="searched", direction="higher",
        headline=True,
    ),
]  # fmt: skip

TRUTH = [
    _claim(
        "geometry-over-paint",
        "A mask keeps more at edges of geometry than at edges that are only painted.",
        f"{SEES}: edges that are important for geometry; the test is ours",
        0.1,
        "under a tenth one would not see it in a picture",
        metric="geometry", metric_b="paint", a="places", b="places", direction="higher", headline=True,
    ),
    _claim(
        "geometry-over-paint-matched",
        "It does so, too, at edges that are as strong in the image.",
        f"{SEES}: edges that are important for geometry; the test is ours",
        0.1,
        "else the mask would follow contrast, which geometry has more of",
        metric="matched", metric_b="paint", a="places", b="places", direction="higher", headline=True,
    ),
    _claim(
        "small-things-inside",
        "A mask keeps more inside small things than inside large surfaces.",
        f"{SEES}: not only outlines but the inside of single things; the test is ours",
        0.1,
        "under a tenth one would not see it in a picture",
        metric="small", metric_b="large", a="places", b="places", direction="higher", headline=True,
    ),
    _claim(
        "vanishing-point-outdoors",
        "On roads a mask keeps more around the vanishing point than further away.",
        f"{SEES}: the region around the vanishing point; the test is ours",
        0.25,
        "what is called a region of its own should be a quarter denser",
        variant="mask-roads", metric="ring_0", metric_b="ring_3", a="vanishing", b="vanishing",
        direction="higher",
    ),
    _claim(
        "vanishing-point-is-followed",
        "On roads a mask keeps more around the vanishing point of its image than the mask of another image "
        "does at the same place.",
        f"{OURS}: else the mask would prefer a part of the image, whatever is there",
        0.05,
        "vanishing points lie close together, so that little of the difference can be left",
        variant="mask-roads", metric="ring_0", metric_b="other_0", a="vanishing", b="vanishing",
        direction="higher",
    ),
    _claim(
        "vanishing-point-not-indoors",
        "On roads the vanishing point is preferred more than in rooms.",
        f"{SEES}, which says it of roads alone; the test is ours",
        0.25,
        "as outdoors",
        variant="mask-roads", metric="ring_0", metric_b="ring_3", a="vanishing", b="vanishing",
        direction="higher", less=("mask-lambda2-rooms", "mask-lambda2-rooms"),
    ),
    _claim(
        "hiding-moves-the-answer",
        "Where a mask keeps more, hiding a patch of the image moves the answer more.",
        f"{OURS}: what the mask says should be so",
        0.2,
        "a rank correlation under a fifth is not seen among 48 patches",
        metric="correlation", a="patches@learnt", b="", relative=False, direction="higher", headline=True,
    ),
    _claim(
        "mask-knows-more-than-edges",
        "The mask foretells better than edges do where hiding a patch moves the answer.",
        f"{OURS}: else the mask would say no more than the image",
        0.05,
        "a quarter of what counts at all",
        metric="correlation", a="patches@learnt", b="patches@edges", relative=False, direction="higher",
        headline=True,
    ),
    _claim(
        "kept-paint-matters",
        "Other surfaces in the tenth that a mask keeps first move the answer more than in one drawn by lot.",
        f"{OURS}: change what the mask says matters",
        0.25,
        "a quarter more is seen",
        metric="moved", a="repainted@learnt", b="repainted@random", direction="higher", headline=True,
    ),
    _claim(
        "dropped-paint-does-not",
        "Other surfaces in the tenth that a mask drops first move the answer less than in one drawn by lot.",
        f"{OURS}: change what the mask says does not matter",
        0.25,
        "a quarter less is seen",
        metric="moved", a="repainted@least", b="repainted@random", headline=True,
    ),
    _claim(
        "contact-is-kept",
        "A mask keeps more where things stand on the floor than at other edges of geometry.",
        f"{OURS}: there the floor says how far they are",
        0.1,
        "under a tenth one would not see it in a picture",
        metric="contact", metric_b="geometry", a="places", b="places", direction="higher", headline=True,
    ),
    _claim(
        "contact-matters",
        "Hiding where things stand on the floor moves the answer more than hiding the same shape beside it.",
        f"{OURS}: change ground contact",
        0.1,
        "under a tenth contact would be a place like others",
        metric="contact", metric_b="beside", a="hidden", b="hidden", direction="higher", headline=True,
    ),
    _claim(
        "horizon-matters",
        "On roads, hiding the rows of the horizon moves the answer more than as many rows above them.",
        f"{OURS}: change the horizon",
        0.1,
        "under a tenth the horizon would be rows like others",
        variant="mask-roads", metric="horizon", metric_b="above", a="hidden", b="hidden", direction="higher",
    ),
]  # fmt: skip
CLAIMS = NETWORKS + MASKS + TRUTH

SAME = "the same"
MINUTES = "a run takes minutes on one core"


def _rows(masks: bool) -> Any:
    """What makes rows of one kind of run: a value for the small networks, and one for those of the paper's
    size; ``exceptions`` says which of these, ``others`` which small ones, by a part of their name between
    hyphens, have another one, and ``exact`` says it of whole names.
    """

    def of_kind(variants: Any) -> list[str]:
        return [name for name, each in variants.items() if isinstance(each, MaskSettings) == masks]

    def row(
        name: str, paper: str, place: str, usual: str, paper_sized: str = SAME, why: str = "",
        exceptions: Any = None, exact: Any = None, **others: str,
    ) -> HyperParameter:  # fmt: skip
        here = dict.fromkeys(of_kind(FULL), paper_sized) | dict.fromkeys(of_kind(LAPTOP), usual)
        for variants, changes in ((LAPTOP, others), (FULL, exceptions or {})):
            for word, value in changes.items():
                here |= {v: value for v in of_kind(variants) if word in v.split("-")}
        return HyperParameter(name, paper, place, here | (exact or {}), why)

    return row


_n, _g = _rows(masks=False), _rows(masks=True)
SMALL_IMAGE, ALL_IMAGES = "96x128", "50,688 images of NYU"
HYPERPARAMETERS = [
    _n(
        "input (rows x columns)", "228x304, the centre of 240x320", "code", SMALL_IMAGE,
        "228x304, anywhere in 240x320", roads="64x192", why=MINUTES,
    ),
    _n("output (rows x columns)", "half of the input", "code", SAME),
    _n(
        "encoder", "ResNet-50, DenseNet-161, SENet-154", "code", "ResNet-18, 24 channels where it has 64",
        "ResNet-50", densenet="DenseNet, 27 layers of 24 channels", senet="SENet, 9 blocks",
        exceptions={"densenet": "DenseNet-161", "senet": "SENet-154"}, why=MINUTES,
    ),
    _n(
        "encoder starts from", "ImageNet", "code", "random (He)", "ImageNet",
        why="those weights are not part of this repository; with them the fit is tested by name and shape",
    ),
    _n("output starts at", "about 0 m", "code", "the mean depth", "the mean depth", why="few steps"),
    _n("MFF: channels", "4 x 16", "code", "4 x 4", why=MINUTES),
    _n(
        "loss", "depth, slopes, normals; alpha 0.5; weights 1", "code", SAME, depth="depth",
        slopes="depth, slopes", normals="depth, normals",
    ),
    _n("border of the slopes", "zeros", "code", SAME, borderless="none", why="it is a fake edge"),
    _n("optimiser", "Adam, weight decay 0.0001", "code", SAME),
    _n("rate", "0.0001", "code", "0.002", why="from random weights and in minutes"),
    _n(
        "schedule", "divided by 10 after 5, 10 and 15 of 20 epochs", "code",
        "20 steps up, half a cosine down", why="so few steps have to end calmly",
    ),
    _n("batch", "8 on one device, 64 on eight", "code", "8", "8"),
    _n("steps", "20 epochs of 6,336", "code", f"{1400:,}", f"{126_720:,}", why=MINUTES),
    _n(
        "training images", ALL_IMAGES, "code", "1,000 rooms", "50,688, evenly spread over what is there",
        roads="1,000 roads", redkitchen="the first 60 % of a video", why="none but synthetic ones come along",
    ),
    _n("turned by", "5 degrees", "code", SAME, roads="none", why="cars do not roll"),
    _n("mirror image", "0.5", "code", SAME),
    _n(
        "other colours", "brightness, contrast, saturation 1 +- 0.4; noise of lighting 0.1", "code",
        "each channel times 0.8 to 1.2", why="as in the chapters before",
    ),
    _n(
        "numbers of the convolutions in training", "32 bits", "code", "16 bits (bfloat16)",
        why="a run takes two thirds of the time; weights and scores have 32 bits",
    ),
]  # fmt: skip
"""The table "paper against here" of the depth networks."""
HYPERPARAMETERS_MASK = [
    _g(
        "predictor", "DRN-D-22, three up-projections: 25,259,761 parameters", "code",
        "the same with a quarter of the channels and fewer: a light one", why=MINUTES,
    ),
    _g("its encoder starts from", "ImageNet", "code", "random (He)", "ImageNet",
       why="those weights are not part of this repository"),
    _g(
        "what it looks into", "the released networks, which saw NYU", "code",
        "our small network, ResNet encoder", "ResNet-50, trained before",
        densenet="the same with DenseNet", senet="the same with SENet", depth="trained with depth alone",
        slopes="trained with depth and slopes", normals="trained with depth and normals",
        eigen="the coarse and fine network of Eigen et al.", laina="Laina's network, up-projections",
        unet="the U-Net", transfer="the U-Net behind a pretrained encoder",
        monodepth2="Monodepth2's network, taught by a right eye",
        exceptions={"densenet": "DenseNet-161, trained before", "senet": "SENet-154, trained before"},
        why="the released weights are not part of this repository; with them the command is the same",
    ),
    _g(
        "price of a mask, lambda", "5", "code", "2", exceptions={f"lambda{n}": str(n) for n in LAMBDAS},
        **{f"lambda{n}": str(n) for n in LAMBDAS},
        why="at 5 our masks draw", exact={"mask-rooms": SAME},
    ),
    _g("a removed pixel is", "the mean colour", "code", SAME, black="black", blur="the blurred image",
       other="another image of the batch"),
    _g("difference of two answers", "that of the depth network's loss, border and all", "code", SAME),
    _g("optimiser", "Adam, weight decay 0.0001", "code", SAME),
    _g("rate", "0.0001, all the way", "code", "0.002; 20 steps up, half a cosine down",
       why="from random weights and in minutes"),
    _g("batch", "8 on one device, 64 on eight", "code", "8", "8"),
    _g("steps", "10 epochs of 6,336", "code", f"{800:,}", f"{63_360:,}", rooms=f"{800:,}", why=MINUTES,
       exceptions={"rooms": f"{10_000:,}"}),
    _g("training images", ALL_IMAGES, "code", "1,000 rooms", "50,688, evenly spread over what is there",
       roads="1,000 roads", redkitchen="the first 60 % of a video", why="none but synthetic ones come along"),
    _g("turned, mirrored, recoloured", "as the depth network's", "code", SAME),
    _g(
        "numbers of the convolutions in training", "32 bits", "code", "16 bits (bfloat16)",
        why="a run takes two thirds of the time; weights and scores have 32 bits",
    ),
]  # fmt: skip
"""The same of the mask predictors."""
