#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""ONNX files that cannot be compiled: `tacit compile` names the node and the reason, and leaves no package behind."""
import json
import unittest

import numpy as np
import onnx
from onnx import helper

from support import LABELS, SIDE, TacitTest, compile_arguments, make_model, tacit, write_idx


class Compile(TacitTest):
    def refused_model(self, code, content, *extra):
        """`content` is a model or bytes."""
        path, package = self.folder / "bad.onnx", self.folder / "bad.tacit"
        path.write_bytes(content if isinstance(content, bytes) else content.SerializeToString())
        line = self.refused(code, *compile_arguments(self.folder, path, package), *extra)
        self.assertFalse(package.exists())
        return line

    def changed(self, change):
        model = self.network.model()
        change(model.graph)
        return model

    def test_truncated(self):
        data = self.network.model().SerializeToString()
        for length in (1, len(data) // 3, len(data) // 2, len(data) - 1):
            self.refused_model("onnx.malformed", data[:length])

    def test_not_onnx(self):
        for data in (b"", b"\x89PNG\r\n\x1a\n", b"not a model at all\n" * 10, bytes(1000)):
            self.refused_model("onnx.malformed", data)

    def test_unsupported_operator_is_named(self):
        nodes = [helper.make_node("Conv", ["image", "kernel"], ["c"], "conv", kernel_shape=[3, 3], strides=[2, 2],
                                  pads=[1, 1, 1, 1]),
                 helper.make_node("LSTM", ["c"], ["logits"], "memory cell", hidden_size=3)]
        line = self.refused_model("onnx.unsupported-operator",
                                  make_model(nodes, {"kernel": self.network.kernel}, [1, 1, SIDE, SIDE], [1, 3]))
        self.assertIn("LSTM", line)

    def test_dynamic_shape(self):
        def loosen(graph):
            graph.input[0].type.tensor_type.shape.dim[2].dim_param = "height"
        self.refused_model("onnx.dynamic-shape", self.changed(loosen))

    def test_shapes_that_do_not_fit(self):
        def shorten(graph):
            matrix = next(t for t in graph.initializer if t.name == "matrix")
            matrix.CopyFrom(onnx.numpy_helper.from_array(np.ones((63, 3), np.float32), "matrix"))
        self.refused_model("onnx.shape", self.changed(shorten))

    def test_weights_that_are_no_numbers(self):
        for value in (np.nan, np.inf):
            def spoil(graph):
                bias = next(t for t in graph.initializer if t.name == "bias")
                bias.CopyFrom(onnx.numpy_helper.from_array(np.array([0, value, 0], np.float32), "bias"))
            self.refused_model("onnx.weights-not-finite", self.changed(spoil))

    def test_dimensions_beyond_every_file(self):
        def inflate(graph):
            for i in (0, 1):
                next(t for t in graph.initializer if t.name == "matrix").dims[i] = 1 << 62
        self.assertIn("matrix", self.refused_model("onnx.too-large", self.changed(inflate)))

    def test_a_cycle(self):
        def loop(graph):
            graph.node[0].input[0] = "f"
        self.refused_model("onnx.malformed", self.changed(loop))

    def test_files_that_are_not_there(self):
        package = self.folder / "bad.tacit"
        self.refused("file.not-found", *compile_arguments(self.folder, self.folder / "nosuch.onnx", package))
        self.refused("file.not-found", "compile", self.folder / "tiny.onnx", "--calibration", self.folder / "nosuch",
                     "--preprocessing", self.folder / "preprocessing.json", "-o", package)

    def test_calibration_images_of_another_size(self):
        path = self.folder / "large-idx3-ubyte"
        write_idx(path, np.zeros((4, SIDE + 1, SIDE), np.uint8))
        done = tacit("compile", self.folder / "tiny.onnx", "--calibration", path, "--preprocessing",
                     self.folder / "preprocessing.json", "-o", self.folder / "bad.tacit")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr.splitlines()[-1],
                         "^tacit: (image.wrong-size|compile.calibration|dataset.invalid): ")

    def test_preprocessing_pages_that_are_none(self):
        page = json.loads((self.folder / "preprocessing.json").read_text())
        path = self.folder / "page.json"
        for text in ("", "{", "[]", json.dumps(dict(page, scale="255")), json.dumps(dict(page, mean=[0.5, 0.5])),
                     json.dumps(dict(page, std=[0.0])), json.dumps(dict(page, labels=LABELS[:2])),
                     json.dumps(dict(page, name="../up"))):
            path.write_text(text)
            done = tacit("compile", self.folder / "tiny.onnx", "--calibration", self.folder / "calibration-idx3-ubyte",
                         "--preprocessing", path, "-o", self.folder / "bad.tacit")
            with self.subTest(text=text):
                self.assertIn(done.returncode, (1, 2))
                self.assertRegex(done.stderr.splitlines()[-1],
                                 "^tacit: (json.malformed|argument.invalid|compile.calibration): ")

    def test_a_folder_that_cannot_be_written(self):
        done = tacit(*compile_arguments(self.folder, self.folder / "tiny.onnx", self.folder / "no/such/x.tacit"))
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr.splitlines()[-1], "^tacit: file.(unwritable|not-found): ")

    def test_compiling_twice_gives_the_same(self):
        halves = []
        for name in ("first", "second"):
            package = self.folder / f"{name}.tacit"
            # An encrypted sample has a key of its own each time.
            done = tacit(*compile_arguments(self.folder, self.folder / "tiny.onnx", package), "--sample", "0")
            self.assertEqual(done.returncode, 0, done.stderr)
            data = package.read_bytes()
            size = int.from_bytes(data[12:20], "little")
            client = json.loads(data[20:20 + size])
            self.assertGreater(client["cost"].pop("estimated_ms"), 0)  # measured anew each time
            halves.append((client, data[20 + size:-32]))
        self.assertEqual(*halves)


if __name__ == "__main__":
    unittest.main()
