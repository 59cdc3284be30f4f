#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Compile, serve, predict: what works, and that it goes on working over restarts and between several owners."""
import concurrent.futures
import json
import unittest

import numpy as np

from support import LABELS, SIDE, DEVIATION, MEAN, TacitTest, clear_cut_images, tacit, write_idx

COSTS = {"count", "encrypt_ms", "server_ms", "decrypt_ms", "upload_bytes", "download_bytes", "key_bytes",
         "peak_memory_bytes"}


class Predict(TacitTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.service = cls.start_service()

    def server(self, verb, *arguments, model="tiny", **options):
        done = tacit(verb, "--server", self.service.url, "--model", model, *arguments, home=self.home, **options)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def tensors(self, pixels):
        return ((np.array(pixels)[:, None] / 255.0 - MEAN) / DEVIATION).astype(np.float32)

    def test_predictions_are_those_of_the_network(self):
        written = self.write_images("right", 4)
        result, _ = self.predict(self.service.url, *(path for path, _ in written))
        self.assert_right(result, written)
        self.assertGreater(len({entry["label"] for entry in result["predictions"]}), 1)

    def test_costs_are_complete_and_possible(self):
        written = self.write_images("costs", 2)
        result, _ = self.predict(self.service.url, *(path for path, _ in written))
        self.assertLessEqual(COSTS, result.keys())
        self.assertEqual(result["count"], 2)
        for name in COSTS:
            self.assertGreater(result[name], 0, name)
        sent = sum(file.stat().st_size for file in (self.home / "evaluation").rglob("pieces/*"))
        self.assertEqual(result["key_bytes"], sent)

    def test_people_are_answered_on_standard_error(self):
        (path, pixels), = self.write_images("people", 1)
        done = tacit("predict", "--server", self.service.url, "--model", "tiny", path, home=self.home)
        self.assertEqual((done.returncode, done.stdout), (0, ""))
        self.assertIn(LABELS[int(np.argmax(self.network.outputs(pixels)))], done.stderr)

    def test_features_are_the_outputs(self):
        written = self.write_images("features", 3)
        output = self.folder / "features.npy"
        self.server("features", *(path for path, _ in written), "--output", output)
        expected = np.array([self.network.outputs(pixels) for _, pixels in written])
        np.testing.assert_allclose(np.load(output), expected, atol=0.02 * np.abs(expected).max())

    def test_evaluate_counts_what_is_right(self):
        pixels = clear_cut_images(self.network, 5)
        right = [int(np.argmax(self.network.outputs(image))) for image in pixels]
        given = [(right[0] + 1) % 3] + right[1:]
        data = self.folder / "labelled"
        data.mkdir()
        write_idx(data / "t10k-images-idx3-ubyte", np.array(pixels))
        write_idx(data / "t10k-labels-idx1-ubyte", np.array(given, np.uint8))
        result = json.loads(self.server("evaluate", "--dataset", data, "--count", "5", "--json"))
        self.assertEqual(result["count"], 5)
        self.assertAlmostEqual(result["accuracy"], 0.8)

    def test_models_are_listed(self):
        done = tacit("models", "--server", self.service.url)
        self.assertEqual(done.returncode, 0, done.stderr)
        shown = done.stdout + done.stderr
        for text in ("tiny", *LABELS):
            self.assertIn(text, shown)

    def test_run_and_simulate_here_agree_with_the_network(self):
        pixels = clear_cut_images(self.network, 3)
        np.save(self.folder / "x.npy", self.tensors(pixels))
        expected = np.array([self.network.outputs(image) for image in pixels])
        for verb in ("run", "simulate"):
            output = self.folder / f"{verb}.npy"
            done = tacit(verb, self.models / "tiny.tacit", "--input", self.folder / "x.npy", "--output", output)
            self.assertEqual(done.returncode, 0, done.stderr)
            np.testing.assert_allclose(np.load(output), expected, atol=0.02 * np.abs(expected).max())

    def test_inspect_says_what_it_takes(self):
        done = tacit("inspect", self.models / "tiny.tacit", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        facts = json.loads(done.stdout)
        for name in ("ring_degree", "log_qp", "levels", "rotations", "products", "key_bytes", "upload_bytes",
                     "estimated_ms"):
            self.assertGreater(facts[name], 0, name)
        self.assertLessEqual(facts["log_qp"], {4096: 106, 8192: 214, 16384: 430}[facts["ring_degree"]])

    def test_owners_at_once_do_not_meet(self):
        written = self.write_images("owners", 2)
        paths = [path for path, _ in written]
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            asked = [pool.submit(self.predict, self.service.url, *paths, home=self.folder / f"owner-{i}")
                     for i in range(3)]
            for answer in asked:
                self.assert_right(answer.result()[0], written)

    def test_without_a_passphrase_the_key_stays_in_memory(self):
        written = self.write_images("memory", 1)
        home = self.folder / "unused"
        result, said = self.predict(self.service.url, written[0][0], home=home, passphrase=None)
        self.assert_right(result, written)
        self.assertIn("kept in memory", said)
        self.assertFalse(home.exists())


class Restart(TacitTest):
    def test_keys_survive_a_restart_and_a_kill(self):
        service = self.start_service("restarted")
        written = self.write_images("restart", 1)
        path = written[0][0]
        _, said = self.predict(service.url, path)
        self.assertIn("uploading evaluation keys", said)
        self.assertEqual(service.stop(), 0)
        service.start()
        result, said = self.predict(service.url, path)
        self.assert_right(result, written)
        self.assertNotIn("ing evaluation keys", said)
        service.process.kill()
        service.process.wait()
        service.start()
        result, said = self.predict(service.url, path)
        self.assert_right(result, written)
        self.assertNotIn("ing evaluation keys", said)

    def test_a_server_that_lost_its_state_gets_the_keys_again(self):
        written = self.write_images("lost", 1)
        first = self.start_service("first")
        self.predict(first.url, written[0][0])
        second = self.start_service("second")
        result, said = self.predict(second.url, written[0][0])
        self.assert_right(result, written)
        self.assertIn("uploading evaluation keys", said)
        self.assertNotIn("making evaluation keys", said)


if __name__ == "__main__":
    unittest.main()
