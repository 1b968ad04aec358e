"""Times training steps of the official STMixer code under PyTorch, on random input of a given size.

    python3 bench/official_step.py CHECKOUT --config-file F [--batch B] [--height H] [--width W] [--boxes N]
                                   [--warmup K] [--iters K] [--threads N] [--forward] [KEY VALUE ...]

CHECKOUT is a clone of the official repository. Its model, criterion, matcher and optimizer run unmodified, on the CPU.
Needs torch and numpy; bench/official_imports.py stands in for the other packages. Prints one line of JSON, with the
names that `npm run bench:step -- --json` uses.
"""
import argparse
import contextlib
import io
import json
import resource
import sys
import time

import numpy as np
import torch

# The checkout stays as it is.
sys.dont_write_bytecode = True

import official_config  # noqa: E402
import official_imports  # noqa: E402


def main():
    arguments = parse_arguments()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    official_imports.provide_missing_packages()
    sys.path.insert(0, arguments.checkout)
    cfg, ignored = official_config.load(arguments.config_file, arguments.overrides)
    model = build_model(cfg)
    batch = random_batch(cfg, arguments)
    clock = PartClock(model)
    if arguments.forward:
        step = forward_step(model, batch, clock)
    else:
        model.train()
        if cfg.MODEL.BACKBONE.FROZEN_BN:
            freeze_norms(model)
        step = training_step(model, make_optimizer(cfg, model), batch, clock)

    matmul = matmul_rate()
    steps = [step() for _ in range(arguments.warmup + arguments.iters)]
    timed = steps[arguments.warmup :]
    seconds = [sum(parts.values()) for parts, _ in timed]
    print(json.dumps({
        "engine": f"PyTorch {torch.__version__}",
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "config": arguments.config_file,
        "shape": [arguments.batch, cfg.DATA.NUM_FRAMES, arguments.height, arguments.width],
        "seconds": seconds,
        "min_seconds": min(seconds),
        "median_seconds": median(seconds),
        "part_seconds": {name: median([parts[name] for parts, _ in timed]) for name in timed[0][0]},
        "first_seconds": sum(steps[0][0].values()),
        "matmul_gflop_per_second": matmul,
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "losses": timed[-1][1],
        "ignored_keys": ignored,
    }))


def parse_arguments(parser=None):
    """Reads the flags above, and those that `parser` has already."""
    parser = parser or argparse.ArgumentParser(description="Times training steps of the official STMixer code.")
    parser.add_argument("checkout")
    parser.add_argument("--config-file", required=True)
    parser.add_argument("--batch", type=int, default=1, help="clips")
    parser.add_argument("--height", type=int, default=256)
    parser.add_argument("--width", type=int, default=352)
    parser.add_argument("--boxes", type=int, default=2, help="boxes per clip")
    parser.add_argument("--warmup", type=int, default=1, help="steps before the timed ones")
    parser.add_argument("--iters", type=int, default=3, help="timed steps")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--forward", action="store_true", help="time forward passes in evaluation mode, without gradients")
    parser.add_argument("overrides", nargs="*", metavar="KEY VALUE")
    arguments = parser.parse_intermixed_args()
    if len(arguments.overrides) % 2:
        parser.error("overrides are pairs of a key and a value")
    return arguments


def build_model(cfg, device="cpu"):
    from alphaction.modeling.detector import build_detection_model
    from alphaction.modeling.stm_decoder.stm_decoder import AdaptiveSTSamplingMixing

    # The official code reads this name, which it does not set, if SPATIAL_POINTS is a square number.
    AdaptiveSTSamplingMixing.in_points = property(lambda self: self.spatial_points)
    model = build_detection_model(cfg)
    # The official code creates its targets and first boxes on "cuda".
    for module in model.modules():
        if hasattr(module, "device"):
            module.device = torch.device(device)
    return model.to(device)


def make_optimizer(cfg, model):
    from alphaction import solver

    # The official code prints the names of all parameters.
    with contextlib.redirect_stdout(io.StringIO()):
        return solver.make_optimizer(cfg, model)


def freeze_norms(model):
    """Puts the batch norms into evaluation mode, as alphaction/engine/trainer.py does."""
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm3d):
            module.eval()


def random_batch(cfg, arguments):
    """The model's inputs: noise, and random boxes and actions, as bench/random_batch.ts makes them."""
    rng = np.random.default_rng(1)
    clips, height, width, boxes = arguments.batch, arguments.height, arguments.width, arguments.boxes
    video = torch.empty(clips, 3, cfg.DATA.NUM_FRAMES, height, width).uniform_(-2, 2)
    whwh = torch.tensor([[width, height, width, height]] * clips, dtype=torch.float32)
    corners = [rng.uniform(0, [0.6 * width, 0.5 * height], (boxes, 2)) for _ in range(clips)]
    size = [0.3 * width, 0.5 * height]
    targets = [np.concatenate([corner, corner + size], 1).astype(np.float32) for corner in corners]
    classes = cfg.MODEL.STM.ACTION_CLASSES
    labels = [(rng.uniform(size=(boxes, classes)) < 0.05).astype(np.int32) for _ in range(clips)]
    if cfg.MODEL.BACKBONE.PATHWAYS == 1:
        return video, None, whwh, targets, labels
    frames = cfg.DATA.NUM_FRAMES
    slow = torch.linspace(0, frames - 1, frames // cfg.SLOWFAST.ALPHA).long()
    return video[:, :, slow].contiguous(), video, whwh, targets, labels


class PartClock:
    """Notes when a step passes the borders between backbone, neck and decoder, forward and backward."""

    def __init__(self, model):
        self.times = {}
        model.backbone.register_forward_hook(lambda _, __, features: self.at_border("backbone", features))
        model.stm_head.register_forward_pre_hook(lambda _, inputs: self.at_border("neck", inputs[0]))

    def start(self):
        self.times = {"start": time.perf_counter()}

    def mark(self, name):
        # Several tensors cross a border; the part ends with the first gradient.
        self.times.setdefault(name, time.perf_counter())

    def at_border(self, part, features):
        self.mark(f"{part} forward")
        for feature in features:
            if feature.requires_grad:
                feature.register_hook(lambda _: self.mark(f"after {part} backward"))

    def between(self, begin, end):
        return self.times[end] - self.times[begin]


def training_step(model, optimizer, batch, clock):
    """A function that runs one step of alphaction/engine/trainer.py and returns its seconds by part, and the losses."""

    def step():
        clock.start()
        losses = model(*batch)
        total = sum(losses.values()) / len(losses)
        clock.mark("loss")
        optimizer.zero_grad()
        clock.mark("zeroed")
        total.backward()
        clock.mark("gradients")
        optimizer.step()
        clock.mark("end")
        between = clock.between
        parts = {
            "backbone": between("start", "backbone forward") + between("after backbone backward", "gradients"),
            "neck": between("backbone forward", "neck forward")
            + between("after neck backward", "after backbone backward"),
            "decoder": between("neck forward", "loss") + between("zeroed", "after neck backward"),
            "optimizer": between("loss", "zeroed") + between("gradients", "end"),
        }
        return parts, {"total": total.item(), **{name: loss.item() for name, loss in losses.items()}}

    return step


def forward_step(model, batch, clock):
    """A function that runs one forward pass as in evaluation and returns its seconds by part."""
    model.eval()

    def step():
        clock.start()
        with torch.no_grad():
            model(*batch)
        clock.mark("end")
        between = clock.between
        parts = {
            "backbone": between("start", "backbone forward"),
            "neck": between("backbone forward", "neck forward"),
            "decoder": between("neck forward", "end"),
        }
        return parts, None

    return step


def median(values):
    return sorted(values)[len(values) // 2]


def matmul_rate():
    """Best GFLOP/s of the product that bench/machine.ts times."""
    rows, inner, columns = 2816, 768, 768
    a, b = torch.ones(rows, inner), torch.ones(inner, columns)
    seconds = []
    for _ in range(16):
        begin = time.perf_counter()
        a @ b
        seconds.append(time.perf_counter() - begin)
    return 2 * rows * inner * columns / min(seconds) / 1e9


if __name__ == "__main__":
    main()
