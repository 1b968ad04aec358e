"""Times convolutions, batch normalisation with a ReLU, and their gradients in PyTorch, on maps [B, C, T, H, W].

    python3 bench/convolutions.py THREADS RUNS

Reads one layer (ConvLayer of bench/resnet_layers.ts) as JSON from each line of standard input, and answers with one line
of JSON: the median seconds of each kernel.
"""
import json
import statistics
import sys
import time

import torch


def main():
    torch.set_num_threads(int(sys.argv[1]))
    runs = int(sys.argv[2])
    for line in sys.stdin:
        seconds = {name: time_runs(compute, runs) for name, compute in kernels_of(json.loads(line)).items()}
        print(json.dumps(seconds), flush=True)


def kernels_of(layer):
    batch, *extents, channels = layer["x"]
    out, kernel, stride, padding = (layer[key] for key in ("out", "kernel", "stride", "padding"))
    x, weight = torch.randn(batch, channels, *extents), torch.randn(out, channels, *kernel)
    y = torch.nn.functional.conv3d(x, weight, None, stride, padding)
    dy = torch.randn_like(y)
    scale, shift, mean, variance = torch.ones(out), torch.zeros(out), torch.zeros(out), torch.ones(out)

    def gradient(*mask):
        return torch.ops.aten.convolution_backward(
            dy, x, weight, None, stride, padding, (1, 1, 1), False, (0, 0, 0), 1, (*mask, False)
        )

    def normalize():
        z, batch_mean, rstd = torch.native_batch_norm(y, scale, shift, mean, variance, True, 0.1, 1e-5)
        return z.relu_(), batch_mean, rstd

    z, batch_mean, rstd = normalize()

    def normalize_backward():
        dz = torch.ops.aten.threshold_backward(dy, z, 0)
        return torch.ops.aten.native_batch_norm_backward(
            dz, y, scale, mean, variance, batch_mean, rstd, True, 1e-5, (True, True, True)
        )

    return {
        "forward": lambda: torch.nn.functional.conv3d(x, weight, None, stride, padding),
        "gradInput": lambda: gradient(True, False),
        "gradFilter": lambda: gradient(False, True),
        "norm": normalize,
        "normGrad": normalize_backward,
    }


def time_runs(compute, runs):
    compute()
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        compute()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


if __name__ == "__main__":
    with torch.no_grad():
        main()
