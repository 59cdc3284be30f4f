#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the ONNX models that the graph layer's tests read.

    /usr/bin/python3 make_models.py FOLDER

FOLDER/good/NAME.onnx comes with NAME.input.npy [n,c,h,w] and NAME.output.npy [n,...], what PyTorch computes;
FOLDER/bad/NAME.onnx are models to be refused. FOLDER/random/SEED.onnx are random_models.py's, with inputs and outputs
too. FOLDER/good.txt lists the good names; it is written last.
"""
import sys
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch

import bad_models
import hand_models
import tensorflow_models
import torch_models
from model_writer import Writer
from random_models import random_model

RANDOM_SEEDS = range(1000, 1250)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = Path(sys.argv[1])
    for name in ("good", "bad", "random"):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for old in (folder / name).iterdir():
            old.unlink()
    warnings.filterwarnings("ignore")  # the tracer's, about shapes that are meant to be constant
    torch.set_num_threads(1)
    writer = Writer(folder)
    torch_models.write(writer)
    hand_models.write(writer)
    tensorflow_models.write(writer)
    bad_models.write(writer)
    for seed in RANDOM_SEEDS:
        made = random_model(seed)
        onnx.save(made.model, str(folder / "random" / f"{seed}.onnx"))
        np.save(folder / "random" / f"{seed}.input.npy", made.images)
        np.save(folder / "random" / f"{seed}.output.npy", made.outputs)
    (folder / "good.txt").write_text("".join(f"{name}\n" for name in writer.good))


if __name__ == "__main__":
    main()
