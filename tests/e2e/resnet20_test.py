#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Somebody else's ResNet-20 for CIFAR-10, compiled with --refresh and run encrypted on photographs. The network is not
part of the project: where TACIT_TEST_DATA is not set, there is nothing to do."""
import json
import os
import sys
import unittest
from pathlib import Path

import numpy as np
import onnx
from PIL import Image

from support import ROOT, TacitTest, tacit

sys.path.insert(0, str(ROOT / "tests/graph"))
from torch_evaluator import evaluate  # noqa: E402

DATA = os.environ.get("TACIT_TEST_DATA")
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
COUNT = 2  # encrypted


def photographs():
    """Images [20,3,32,32] as the network takes them, and their labels."""
    paths = sorted((ROOT / "tests/images/cifar10").glob("*/*.jpg"))
    names = sorted({path.parent.name for path in paths})
    pixels = np.stack([np.asarray(Image.open(path).convert("RGB"), np.float32) for path in paths]) / 255
    images = ((pixels - MEAN) / DEVIATION).transpose(0, 3, 1, 2).astype(np.float32)
    return images, np.array([names.index(path.parent.name) for path in paths])


@unittest.skipUnless(DATA, "TACIT_TEST_DATA is not set")
class ResNet20(TacitTest):
    def test_right_labels_encrypted(self):
        path = Path(DATA) / "models/resnet20_cifar10_pre.onnx"
        images, labels = photographs()
        clear = evaluate(onnx.load(str(path)), images).numpy().reshape(len(images), -1)
        right = np.flatnonzero(clear.argmax(1) == labels)
        self.assertGreater(len(right), len(images) // 2, "the network knows most of the photographs in the clear")
        np.save(self.folder / "calibration.npy", images[:4])
        package = self.folder / "resnet20.tacit"
        done = tacit("compile", path, "--calibration", self.folder / "calibration.npy", "--refresh", "-o", package,
                     "--json", timeout=3000)
        self.assertEqual(done.returncode, 0, done.stderr)
        # What the client sees at the cuts is said beforehand.
        self.assertTrue(any(view["decrypted"] for view in json.loads(done.stdout)["client"]))
        chosen = right[:COUNT]
        np.save(self.folder / "x.npy", images[chosen])
        done = tacit("run", package, "--input", self.folder / "x.npy", "--output", self.folder / "y.npy", "--json",
                     timeout=3000)
        self.assertEqual(done.returncode, 0, done.stderr)
        outputs = np.load(self.folder / "y.npy").reshape(COUNT, -1)
        self.assertEqual(outputs.argmax(1).tolist(), labels[chosen].tolist())
        self.assertLess(np.abs(outputs - clear[chosen]).max(), 0.05 * np.abs(clear).max())


if __name__ == "__main__":
    unittest.main()
