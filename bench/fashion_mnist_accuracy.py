#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Accuracy of the bundled network on all 10,000 test images: in the clear, as the polynomial plan, and with simulated
noise.

    bench/fashion_mnist_accuracy.py PACKAGE.tacit     prints one JSON object

The clear network is the ONNX file run by torch (models/fashion_mnist/train.py --evaluate); the other two are
`tacit simulate` with and without --exact. Labels of both are also compared with each other.
"""
import gzip
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
DATASET = Path("/usr/share/datasets/fashion-mnist")
TACIT = ROOT / "build/release/bin/tacit"
TRAIN = ROOT / "models/fashion_mnist/train.py"


def read_idx(name, header):
    return np.frombuffer(gzip.decompress((DATASET / name).read_bytes()), np.uint8, offset=header)


def simulate(package, images, folder, *flags):
    output = folder / "outputs.npy"
    subprocess.run([TACIT, "simulate", package, "--input", images, "--output", output, *flags], check=True)
    return np.load(output)


def main():
    package = Path(sys.argv[1]).resolve()
    preprocessing = json.loads((ROOT / "models/fashion_mnist/preprocessing.json").read_text())
    labels = read_idx("t10k-labels-idx1-ubyte.gz", 8)
    pixels = read_idx("t10k-images-idx3-ubyte.gz", 16).reshape(-1, 1, 28, 28).astype(np.float32)
    tensor = (pixels / preprocessing["scale"] - preprocessing["mean"][0]) / preprocessing["std"][0]
    clear = json.loads(subprocess.run([TRAIN, "--evaluate"], check=True, capture_output=True, text=True).stdout)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.save(folder / "images.npy", tensor.astype(np.float32))
        polynomial = simulate(package, folder / "images.npy", folder, "--exact")
        noisy = simulate(package, folder / "images.npy", folder)
    print(json.dumps({
        "count": len(labels),
        "clear_accuracy": clear["accuracy"],
        "polynomial_accuracy": float((polynomial.argmax(1) == labels).mean()),
        "simulated_accuracy": float((noisy.argmax(1) == labels).mean()),
        "simulated_agreement": float((noisy.argmax(1) == polynomial.argmax(1)).mean()),
        "largest_difference": float(np.abs(noisy - polynomial).max()),
        "largest_output": float(np.abs(polynomial).max()),
    }))


if __name__ == "__main__":
    main()
