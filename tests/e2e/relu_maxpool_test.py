#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""ReLU and max-pooling on ciphertexts: a small network with both, run encrypted with composite signs and with polynomials,
beside PyTorch."""
import json
import unittest

import numpy as np
import onnx
import torch
from onnx import helper
from torch.nn import functional as F

from support import TacitTest, make_model, tacit

SEED = 20240611
SIDE = 10
IMAGES = 64
SAMPLE = 3


class Network:
    """Convolution, ReLU, 2x2 or overlapping 3x3 maxima, dense layer; random weights."""

    def __init__(self, kernel, stride, pads=(0, 0, 0, 0)):
        random = np.random.default_rng(SEED)
        self.kernel, self.stride, self.pads = kernel, stride, pads
        self.filters = random.normal(0, 0.35, (3, 1, 3, 3)).astype(np.float32)
        side = (SIDE - 2 + pads[0] + pads[2] - kernel) // stride + 1
        self.matrix = random.normal(0, 0.3, (3 * side * side, 4)).astype(np.float32)

    def model(self):
        nodes = [
            helper.make_node("Conv", ["image", "filters"], ["c"], "conv", kernel_shape=[3, 3]),
            helper.make_node("Relu", ["c"], ["r"], "relu"),
            helper.make_node("MaxPool", ["r"], ["p"], "pool", kernel_shape=[self.kernel] * 2, strides=[self.stride] * 2,
                             pads=list(self.pads)),
            helper.make_node("Flatten", ["p"], ["f"], "flatten"),
            helper.make_node("MatMul", ["f", "matrix"], ["logits"], "dense"),
        ]
        return make_model(nodes, {"filters": self.filters, "matrix": self.matrix}, ["N", 1, SIDE, SIDE], ["N", 4])

    def outputs(self, images):
        x = F.relu(F.conv2d(torch.from_numpy(images).double(), torch.from_numpy(self.filters).double()))
        x = F.max_pool2d(x, self.kernel, self.stride, self.pads[0])
        return (x.flatten(1) @ torch.from_numpy(self.matrix).double()).numpy()


class ReluAndMaxPool(TacitTest):
    def setUp(self):
        super().setUp()
        self.images = np.random.default_rng(SEED + 1).normal(0, 1, (IMAGES, 1, SIDE, SIDE)).astype(np.float32)

    def compiled(self, network, *extra):
        onnx.save(network.model(), str(self.folder / "net.onnx"))
        np.save(self.folder / "images.npy", self.images)
        done = tacit("compile", self.folder / "net.onnx", "--calibration", self.folder / "images.npy", "-o",
                     self.folder / "net.tacit", "--sample", "0", "--json", *extra)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def outputs(self, verb, count):
        np.save(self.folder / "some.npy", self.images[:count])
        done = tacit(verb, self.folder / "net.tacit", "--input", self.folder / "some.npy", "--output",
                     self.folder / "out.npy")
        self.assertEqual(done.returncode, 0, done.stderr)
        return np.load(self.folder / "out.npy").reshape(count, -1).astype(np.float64)

    def check(self, network, report):
        """Simulated within the error that the report says; encrypted within noise of that; labels those of PyTorch."""
        wanted = network.outputs(self.images)
        simulated = self.outputs("simulate", IMAGES)
        moved = np.sqrt(np.sum((simulated - wanted) ** 2))
        largest = np.abs(wanted).max()
        noise = (4 * report["noise"] + 1e-5) * largest
        self.assertLessEqual(moved, 1.01 * report["relative_error"] * np.sqrt(np.sum(wanted ** 2))
                             + noise * np.sqrt(wanted.size))
        self.assertGreaterEqual(np.mean(simulated.argmax(1) == wanted.argmax(1)), 0.95)
        encrypted = self.outputs("run", SAMPLE)
        self.assertLessEqual(np.abs(encrypted - simulated[:SAMPLE]).max(), 2 * noise)
        return wanted

    def test_signs(self):
        network = Network(2, 2)
        report = self.compiled(network, "--relu", "sign")
        self.assertEqual(len(report["activations"]), 3)  # two comparisons for each maximum, and ReLU
        for fit in report["activations"]:
            self.assertTrue(fit["stages"], fit)
        self.check(network, report)

    def test_polynomials(self):
        network = Network(2, 2)
        report = self.compiled(network, "--relu", "polynomial", "--agreement", "0.95")
        for fit in report["activations"]:
            self.assertFalse(fit["stages"], fit)
        self.check(network, report)

    def test_overlapping_windows_with_padding(self):
        network = Network(3, 2, (1, 1, 1, 1))
        report = self.compiled(network, "--relu", "polynomial", "--agreement", "0.9")
        wanted = network.outputs(self.images)
        simulated = self.outputs("simulate", IMAGES)
        self.assertGreaterEqual(np.mean(simulated.argmax(1) == wanted.argmax(1)), 0.85)
        self.assertEqual(len(report["activations"]), 5)


if __name__ == "__main__":
    unittest.main()
