#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Features, fit, classify: a classifier of one's own on features that the server computed without seeing the images,
compared with torch and NumPy; and what is refused on the way."""
import hashlib
import json
import struct
import unittest

import numpy as np
import torch

from support import SEED, SIDE, TacitTest, images, random_images, tacit, write_idx

KINDS = ["dark", "light"]
DEVIATION_FLOOR = 0.1


def read_head(path):
    """A head file as protocol/head-file.md describes it."""
    data = path.read_bytes()
    assert data[:12] == b"TACITHED" + struct.pack("<I", 1)
    assert hashlib.blake2b(data[:-32], digest_size=32).digest() == data[-32:]
    at = 12

    def text():
        nonlocal at
        length, = struct.unpack_from("<I", data, at)
        at += 4 + length
        return data[at - length:at].decode()

    head = {"model": text()}
    features, classes = struct.unpack_from("<II", data, at)
    at += 8
    head["labels"] = [text() for _ in range(classes)]
    for name, shape in (("mean", (features,)), ("deviation", (features,)), ("weights", (classes, features)),
                        ("bias", (classes,))):
        count = int(np.prod(shape))
        head[name] = np.frombuffer(data, "<f8", count, at).reshape(shape)
        at += 8 * count
    assert at + 32 == len(data)
    return head


def probabilities(head, x):
    scores = (x - head["mean"]) / head["deviation"] @ head["weights"].T + head["bias"]
    e = np.exp(scores - scores.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def fit_with_torch(x, labels, classes, l2):
    """The same regression, minimised by torch in double precision: a head without labels."""
    mean, variance = x.mean(0), x.var(0)
    deviation = np.sqrt(variance + DEVIATION_FLOOR ** 2 * variance.mean())
    inputs, targets = torch.from_numpy((x - mean) / deviation), torch.from_numpy(labels)
    weights = torch.zeros(classes, x.shape[1], dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(classes, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([weights, bias], max_iter=2000, tolerance_grad=1e-10, tolerance_change=0,
                                  line_search_fn="strong_wolfe")

    def loss():
        optimiser.zero_grad()
        value = torch.nn.functional.cross_entropy(inputs @ weights.T + bias, targets) + l2 / 2 * (weights ** 2).sum()
        value.backward()
        return value

    optimiser.step(loss)
    return {"mean": mean, "deviation": deviation, "weights": weights.detach().numpy(), "bias": bias.detach().numpy(),
            "loss": loss().item()}


def clouds(random, rows, columns, classes, distance=3.0):
    """Overlapping normal clouds with quite different units: table and labels."""
    labels = random.integers(0, classes, rows)
    labels[:classes] = np.arange(classes)
    centres = random.normal(0, distance / np.sqrt(columns), (classes, columns))
    table = (centres[labels] + random.normal(0, 1, (rows, columns))) * 10.0 ** random.integers(-1, 2, columns) + 5
    return table.astype(np.float32), labels.astype(np.int64)


class Fit(TacitTest):
    """Without a server."""

    def write(self, name, table, labels=None):
        path = self.folder / f"{name}.npy"
        np.save(path, table)
        if labels is not None:
            np.save(self.folder / f"{name}-labels.npy", labels)
        return path, self.folder / f"{name}-labels.npy"

    def fit(self, name, *arguments):
        """What `tacit fit --json` says, and the head."""
        done = tacit("fit", self.folder / f"{name}.npy", "--output", self.folder / f"{name}.head", *arguments, "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout), read_head(self.folder / f"{name}.head")

    def test_the_minimum_is_the_one_that_torch_finds(self):
        random = np.random.default_rng(SEED)
        for rows, columns, classes, l2 in ((200, 5, 2, 0.1), (300, 12, 5, 0.01), (40, 90, 3, 0.001), (500, 20, 10, 1)):
            with self.subTest(rows=rows, columns=columns, classes=classes, l2=l2):
                table, labels = clouds(random, rows, columns, classes)
                _, label_file = self.write("torch", table, labels)
                said, head = self.fit("torch", "--labels", label_file, "--held-out", 0, "--l2", l2)
                expected = fit_with_torch(table.astype(np.float64), labels, classes, l2)
                self.assertTrue(said["converged"])
                self.assertEqual(head["labels"], [str(label) for label in range(classes)])
                self.assertAlmostEqual(said["loss"], expected["loss"], delta=1e-6)
                for name in ("mean", "deviation"):
                    np.testing.assert_allclose(head[name], expected[name], rtol=1e-6)
                np.testing.assert_allclose(head["weights"], expected["weights"], atol=2e-3)
                np.testing.assert_allclose(probabilities(head, table), probabilities(expected, table), atol=1e-3)

    def test_classify_says_what_numpy_computes_from_the_head(self):
        table, labels = clouds(np.random.default_rng(SEED), 150, 7, 4)
        path, label_file = self.write("numpy", table, labels)
        _, head = self.fit("numpy", "--labels", label_file)
        done = tacit("classify", self.folder / "numpy.head", path, "--labels", label_file, "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        said, expected = json.loads(done.stdout), probabilities(head, table)
        self.assertEqual(said["count"], 150)
        self.assertEqual(said["labels"], head["labels"])
        np.testing.assert_allclose([row["probabilities"] for row in said["predictions"]], expected, atol=1e-5)
        self.assertEqual([row["label"] for row in said["predictions"]], [str(c) for c in expected.argmax(1)])
        self.assertAlmostEqual(said["accuracy"], float((expected.argmax(1) == labels).mean()))

    def test_scores_are_those_of_the_rows(self):
        table, labels = clouds(np.random.default_rng(SEED), 203, 6, 3, distance=1.5)
        path, label_file = self.write("scores", table, labels)
        said, head = self.fit("scores", "--labels", label_file, "--held-out", 0.3)
        self.assertEqual((said["training_rows"], said["held_out_rows"]), (142, 61))
        right = said["training_accuracy"] * 142 + said["held_out_accuracy"] * 61
        self.assertAlmostEqual(right, float((probabilities(head, table).argmax(1) == labels).sum()), places=6)
        held = np.bincount(labels) * 0.3  # of each class, give or take one row
        mean_recall = sum(said["recall"][str(c)] * held[c] for c in range(3)) / 61
        self.assertAlmostEqual(mean_recall, said["held_out_accuracy"], delta=0.05)
        again, _ = self.fit("scores", "--labels", label_file, "--held-out", 0.3)
        self.assertEqual(again, said)
        other, _ = self.fit("scores", "--labels", label_file, "--held-out", 0.3, "--seed", 2)
        self.assertNotEqual(other, said)
        self.assertIn(said["l2"], (10, 1, 0.1, 0.01, 0.001, 0.0001))
        self.assertTrue(said["l2_chosen"])

    def test_what_it_is_measured_on_is_not_trained_on(self):
        # Labels without any pattern: the rows trained on can be learnt by heart, the others cannot.
        random = np.random.default_rng(SEED)
        _, label_file = self.write("chance", random.normal(0, 1, (400, 500)).astype(np.float32), np.arange(400) % 2)
        said, _ = self.fit("chance", "--labels", label_file, "--l2", 0.0001, "--held-out", 0.5)
        self.assertEqual(said["training_accuracy"], 1)
        self.assertLess(said["held_out_accuracy"], 0.65)

    def test_labels_of_every_form(self):
        table, labels = clouds(np.random.default_rng(SEED), 60, 3, 3)
        self.write("forms", table)
        files = {"text": "".join(f"{label}\r\n" for label in labels).encode() + b"\n",
                 "idx": struct.pack(">HBBI", 0, 8, 1, 60) + labels.astype(np.uint8).tobytes()}
        for name, content in files.items():
            (self.folder / f"labels.{name}").write_bytes(content)
        for name in ("uint8", "int32", "int64"):
            np.save(self.folder / f"labels.{name}.npy", labels.astype(name))
        heads = [self.fit("forms", "--labels", self.folder / name)[1]
                 for name in ("labels.text", "labels.idx", "labels.uint8.npy", "labels.int32.npy", "labels.int64.npy")]
        for head in heads[1:]:
            np.testing.assert_array_equal(head["weights"], heads[0]["weights"])

    def test_labels_are_sorted_as_numbers_or_as_words(self):
        table, _ = clouds(np.random.default_rng(SEED), 30, 3, 3)
        self.write("sorted", table)
        for given, expected in ((["9", "10", "-1"], ["-1", "9", "10"]), (["9", "10", "x"], ["10", "9", "x"]),
                                (["Müller", "a b", "A"], ["A", "Müller", "a b"])):
            (self.folder / "words").write_text("\n".join(given * 10))
            _, head = self.fit("sorted", "--labels", self.folder / "words")
            self.assertEqual(head["labels"], expected)

    def test_tables_that_cannot_be_learnt_from(self):
        table, labels = clouds(np.random.default_rng(SEED), 20, 3, 2)
        self.write("good", table, labels)
        damaged = table.copy()
        damaged[7, 1] = np.nan
        for name, content, code in (("nan", damaged, "features.invalid"),
                                    ("flat", np.ones_like(table), "features.invalid"),
                                    ("vector", table[:, 0].copy(), "features.invalid"),
                                    ("empty", table[:0], "features.invalid"),
                                    ("words", np.array([["a"]] * 20), "data.malformed")):
            path, _ = self.write(name, content)
            self.refused(code, "fit", path, "--labels", self.folder / "good-labels.npy", "--output", self.folder / "no")
        self.refused("file.not-found", "fit", self.folder / "missing.npy", "--labels", "x", "--output", "y")
        self.assertFalse((self.folder / "no").exists())

    def test_labels_that_do_not_belong(self):
        table, labels = clouds(np.random.default_rng(SEED), 20, 3, 2)
        path, label_file = self.write("rows", table, labels)
        fit = ("fit", path, "--output", self.folder / "no")
        self.refused("argument.invalid", *fit, exit_code=2)
        self.refused("file.not-found", *fit, "--labels", self.folder / "missing")
        for name, content, code in (("few", b"a\nb\n", "labels.invalid"), ("one", b"a\n" * 20, "labels.invalid"),
                                    ("gap", b"a\n\n" + b"b\n" * 18, "labels.invalid"),
                                    ("nothing", b"", "labels.invalid"),
                                    ("long", b"a\n" * 19 + b"b" * 257, "labels.invalid"),
                                    ("pixels", struct.pack(">HBB3I", 0, 8, 3, 1, 1, 1) + b"x", "data.malformed")):
            (self.folder / name).write_bytes(content)
            line = self.refused(code, *fit, "--labels", self.folder / name)
            self.assertIn("nothing to tell apart" if name == "one" else name, line)
        np.save(self.folder / "square.npy", labels.reshape(10, 2))
        self.refused("labels.invalid", *fit, "--labels", self.folder / "square.npy")
        np.save(self.folder / "real.npy", labels.astype(np.float32))
        self.refused("data.malformed", *fit, "--labels", self.folder / "real.npy")
        for option, value in (("--held-out", 1), ("--held-out", -0.1), ("--l2", -1), ("--l2", "nan"),
                              ("--model", "../x")):
            self.refused("argument.invalid", *fit, "--labels", label_file, option, value, exit_code=2)
        self.assertFalse((self.folder / "no").exists())
        two, two_labels = self.write("two", table[:2], np.array([0, 1]))
        self.refused("labels.invalid", "fit", two, "--labels", two_labels, "--output", self.folder / "no")

    def test_heads_that_are_none(self):
        table, labels = clouds(np.random.default_rng(SEED), 20, 3, 2)
        path, label_file = self.write("head", table, labels)
        self.fit("head", "--labels", label_file)
        good = (self.folder / "head.head").read_bytes()
        bad = self.folder / "bad.head"
        for content in (b"", good[:7], good[:50], good[:-1], good + b"\0", b"X" + good[1:], good[:8] + b"\2" + good[9:],
                        good[:60] + bytes([good[60] ^ 1]) + good[61:], (self.models / "tiny.tacit").read_bytes()):
            bad.write_bytes(content)
            codes = {"data.truncated", "data.trailing", "data.malformed", "data.version"}
            self.assertIn("bad.head", self.refused(codes, "classify", bad, path))
        self.refused("file.not-found", "classify", self.folder / "nosuch.head", path)
        head = self.folder / "head.head"
        other, _ = self.write("other", table[:, :2].copy())
        self.assertRegex(self.refused("head.mismatch", "classify", head, other), r"\b3\b.*\b2\b")
        damaged = table.copy()
        damaged[4, 2] = np.inf
        self.assertIn("row 4", self.refused("features.invalid", "classify", head, self.write("inf", damaged)[0]))
        (self.folder / "unknown").write_text("0\n" * 19 + "seven\n")
        line = self.refused("labels.invalid", "classify", head, path, "--labels", self.folder / "unknown")
        self.assertIn("seven", line)
        (self.folder / "fewer").write_text("0\n1\n")
        self.refused("labels.invalid", "classify", head, path, "--labels", self.folder / "fewer")
        for arguments in ((), (head,), (head, path, path), (head, path, "--model", "tiny"),
                          (head, path, "--server", "http://127.0.0.1:1"), (head, "--dataset", self.folder)):
            self.refused("argument.invalid", "classify", *arguments, exit_code=2)

    def test_pages_beside_the_table_that_are_none(self):
        table, labels = clouds(np.random.default_rng(SEED), 20, 3, 2)
        path, label_file = self.write("paged", table, labels)
        page = {"format": "tacit.features", "version": 1, "model": "tiny", "features": 3, "images": ["x"] * 20}

        def fit(content):
            text = content if isinstance(content, str) else json.dumps({**page, **content})
            (self.folder / "paged.npy.json").write_text(text)
            return ("fit", path, "--labels", label_file, "--output", self.folder / "paged.head")

        done = tacit(*fit({}))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(read_head(self.folder / "paged.head")["model"], "tiny")
        for content, code in (("", "json.malformed"), ("[]", "json.malformed"), ("[" * 100_000, "json.malformed"),
                              ({"format": "x"}, "json.malformed"), ({"format": 1}, "json.malformed"),
                              ({"version": 2}, "data.version"), ({"version": "1"}, "data.version"),
                              ({"model": "../x"}, "json.malformed"), ({"model": 1}, "json.malformed"),
                              ({"images": {}}, "json.malformed"), ({"images": [1] * 20}, "json.malformed"),
                              ({"images": [["x"]] * 20}, "features.invalid"),
                              ({"images": ["x"] * 19}, "features.invalid"),
                              ({"features": 4}, "features.invalid"), ({"features": None}, "features.invalid"),
                              ({"labels": ["a", ""] * 10}, "labels.invalid")):
            with self.subTest(content=content if isinstance(content, dict) else content[:20]):
                self.assertIn("paged.npy.json", self.refused(code, *fit(content)))
        self.refused("features.invalid", *fit({}), "--model", "other")


class Transfer(TacitTest):
    """With a server: the tiny network's three outputs as features for a task that it was not made for."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.service = cls.start_service()
        random = np.random.default_rng(SEED)
        cls.pixels = random_images(40)
        cls.kinds = [KINDS[i % 2] for i in range(40)]
        for i in range(0, 40, 2):
            cls.pixels[i] //= 4
        for folder in KINDS:
            (cls.folder / "photos" / folder).mkdir(parents=True)
        for i, (image, kind) in enumerate(zip(cls.pixels, cls.kinds)):
            (cls.folder / "photos" / kind / f"{i:02}.png").write_bytes(images.png(image.tobytes(), SIDE, SIDE))
        (cls.folder / "idx").mkdir()
        write_idx(cls.folder / "idx/t10k-images-idx3-ubyte", cls.pixels)
        numbers = np.array([KINDS.index(kind) for kind in cls.kinds], np.uint8)
        write_idx(cls.folder / "idx/t10k-labels-idx1-ubyte", numbers)

    def ask(self, verb, *arguments):
        done = tacit(verb, *arguments, "--server", self.service.url, "--model", "tiny", home=self.home)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def expected(self, pixels):
        return np.array([self.network.outputs(image) for image in pixels])

    def test_features_of_a_folder_fit_and_classify(self):
        table = self.folder / "photos.npy"
        self.ask("features", "--dataset", self.folder / "photos", "--output", table)
        # From the subfolders in turns: the same as the order they were made in.
        expected = self.expected(self.pixels)
        np.testing.assert_allclose(np.load(table), expected, atol=0.02 * np.abs(expected).max())
        page = json.loads((self.folder / "photos.npy.json").read_text())
        self.assertEqual([page[name] for name in ("format", "version", "model", "features")],
                         ["tacit.features", 1, "tiny", 3])
        self.assertEqual(page["labels"], self.kinds)
        first = [str(self.folder / "photos" / name) for name in ("dark/00.png", "light/01.png")]
        self.assertEqual(page["images"][:2], first)
        head = self.folder / "photos.head"
        done = tacit("fit", table, "--output", head, "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        said = json.loads(done.stdout)
        self.assertEqual((said["model"], said["labels"]), ("tiny", KINDS))
        self.assertGreaterEqual(said["held_out_accuracy"], 0.75)

        paths = [self.folder / "photos" / kind / f"{i:02}.png" for i, kind in enumerate(self.kinds)][:6]
        (self.folder / "truth").write_text("\n".join(self.kinds[:6]))
        done = self.ask("classify", head, *paths, "--labels", self.folder / "truth", "--json")
        asked = json.loads(done.stdout)
        exact = probabilities(read_head(head), expected[:6])
        self.assertEqual([entry["image"] for entry in asked["predictions"]], [str(path) for path in paths])
        for entry, row in zip(asked["predictions"], exact):
            np.testing.assert_allclose(entry["probabilities"], row, atol=0.05)
        self.assertGreater(asked["server_ms"], 0)
        self.assertIn("accuracy", asked)
        done = tacit("classify", head, table)
        self.assertEqual((done.returncode, done.stdout), (0, ""), done.stderr)
        self.assertIn(str(paths[0]) + ": ", done.stderr)
        self.assertIn("of 40 labels are right", done.stderr)

    def test_features_of_idx_files_with_and_without_labels(self):
        table = self.folder / "idx.npy"
        for source in (self.folder / "idx", self.folder / "idx/t10k-images-idx3-ubyte"):
            self.ask("features", "--dataset", source, "--count", 5, "--output", table)
            self.assertEqual(np.load(table).shape, (5, 3))
            page = json.loads((self.folder / "idx.npy.json").read_text())
            self.assertEqual(page["labels"], ["0", "1", "0", "1", "0"])
        write_idx(self.folder / "pixels", self.pixels[:3])
        self.ask("features", "--dataset", self.folder / "pixels", "--output", table)
        self.assertNotIn("labels", json.loads((self.folder / "idx.npy.json").read_text()))
        line = self.refused("argument.invalid", "fit", table, "--output", self.folder / "no", exit_code=2)
        self.assertIn("--labels", line)

    def test_a_head_refuses_other_features_before_it_asks(self):
        table, head, home = self.folder / "mine.npy", self.folder / "mine.head", self.folder / "untouched"
        random = np.random.default_rng(SEED)
        image = self.folder / "photos/dark/00.png"
        asking = ("--server", self.service.url, "--model", "tiny")
        (self.folder / "mine-labels").write_text("a\nb\n" * 10)
        for columns, model in ((4, "tiny"), (3, "other")):
            np.save(table, random.normal(0, 1, (20, columns)).astype(np.float32))
            done = tacit("fit", table, "--labels", self.folder / "mine-labels", "--model", model, "--output", head)
            self.assertEqual(done.returncode, 0, done.stderr)
            line = self.refused("head.mismatch", "classify", head, image, *asking, home=home)
            self.assertIn(model if columns == 3 else "4", line)
        self.assertFalse(home.exists(), "keys were made for nothing")

    def test_wrong_usage(self):
        asking = ("--server", self.service.url, "--model", "tiny", "--output", self.folder / "no.npy")
        image = self.folder / "photos/dark/00.png"
        photos = ("--dataset", self.folder / "photos")
        for arguments in ((), (image, *photos), (image, "--count", 1), (image, "--labels", image),
                          (*photos, "--count", 0)):
            self.refused("argument.invalid", "features", *arguments, *asking, exit_code=2, home=self.home)
        self.refused("dataset.invalid", "features", *photos, "--count", 41, *asking, home=self.home)
        self.refused("file.not-found", "features", "--dataset", self.folder / "nosuch", *asking, home=self.home)


if __name__ == "__main__":
    unittest.main()
