#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Pictures of pen strokes, made up: what the network is calibrated with and what tests classify where there is no MNIST.

    bench/fhe-benchmark/model/strokes.py FILE       writes the calibration images, 12x12, as an IDX file

Calibration decides the ranges at which the compiler scales a layer's values. The only activation of this network is
an exact square, so that the ranges cost precision where they are too wide and nothing where a digit exceeds them: only
outputs of more than twelve times the calibrated one would not be decrypted. Strokes are near enough to digits for that, and
no image of the data set has to be kept here.
"""
import struct
import sys
from pathlib import Path

import numpy as np

SIDE, CUT, POOL = 28, 2, 2
SEED, COUNT = 20250101, 128


def strokes(count, seed):
    """[count, 28, 28] in [0, 1]: bent lines of three to five points, about two pixels thick, within the middle 20x20."""
    random = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(np.arange(SIDE), np.arange(SIDE), indexing="ij"), -1).astype(float)
    pictures = np.zeros((count, SIDE, SIDE))
    for picture in pictures:
        points = random.uniform(5, 22, (random.integers(3, 6), 2))
        for a, b in zip(points[:-1], points[1:]):
            along = np.clip(((grid - a) @ (b - a)) / max(((b - a) ** 2).sum(), 1e-9), 0, 1)
            distance = np.linalg.norm(grid - a - along[..., None] * (b - a), axis=-1)
            np.maximum(picture, np.clip(2 - distance, 0, 1), out=picture)
    return pictures


def reduce(pictures):
    """What client_preprocess_input does: [n, 28, 28] to [n, 12, 12]."""
    inner = pictures[:, CUT:SIDE - CUT, CUT:SIDE - CUT]
    n, side = len(inner), (SIDE - 2 * CUT) // POOL
    return inner.reshape(n, side, POOL, side, POOL).mean((2, 4))


def main():
    pixels = np.rint(reduce(strokes(COUNT, SEED)) * 255).astype(np.uint8)
    Path(sys.argv[1]).write_bytes(struct.pack(">HBB3I", 0, 8, 3, *pixels.shape) + pixels.tobytes())


if __name__ == "__main__":
    main()
