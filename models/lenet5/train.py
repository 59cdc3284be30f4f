#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Trains LeNet-5 with squares for MNIST and writes it as ONNX.

    /usr/bin/python3 models/lenet5/train.py --dataset DIR              train on all 60,000 images, export, measure
    /usr/bin/python3 models/lenet5/train.py --dataset DIR --validate   train on 50,000, measure on the other 10,000
    /usr/bin/python3 models/lenet5/train.py --dataset DIR --evaluate   measure the ONNX file on the test images

DIR has the four IDX files of MNIST. The layers are those of LeNet-5 (Y. LeCun, L. Bottou, Y. Bengio and P. Haffner,
"Gradient-based learning applied to document recognition", 1998) as it is built today: every map of the second
convolution sees every map of the first, and the last layer is dense. Squares stand where LeNet-5 has sigmoids.
Progress goes to standard error, one JSON object to standard output.
"""
import sys
from collections import OrderedDict
from pathlib import Path

from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from training.loop import Dense, squared  # noqa: E402
from training.program import Recipe, run  # noqa: E402


def network():
    """Shapes per image: 1x28x28, 6x28x28, 6x14x14, 16x10x10, 16x5x5, 120, 84, 10."""
    return nn.Sequential(OrderedDict(
        **squared("conv1", nn.Conv2d(1, 6, 5, padding=2, bias=False)),
        # count_include_pad=True would export a Pad node that adds nothing.
        pool1=nn.AvgPool2d(2, count_include_pad=False),
        **squared("conv2", nn.Conv2d(6, 16, 5, bias=False)),
        pool2=nn.AvgPool2d(2, count_include_pad=False),
        flatten=nn.Flatten(),
        **squared("dense1", Dense(16 * 5 * 5, 120, bias=False)),
        **squared("dense2", Dense(120, 84, bias=False)),
        classifier=Dense(84, 10)))


RECIPE = Recipe(folder=Path(__file__).resolve().parent, network=network, epochs=15, rate=0.005)

if __name__ == "__main__":
    run(RECIPE, __doc__)
