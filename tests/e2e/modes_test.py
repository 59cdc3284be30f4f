#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""One network in every way that it can be compiled: each answers, encrypted, what PyTorch does."""
import json
import unittest

import numpy as np
import onnx
import torch
from torch import nn

from support import SEED, TacitTest, tacit


class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 3, stride=2, padding=1),
                         nn.GELU(), nn.Flatten(), nn.Linear(6 * 3 * 3, 5))


class Modes(TacitTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        torch.manual_seed(SEED)
        cls.net = Net().eval()
        cls.onnx = cls.folder / "net.onnx"
        torch.onnx.export(cls.net, torch.zeros(1, 1, 12, 12), str(cls.onnx), opset_version=13)
        cls.images = torch.randn(24, 1, 12, 12)
        cls.calibration = cls.folder / "calibration.npy"
        np.save(cls.calibration, cls.images.numpy())

    def compile(self, name, *options):
        package = self.models / f"{name}.tacit"
        done = tacit("compile", self.onnx, "--calibration", self.calibration, "--name", name, "-o", package, "--json",
                     *options)
        self.assertEqual(done.returncode, 0, done.stderr)
        return package, json.loads(done.stdout)

    def run_encrypted(self, package, count):
        np.save(self.folder / "x.npy", self.images[:count].numpy())
        done = tacit("run", package, "--input", self.folder / "x.npy", "--output", self.folder / "y.npy", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        return np.load(self.folder / "y.npy"), json.loads(done.stdout)

    def assert_close(self, actual, expected, tolerance):
        expected = expected.detach().numpy().reshape(actual.shape)
        self.assertLess(np.abs(actual - expected).max(), tolerance * np.abs(expected).max())

    def test_refresh(self):
        package, report = self.compile("refreshed", "--refresh")
        self.assertLessEqual(report["levels"], 2)
        outputs, _ = self.run_encrypted(package, 3)
        self.assert_close(outputs, self.net(self.images[:3]), 0.01)

    def test_layers_give_features(self):
        package, _ = self.compile("features", "--layers", "4:4")
        outputs, _ = self.run_encrypted(package, 2)
        self.assert_close(outputs, nn.Sequential(*list(self.net)[:4])(self.images[:2]), 0.01)

    def test_layers_before_what_cannot_be_read(self):
        net = nn.Sequential(*list(self.net)[:2], nn.Upsample(scale_factor=2, mode="bilinear"), nn.Conv2d(4, 1, 3))
        path = self.folder / "upsampled.onnx"
        torch.onnx.export(net, self.images[:1], str(path), opset_version=13)
        line = self.refused("onnx.unsupported-operator", "compile", path, "--calibration", self.calibration, "-o",
                            self.folder / "no.tacit")
        self.assertIn("--layers", line)
        last = next(node.name for node in onnx.load(str(path)).graph.node if node.op_type == "Relu")
        package = self.models / "before.tacit"
        done = tacit("compile", path, "--calibration", self.calibration, "--name", "before", "-o", package,
                     "--layers", ":" + last)
        self.assertEqual(done.returncode, 0, done.stderr)
        outputs, _ = self.run_encrypted(package, 2)
        self.assert_close(outputs, net[:2](self.images[:2]), 0.05)

    def test_layers_with_the_rest(self):
        package, _ = self.compile("middle", "--layers", "4:4", "--client-rest")
        outputs, _ = self.run_encrypted(package, 2)
        self.assert_close(outputs, self.net(self.images[:2]), 0.01)

    def test_throughput(self):
        package, report = self.compile("batch", "--layers", "4:", "--mode", "throughput")
        self.assertEqual(report["rotations"], 0)
        outputs, costs = self.run_encrypted(package, 24)
        self.assertEqual(costs["count"], 24)
        clear = np.zeros_like(outputs)
        np.save(self.folder / "x.npy", self.images.numpy())
        done = tacit("simulate", package, "--input", self.folder / "x.npy", "--output", self.folder / "s.npy")
        self.assertEqual(done.returncode, 0, done.stderr)
        clear = np.load(self.folder / "s.npy")
        self.assertLess(np.abs(outputs - clear).max(), 0.02 * np.abs(clear).max())

    def test_throughput_with_signs(self):
        torch.manual_seed(SEED)
        net = nn.Sequential(nn.Conv2d(1, 1, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(4, 3)).eval()
        model, package = self.folder / "signs.onnx", self.folder / "signs.tacit"
        given, encrypted, exact = (self.folder / f"signs-{name}.npy" for name in ("x", "y", "s"))
        torch.onnx.export(net, torch.zeros(1, 1, 4, 4), str(model), opset_version=13)
        images = torch.randn(24, 1, 4, 4)
        np.save(given, images.numpy())
        done = tacit("compile", model, "--calibration", given, "-o", package, "--json", "--mode", "throughput", "--relu",
                     "sign", "--agreement", "0.9", "--sample", "0")
        self.assertEqual(done.returncode, 0, done.stderr)
        report = json.loads(done.stdout)
        self.assertEqual(report["rotations"], 0)
        self.assertIn("product", [layer["kind"] for layer in report["layers"]])
        for verb, output, options in (("run", encrypted, ()), ("simulate", exact, ("--exact",))):
            done = tacit(verb, package, "--input", given, "--output", output, *options)
            self.assertEqual(done.returncode, 0, done.stderr)
        self.assert_close(np.load(encrypted), torch.from_numpy(np.load(exact)), 0.01)
        labels = np.load(encrypted).reshape(24, -1).argmax(1)
        self.assertGreaterEqual(np.mean(labels == net(images).argmax(1).numpy()), 0.9)

    def test_small_keys(self):
        _, usual_report = self.compile("usual", "--refresh")
        package, report = self.compile("small", "--refresh", "--mode", "small-keys")
        self.assertLess(2 * report["key_bytes"], usual_report["key_bytes"])
        outputs, _ = self.run_encrypted(package, 3)
        self.assert_close(outputs, self.net(self.images[:3]), 0.01)

    def test_served(self):
        self.compile("served", "--refresh")
        self.compile("servedsmall", "--refresh", "--mode", "small-keys")
        self.compile("servedbatch", "--layers", "4:4", "--mode", "throughput", "--client-rest")
        service = self.start_service()
        pixels = [np.random.default_rng(SEED + i).integers(0, 256, (12, 12), np.uint8) for i in range(3)]
        paths = []
        from support import images
        for i, image in enumerate(pixels):
            paths.append(self.folder / f"image-{i}.png")
            paths[-1].write_bytes(images.png(image.tobytes(), 12, 12))
        tensors = torch.from_numpy(np.stack(pixels)).float().reshape(3, 1, 12, 12) / 255
        for model in ("served", "servedsmall", "servedbatch"):
            done = tacit("features", "--server", service.url, "--model", model, *paths, "--output",
                         self.folder / "f.npy", "--json", home=self.home)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assert_close(np.load(self.folder / "f.npy"), self.net(tensors), 0.05)

    def test_maxima_and_activations_on_ciphertexts(self):
        """Degrees are chosen so that the labels of the calibration images, which these are, stay what they were."""
        package, report = self.compile("encrypted")
        outputs, _ = self.run_encrypted(package, 8)
        outputs = outputs.reshape(8, -1)
        np.testing.assert_array_equal(outputs.argmax(1), self.net(self.images[:8]).argmax(1).numpy())
        networks = {entry["network"]: entry for entry in report["accuracy"]["networks"]}
        self.assertGreaterEqual(networks["polynomial"]["agreement"], 0.99)
        done = tacit("simulate", package, "--input", self.folder / "x.npy", "--output", self.folder / "s.npy", "--exact")
        self.assertEqual(done.returncode, 0, done.stderr)
        polynomial = np.load(self.folder / "s.npy").reshape(8, -1)
        self.assertLess(np.abs(outputs - polynomial).max(), 0.01 * np.abs(polynomial).max())

    def test_layers_that_are_none(self):
        for layers in ("9:", "x:y", "3", "4:2"):
            line = self.refused("argument.invalid", "compile", self.onnx, "--calibration", self.calibration, "-o",
                                self.folder / "no.tacit", "--layers", layers, exit_code=2)
            self.assertIn("Conv", line)


if __name__ == "__main__":
    unittest.main()
