#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Trains the bundled Fashion-MNIST network and writes it as ONNX.

    /usr/bin/python3 models/fashion_mnist/train.py              train on all 60,000 images, export, measure
    /usr/bin/python3 models/fashion_mnist/train.py --validate   train on 50,000, measure on the other 10,000
    /usr/bin/python3 models/fashion_mnist/train.py --evaluate   measure the ONNX file on the test images

The network is made for CKKS: its only non-linearity is a square, so one image costs a multiplicative depth
of 5 (linear, square, linear, square, linear). Progress goes to standard error, one JSON object to standard
output.
"""
import argparse
import gzip
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

HERE = Path(__file__).resolve().parent
DATASET = Path("/usr/share/datasets/fashion-mnist")
PREPROCESSING = json.loads((HERE / "preprocessing.json").read_text())
MEAN, STD, SCALE = PREPROCESSING["mean"][0], PREPROCESSING["std"][0], PREPROCESSING["scale"]
VALIDATION_IMAGES = 10_000
BATCH = 128


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
    """Images [n,1,28,28] float32 after preprocessing, labels [n] int64; split is "train" or "t10k"."""
    pixels = read_idx(dataset / f"{split}-images-idx3-ubyte.gz").astype(np.float32)
    labels = read_idx(dataset / f"{split}-labels-idx1-ubyte.gz").astype(np.int64)
    images = (pixels / SCALE - MEAN) / STD
    return torch.from_numpy(images.astype(np.float32)).unsqueeze(1), torch.from_numpy(labels)


def augment(images, shift):
    """Flips half of the images left-right and shifts each by up to `shift` pixels, filled with background."""
    n, _, height, width = images.shape
    padded = F.pad(images, [shift] * 4, value=-MEAN / STD)
    dy, dx = torch.randint(0, 2 * shift + 1, (2, n, 1))
    columns = torch.arange(width).repeat(n, 1)
    flipped = torch.rand(n) < 0.5
    columns[flipped] = columns[flipped].flip(1)
    rows = (torch.arange(height) + dy)[:, :, None]
    return padded[torch.arange(n)[:, None, None], 0, rows, (columns + dx)[:, None, :]].unsqueeze(1)


# ------------------------------------------------------------------------------------------------- network

class Square(nn.Module):
    def forward(self, x):
        return x * x


class FashionNet(nn.Sequential):
    """linear, square, linear, square, linear. Shapes per image: 1x28x28, 16x14x14, 64x7x7, 64x6x6, 10."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 5, stride=2, padding=2, bias=False)
        self.norm1 = nn.BatchNorm2d(16)
        self.square1 = Square()
        self.conv2 = nn.Conv2d(16, 64, 5, stride=2, padding=2, bias=False)
        self.norm2 = nn.BatchNorm2d(64)
        self.square2 = Square()
        # count_include_pad=True would export a Pad node that adds nothing.
        self.pool = nn.AvgPool2d(2, stride=1, count_include_pad=False)
        self.flatten = nn.Flatten()
        self.classifier = nn.Linear(64 * 6 * 6, 10)


# ------------------------------------------------------------------------------------------------ training

def recalibrate(model, images, shift):
    """Recomputes the batch norms' statistics, which averaging the weights has made stale."""
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    model.train()
    with torch.no_grad():
        for batch in torch.randperm(len(images)).split(500):
            model(augment(images[batch], shift))
    model.eval()


def accuracy(model, images, labels):
    model.eval()
    with torch.no_grad():
        predicted = torch.cat([model(batch).argmax(1) for batch in images.split(500)])
    return (predicted == labels).sum().item() / len(labels)


def train(model, images, labels, options, held_out=None):
    """AdamW with a one-cycle rate; returns the weights averaged over the last 15 % of the epochs."""
    steps = (len(images) + BATCH - 1) // BATCH * options.epochs
    optimiser = torch.optim.AdamW(model.parameters(), lr=options.rate, weight_decay=options.decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, options.rate, total_steps=steps, pct_start=0.15)
    average = torch.optim.swa_utils.AveragedModel(model)
    for epoch in range(1, options.epochs + 1):
        started, total = time.monotonic(), 0.0
        model.train()
        for batch in torch.randperm(len(images)).split(BATCH):
            logits = model(augment(images[batch], options.shift))
            loss = F.cross_entropy(logits, labels[batch], label_smoothing=options.smoothing)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            total += loss.item() * len(batch)
        if epoch > options.epochs * 0.85 or epoch == options.epochs:
            average.update_parameters(model)
        seconds = time.monotonic() - started
        line = f"epoch {epoch}/{options.epochs}  loss {total / len(images):.4f}  {seconds:.1f} s"
        if held_out and epoch % 5 == 0:
            line += f"  validation {accuracy(model, *held_out):.4f}"
        say(line)
    recalibrate(average.module, images, options.shift)
    return average.module


def export(model, path):
    """Opset 13; in evaluation mode the exporter folds each batch norm into the convolution before it."""
    model.eval()
    torch.onnx.export(model, torch.zeros(1, 1, 28, 28), str(path), opset_version=13, input_names=["image"],
                      output_names=["logits"], dynamic_axes={"image": {0: "n"}, "logits": {0: "n"}})


# ---------------------------------------------------------------------------------------------- evaluation

def run_onnx(path, images):
    """Runs the ONNX file node by node; yields for each batch of images the tensors by name."""
    import onnx
    from onnx import helper, numpy_helper
    graph = onnx.load(str(path)).graph
    constants = {t.name: torch.from_numpy(numpy_helper.to_array(t).copy()) for t in graph.initializer}
    for batch in images.split(500):
        values = {**constants, graph.input[0].name: batch}
        for node in graph.node:
            a = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
            x = [values[name] for name in node.input]
            if node.op_type in ("Conv", "AveragePool") and a["pads"][:2] != a["pads"][2:]:
                raise ValueError(f"{node.name}: uneven padding is not supported here")
            if node.op_type == "Conv":
                y = F.conv2d(*x, stride=a["strides"], padding=a["pads"][:2])
            elif node.op_type == "Mul":
                y = x[0] * x[1]
            elif node.op_type == "AveragePool":
                y = F.avg_pool2d(x[0], a["kernel_shape"], a["strides"], a["pads"][:2])
            elif node.op_type == "Flatten":
                y = x[0].flatten(1)
            elif node.op_type == "Gemm" and a["transB"] == 1 and a["alpha"] == a["beta"] == 1:
                y = F.linear(*x)
            else:
                raise ValueError(f"{node.name}: {node.op_type} with these attributes is not supported here")
            values[node.output[0]] = y
        yield {node.output[0]: (node, values[node.output[0]]) for node in graph.node}


def evaluate(path, images, labels):
    """Accuracy, recall and precision per class, confusion matrix, and the range of each layer's values."""
    logits, ranges = [], {}
    for values in run_onnx(path, images):
        logits.append(values["logits"][1])
        for node, value in values.values():
            if node.op_type in ("Conv", "Mul", "Gemm"):
                r = ranges.setdefault(node.name, {"sum": 0.0, "squares": 0.0, "count": 0, "max_abs": 0.0})
                r["sum"] += value.double().sum().item()
                r["squares"] += value.double().square().sum().item()
                r["count"] += value.numel()
                r["max_abs"] = max(r["max_abs"], value.abs().max().item())
    predicted = torch.cat(logits).argmax(1)
    confusion = torch.bincount(labels * 10 + predicted, minlength=100).reshape(10, 10)
    for r in ranges.values():
        mean = r.pop("sum") / r["count"]
        r["std"] = round((r.pop("squares") / r["count"] - mean * mean) ** 0.5, 4)
        r["max_abs"] = round(r["max_abs"], 4)
        r["max_over_std"] = round(r["max_abs"] / max(r["std"], 1e-12), 2)
        del r["count"]
    right = confusion.diagonal()
    per_class = {name: {"recall": round((right[i] / confusion[i].sum()).item(), 4),
                        "precision": round((right[i] / confusion[:, i].sum().clamp(min=1)).item(), 4)}
                 for i, name in enumerate(PREPROCESSING["labels"])}
    return {"count": len(labels), "accuracy": right.sum().item() / len(labels), "per_class": per_class,
            "confusion": confusion.tolist(), "ranges": ranges}


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rate", type=float, default=0.01, help="largest learning rate")
    parser.add_argument("--decay", type=float, default=0.05, help="weight decay")
    parser.add_argument("--smoothing", type=float, default=0.05, help="label smoothing")
    parser.add_argument("--shift", type=int, default=1, help="largest shift of a training image, pixels")
    parser.add_argument("--dataset", type=Path, default=DATASET, help="folder of the four IDX files")
    parser.add_argument("--model", type=Path, default=HERE / "fashion_mnist.onnx", help="the ONNX file")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--validate", action="store_true", help="measure on 10,000 held-out training images")
    mode.add_argument("--evaluate", action="store_true", help="measure the ONNX file, train nothing")
    options = parser.parse_args()
    if options.epochs < 1 or options.threads < 1:
        parser.error("--epochs and --threads must be at least 1")
    if not options.dataset.is_dir():
        parser.error(f"{options.dataset} does not exist: install dataset-fashion-mnist or give --dataset")
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    torch.use_deterministic_algorithms(True)

    if not options.evaluate:
        images, labels = load("train", options.dataset)
        held_out = None
        if options.validate:
            order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
            inside, outside = order[VALIDATION_IMAGES:], order[:VALIDATION_IMAGES]
            held_out = images[outside], labels[outside]
            images, labels = images[inside], labels[inside]
        model = train(FashionNet(), images, labels, options, held_out)
        if options.validate:
            print(json.dumps({"count": VALIDATION_IMAGES, "validation_accuracy": accuracy(model, *held_out)}))
            return
        export(model, options.model)
    print(json.dumps(evaluate(options.model, *load("t10k", options.dataset))))


if __name__ == "__main__":
    main()
