#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Accuracy of a bundled network on test images: in the clear, as the polynomial plan, and with simulated noise.

    bench/bundled_accuracy.py models/NAME PACKAGE.tacit [--dataset DIR] [--count N]     prints one JSON object

The clear network is the ONNX file run with torch's functions; the other two are `tacit simulate` with and without
--exact. Labels of both are compared with the clear network's. DIR is what models/NAME/train.py takes; of the test
images the first N are taken or, where they are in the order of their labels, N at equal distances.
"""
import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[1]
TACIT = Path(os.environ.get("TACIT_BIN", ROOT / "build/release/bin")) / "tacit"
sys.path.insert(0, str(ROOT / "models"))
from training.onnx_file import run_onnx  # noqa: E402


def load_recipe(folder):
    """RECIPE of folder/train.py."""
    spec = importlib.util.spec_from_file_location("train", folder / "train.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.RECIPE


def simulate(package, images, folder, *flags):
    output = folder / "outputs.npy"
    subprocess.run([TACIT, "simulate", package, "--input", images, "--output", output, *flags], check=True)
    return np.load(output)


def choose(labels, count):
    """The positions of `count` images (all where it is 0 or more than there are): the first, or, where the labels are
    in order, some at equal distances."""
    count = min(count or len(labels), len(labels))
    in_order = bool((labels[1:] >= labels[:-1]).all())
    return torch.arange(count) * len(labels) // count if in_order else torch.arange(count)


def measure(folder, package, dataset=None, count=0):
    """What main() prints, for the model in `folder` and the images that choose() takes. ValueError without a data
    set."""
    recipe = load_recipe(folder)
    dataset = dataset or recipe.dataset
    if dataset is None:
        raise ValueError(f"{folder.name} needs the folder of its data set")
    images, labels = recipe.load(dataset, "test", json.loads((folder / "preprocessing.json").read_text()))
    chosen = choose(labels, count)
    images, labels = images[chosen], labels[chosen].numpy()
    clear = np.concatenate([values["logits"][1].numpy() for values in run_onnx(folder / f"{folder.name}.onnx", images)])
    with tempfile.TemporaryDirectory() as name:
        temporary = Path(name)
        np.save(temporary / "images.npy", images.numpy())
        polynomial = simulate(package, temporary / "images.npy", temporary, "--exact")
        noisy = simulate(package, temporary / "images.npy", temporary)
    shown = {"count": len(images)}
    for key, outputs in (("clear", clear), ("polynomial", polynomial), ("simulated", noisy)):
        shown[key + "_accuracy"] = float((outputs.argmax(1) == labels).mean())
    for key, outputs in (("polynomial", polynomial), ("simulated", noisy)):
        shown[key + "_agreement"] = float((outputs.argmax(1) == clear.argmax(1)).mean())
        shown[key + "_largest_difference"] = float(np.abs(outputs - clear).max())
    shown["largest_output"] = float(np.abs(clear).max())
    shown["output_range"] = float(clear.max() - clear.min())
    return shown


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="folder of the model")
    parser.add_argument("package", type=Path)
    parser.add_argument("--dataset", type=Path, help="folder of the data set's files (default: the recipe's)")
    parser.add_argument("--count", type=int, default=0, help="how many images (default: all)")
    options = parser.parse_args()
    try:
        print(json.dumps(measure(options.model.resolve(), options.package, options.dataset, options.count)))
    except ValueError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
