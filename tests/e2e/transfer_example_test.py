#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""examples/transfer_learning on a few digits: encrypted features are worth what clear ones are, and more than pixels.
Needs MNIST in $TACIT_TEST_DATA/data/mnist."""
import json
import os
import subprocess
import tempfile
import unittest
from pathlib import Path

import numpy as np

from support import BIN, ROOT

DATASET = Path(os.environ.get("TACIT_TEST_DATA", "/nonexistent")) / "data/mnist"


@unittest.skipUnless(DATASET.is_dir(), "MNIST is not in $TACIT_TEST_DATA/data/mnist")
class TransferExample(unittest.TestCase):
    def test_features_are_worth_more_than_pixels(self):
        with tempfile.TemporaryDirectory(prefix="tacit-e2e-") as folder:
            figures = Path(folder) / "figures.json"
            done = subprocess.run([ROOT / "examples/transfer_learning/run.py", "--dataset", DATASET, "--sizes",
                                   "50,100", "--train", "100", "--test", "200", "--json", figures],
                                  env={**os.environ, "TACIT_BIN": str(BIN)}, capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stderr)
            report = json.loads(figures.read_text())
        self.assertEqual((report["train_images"], report["test_images"], report["features"]), (100, 200, 2304))
        self.assertLess(report["largest_error"], 0.01 * report["largest_feature"])
        self.assertGreaterEqual(report["agreement"], 0.98)
        for size in ("50", "100"):
            encrypted, pixels = (np.mean(report["accuracy"][kind][size]) for kind in ("encrypted", "pixels"))
            self.assertGreater(encrypted, pixels + 0.05, f"trained on {size} images")
        self.assertIn("| 100 images |", done.stdout)


if __name__ == "__main__":
    unittest.main()
