# SPDX-License-Identifier: Apache-2.0
"""Transfer learning at several cuts: the garment network's encrypted features of handwritten digits, measured by
examples/transfer_learning."""
import json
import subprocess
import sys
from statistics import mean

from laboratory import ROOT, say

CUTS = ("square1", "pool", "logits")
QUICK_CUTS = ("pool",)
FULL = ("--sizes", "50,100,200", "--train", "200", "--test", "300")
QUICK = ("--sizes", "50,100", "--train", "100", "--test", "200")
KEPT = ("train_images", "test_images", "features", "costs", "rms_error", "largest_feature", "agreement")


def measure_cut(laboratory, cut):
    """`scores` has for each kind of features {images trained on: mean accuracy}."""
    say(f"transfer learning from {cut}")
    figures = laboratory.folder / f"transfer-{cut}.json"
    done = subprocess.run([ROOT / "examples/transfer_learning/run.py", "--dataset", laboratory.datasets["mnist"],
                           "--cut", cut, "--json", figures, *(QUICK if laboratory.quick else FULL)],
                          capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"transfer learning: {(done.stderr.strip() or 'it said nothing').splitlines()[-1]}")
    report = json.loads(figures.read_text())
    scores = {kind: {size: mean(runs) for size, runs in sizes.items()} for kind, sizes in report["accuracy"].items()}
    return {key: report[key] for key in KEPT} | {"scores": scores}


def experiments(laboratory):
    """For each cut its name, and the function that makes its entry."""
    for cut in QUICK_CUTS if laboratory.quick else CUTS:
        yield {"cut": cut}, lambda: measure_cut(laboratory, cut)
