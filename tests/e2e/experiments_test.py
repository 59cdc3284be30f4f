#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""bench/experiments: its quick run from one end to the other, and the committed page against its results. The run needs
MNIST in $TACIT_TEST_DATA/data/mnist."""
import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from support import BIN, ROOT

DATASET = Path(os.environ.get("TACIT_TEST_DATA", "/nonexistent")) / "data/mnist"
PLOTS = ("time.svg", "bytes.svg", "transfer.svg")


def run(*arguments):
    return subprocess.run([ROOT / "bench/experiments/run", *arguments], env={**os.environ, "TACIT_BIN": str(BIN)},
                          capture_output=True, text=True)


def pages(folder):
    """What the program writes for people, as bytes by name."""
    files = [folder / "experiments.md", *(folder / "experiments" / name for name in PLOTS)]
    return {path.name: path.read_bytes() for path in files}


class Page(unittest.TestCase):
    def test_committed_page_is_that_of_the_committed_results(self):
        with tempfile.TemporaryDirectory(prefix="tacit-e2e-") as name:
            folder = Path(name)
            (folder / "experiments").mkdir()
            shutil.copy(ROOT / "docs/experiments/results.json", folder / "experiments")
            done = run("--page", "--output", folder)
            self.assertEqual(done.returncode, 0, done.stderr)
            for file, content in pages(folder).items():
                committed = ROOT / "docs" / ("" if file.endswith(".md") else "experiments") / file
                self.assertEqual(content, committed.read_bytes(), f"{file}: bench/experiments/run --page")

    def test_without_data_it_says_what_is_missing(self):
        done = run("--quick")
        self.assertEqual(done.returncode, 2)
        self.assertIn("--mnist has to be a folder", done.stderr)


@unittest.skipUnless(DATASET.is_dir(), "MNIST is not in $TACIT_TEST_DATA/data/mnist")
class QuickRun(unittest.TestCase):
    def check_accuracy(self, entries):
        self.assertEqual([entry["network"] for entry in entries], ["cryptonets", "lenet1", "fashion_mnist"])
        for entry in entries:
            self.assertGreaterEqual(entry["encrypted_accuracy"], 0.8, entry["network"])
            self.assertGreaterEqual(entry["encrypted_agreement"], 0.9, entry["network"])
            if not entry["activations"]:
                self.assertLess(entry["polynomial_largest_difference"], 1e-4 * entry["output_range"])
                self.assertLess(entry["encrypted_largest_difference"], 0.01 * entry["output_range"])
                self.assertGreater(entry["encrypted_largest_difference"], entry["polynomial_largest_difference"])

    def check_scaling(self, entries):
        packed, small, pixel = entries
        self.assertEqual([entry["mode"] for entry in entries], ["latency", "small-keys", "per-pixel"])
        self.assertLess(small["costs"]["key_bytes"], packed["costs"]["key_bytes"])
        self.assertLess(pixel["costs"]["key_bytes"], small["costs"]["key_bytes"])
        # A ciphertext for each of 784 pixels, and not more for five images than for one.
        one, five = pixel["points"]
        self.assertGreater(one["upload_bytes"], 300 * packed["points"][0]["upload_bytes"])
        self.assertAlmostEqual(five["upload_bytes"], one["upload_bytes"], delta=0.01 * one["upload_bytes"])
        self.assertGreater(one["server_seconds"], 10 * packed["points"][0]["server_seconds"])
        for point in packed["points"]:
            self.assertGreater(point["server_seconds"], 0)
            self.assertAlmostEqual(point["upload_bytes"] / point["images"], packed["costs"]["upload_bytes"],
                                   delta=0.01 * packed["costs"]["upload_bytes"])

    def check_transfer(self, entries):
        entry, = entries
        self.assertLess(entry["rms_error"], 0.001 * entry["largest_feature"])
        for size in ("50", "100"):
            scores = {kind: entry["scores"][kind][size] for kind in ("encrypted", "clear", "pixels")}
            self.assertAlmostEqual(scores["encrypted"], scores["clear"], delta=0.02)
            self.assertGreater(scores["encrypted"], scores["pixels"] + 0.05)

    def test_results_and_page(self):
        with tempfile.TemporaryDirectory(prefix="tacit-e2e-") as name:
            folder = Path(name)
            done = run("--mnist", DATASET, "--quick", "--output", folder)
            self.assertEqual(done.returncode, 0, done.stderr)
            results = json.loads((folder / "experiments/results.json").read_text())
            first = pages(folder)
            done = run("--page", "--output", folder)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(pages(folder), first, "the same results, another page")
        self.check_accuracy(results["accuracy"])
        self.check_scaling(results["scaling"])
        self.check_transfer(results["transfer"])
        text = first["experiments.md"].decode()
        self.assertIn("the quick run", text)
        self.assertEqual(re.findall(r"\{\w+\}", text), [], "a name in the template was not filled in")
        for title in ("CryptoNets", "LeNet-1", "Fashion-MNIST"):
            self.assertEqual(len(re.findall(rf"^\| {title} \|", text, re.MULTILINE)), 4 if title == "CryptoNets" else 3)


if __name__ == "__main__":
    unittest.main()
