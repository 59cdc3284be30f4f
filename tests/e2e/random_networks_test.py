#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Random small ONNX networks: each compiles, in one mode or another, to what agrees with PyTorch, or is refused by a line that
says why.

    random_networks_test.py [COUNT] [FIRST_SEED]

A failure names its seed; tests/graph/random_models.py makes the same network of it again.
"""
import json
import re
import sys
import unittest

import numpy as np
import onnx

from support import ROOT, TacitTest, tacit

sys.path.insert(0, str(ROOT / "tests/graph"))
from random_models import random_model

COUNT = int(sys.argv.pop(1)) if len(sys.argv) > 1 else 12
FIRST_SEED = int(sys.argv.pop(1)) if len(sys.argv) > 1 else 40000
IMAGES = 24
# A seed's network is compiled in one of these ways.
MODES = [(), ("--mode", "throughput"), ("--mode", "small-keys"), ("--refresh",), ("--layers", ":1", "--client-rest")]
# Found wanting once: outputs that depend on no input, an image in each slot.
FOUND = [41066]
# What the compiler may say of a network that the importer takes.
REFUSALS = {"compile.unsupported", "compile.too-wide", "compile.too-deep", "compile.precision"}


class RandomNetworks(TacitTest):
    def outcome(self, seed):
        """Compiles and simulates the network of a seed; the code of a refusal, or "compiled"."""
        made = random_model(seed, encrypted=True, images=IMAGES)
        model, package = self.folder / f"{seed}.onnx", self.folder / f"{seed}.tacit"
        given, answered = self.folder / f"{seed}.npy", self.folder / f"{seed}.out.npy"
        onnx.save(made.model, str(model))
        np.save(given, made.images)
        done = tacit("compile", model, "--calibration", given, "-o", package, "--json", *MODES[seed % len(MODES)])
        if done.returncode != 0:
            line = done.stderr.splitlines()[-1]
            code, detail = re.match(r"tacit: ([a-z.-]+): (.{20,})$", line).groups()
            self.assertIn(code, REFUSALS, line)
            self.assertFalse(package.exists())
            return code
        report = json.loads(done.stdout)
        done = tacit("simulate", package, "--input", given, "--output", answered)
        self.assertEqual(done.returncode, 0, done.stderr)
        wanted = made.logits.reshape(IMAGES, -1).astype(np.float64)
        found = np.load(answered).reshape(IMAGES, -1).astype(np.float64)
        self.assertEqual(found.shape, wanted.shape)
        # How far polynomials in place of activations move these very images is in the report, and the noise's deviation
        # beside the largest output.
        moved = np.sqrt(np.sum((found - wanted) ** 2))
        allowed = (1.01 * report["relative_error"] * np.sqrt(np.sum(wanted ** 2))
                   + (4 * report["noise"] + 1e-5) * np.abs(wanted).max() * np.sqrt(wanted.size))
        self.assertLessEqual(moved, allowed, report)
        for path in (model, package, given, answered):
            path.unlink()
        return "compiled"

    def test_networks_agree_or_are_refused(self):
        outcomes = {}
        for seed in [*range(FIRST_SEED, FIRST_SEED + COUNT), *FOUND]:
            with self.subTest(seed=seed, mode=MODES[seed % len(MODES)]):
                code = self.outcome(seed)
                outcomes[code] = outcomes.get(code, 0) + 1
        print(f"seeds from {FIRST_SEED}: {outcomes}", file=sys.stderr)
        self.assertGreater(2 * outcomes.get("compiled", 0), COUNT, "too many were refused for this to mean anything")


if __name__ == "__main__":
    unittest.main()
