#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The bundled networks for MNIST on a few test images, encrypted: right, and with the clear network's labels."""
import unittest

from bundled import IMAGES, evaluate

COUNT = 10


class Mnist(unittest.TestCase):
    def check(self, folder):
        result = evaluate(self, folder, COUNT, IMAGES / "mnist")
        self.assertGreaterEqual(result["accuracy"], 0.9)
        self.assertEqual(result["agreement"], 1)
        return result

    def test_cryptonets(self):
        self.check("cryptonets")

    def test_lenet5(self):
        self.check("lenet5")

    def test_lenet1_whose_tanh_becomes_polynomials(self):
        self.check("lenet1")


if __name__ == "__main__":
    unittest.main()
