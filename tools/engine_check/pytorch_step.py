"""Computes the training steps that `stmixer engine check` compares an engine with, by the official code under PyTorch.

    python3 tools/engine_check/pytorch_step.py CHECKOUT > src/engine_check/training_step/pytorch_step.json
    npm run format

CHECKOUT is a clone of the official repository. Needs torch and numpy. Weights and video come from a formula that
src/engine_check/training_step/formula.ts repeats, so the file holds results only. They are those of a run in float64. A
parameter is left out if a run in float32 differs by more than the noise given below: its true gradient is zero, and
Adam divides rounding by rounding.
"""
import contextlib
import io
import itertools
import json
import math
import sys
from pathlib import Path

import numpy as np
import torch

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).parents[2] / "bench"))

import official_config  # noqa: E402
import official_imports  # noqa: E402

SETTINGS = {
    "MODEL.BACKBONE.CONV_BODY": "MAE-ViT-B",
    "MODEL.BACKBONE.PATHWAYS": 1,
    "DATA.NUM_FRAMES": 16,
    "ViT.EMBED_DIM": 24,
    "ViT.DEPTH": 2,
    "ViT.NUM_HEADS": 3,
    "ViT.PRETRAIN_IMG_SIZE": 32,
    "ViT.DROP_PATH_RATE": 0.0,
    "ViT.USE_CHECKPOINT": False,
    "ViT.LAYER_DECAY": 1.0,
    "ViT.WEIGHT_DECAY": 0.05,
    "MODEL.STM.NUM_QUERIES": 5,
    "MODEL.STM.HIDDEN_DIM": 24,
    "MODEL.STM.NUM_STAGES": 2,
    "MODEL.STM.NUM_HEADS": 3,
    "MODEL.STM.DIM_FEEDFORWARD": 40,
    "MODEL.STM.SPATIAL_POINTS": 3,
    "MODEL.STM.TEMPORAL_POINTS": 8,
    "MODEL.STM.OUT_MULTIPLIER": 2,
    "MODEL.STM.N_GROUPS": 4,
    "MODEL.STM.ACTION_CLASSES": 5,
    "MODEL.STM.DROPOUT": 0.0,
    "SOLVER.OPTIMIZING_METHOD": "adamw",
    "SOLVER.BASE_LR": 1e-4,
    "SOLVER.WEIGHT_DECAY": 0.01,
}
# Chosen for wide margins between matchings, and for samples away from the borders of pixels.
SEED, GAIN = 20000, 0.5
STEPS = 5
STEPS_TO_WEIGHTS = 3
HEIGHT, WIDTH = 32, 64
SIZES = [[64, 32], [56, 24]]
BOXES = [
    [[17.5, 11.25, 41.75, 27.5], [6.0, 10.25, 49.0, 21.75], [10.0, 8.5, 37.25, 19.5]],
    [[27.5, 8.25, 48.5, 22.75]],
]
LABELS = [[[0, 1, 1, 0, 1], [1, 0, 0, 1, 0], [1, 1, 0, 1, 0]], [[1, 0, 0, 0, 1]]]
# Relative difference of a run in float32 from one in float64, for losses and gradients that are kept. The change of the
# weights is larger: it is small beside the weights, whose last digit is lost.
NOISE = 3e-5
CHANGE_NOISE = 1e-3
# Least cost by which every matching must be better than any other.
MARGIN = 0.1


def uniform(stream, count):
    """Numbers in [-0.5, 0.5) that are exact in float32: a hash of the stream and the position."""
    with np.errstate(over="ignore"):
        x = np.arange(count, dtype=np.uint32) + np.uint32(SEED + stream) * np.uint32(0x9E3779B9)
        x = (x ^ (x >> np.uint32(16))) * np.uint32(0x7FEB352D)
        x = (x ^ (x >> np.uint32(15))) * np.uint32(0x846CA68B)
        x = x ^ (x >> np.uint32(16))
    return (x >> np.uint32(8)).astype(np.float64) * 2.0**-24 - 0.5


def initial(index, name, shape):
    """The initial value of a parameter, rounded to float32."""
    size = math.prod(shape)
    u = uniform(index + 1, size)
    if len(shape) > 1:
        value = u * (GAIN * math.sqrt(12 / (size / shape[0])))
    elif name.endswith("weight") or name.endswith("iof_tau"):
        value = 1 + 0.4 * u
    else:
        value = 0.4 * u
    return value.astype(np.float32).reshape(shape)


def make_video():
    """[B, T, H, W, 3], zero outside of each clip's size."""
    frames = SETTINGS["DATA.NUM_FRAMES"]
    shape = (len(SIZES), frames, HEIGHT, WIDTH, 3)
    video = 4 * uniform(0, math.prod(shape)).reshape(shape)
    for clip, (width, height) in enumerate(SIZES):
        video[clip, :, height:] = 0
        video[clip, :, :, width:] = 0
    return video


def run(dtype):
    """Trains a model. Returns names, losses, gradient norms, gradients, changes of weights, and the least margin."""
    from alphaction.config import cfg
    from alphaction.modeling.detector import build_detection_model
    from alphaction import solver

    for key, value in SETTINGS.items():
        *sections, name = key.split(".")
        tree = {name: value}
        for section in reversed(sections):
            tree = {section: tree}
        if official_config.merge(cfg, tree):
            sys.exit(f"the official code has no key {key}")
    torch.set_default_dtype(dtype)
    model = build_detection_model(cfg)
    for module in model.modules():
        if hasattr(module, "device"):
            module.device = torch.device("cpu")
    model.to(dtype).train()
    parameters = list(model.named_parameters())
    with torch.no_grad():
        for index, (name, parameter) in enumerate(parameters):
            parameter.copy_(torch.from_numpy(initial(index, name, tuple(parameter.shape))))
    start = [parameter.detach().clone() for _, parameter in parameters]
    with contextlib.redirect_stdout(io.StringIO()):
        optimizer = solver.make_optimizer(cfg, model)
    video = torch.from_numpy(make_video()).to(dtype).permute(0, 4, 1, 2, 3).contiguous()
    whwh = torch.tensor([[w, h, w, h] for w, h in SIZES], dtype=dtype)
    margins = watch_margins()

    losses, norms, gradients, change = [], [], None, None
    for step in range(STEPS):
        terms = model(video, None, whwh, np.array(BOXES, dtype=object), np.array(LABELS, dtype=object))
        total = sum(terms.values()) / len(terms)
        optimizer.zero_grad()
        total.backward()
        found = [parameter.grad.detach().clone().double() for _, parameter in parameters]
        losses.append({"total": total.item(), **{name: term.item() for name, term in terms.items()}})
        norms.append(math.sqrt(sum((gradient**2).sum().item() for gradient in found)))
        gradients = gradients or found
        optimizer.step()
        if step + 1 == STEPS_TO_WEIGHTS:
            change = [(p.detach().double() - s.double()) for (_, p), s in zip(parameters, start)]
    return [name for name, _ in parameters], losses, norms, gradients, change, min(margins)


def watch_margins():
    """Returns a list that will hold, for each matching, how much worse the second best one is than the best."""
    import alphaction.modeling.stm_decoder.util.loss as loss

    margins = []
    solve = loss.linear_sum_assignment

    def watched(cost):
        matrix = np.asarray(cost)
        rows, columns = matrix.shape
        totals = sorted(
            sum(matrix[row, column] for column, row in enumerate(chosen))
            for chosen in itertools.permutations(range(rows), columns)
        )
        margins.append(float(totals[1] - totals[0]))
        return solve(cost)

    loss.linear_sum_assignment = watched
    return margins


def summary(index, values):
    """Norm of a tensor, and its product with a fixed vector."""
    flat = values.flatten().numpy()
    return [float(np.linalg.norm(flat)), float(flat @ uniform(1000 + index, len(flat)))]


def has_zeros(gradient):
    """Whether a part of a gradient is zero. An engine may compute rounding there, which Adam would make a full step."""
    return bool((gradient.abs() <= 1e-6 * gradient.square().mean().sqrt()).any())


def compare(names, exact, rounded, keeps):
    """Summaries of the tensors by name, and the names of those that are mostly rounding or that `keeps` refuses."""
    kept, left_out = {}, []
    for index, name in enumerate(names):
        error = (exact[index] - rounded[index]).norm() / exact[index].norm()
        if keeps(index, error):
            kept[name] = [float(f"{value:.9g}") for value in summary(index, exact[index])]
        else:
            left_out.append(name)
    return {"values": kept, "left_out": left_out}


def main():
    torch.set_num_threads(1)
    official_imports.provide_missing_packages()
    sys.path.insert(0, sys.argv[1])
    names, losses, norms, gradients, change, margin = run(torch.float64)
    _, losses32, norms32, gradients32, change32, margin32 = run(torch.float32)
    worst = max(abs(a[k] - b[k]) / abs(a[k]) for a, b in zip(losses, losses32) for k in a)
    print(f"margin {margin:.3g} {margin32:.3g}, losses differ by {worst:.2g}, norms by "
          f"{max(abs(a - b) / a for a, b in zip(norms, norms32)):.2g}", file=sys.stderr)
    if min(margin, margin32) < MARGIN or worst > NOISE:
        sys.exit("a matching may change, or a loss is mostly rounding: change SETTINGS or BOXES")
    json.dump({
        "torch": torch.__version__.split("+")[0],
        "settings": SETTINGS,
        "height": HEIGHT,
        "width": WIDTH,
        "sizes": SIZES,
        "boxes": BOXES,
        "labels": LABELS,
        "losses": losses,
        "grad_norms": norms,
        "gradients": compare(names, gradients, gradients32, lambda _, error: error <= NOISE),
        "change_after": STEPS_TO_WEIGHTS,
        "change": compare(
            names, change, change32,
            lambda index, error: error <= CHANGE_NOISE and not has_zeros(gradients[index]),
        ),
    }, sys.stdout)
    print()


if __name__ == "__main__":
    main()
