#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The bundled CIFAR-10 network on a few JPEG photographs, encrypted: right as often as it should be, and with the
clear network's labels."""
import unittest

from bundled import IMAGES, evaluate

COUNT = 20


class Cifar10(unittest.TestCase):
    def test_accuracy_and_agreement(self):
        result = evaluate(self, "cifar10", COUNT, IMAGES / "cifar10")
        self.assertGreaterEqual(result["accuracy"], 0.6)
        self.assertGreaterEqual(result["agreement"], 0.95)


if __name__ == "__main__":
    unittest.main()
