"""Masks of Hu et al. 2019, predicted and sought; multi-scale fusion without its large maps beside the plain
one; and where the time of a training step of the mask predictor goes.

    python benchmarks/hu.py [--threads 1 2] [--turns N] [--write]

All weights are random: a time does not depend on them. Everything has 32 bits but what is called "bf16": the
networks computed in 16 bits, what stands around them in 32.

- **prediction**: the mask of one image of 228 x 304 by the paper's predictor and by the light one, contiguous
  and channels-last. ``speedup`` is over the same predictor contiguous in 32 bits, ``faster_than_paper`` over
  the paper's predictor in the same form; ``products`` are multiply-adds. ``largest_difference`` is that from
  the mask of the contiguous form; goal: at most 1e-5 in 32 bits. The predictors are trained contiguous.
- **search**: a mask of one image sought pixel by pixel, in 200 steps, through the small network of the rooms
  and through the paper's with ResNet-50, both channels-last, as they are looked into. Of the large one a few
  steps only are timed (``timed_steps``), and ``sought_ms`` is worked out from them: ``step_ms`` for every
  step, and what is done once. ``speedup`` is the search over one prediction for the same image, contiguous.
  That a predictor has to be trained first is in neither.
- **fusion**: MFF and the whole network with ResNet-50, plain and fast, with the same weights. "Forward" is in
  evaluation mode without gradients, "training" is forward and backward in training mode, without an
  optimiser's step. ``peak_mb`` is that of all tensors that live at once beyond weights and input, gradients
  included, and ``largest_mb`` the largest single one that the forward pass makes. ``largest_difference`` is
  that of the outputs in evaluation mode, as a share of the largest; goal: at most 1e-5.
- **step**: one training step of the light predictor, G, for the small network of the rooms, N, with the batch
  of the reference runs, which are computed in "bf16"; G contiguous, N channels-last. N looks twice, at the
  whole image and at the masked one, and no gradient goes to its weights. Adam's rate is 0. Rows of single
  parts follow; ``G_share`` and ``N_share`` sum them up, and what is in neither is the loss.
"""

import argparse
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from harness import best_seconds, report
from monodepth2 import FORMS, Form, Stopwatch, peak_mb
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from mdepth.losses import hu_loss
from mdepth.masks import answer, find_mask, frozen, predict_mask, remove
from mdepth.models import DepthNetwork, build, count_parameters
from mdepth.models.hu import Hu, MultiScaleFusion
from mdepth.models.hu_masks import MASK_PREDICTORS, MaskPredictor, mask_predictor
from mdepth.recipes.hu import mask_loss
from mdepth.recipes.hu_settings import MASK

Row = dict[str, Any]

SIZE = (228, 304)
STEPS = 200
SEARCHES = {"hu-resnet18-rooms": STEPS, "hu-resnet50": 4}
"""Network -> steps of a search that are timed."""
TURNS = 5
MORE = 2  # times as many turns for what takes a moment
PREDICTING = FORMS | {"bf16, contiguous": Form(torch.contiguous_format, bf16=True)}
"""The forms of a predictor; "bf16" alone is channels-last."""


def predict(predictor: MaskPredictor, seen: Tensor, form: Form) -> Tensor:
    """The mask of an image; the predictor has the form's layout already."""
    with torch.autocast("cpu", torch.bfloat16, enabled=form.bf16):
        return predict_mask(predictor, seen).float()


def measure_prediction(predictors: dict[str, MaskPredictor], seen: Tensor, turns: int) -> list[Row]:
    """Rows of each predictor in each form; the first predictor is the paper's, the first form that of 32 bits
    and contiguous.
    """
    calls: dict[Any, Callable[[], Tensor]] = {}
    products = {}
    for name, predictor in predictors.items():
        with FlopCounterMode(display=False) as counter:
            predict_mask(predictor, seen)
        products[name] = counter.get_total_flops() / 2
        for key, form in PREDICTING.items():
            laid_out = deepcopy(predictor).eval().to(memory_format=form.layout)
            calls[name, key] = partial(predict, laid_out, seen, form)
    masks = {each: call() for each, call in calls.items()}
    best = best_seconds(calls, repeats=MORE * turns)
    paper, first, rows = next(iter(predictors)), next(iter(PREDICTING)), []
    for name, key in calls:
        seconds, apart = best[name, key], (masks[name, key] - masks[name, first]).abs().max()
        rows.append({
            "measured": "prediction", "predictor": name, "form": key, "size": list(seen.shape[-2:]),
            "ms": 1e3 * seconds, "speedup": best[name, first] / seconds,
            "faster_than_paper": best[paper, key] / seconds, "largest_difference": apart.item(),
            "parameters": count_parameters(predictors[name]), "products": products[name],
            "fewer_products": products[paper] / products[name],
        })  # fmt: skip
    return rows


def measure_search(
    name: str, network: DepthNetwork, predictors: dict[str, MaskPredictor], timed: int, turns: int
) -> list[Row]:
    """Rows of a search through a network, each beside a predictor that sees the same image."""
    network = frozen(network).to(memory_format=torch.channels_last)
    seen = network.view(torch.rand(1, 3, *network.image_size))
    calls: dict[str, Any] = {
        "once": partial(find_mask, network, seen, steps=0),  # the answer to the whole image
        "steps": partial(find_mask, network, seen, steps=timed),
        **{each: partial(predict_mask, predictor, seen) for each, predictor in predictors.items()},
    }
    for call in (calls["once"], partial(find_mask, network, seen, steps=1), *list(calls.values())[2:]):
        call()  # the first turn finds nothing in memory
    ms = {each: 1e3 * seconds for each, seconds in best_seconds(calls, repeats=turns).items()}
    step = (ms["steps"] - ms["once"]) / timed
    sought = ms["once"] + STEPS * step
    about = {"measured": "search", "network": name, "size": list(seen.shape[-2:]), "steps": STEPS}
    about |= {"timed_steps": timed, "step_ms": step, "sought_ms": sought}
    return [
        about | {"predictor": each, "predicted_ms": ms[each], "speedup": sought / ms[each]}
        for each in predictors
    ]


def with_plain_fusion(fast: Hu) -> Hu:
    """The same network with the same weights, and MFF as it is written."""
    plain, fusion = deepcopy(fast), fast.fusion
    plain.fusion = MultiScaleFusion(fast.encoder.channels[-4:], fusion.outputs // 4, fast=False)
    plain.fusion.load_state_dict(fusion.state_dict())
    return plain


class Pass:
    """One pass through a module, in training also back to all weights and to those inputs that want it."""

    def __init__(self, module: nn.Module, inputs: list[Tensor] | Tensor, *, training: bool) -> None:
        self.module, self.inputs, self.training = module.train(training), inputs, training
        leaves = [*module.parameters(), *(inputs if isinstance(inputs, list) else [inputs])]
        self.optimiser = torch.optim.SGD(leaves)  # takes no step, only forgets the gradients

    def __call__(self) -> None:
        self.optimiser.zero_grad()
        with torch.set_grad_enabled(self.training):
            output = self.module(self.inputs)
        if self.training:
            output.sum().backward()


class Largest(TorchDispatchMode):
    """Remembers the size of the largest tensor that is made meanwhile; another view of one is none."""

    mb = 0.0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = function(*args, **(kwargs or {}))
        for each in made if isinstance(made, Sequence) else [made]:
            if isinstance(each, Tensor) and not function.is_view:
                self.mb = max(self.mb, each.numel() * each.element_size() / 1e6)
        return made


def measure_fusion(fast: Hu, batch: int, turns: int) -> list[Row]:
    """Rows of MFF and of the whole network, forward and in training, the plain form beside the fast one."""
    forms = {"plain": with_plain_fusion(fast).eval(), "fast": deepcopy(fast).eval()}
    image = fast.normalise(torch.rand(batch, 3, *fast.input_size))
    with torch.no_grad():
        maps = [each.clone() for each in forms["fast"].encoder(image)[-4:]]
    rows = []
    for part, given in (("MFF", maps), ("network", image)):
        modules = {name: form.fusion if part == "MFF" else form for name, form in forms.items()}
        outputs, products, largest = {}, {}, {}
        for name, module in modules.items():
            with torch.no_grad(), Largest() as seen, FlopCounterMode(display=False) as counter:
                outputs[name] = module.eval()(given)
            products[name], largest[f"{name}_largest_mb"] = counter.get_total_flops(), seen.mb
        apart = (outputs["plain"] - outputs["fast"]).abs().max() / outputs["plain"].abs().max()
        for mode in ("forward", "training"):
            training = mode == "training"
            for each in maps:
                each.requires_grad_(training)  # of an image nobody wants a gradient
            passes = {name: Pass(module, given, training=training) for name, module in modules.items()}
            for each in passes.values():
                each()  # the first turn finds nothing in memory
            peaks = {f"{name}_peak_mb": peak_mb(each, "cpu") for name, each in passes.items()}
            ms = {f"{name}_ms": 1e3 * best for name, best in best_seconds(passes, repeats=turns).items()}
            rows.append({
                "measured": "fusion", "part": part, "mode": mode, "batch": batch, **ms,
                "speedup": ms["plain_ms"] / ms["fast_ms"], **peaks,
                "less_memory": peaks["plain_peak_mb"] / peaks["fast_peak_mb"], **largest,
                "fewer_products": products["plain"] / products["fast"], "largest_difference": apart.item(),
            })  # fmt: skip
    return rows


class InBits(nn.Module):
    """A predictor in training, computed in 16 bits or in 32; its masks have 32."""

    def __init__(self, predictor: MaskPredictor, precision: torch.autocast) -> None:
        super().__init__()
        self.predictor, self.precision = deepcopy(predictor).train(), precision

    def forward(self, x: Tensor) -> Tensor:
        with self.precision:
            return self.predictor(x).float()


class MaskStep:
    """A training step of a predictor G for a network N, the recipe's loss and Adam."""

    def __init__(self, predictor: MaskPredictor, network: DepthNetwork, seen: Tensor, *, bf16: bool) -> None:
        self.settings = replace(MASK, precision="bf16-mixed" if bf16 else "32-true")
        self.precision = torch.autocast("cpu", torch.bfloat16, enabled=bf16)
        self.predictor = InBits(predictor, self.precision)
        self.network, self.seen = frozen(network).to(memory_format=torch.channels_last), seen
        self.optimiser = torch.optim.Adam(self.predictor.parameters(), lr=0.0, fused=True)

    def __call__(self) -> None:
        self.optimiser.zero_grad()
        self.loss().backward()
        self.optimiser.step()

    def loss(self) -> Tensor:
        """Forward and loss."""
        batch = {"image": self.seen}
        return mask_loss(self.predictor, batch, network=self.network, settings=self.settings)

    def parts(self) -> dict[str, float]:
        """The whole step in pieces: part -> seconds."""
        watch, network, seen = Stopwatch("cpu"), self.network, self.seen
        self.optimiser.zero_grad()
        with watch.part("G, forward"):
            mask = self.predictor(network.normalise(seen))
        cut = mask.detach().requires_grad_()
        with watch.part("N, whole image"), torch.no_grad(), self.precision:
            target = answer(network, seen)
        with watch.part("N, masked image, forward"), self.precision:
            found = answer(network, remove(seen, cut, self.settings.fill, network.mean))
        depth = found.detach().requires_grad_()
        with watch.part("loss"):
            difference = hu_loss(depth, target, torch.ones_like(target, dtype=torch.bool))
            (difference + self.settings.sparsity * cut.mean()).backward()
        with watch.part("N, masked image, backward"):
            found.backward(depth.grad)
        with watch.part("G, backward"):
            mask.backward(cut.grad)
        with watch.part("G, Adam"):
            self.optimiser.step()
        return watch.seconds


def measure_step(predictor: MaskPredictor, network: DepthNetwork, batch: int, turns: int) -> list[Row]:
    """Rows of a step in both precisions: the whole and its peak memory, and each part; the shortest times."""
    seen = torch.rand(batch, 3, *network.input_size)
    steps = {name: MaskStep(predictor, network, seen, bf16=name == "bf16") for name in ("fp32", "bf16")}
    for step in steps.values():
        step()  # makes Adam's moments, and finds nothing in memory
    peaks = {name: peak_mb(step, "cpu") for name, step in steps.items()}
    whole, rows = best_seconds(steps, repeats=turns), []
    pieces = [{name: step.parts() for name, step in steps.items()} for _ in range(turns)]
    for name in steps:
        best = {part: min(each[name][part] for each in pieces) for part in pieces[0][name]}
        share = {part: seconds / sum(best.values()) for part, seconds in best.items()}
        about = {"measured": "step", "form": name, "batch": batch, "size": list(seen.shape[-2:])}
        sums = {f"{one}_share": sum(each for part, each in share.items() if part[:2] == f"{one},")
                for one in "GN"}  # fmt: skip
        rows.append(about | {"ms": 1e3 * whole[name], "peak_mb": peaks[name], **sums})
        about["measured"] = "part"
        rows += [about | {"part": part, "ms": 1e3 * best[part], "share": share[part]} for part in best]
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, nargs="+", default=[2])
    parser.add_argument("--turns", type=int, default=TURNS, help="how often each thing is timed")
    parser.add_argument("--write", action="store_true", help="write results/benchmarks/hu.json")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    predictors = {name: mask_predictor(name).eval() for name in MASK_PREDICTORS}
    rooms, light, turns = build(MASK.network), predictors[MASK.predictor], arguments.turns
    rows: list[Row] = []
    for threads in arguments.threads:
        torch.set_num_threads(threads)
        found = measure_prediction(predictors, torch.rand(1, 3, *SIZE), turns)
        for name, timed in SEARCHES.items():
            found += measure_search(name, build(name), predictors, timed, turns)
        found += measure_fusion(Hu(), 1, turns)
        found += measure_step(light, rooms, MASK.batch, MORE * turns)
        rows += [row | {"threads": threads} for row in found]
    report("hu", rows, arguments.write)


if __name__ == "__main__":
    main()
