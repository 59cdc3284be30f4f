#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Trains the bundled CIFAR-10 network and writes it as ONNX.

    /usr/bin/python3 models/cifar10/train.py --dataset DIR              train on all 50,000 images, export, measure
    /usr/bin/python3 models/cifar10/train.py --dataset DIR --validate   train on 45,000, measure on the other 5,000
    /usr/bin/python3 models/cifar10/train.py --dataset DIR --evaluate   measure the ONNX file on the test images

DIR has one zip file with "train" in its name and one with "test", of JPEG images class/NAME.jpg. The network is
made for CKKS: its only non-linearity is a square, so one image costs a multiplicative depth of 11 (six linear
layers, five squares). Progress goes to standard error, one JSON object to standard output.
"""
import sys
from collections import OrderedDict
from pathlib import Path

from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from training.data import load_jpeg_zips  # noqa: E402
from training.loop import squared  # noqa: E402
from training.program import Recipe, run  # noqa: E402


def network():
    """Shapes per image: 3x32x32, 32x16x16, 32x16x16, 128x8x8, 64x8x8, 64x4x4 (pool), 128, 10."""
    return nn.Sequential(OrderedDict(
        **squared("conv1", nn.Conv2d(3, 32, 5, stride=2, padding=2, bias=False)),
        **squared("conv2", nn.Conv2d(32, 32, 3, padding=1, bias=False)),
        **squared("conv3", nn.Conv2d(32, 128, 3, stride=2, padding=1, bias=False)),
        **squared("conv4", nn.Conv2d(128, 64, 3, padding=1, bias=False)),
        # count_include_pad=True would export a Pad node that adds nothing.
        pool=nn.AvgPool2d(2, count_include_pad=False),
        # It sees all 4x4 pixels: a dense layer.
        **squared("dense", nn.Conv2d(64, 128, 4, bias=False)),
        flatten=nn.Flatten(),
        classifier=nn.Linear(128, 10)))


RECIPE = Recipe(folder=Path(__file__).resolve().parent, network=network, load=load_jpeg_zips, flip=True,
                mirror_border=True, validation_images=5_000, epochs=14, rate=0.004, warm_up=0.15, decay=0.05,
                smoothing=0.05, shift=2)

if __name__ == "__main__":
    run(RECIPE, __doc__)
