#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Trains the network of the MNIST workload and writes it as ONNX.

    bench/fhe-benchmark/model/train.py --dataset DIR                train on all 60,000 images, export, measure
    bench/fhe-benchmark/model/train.py --dataset DIR --validate     train on 50,000, measure on the other 10,000
    bench/fhe-benchmark/model/train.py --dataset DIR --evaluate     measure the ONNX file on the test images

DIR holds the four IDX files of MNIST (train-images-idx3-ubyte.gz and so on). The network sees what client_preprocess_input
makes of an image: the means of 2x2 pixels after two pixels at each border are cut off, 12x12 numbers in [0, 1]. Its only
non-linearity is a square: linear, square, linear is a multiplicative depth of 3. Progress goes to standard error, one
JSON object to standard output.
"""
import argparse
import gzip
import json
import math
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

HERE = Path(__file__).resolve().parent
NETWORK = HERE / "mnist.onnx"
CUT, POOL = 2, 2
VALIDATION_IMAGES = 10_000
BATCH = 256
VARIANTS = 8


def say(text):
    print(text, file=sys.stderr, flush=True)


# ---------------------------------------------------------------------------------------------------- data

def read_idx(path):
    """An IDX file (gzip) of unsigned bytes as a NumPy array; raises ValueError when it is something else."""
    raw = gzip.decompress(path.read_bytes())
    if raw[:3] != b"\x00\x00\x08":
        raise ValueError(f"{path} is not an IDX file of unsigned bytes")
    dimensions = np.frombuffer(raw, ">u4", raw[3], 4).astype(int)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(dimensions)


def load(split, dataset):
    """Images [n, 1, 28, 28] in [0, 1], labels [n]; split is "train" or "t10k"."""
    pixels = read_idx(dataset / f"{split}-images-idx3-ubyte.gz").astype(np.float32) / 255
    labels = read_idx(dataset / f"{split}-labels-idx1-ubyte.gz").astype(np.int64)
    return torch.from_numpy(pixels).unsqueeze(1), torch.from_numpy(labels)


def reduce(images):
    """What client_preprocess_input does: [n, 1, 28, 28] to [n, 1, 12, 12]."""
    return F.avg_pool2d(images[:, :, CUT:28 - CUT, CUT:28 - CUT], POOL)


def distorted(images):
    """Each image turned by up to 12 degrees, scaled by up to 12 %, sheared and shifted a little."""
    n = len(images)
    angle = (torch.rand(n) * 2 - 1) * math.radians(12)
    scale = 1 + (torch.rand(n, 2) * 2 - 1) * 0.12
    shear = (torch.rand(n) * 2 - 1) * 0.15
    shift = (torch.rand(n, 2) * 2 - 1) * (1.5 / 14)
    cosine, sine = torch.cos(angle), torch.sin(angle)
    row0 = torch.stack([scale[:, 0] * cosine, -sine + shear, shift[:, 0]], 1)
    row1 = torch.stack([sine, scale[:, 1] * cosine, shift[:, 1]], 1)
    grid = F.affine_grid(torch.stack([row0, row1], 1), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, align_corners=False)


def reduced_variants(images, count):
    """[count + 1, n, 1, h, w] in 8 bits: the images as they are, then distorted ones."""
    kinds = []
    for kind in range(count + 1):
        parts = [reduce(distorted(part) if kind else part) for part in images.split(5000)]
        kinds.append((torch.cat(parts) * 255).round().to(torch.uint8))
    return torch.stack(kinds)


# ------------------------------------------------------------------------------------------------- network

class Square(nn.Module):
    def forward(self, x):
        return x * x


class DigitNet(nn.Sequential):
    def __init__(self, side, hidden):
        super().__init__()
        self.flatten = nn.Flatten()
        self.dense1 = nn.Linear(side * side, hidden, bias=False)
        self.norm = nn.BatchNorm1d(hidden)
        self.square = Square()
        self.dense2 = nn.Linear(hidden, 10)


def folded(model):
    """The same network with its batch norm in the first layer."""
    scale = model.norm.weight / torch.sqrt(model.norm.running_var + model.norm.eps)
    dense = nn.Linear(model.dense1.in_features, model.dense1.out_features)
    dense.weight.data = model.dense1.weight.data * scale[:, None]
    dense.bias.data = model.norm.bias.data - model.norm.running_mean * scale
    return nn.Sequential(nn.Flatten(), dense, Square(), model.dense2).eval()


def correct(model, reduced, labels):
    with torch.no_grad():
        return int((model(reduced).argmax(1) == labels).sum())


# ------------------------------------------------------------------------------------------------ training

def train(kinds, labels, options):
    """Adam with a one-cycle rate; the weights are the mean over the last fifth of the epochs."""
    n = len(labels)
    model = DigitNet(kinds.shape[-1], options.hidden)
    steps = (n + BATCH - 1) // BATCH * options.epochs
    optimiser = torch.optim.AdamW(model.parameters(), lr=options.rate, weight_decay=options.decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, options.rate, total_steps=steps, pct_start=0.1)
    average, first_averaged = torch.optim.swa_utils.AveragedModel(model), int(options.epochs * 0.8)
    for epoch in range(options.epochs):
        model.train()
        start, total = time.monotonic(), 0.0
        for chosen in torch.randperm(n).split(BATCH):
            inputs = kinds[torch.randint(0, len(kinds), (len(chosen),)), chosen].float() / 255
            loss = F.cross_entropy(model(inputs), labels[chosen], label_smoothing=options.smoothing)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.item() * len(chosen)
        if epoch >= first_averaged:
            average.update_parameters(model)
        say(f"epoch {epoch + 1}: loss {total / n:.4f}, {time.monotonic() - start:.1f} s")
    torch.optim.swa_utils.update_bn((kinds[0, part].float() / 255 for part in torch.arange(n).split(1000)), average)
    return average.module.eval()


def export(model, path, side):
    torch.onnx.export(folded(model), torch.zeros(1, 1, side, side), str(path), input_names=["image"],
                      output_names=["logits"], dynamic_axes={"image": {0: "n"}, "logits": {0: "n"}}, opset_version=13)


def onnx_correct(path, reduced, labels):
    """Right answers of the ONNX file, read with nothing but its weights: y = W2 (W1 x + b1)^2 + b2."""
    import onnx
    from onnx import numpy_helper
    weights = {w.name: numpy_helper.to_array(w).astype(np.float64) for w in onnx.load(str(path)).graph.initializer}
    (w1, b1), (w2, b2) = [[weights[n.input[1]], weights[n.input[2]]] for n in onnx.load(str(path)).graph.node
                          if n.op_type == "Gemm"]
    outputs = (reduced.flatten(1).double().numpy() @ w1.T + b1) ** 2 @ w2.T + b2
    return int((outputs.argmax(1) == labels.numpy()).sum())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", type=Path, required=True)
    parser.add_argument("--hidden", type=int, default=48)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--rate", type=float, default=0.01)
    parser.add_argument("--decay", type=float, default=0.01)
    parser.add_argument("--smoothing", type=float, default=0.05)
    parser.add_argument("--variants", type=int, default=VARIANTS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, default=NETWORK)
    parser.add_argument("--validate", action="store_true")
    parser.add_argument("--evaluate", action="store_true")
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    report = {"seed": options.seed, "hidden": options.hidden}
    if not options.evaluate:
        images, labels = load("train", options.dataset)
        used = len(images) - (VALIDATION_IMAGES if options.validate else 0)
        kinds = reduced_variants(images[:used], options.variants)
        say(f"{len(kinds)} kinds of {used} images, {kinds.shape[-1]}x{kinds.shape[-1]}")
        model = train(kinds, labels[:used], options)
        report["training"] = correct(model, kinds[0].float() / 255, labels[:used]) / used
        if options.validate:
            report["validation"] = correct(model, reduce(images[used:]), labels[used:]) / VALIDATION_IMAGES
        else:
            export(model, options.output, kinds.shape[-1])
    if not options.validate:
        images, labels = load("t10k", options.dataset)
        report["test"] = onnx_correct(options.output, reduce(images), labels) / len(labels)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
