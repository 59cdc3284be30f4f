#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The training code of the bundled networks: data as it should be, a loop that can be interrupted, a true export."""
import importlib.util
import json
import sys
import tempfile
import unittest
import zipfile
from argparse import Namespace
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from torch import nn

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "models"))
from training.data import load_idx, load_jpeg_zips, preprocess  # noqa: E402
from training.loop import Augmentation, Dense, squared, train  # noqa: E402
from training.onnx_file import export, run_onnx  # noqa: E402

SEED = 20261126
DIGITS = json.loads((ROOT / "models/lenet5/preprocessing.json").read_text())
PHOTOGRAPHS = json.loads((ROOT / "models/cifar10/preprocessing.json").read_text())


def small_network():
    """A convolution, a square, two dense layers with another square between, for images of 2x6x6."""
    return nn.Sequential(OrderedDict(
        **squared("conv", nn.Conv2d(2, 3, 3, bias=False)),
        flatten=nn.Flatten(),
        **squared("dense", Dense(48, 7, bias=False)),
        classifier=Dense(7, 4)))


class Data(unittest.TestCase):
    def test_preprocessing_is_that_of_the_page(self):
        pixels = np.random.default_rng(SEED).integers(0, 256, (5, 3, 32, 32), dtype=np.uint8)
        images = preprocess(pixels, PHOTOGRAPHS)
        for channel, (mean, std) in enumerate(zip(PHOTOGRAPHS["mean"], PHOTOGRAPHS["std"])):
            expected = (pixels[:, channel] / PHOTOGRAPHS["scale"] - mean) / std
            np.testing.assert_allclose(images[:, channel], expected, atol=1e-6)
        self.assertEqual(images.dtype, torch.float32)
        with self.assertRaises(ValueError):
            preprocess(pixels[:, :1], PHOTOGRAPHS)

    def test_idx_files(self):
        images, labels = load_idx(ROOT / "tests/images/mnist", "test", DIGITS)
        self.assertEqual(images.shape, (20, 1, 28, 28))
        self.assertEqual(labels.tolist(), list(range(10)) * 2)
        background = (0 - DIGITS["mean"][0]) / DIGITS["std"][0]
        self.assertAlmostEqual(images.min().item(), background, places=5)

    @unittest.skipUnless(importlib.util.find_spec("PIL"), "python3-pil is not installed")
    def test_zips_of_jpeg_files(self):
        source = ROOT / "tests/images/cifar10"
        files = sorted(source.glob("*/*.jpg"))
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            with zipfile.ZipFile(folder / "some_train_files.zip", "w") as archive:
                for file in reversed(files):
                    archive.write(file, file.relative_to(source))
            images, labels = load_jpeg_zips(folder, "train", PHOTOGRAPHS)
            self.assertEqual(images.shape, (len(files), 3, 32, 32))
            self.assertEqual([PHOTOGRAPHS["labels"][label] for label in labels], [file.parent.name for file in files])
            with self.assertRaisesRegex(ValueError, "0 files"):
                load_jpeg_zips(folder, "test", PHOTOGRAPHS)
            with self.assertRaisesRegex(ValueError, "no folder of a label"):
                load_jpeg_zips(folder, "train", DIGITS)


class Augmentations(unittest.TestCase):
    def check(self, augmentation, candidates):
        """Every augmented image is one of the candidates of its original, and each candidate comes up."""
        torch.manual_seed(SEED)
        images = torch.randn(600, 2, 5, 4)
        seen = set()
        for before, after in zip(images, augmentation(images)):
            found = [i for i, candidate in enumerate(candidates(before)) if torch.equal(candidate, after)]
            self.assertEqual(len(found), 1)
            seen.update(found)
        self.assertEqual(seen, set(range(len(candidates(images[0])))))

    @staticmethod
    def windows(padded, height, width):
        return [padded[:, y:y + height, x:x + width] for y in range(padded.shape[1] - height + 1)
                for x in range(padded.shape[2] - width + 1)]

    def test_shifts_bring_in_the_fill(self):
        self.check(Augmentation(1, False, -0.5),
                   lambda image: self.windows(nn.functional.pad(image, [1] * 4, value=-0.5), 5, 4))

    def test_flips_and_shifts_with_a_mirrored_border(self):
        def candidates(image):
            padded = torch.from_numpy(np.pad(image.numpy(), ((0, 0), (1, 1), (1, 1)), "reflect"))
            return self.windows(padded, 5, 4) + self.windows(padded.flip(2), 5, 4)
        self.check(Augmentation(1, True, None), candidates)


class Training(unittest.TestCase):
    def options(self, checkpoint, epochs=3):
        return Namespace(epochs=epochs, batch=16, rate=0.01, warm_up=0.2, decay=0.05, decay_all=False, smoothing=0.0,
                         checkpoint=checkpoint)

    def data(self):
        torch.manual_seed(SEED)
        labels = torch.arange(96) % 4
        return torch.randn(96, 2, 6, 6) + labels[:, None, None, None], labels

    def test_goes_on_as_if_never_interrupted(self):
        class Interrupted(Exception):
            pass

        class UntilSecondEpoch(Augmentation):
            calls = 0

            def __call__(self, images):
                UntilSecondEpoch.calls += 1
                if UntilSecondEpoch.calls > 8:  # six batches an epoch
                    raise Interrupted
                return super().__call__(images)

        images, labels = self.data()
        with tempfile.TemporaryDirectory() as name:
            checkpoint = Path(name) / "checkpoint"
            torch.manual_seed(1)
            whole = train(small_network(), images, labels, self.options(None), Augmentation(1, True))
            torch.manual_seed(1)
            with self.assertRaises(Interrupted):
                train(small_network(), images, labels, self.options(checkpoint), UntilSecondEpoch(1, True))
            torch.manual_seed(2)
            resumed = train(small_network(), images, labels, self.options(checkpoint), Augmentation(1, True))
        for name, value in whole.state_dict().items():
            self.assertTrue(torch.equal(value, resumed.state_dict()[name]), name)

    def test_the_export_computes_what_was_trained(self):
        images, labels = self.data()
        network = train(small_network(), images, labels, self.options(None, 8), Augmentation()).eval()
        with tempfile.TemporaryDirectory() as name:
            export(network, Path(name) / "small.onnx", images.shape[1:])
            (values,) = run_onnx(Path(name) / "small.onnx", images)
        self.assertEqual([node.op_type for node, _ in values.values()],
                         ["Conv", "Mul", "Flatten", "Gemm", "Mul", "Gemm"])
        with torch.no_grad():
            expected = network(images)
        torch.testing.assert_close(values["logits"][1], expected, rtol=1e-4, atol=1e-4)
        self.assertGreater((expected.argmax(1) == labels).float().mean(), 0.8)


if __name__ == "__main__":
    print(f"seed {SEED}", file=sys.stderr)
    unittest.main()
