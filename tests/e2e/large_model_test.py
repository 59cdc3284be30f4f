#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""An ONNX file of 200 MB: read within a few times its size, and refused by a line that names the layer that is too
large."""
import os
import subprocess
import unittest

import numpy as np
import onnx

from support import BIN, TacitTest, make_model
from onnx import helper

INPUTS, HIDDEN, OUTPUTS = 784, 64_000, 10
# The file, its parsed form, the decoded weights and the layer's own, and room for the program.
MOST_BYTES = 6 * 4 * (INPUTS + OUTPUTS) * HIDDEN


class LargeModel(TacitTest):
    def test_a_file_of_200_megabytes(self):
        random = np.random.default_rng(5)
        weights = {"w": random.normal(0, 0.03, (INPUTS, HIDDEN)).astype(np.float32),
                   "v": random.normal(0, 0.03, (HIDDEN, OUTPUTS)).astype(np.float32)}
        nodes = [helper.make_node("Flatten", ["image"], ["f"], "flatten"),
                 helper.make_node("Gemm", ["f", "w"], ["h"], "huge"), helper.make_node("Relu", ["h"], ["r"], "relu"),
                 helper.make_node("Gemm", ["r", "v"], ["logits"], "end")]
        model, images, package = (self.folder / name for name in ("large.onnx", "two.npy", "large.tacit"))
        onnx.save(make_model(nodes, weights, ["n", 1, 28, 28], ["n", OUTPUTS]), str(model))
        self.assertGreater(model.stat().st_size, 200_000_000)
        np.save(images, random.normal(0, 1, (2, 1, 28, 28)).astype(np.float32))

        process = subprocess.Popen([str(BIN / "tacit"), "compile", str(model), "--calibration", str(images), "-o",
                                    str(package)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.stdout.close()
        process.returncode = os.waitstatus_to_exitcode(status)
        self.assertEqual(process.returncode, 1, output)
        self.assertRegex(output.splitlines()[-1], '^tacit: compile.too-wide: node "huge" .*64000.*; use fewer')
        if not os.environ.get("TACIT_SANITIZE"):  # which takes more than the program
            self.assertLess(usage.ru_maxrss * 1024, MOST_BYTES)
        self.assertFalse(package.exists())


if __name__ == "__main__":
    unittest.main()
