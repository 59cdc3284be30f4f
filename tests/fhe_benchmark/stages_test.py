#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The seven stages as the suite runs them, on pictures that are made up, against the ONNX file's weights in numpy; and
their accuracy where MNIST is in $TACIT_TEST_DATA/data/mnist."""
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "bench/fhe-benchmark"
sys.path.insert(0, str(SOURCE / "model"))
import strokes

STAGES = Path(os.environ.get("TACIT_FHE_BENCHMARK", ROOT / "build/release/bin/fhe-benchmark"))
DATASET = Path(os.environ.get("TACIT_TEST_DATA", "/nonexistent")) / "data/mnist"
SEED = 20250104
SETS_OF = 4096


def clear_outputs(pixels):
    """The network in double precision: W2 (W1 x + b1)^2 + b2 for [n, 28, 28] in [0, 1]."""
    graph = onnx.load(str(SOURCE / "model/mnist.onnx")).graph
    weights = {w.name: numpy_helper.to_array(w).astype(np.float64) for w in graph.initializer}
    first, second = [[weights[name] for name in node.input[1:]] for node in graph.node if node.op_type == "Gemm"]
    inputs = strokes.reduce(pixels).reshape(len(pixels), -1)
    return (inputs @ first[0].T + first[1]) ** 2 @ second[0].T + second[1]


def write_idx(path, array):
    path.write_bytes(struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes())


class Stages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        print(f"seed {SEED}", file=sys.stderr)
        pixels = np.rint(strokes.strokes(200, SEED) * 255).astype(np.uint8)
        outputs = clear_outputs(pixels / 255)
        ranked = np.sort(outputs, 1)
        cls.largest = np.abs(outputs).max()
        # Pictures that the network is sure of, so that noise cannot change the label.
        sure = ranked[:, -1] - ranked[:, -2] > 0.05 * cls.largest
        cls.pixels, cls.labels = pixels[sure], outputs[sure].argmax(1).astype(np.uint8)
        assert len(cls.pixels) >= 50 and len(set(cls.labels)) > 2, "the made-up pictures are all alike"

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="fhe-benchmark-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def benchmark(self, size, pixels, labels, *arguments):
        """Runs the driver on these images: (exit code, figures, outputs in the driver's order, pixels in this order)."""
        write_idx(self.folder / "t10k-images-idx3-ubyte", pixels)
        write_idx(self.folder / "t10k-labels-idx1-ubyte", labels)
        figures = self.folder / "figures.json"
        done = subprocess.run([SOURCE / "run", str(size), "--dataset", self.folder, "--folder", self.folder, "--json",
                               figures, *arguments], env={**os.environ, "TACIT_FHE_BENCHMARK": str(STAGES)},
                              capture_output=True, text=True)
        self.assertTrue(figures.is_file(), done.stderr)
        report = json.loads(figures.read_text())
        order = np.random.default_rng(report["seed"]).permutation(len(pixels))[:report["images"]]
        name = report["size"]
        self.assertIn(f"{name}: {report['images']} images", done.stdout)
        return done.returncode, report, np.load(self.folder / "io" / name / "intermediate/outputs.npy"), pixels[order]

    def assert_near(self, outputs, pixels):
        error = np.abs(outputs - clear_outputs(pixels / 255)).max()
        self.assertLess(error, 0.01 * self.largest)
        self.assertGreater(error, 0, "the outputs were not computed on ciphertexts")

    def stage(self, name, *arguments, code=0):
        done = subprocess.run([STAGES / name, *arguments], cwd=self.folder, capture_output=True, text=True)
        self.assertEqual(done.returncode, code, f"{name}: {done.stderr}")
        return done.stderr

    def test_single(self):
        code, report, outputs, pixels = self.benchmark(0, self.pixels[:9], self.labels[:9])
        self.assertEqual((code, report["images"], report["right"]), (0, 1, 1))
        self.assertEqual(outputs.shape, (1, 10))
        self.assert_near(outputs, pixels)
        self.assertLess(report["bytes"]["public_keys"], 30e6)

    def test_batch(self):
        code, report, outputs, pixels = self.benchmark(1, self.pixels[:40], self.labels[:40], "--runs", "2")
        self.assertEqual((code, report["images"], report["right"]), (0, 40, 40))
        self.assert_near(outputs, pixels)
        self.assertLess(report["bytes"]["public_keys"], 1e6)
        self.assertIn("Encrypted computation", report["server_steps"])

    def test_more_images_than_a_set_takes(self):
        count = SETS_OF + 3
        choice = np.random.default_rng(SEED).integers(0, len(self.pixels), count)
        code, report, outputs, pixels = self.benchmark(3, self.pixels[choice], self.labels[choice])
        self.assertEqual((code, report["images"], report["right"]), (0, count, count))
        self.assert_near(outputs, pixels)
        files = sorted(path.name for path in (self.folder / "io/large/ciphertexts_download").iterdir())
        self.assertEqual(files, ["set-0.bin", "set-1.bin"])
        # Fewer images next time: nothing of the last run is left.
        code, report, outputs, pixels = self.benchmark(3, self.pixels[:5], self.labels[:5])
        self.assertEqual((code, report["right"], outputs.shape), (0, 5, (5, 10)))

    def test_wrong_labels_are_counted(self):
        code, report, _, _ = self.benchmark(0, self.pixels[:1], (self.labels[:1] + 1) % 10)
        self.assertEqual((code, report["right"]), (1, 0))
        labels = self.labels[:10].copy()
        labels[:2] = (labels[:2] + 1) % 10
        code, report, _, _ = self.benchmark(1, self.pixels[:10], labels)
        self.assertEqual((code, report["right"], report["accuracy"]), (1, 8, 0.8))

    def test_the_server_computes_without_the_secret_key(self):
        self.benchmark(0, self.pixels[:1], self.labels[:1])
        io = self.folder / "io/single"
        self.assertEqual((io / "secret_key/secret.key").stat().st_mode & 0o777, 0o600)
        shutil.rmtree(io / "secret_key")
        shutil.rmtree(io / "ciphertexts_download")
        self.stage("server_preprocess_model")
        self.stage("server_encrypted_compute", "0")
        self.assertTrue((io / "ciphertexts_download/set-0.bin").is_file())
        for name, expected in (("server_encrypted_compute", False), ("client_decrypt_decode", True)):
            symbols = subprocess.run(["nm", "-C", STAGES / name], capture_output=True, text=True, check=True).stdout
            self.assertEqual("tacit::secret::" in symbols, expected, name)
            self.assertIn("tacit::ckks::", symbols)

    def test_answers_under_another_key_are_refused(self):
        self.benchmark(0, self.pixels[:1], self.labels[:1])
        self.stage("client_key_generation", "0")
        self.assert_refused("parameters.mismatch", "client_decrypt_decode", "0")
        self.assert_refused("parameters.mismatch", "server_encrypted_compute", "0")

    def assert_refused(self, code, name, *arguments):
        error = self.stage(name, *arguments, code=1)
        self.assertRegex(error, rf"^{name}: {code}: .+\n$")
        self.assertEqual(error.count("\n"), 1)

    def test_bad_calls_and_files_are_refused(self):
        for name in ("client_key_generation", "client_preprocess_input", "client_encode_encrypt_input",
                     "server_encrypted_compute", "client_decrypt_decode", "client_postprocess"):
            self.assert_refused("argument.invalid", name)
            self.assert_refused("argument.invalid", name, "4")
            if name != "client_key_generation":
                self.assert_refused("file.not-found", name, "1")
        pixels = self.folder / "datasets/small/intermediate/test_pixels.txt"
        pixels.parent.mkdir(parents=True)
        pixels.write_text(" ".join(["0.500000"] * 783) + "\n")
        self.assert_refused("dataset.invalid", "client_preprocess_input", "1")
        pixels.write_text(" ".join(["0.500000"] * 784) + "\n")
        for name in ("client_key_generation", "client_preprocess_input", "client_encode_encrypt_input"):
            self.stage(name, "1")
        upload = self.folder / "io/small/ciphertexts_upload/set-0.bin"
        whole = upload.read_bytes()
        upload.write_bytes(whole[:-1])
        self.assert_refused("data.truncated", "server_encrypted_compute", "1")
        upload.write_bytes(whole)
        self.stage("server_encrypted_compute", "1")

    @unittest.skipUnless(DATASET.is_dir(), "MNIST is not in $TACIT_TEST_DATA/data/mnist")
    def test_accuracy_on_mnist(self):
        figures = self.folder / "figures.json"
        subprocess.run([SOURCE / "run", "3", "--dataset", DATASET, "--folder", self.folder, "--json", figures],
                       env={**os.environ, "TACIT_FHE_BENCHMARK": str(STAGES)}, capture_output=True, check=True)
        report = json.loads(figures.read_text())
        self.assertEqual(report["images"], 10_000)
        self.assertGreaterEqual(report["accuracy"], 0.97)
        self.assertLessEqual(report["bytes"]["ciphertexts_upload"], 300e6)
        text = self.folder / "datasets/large/intermediate/test_pixels.txt"
        clear = clear_outputs(np.loadtxt(text).reshape(-1, 28, 28))
        encrypted = np.load(self.folder / "io/large/intermediate/outputs.npy")
        self.assertGreaterEqual((clear.argmax(1) == encrypted.argmax(1)).mean(), 0.999)
        self.assertLess(np.abs(clear - encrypted).max(), 0.01 * np.abs(clear).max())


if __name__ == "__main__":
    unittest.main()
