#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The compile report: the page is well-formed and needs nothing else, `inspect` shows what `compile` wrote, figures are
those of the network in numpy, and names do no harm."""
import json
import unittest
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser

import numpy as np
import onnx
from onnx import helper

from support import LABELS, SIDE, TacitTest, make_model, random_images, tacit, write_idx

HOSTILE = "</title><script>alert(\"1\")</script>&'\"><img src=x onerror=y>"
VOID = {"meta", "br", "hr", "img", "link"}


class Balance(HTMLParser):
    """Checks that tags are closed in the order in which they were opened."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.seen, self.attributes = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        self.attributes += [name for name, _ in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append(tag)
        self.attributes += [name for name, _ in attrs]

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-1:]}"
        self.open.pop()


class Report(TacitTest):
    IMAGES = 48

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.pixels = random_images(cls.IMAGES, 11)
        cls.labels = np.random.default_rng(12).integers(0, 3, cls.IMAGES).astype(np.uint8)
        write_idx(cls.folder / "train-images-idx3-ubyte", cls.pixels)
        write_idx(cls.folder / "train-labels-idx1-ubyte", cls.labels)

    def compile(self, *extra, model=None, images=None, package="report.tacit"):
        done = tacit("compile", model or self.folder / "tiny.onnx", "--calibration",
                     images or self.folder / "train-images-idx3-ubyte", "--preprocessing",
                     self.folder / "preprocessing.json", "-o", self.folder / package, "--json", *extra)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout), done.stderr

    def check_page(self, path):
        text = path.read_text(encoding="utf-8")
        page = Balance(text)
        self.assertEqual(page.open, [])
        ElementTree.fromstring(text.replace("<!DOCTYPE html>", ""))
        for tag in ("script", "img", "link", "iframe", "object"):
            self.assertNotIn(tag, page.seen)
        for name in ("src", "href", "onerror", "onload", "srcset"):
            self.assertNotIn(name, page.attributes)
        self.assertNotIn("http", text)
        self.assertNotIn("url(", text)
        self.assertGreater(page.seen.count("svg"), 3)
        return text

    def forms(self, result):
        return {entry["network"]: entry for entry in result["accuracy"]["networks"]}

    def test_page_is_well_formed_and_inspect_shows_it_again(self):
        compiled, said = self.compile("--report", self.folder / "compiled.html", "--sample", "2")
        text = self.check_page(self.folder / "compiled.html")
        done = tacit("inspect", self.folder / "report.tacit", "--report", self.folder / "inspected.html", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(json.loads(done.stdout), compiled)
        self.assertEqual((self.folder / "inspected.html").read_text(encoding="utf-8"), text)
        for line in done.stderr.splitlines():
            self.assertIn(line, said)
        for word in ("conv", "square", "dense", "Accuracy", "Server memory"):
            self.assertIn(word, text)

    def test_figures_are_those_of_the_network(self):
        result, _ = self.compile("--sample", "4")
        forms = self.forms(result)
        self.assertEqual(list(forms), ["original", "polynomial", "simulated noise", "encrypted"])
        outputs = np.array([self.network.outputs(image) for image in self.pixels])
        right = float(np.mean(outputs.argmax(1) == self.labels))
        self.assertAlmostEqual(forms["original"]["accuracy"], right)
        self.assertEqual(forms["original"]["agreement"], 1)
        self.assertAlmostEqual(result["accuracy"]["largest_output"], float(np.abs(outputs).max()), places=4)
        self.assertEqual(forms["encrypted"]["images"], 4)
        self.assertGreater(forms["encrypted"]["encryption_error"]["largest"], 0)
        # Theory and practice: the root mean square errors are within two bits.
        bits = [forms[name]["encryption_error"]["bits"] for name in ("simulated noise", "encrypted")]
        self.assertLess(abs(bits[0] - bits[1]), 2)
        memory = result["memory"]
        self.assertEqual(memory["total"], memory["plaintexts"] + memory["keys"] + memory["ciphertexts"])
        self.assertEqual([ring["taken"] for ring in result["search"]["rings"]].count(True), 1)

    def test_labels_from_a_file_and_without(self):
        write_idx(self.folder / "unlabelled-idx3-ubyte", self.pixels)
        result, _ = self.compile("--sample", "0", images=self.folder / "unlabelled-idx3-ubyte")
        forms = self.forms(result)
        self.assertNotIn("encrypted", forms)
        self.assertIsNone(forms["original"]["accuracy"])
        names = self.folder / "labels.txt"
        names.write_text("".join(LABELS[label] + "\n" for label in self.labels))
        labelled, _ = self.compile("--sample", "0", "--calibration-labels", names,
                                   images=self.folder / "unlabelled-idx3-ubyte")
        beside, _ = self.compile("--sample", "0")
        self.assertIsNotNone(self.forms(labelled)["original"]["accuracy"])
        self.assertEqual(self.forms(labelled), self.forms(beside))
        names.write_text("circle\n" * (self.IMAGES - 1))
        arguments = ("compile", self.folder / "tiny.onnx", "--calibration", self.folder / "unlabelled-idx3-ubyte",
                     "--preprocessing", self.folder / "preprocessing.json", "-o", self.folder / "bad.tacit",
                     "--calibration-labels", names)
        self.refused("labels.invalid", *arguments)
        names.write_text("circle\n" * (self.IMAGES - 1) + "hexagon\n")
        self.assertIn("hexagon", self.refused("labels.invalid", *arguments))

    def test_hostile_names(self):
        nodes = [helper.make_node("Conv", ["image", "kernel"], ["c"], HOSTILE + "conv", kernel_shape=[3, 3],
                                  strides=[2, 2], pads=[1, 1, 1, 1]),
                 helper.make_node("Tanh", ["c"], ["s"], HOSTILE + "tanh\x07\n"),
                 helper.make_node("Flatten", ["s"], ["f"], "flatten"),
                 helper.make_node("Gemm", ["f", "matrix", "bias"], ["logits"], HOSTILE)]
        weights = {"kernel": self.network.kernel, "matrix": self.network.matrix, "bias": self.network.bias}
        path = self.folder / "hostile.onnx"
        onnx.save(make_model(nodes, weights, ["N", 1, SIDE, SIDE], ["N", 3]), str(path))
        result, _ = self.compile("--sample", "0", "--report", self.folder / "hostile.html", model=path)
        text = self.check_page(self.folder / "hostile.html")
        self.assertIn("&lt;script&gt;", text)
        self.assertEqual(len(result["activations"]), 1)

    def test_refresh_says_what_clients_see(self):
        nodes = [helper.make_node("Conv", ["image", "kernel"], ["c"], "conv", kernel_shape=[3, 3], strides=[2, 2],
                                  pads=[1, 1, 1, 1]),
                 helper.make_node("Relu", ["c"], ["s"], "relu"),
                 helper.make_node("Flatten", ["s"], ["f"], "flatten"),
                 helper.make_node("Gemm", ["f", "matrix", "bias"], ["logits"], "dense")]
        weights = {"kernel": self.network.kernel, "matrix": self.network.matrix, "bias": self.network.bias}
        path = self.folder / "relu.onnx"
        onnx.save(make_model(nodes, weights, ["N", 1, SIDE, SIDE], ["N", 3]), str(path))
        result, said = self.compile("--refresh", "--report", self.folder / "refresh.html", model=path)
        seen = [view for view in result["client"] if view["decrypted"]]
        self.assertEqual([(view["name"], view["shape"], view["function"]) for view in seen],
                         [("conv", [4, 4, 4], "Relu")])
        self.assertIn("the client sees conv", said)
        self.assertIn("What clients see of the network", self.check_page(self.folder / "refresh.html"))

    def test_memory_budget(self):
        result, _ = self.compile("--sample", "0", "--memory", "4000")
        self.assertLessEqual(result["memory"]["total"], 4_000_000_000)
        line = self.refused("compile.memory", "compile", self.folder / "tiny.onnx", "--calibration",
                            self.folder / "train-images-idx3-ubyte", "--preprocessing",
                            self.folder / "preprocessing.json", "-o", self.folder / "bad.tacit", "--memory", "1")
        self.assertIn("--memory", line)
        self.assertFalse((self.folder / "bad.tacit").exists())


if __name__ == "__main__":
    unittest.main()
