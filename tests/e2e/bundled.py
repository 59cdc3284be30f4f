# SPDX-License-Identifier: Apache-2.0
"""Evaluating a bundled network on test images as their owner would, through a server."""
import json
import tempfile
from pathlib import Path

from support import BIN, ROOT, Service, tacit

IMAGES = ROOT / "tests/images"  # mnist and cifar10: 20 test images each, two of each label


def evaluate(test, folder, count, dataset, calibration=None):
    """Compiles models/FOLDER with `calibration` (the data set itself where that is None), serves it, and gives what
    `tacit evaluate --json` says of the first `count` images of `dataset`; each step has to succeed."""
    source = ROOT / "models" / folder
    name = json.loads((source / "preprocessing.json").read_text())["name"]
    with tempfile.TemporaryDirectory(prefix="tacit-e2e-") as temporary:
        models = Path(temporary)
        done = tacit("compile", source / f"{folder}.onnx", "--calibration", calibration or dataset, "--preprocessing",
                     source / "preprocessing.json", "-o", models / f"{folder}.tacit", timeout=3000)
        test.assertEqual(done.returncode, 0, done.stderr)
        with Service(BIN / "tacitd", models, models / "state", models / "log") as service:
            done = tacit("evaluate", "--server", service.url, "--model", name, "--dataset", dataset, "--onnx",
                         source / f"{folder}.onnx", "--count", count, "--json", home=models / "keys", timeout=3000)
        test.assertEqual(done.returncode, 0, done.stderr)
    result = json.loads(done.stdout)
    test.assertEqual(result["count"], count)
    return result
