#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What ReLU and max-pooling cost on ciphertexts, by polynomials and by composite signs.

    bench/relu_maxpool.py --dataset DIR [--count N] [--epochs N] [--encrypted N]     prints one JSON object a line

Trains a small network with both on the IDX files of MNIST in DIR, compiles it for each way, and measures it on the first N
test images: labels that are right, labels that agree with the network in the clear, levels and the estimated time of one
image; with --encrypted, the time of so many encrypted runs too.
"""
import argparse
import json
import subprocess
import sys
import tempfile
from argparse import Namespace
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from torch import nn

ROOT = Path(__file__).resolve().parents[1]
TACIT = ROOT / "build/release/bin/tacit"
DESCRIPTION = ROOT / "models/lenet1/preprocessing.json"
sys.path.insert(0, str(ROOT / "models"))
from training.data import load_idx  # noqa: E402
from training.loop import Augmentation, Dense, train  # noqa: E402
from training.onnx_file import export  # noqa: E402

WAYS = {"polynomial": ["--relu", "polynomial"], "sign": ["--relu", "sign"], "automatic": [],
        "client (--refresh)": ["--refresh"]}


def network():
    """Shapes per image: 1x28x28, 4x12x12, 4x6x6, 10."""
    return nn.Sequential(OrderedDict(conv=nn.Conv2d(1, 4, 5, stride=2), relu=nn.ReLU(), pool=nn.MaxPool2d(2),
                                     flatten=nn.Flatten(), classifier=Dense(4 * 6 * 6, 10)))


def run(*arguments):
    done = subprocess.run([TACIT, *arguments], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stderr)
    return done.stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", type=Path, required=True)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--encrypted", type=int, default=0)
    options = parser.parse_args()
    description = json.loads(DESCRIPTION.read_text())
    torch.manual_seed(1)
    torch.set_num_threads(1)
    settings = Namespace(epochs=options.epochs, batch=128, rate=0.01, warm_up=0.15, decay=0.05, decay_all=False,
                         smoothing=0.05, shift=0, seed=1, threads=1, checkpoint=None)
    images, labels = load_idx(options.dataset, "train", description)
    trained = train(network(), images, labels, settings, Augmentation(), None).eval()
    images, labels = (x[:options.count] for x in load_idx(options.dataset, "test", description))
    with torch.no_grad():
        clear = trained(images).argmax(1).numpy()
    labels = labels.numpy()
    print(json.dumps({"way": "in the clear", "accuracy": float((clear == labels).mean())}), flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        export(trained, folder / "network.onnx", images.shape[1:])
        np.save(folder / "images.npy", images.numpy())
        np.save(folder / "few.npy", images[:options.encrypted].numpy())
        for way, flags in WAYS.items():
            report = json.loads(run("compile", folder / "network.onnx", "--calibration", options.dataset,
                                    "--preprocessing", DESCRIPTION, "-o", folder / "network.tacit", "--sample", "0",
                                    "--json", *flags))
            run("simulate", folder / "network.tacit", "--input", folder / "images.npy", "--output", folder / "out.npy")
            found = np.load(folder / "out.npy").argmax(1)
            line = {"way": way, "accuracy": float((found == labels).mean()),
                    "agreement": float((found == clear).mean()), "levels": report["levels"],
                    "ring_degree": report["ring_degree"], "estimated_ms": round(report["estimated_ms"]),
                    "replaced_by": [fit["stages"] or fit["degree"] for fit in report["activations"]]}
            if options.encrypted:
                times = json.loads(run("run", folder / "network.tacit", "--input", folder / "few.npy", "--output",
                                       folder / "out.npy", "--json"))
                line["server_ms"] = round(times["server_ms"])
                line["encrypted_agreement"] = float((np.load(folder / "out.npy").argmax(1) ==
                                                     clear[:options.encrypted]).mean())
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
