#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Trains the network of CryptoNets for MNIST and writes it as ONNX.

    /usr/bin/python3 models/cryptonets/train.py --dataset DIR              train on all 60,000 images, export, measure
    /usr/bin/python3 models/cryptonets/train.py --dataset DIR --validate   train on 50,000, measure on the other 10,000
    /usr/bin/python3 models/cryptonets/train.py --dataset DIR --evaluate   measure the ONNX file on the test images

DIR has the four IDX files of MNIST. Convolution, square, dense, square, dense: the layers that R. Gilad-Bachrach,
N. Dowlin, K. Laine, K. Lauter, M. Naehrig and J. Wernsing run on ciphertexts in "CryptoNets" (ICML 2016). Progress
goes to standard error, one JSON object to standard output.
"""
import sys
from collections import OrderedDict
from pathlib import Path

from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from training.loop import Dense, squared  # noqa: E402
from training.program import Recipe, run  # noqa: E402


def network():
    """Shapes per image: 1x28x28, 5x13x13, 100, 10."""
    return nn.Sequential(OrderedDict(
        # Of the padding, only the row above and the column to the left of the image are inside of a window.
        **squared("conv", nn.Conv2d(1, 5, 5, stride=2, padding=1, bias=False)),
        flatten=nn.Flatten(),
        **squared("dense", Dense(5 * 13 * 13, 100, bias=False)),
        classifier=Dense(100, 10)))


RECIPE = Recipe(folder=Path(__file__).resolve().parent, network=network, epochs=20)

if __name__ == "__main__":
    run(RECIPE, __doc__)
