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
import sys
from collections import OrderedDict
from pathlib import Path

from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from training.loop import Square  # noqa: E402
from training.program import Recipe, run  # noqa: E402


def network():
    """linear, square, linear, square, linear. Shapes per image: 1x28x28, 16x14x14, 64x7x7, 64x6x6, 10."""
    return nn.Sequential(OrderedDict(
        conv1=nn.Conv2d(1, 16, 5, stride=2, padding=2, bias=False),
        norm1=nn.BatchNorm2d(16),
        square1=Square(),
        conv2=nn.Conv2d(16, 64, 5, stride=2, padding=2, bias=False),
        norm2=nn.BatchNorm2d(64),
        square2=Square(),
        # count_include_pad=True would export a Pad node that adds nothing.
        pool=nn.AvgPool2d(2, stride=1, count_include_pad=False),
        flatten=nn.Flatten(),
        classifier=nn.Linear(64 * 6 * 6, 10)))


RECIPE = Recipe(folder=Path(__file__).resolve().parent, network=network,
                dataset=Path("/usr/share/datasets/fashion-mnist"), flip=True, epochs=30, rate=0.01, decay=0.05,
                decay_all=True, smoothing=0.05, shift=1)

if __name__ == "__main__":
    run(RECIPE, __doc__)
