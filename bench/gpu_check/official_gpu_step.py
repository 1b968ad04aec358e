"""Times training steps of the official STMixer code under PyTorch on a GPU, on random input of a given size.

    python3 bench/gpu_check/official_gpu_step.py CHECKOUT --mode MODE --config-file F [--device D]
                                                 [flags of bench/official_step.py] [KEY VALUE ...]

MODE is `eager float32`, `eager bfloat16` (autocast) or `compiled bfloat16` (autocast and torch.compile). Losses are computed
in float32, as is usual with autocast. Prints one line of JSON.
"""
import argparse
import json
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import official_config  # noqa: E402
import official_imports  # noqa: E402
import official_step  # noqa: E402

MODES = ["eager float32", "eager bfloat16", "compiled bfloat16"]


def main():
    parser = argparse.ArgumentParser(description="Times training steps of the official STMixer code on a GPU.")
    parser.add_argument("--mode", choices=MODES, required=True)
    parser.add_argument("--device", default="cuda")
    arguments = official_step.parse_arguments(parser)
    torch.manual_seed(0)
    official_imports.provide_missing_packages()
    sys.path.insert(0, arguments.checkout)
    cfg, ignored = official_config.load(arguments.config_file, arguments.overrides)
    # Random numbers of the input are drawn on the CPU.
    batch = move(official_step.random_batch(cfg, arguments), arguments.device)
    model = official_step.build_model(cfg, arguments.device).train()
    optimizer = official_step.make_optimizer(cfg, model)
    compiled = "nothing"
    if arguments.mode == MODES[0]:
        step = training_step(model, optimizer, batch, arguments)
    else:
        compute_losses_in_float32(model, arguments.device)
        step = training_step(model, optimizer, batch, arguments)
    if arguments.mode == MODES[2]:
        step, compiled = compiled_step(model, optimizer, batch, arguments)

    steps = [timed(step, arguments.device) for _ in range(arguments.warmup + arguments.iters)]
    seconds = [duration for duration, _ in steps[arguments.warmup :]]
    is_gpu = arguments.device.startswith("cuda")
    print(json.dumps({
        "engine": f"PyTorch {torch.__version__}",
        "gpu": torch.cuda.get_device_name() if is_gpu else None,
        "mode": arguments.mode,
        "compiled": compiled,
        "config": arguments.config_file,
        "shape": [arguments.batch, cfg.DATA.NUM_FRAMES, arguments.height, arguments.width],
        "seconds": seconds,
        "min_seconds": min(seconds),
        "median_seconds": official_step.median(seconds),
        "first_seconds": steps[0][0],
        "gpu_bytes": torch.cuda.max_memory_reserved() if is_gpu else None,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "loss": steps[-1][1],
        "ignored_keys": ignored,
    }))


def training_step(model, optimizer, batch, arguments):
    """A function that runs one step of alphaction/engine/trainer.py, and returns the loss."""
    is_autocast = arguments.mode != MODES[0]

    def step():
        device_type = torch.device(arguments.device).type
        with torch.autocast(device_type, dtype=torch.bfloat16, enabled=is_autocast):
            losses = model(*batch)
            total = sum(losses.values()) / len(losses)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        return total.item()

    return step


def compiled_step(model, optimizer, batch, arguments):
    """The step of the whole compiled model, or of all but the criterion if that fails; and which of the two it is."""
    step = training_step(torch.compile(model), optimizer, batch, arguments)
    try:
        step()
        return step, "the model with the criterion"
    except Exception as error:  # The compiler has errors of many classes.
        print(f"torch.compile fails on the whole model: {error}", file=sys.stderr)
    torch._dynamo.reset()
    criterion = model.stm_head.criterion
    criterion.forward = torch.compiler.disable(criterion.forward)
    step = training_step(torch.compile(model), optimizer, batch, arguments)
    step()
    return step, "the model without the criterion"


def compute_losses_in_float32(model, device):
    """Turns autocast off in the criterion, which has losses that autocast does not support."""
    criterion = model.stm_head.criterion
    forward = criterion.forward

    def in_float32(*inputs, **named):
        with torch.autocast(torch.device(device).type, enabled=False):
            return forward(*to_float32(inputs), **to_float32(named))

    criterion.forward = in_float32


def to_float32(value):
    return convert(value, lambda x: x.float() if x.is_floating_point() else x)


def move(value, device):
    return convert(value, lambda x: x.to(device))


def convert(value, function):
    """Applies a function to the tensors in lists, tuples and dictionaries."""
    if torch.is_tensor(value):
        return function(value)
    if isinstance(value, (list, tuple)):
        return type(value)(convert(item, function) for item in value)
    if isinstance(value, dict):
        return {key: convert(item, function) for key, item in value.items()}
    return value


def timed(step, device):
    """Seconds of a step, with all work on the GPU, and what it returns."""
    wait(device)
    begin = time.perf_counter()
    result = step()
    wait(device)
    return time.perf_counter() - begin, result


def wait(device):
    if device.startswith("cuda"):
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
