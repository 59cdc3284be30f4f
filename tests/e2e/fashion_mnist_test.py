#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The bundled Fashion-MNIST network on real test images, encrypted: right as often as it should be, with the clear
network's labels."""
import unittest

from bundled import evaluate
from support import images

COUNT = 200


class FashionMnist(unittest.TestCase):
    def test_accuracy_and_agreement(self):
        result = evaluate(self, "fashion_mnist", COUNT, images.FASHION_MNIST,
                          f"{images.FASHION_MNIST}/train-images-idx3-ubyte.gz")
        self.assertGreaterEqual(result["accuracy"], 0.85)
        self.assertGreaterEqual(result["agreement"], 0.98)


if __name__ == "__main__":
    unittest.main()
