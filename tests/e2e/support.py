# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests share: a tiny network, the programs, and how an error has to look."""
import json
import os
import re
import struct
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "tests/support")]
import images
from local_service import Service, free_port

BIN = Path(os.environ.get("TACIT_BIN", ROOT / "build/release/bin"))
PASSPHRASE = "correct horse"
SEED = 20240229
SIDE = 8
LABELS = ["circle", "square", "star"]
MEAN, DEVIATION = 0.5, 0.25


# ------------------------------------------------------------------------------------------------ the network

class TinyNetwork:
    """Convolution, square, fully connected layer on 8x8 grey images, with fixed random weights; three classes."""

    def __init__(self):
        random = np.random.default_rng(SEED)
        self.kernel = random.normal(0, 0.5, (4, 1, 3, 3)).astype(np.float32)
        self.matrix = random.normal(0, 0.1, (64, 3)).astype(np.float32)
        self.bias = random.normal(0, 0.1, 3).astype(np.float32)

    def outputs(self, pixels):
        """The three outputs for an 8x8 array of bytes, in double precision; those of each of an array of such arrays."""
        x = (pixels / 255.0 - MEAN) / DEVIATION
        x = np.pad(x, [(0, 0)] * (x.ndim - 2) + [(1, 1), (1, 1)])
        windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(-2, -1))[..., ::2, ::2, :, :]
        hidden = np.einsum("...rcij,kij->...krc", windows, self.kernel[:, 0].astype(np.float64))
        return (hidden ** 2).reshape(*x.shape[:-2], 64) @ self.matrix.astype(np.float64) + self.bias

    def probabilities(self, pixels):
        e = np.exp(self.outputs(pixels) - self.outputs(pixels).max())
        return e / e.sum()

    def model(self, batch="N", kinds=()):
        """With activations of these kinds, one after the other, in place of the square."""
        names = ["c", *(f"between{i}" for i in range(len(kinds) - 1)), "s"]
        functions = [helper.make_node(kind, [names[i]], [names[i + 1]], f"activation{i}")
                     for i, kind in enumerate(kinds)] or [helper.make_node("Mul", ["c", "c"], ["s"], "square")]
        nodes = [
            helper.make_node("Conv", ["image", "kernel"], ["c"], "conv", kernel_shape=[3, 3], strides=[2, 2],
                             pads=[1, 1, 1, 1]),
            *functions,
            helper.make_node("Flatten", ["s"], ["f"], "flatten"),
            helper.make_node("Gemm", ["f", "matrix", "bias"], ["logits"], "dense"),
        ]
        weights = {"kernel": self.kernel, "matrix": self.matrix, "bias": self.bias}
        return make_model(nodes, weights, [batch, 1, SIDE, SIDE], [batch, 3])


def make_model(nodes, weights, input_shape, output_shape, output="logits"):
    graph = helper.make_graph(
        nodes, "tiny", [helper.make_tensor_value_info("image", TensorProto.FLOAT, input_shape)],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, output_shape)],
        [numpy_helper.from_array(value, name) for name, value in weights.items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def random_images(count, seed=SEED):
    """`count` 8x8 arrays of bytes."""
    return np.random.default_rng(seed).integers(0, 256, (count, SIDE, SIDE), dtype=np.uint8)


def clear_cut_images(network, count):
    """Images that the network is sure of, so that noise cannot change the label, of each label in turn."""
    sure = {label: [] for label in range(len(LABELS))}
    pixels = random_images(2000, SEED + 1)
    for image, outputs in zip(pixels, network.outputs(pixels)):
        ranked = np.sort(outputs)
        if ranked[-1] - ranked[-2] > 0.5:
            sure[int(np.argmax(outputs))].append(image)
    labels = [label for label in sure if sure[label]]
    assert len(labels) > 1, "the network always says the same"
    return [sure[labels[i % len(labels)]][i // len(labels)] for i in range(count)]


def write_idx(path, array):
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    path.write_bytes(header + array.tobytes())


def write_sources(folder, network):
    """The model, calibration images and the preprocessing page of the tiny network, as `tacit compile` wants them."""
    onnx.save(network.model(), str(folder / "tiny.onnx"))
    write_idx(folder / "calibration-idx3-ubyte", random_images(64))
    (folder / "preprocessing.json").write_text(json.dumps({
        "name": "tiny", "channels": 1, "height": SIDE, "width": SIDE, "scale": 255.0, "mean": [MEAN],
        "std": [DEVIATION], "labels": LABELS}))


def compile_arguments(folder, model, package):
    return ["compile", model, "--calibration", folder / "calibration-idx3-ubyte",
            "--preprocessing", folder / "preprocessing.json", "-o", package]


# ----------------------------------------------------------------------------------------------- the programs

def tacit(*arguments, home=None, passphrase=PASSPHRASE, timeout=300, token=None):
    """Runs tacit without a terminal; `home` is the key folder, passphrase or token None leaves the variable out."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TACIT_")}
    environment["TACIT_HOME"] = str(home or "/nonexistent/keys")
    if passphrase is not None:
        environment["TACIT_PASSPHRASE"] = passphrase
    if token is not None:
        environment["TACIT_TOKEN"] = token
    return subprocess.run([str(BIN / "tacit"), *map(str, arguments)], env=environment, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=timeout, start_new_session=True)


class TacitTest(unittest.TestCase):
    """Each class gets a folder with the tiny network compiled in models/tiny.tacit, and a key folder."""

    @classmethod
    def setUpClass(cls):
        print(f"seed {SEED}", file=sys.stderr)
        folder = tempfile.TemporaryDirectory(prefix="tacit-e2e-")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = Path(folder.name)
        cls.home = cls.folder / "keys"
        cls.models = cls.folder / "models"
        cls.models.mkdir()
        cls.network = TinyNetwork()
        write_sources(cls.folder, cls.network)
        done = tacit(*compile_arguments(cls.folder, cls.folder / "tiny.onnx", cls.models / "tiny.tacit"))
        if done.returncode != 0:
            raise AssertionError(f"the tiny network does not compile: {done.stderr}")

    @classmethod
    def start_service(cls, name="server", settings=None, **options):
        """A server for the models of this class, stopped when the class is done. Its noise on results is a quarter of the
        default's, which is now and then more than assert_right allows."""
        settings = {"privacy.precision_bits": 12} | (settings or {})
        service = Service(BIN / "tacitd", cls.models, cls.folder / name, cls.folder / f"{name}.log", settings, **options)
        service.start()
        cls.addClassCleanup(service.stop)
        return service

    def write_images(self, name, count):
        """PNG files of clear-cut images: [(path, pixels)]."""
        written = []
        for i, pixels in enumerate(clear_cut_images(self.network, count)):
            path = self.folder / f"{name}-{i}.png"
            path.write_bytes(images.png(pixels.tobytes(), SIDE, SIDE))
            written.append((path, pixels))
        return written

    def predict(self, url, *paths, home=None, **options):
        """What `tacit predict --json` says; it has to succeed."""
        done = tacit("predict", "--server", url, "--model", "tiny", *paths, "--json", home=home or self.home, **options)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout), done.stderr

    def assert_alive(self, service):
        self.assertTrue(service.answers("/v2/health/live"),
                        f"the server ended with {service.process.poll()}: {service.last_words()}")

    def assert_right(self, result, written):
        """The predictions are those of the clear network."""
        self.assertEqual([entry["image"] for entry in result["predictions"]], [str(path) for path, _ in written])
        for entry, (_, pixels) in zip(result["predictions"], written):
            expected = self.network.probabilities(pixels)
            self.assertEqual(entry["label"], LABELS[int(np.argmax(expected))])
            self.assertAlmostEqual(entry["probability"], float(expected.max()), delta=0.01)

    def refused(self, codes, *arguments, exit_code=1, **options):
        """Runs tacit, which has to end with one line for this error, or one of these, and nothing on standard output.
        Returns the line."""
        done = tacit(*arguments, **options)
        self.assertEqual(done.returncode, exit_code, f"{arguments}: {done.stderr}")
        self.assertEqual(done.stdout, "")
        errors = [line for line in done.stderr.splitlines() if line.startswith("tacit: ")]
        self.assertEqual(errors, done.stderr.splitlines()[-1:], "the error is not one line, the last one")
        code, detail = re.match(r"tacit: ([a-z.-]+): (.{10,})$", errors[0]).groups()
        self.assertIn(code, {codes} if isinstance(codes, str) else codes, detail)
        return errors[0]
