#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The bundled network on real test images, encrypted: right as often as it should be, with the clear
network's labels."""
import json
import tempfile
import unittest
from pathlib import Path

from support import BIN, ROOT, Service, images, tacit

COUNT = 200


class FashionMnist(unittest.TestCase):
    def test_accuracy_and_agreement(self):
        with tempfile.TemporaryDirectory(prefix="tacit-e2e-") as name:
            folder, source = Path(name), ROOT / "models/fashion_mnist"
            done = tacit("compile", source / "fashion_mnist.onnx", "--calibration",
                         f"{images.FASHION_MNIST}/train-images-idx3-ubyte.gz", "--preprocessing",
                         source / "preprocessing.json", "-o", folder / "fashion_mnist.tacit")
            self.assertEqual(done.returncode, 0, done.stderr)
            with Service(BIN / "tacitd", folder, folder / "state", folder / "log") as service:
                done = tacit("evaluate", "--server", service.url, "--model", "fashion-mnist", "--dataset",
                             images.FASHION_MNIST, "--onnx", source / "fashion_mnist.onnx", "--count", COUNT,
                             "--json", home=folder / "keys", timeout=3000)
            self.assertEqual(done.returncode, 0, done.stderr)
            result = json.loads(done.stdout)
        self.assertEqual(result["count"], COUNT)
        self.assertGreaterEqual(result["accuracy"], 0.85)
        self.assertGreaterEqual(result["agreement"], 0.98)


if __name__ == "__main__":
    unittest.main()
