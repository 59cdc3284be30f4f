#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Trains LeNet-1 with tanh for MNIST and writes it as ONNX.

    /usr/bin/python3 models/lenet1/train.py --dataset DIR              train on all 60,000 images, export, measure
    /usr/bin/python3 models/lenet1/train.py --dataset DIR --validate   train on 50,000, measure on the other 10,000
    /usr/bin/python3 models/lenet1/train.py --dataset DIR --evaluate   measure the ONNX file on the test images

DIR has the four IDX files of MNIST. LeNet-1 with average pools, as S. Disabato, A. Falcetta, A. Mongelluzzo and
M. Roveri run it on ciphertexts (arXiv 2003.13541). Nothing in the file is made for encryption: the compiler is what
puts polynomials in the place of tanh. Progress goes to standard error, one JSON object to standard output.
"""
import sys
from collections import OrderedDict
from pathlib import Path

from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from training.loop import Dense  # noqa: E402
from training.program import Recipe, run  # noqa: E402


def network():
    """Shapes per image: 1x28x28, 4x24x24, 4x12x12, 12x8x8, 12x4x4, 10."""
    return nn.Sequential(OrderedDict(
        conv1=nn.Conv2d(1, 4, 5),
        tanh1=nn.Tanh(),
        # count_include_pad=True would export a Pad node that adds nothing.
        pool1=nn.AvgPool2d(2, count_include_pad=False),
        conv2=nn.Conv2d(4, 12, 5),
        tanh2=nn.Tanh(),
        pool2=nn.AvgPool2d(2, count_include_pad=False),
        flatten=nn.Flatten(),
        classifier=Dense(12 * 4 * 4, 10)))


RECIPE = Recipe(folder=Path(__file__).resolve().parent, network=network, epochs=12)

if __name__ == "__main__":
    run(RECIPE, __doc__)
