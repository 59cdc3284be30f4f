#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a person can get wrong: each mistake ends in one line with its stable code, and the server lives on."""
import shutil
import unittest

from support import SIDE, TacitTest, free_port, images


class Refusals(TacitTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.service = cls.start_service()

    def setUp(self):
        self.written = self.write_images("good", 1)
        self.image = self.written[0][0]

    def tearDown(self):
        self.assertTrue(self.service.answers("/v2/health/live"))

    def refused_prediction(self, code, *paths, server=None, model="tiny", exit_code=1, **options):
        options.setdefault("home", self.home)
        return self.refused(code, "predict", "--server", server or self.service.url, "--model", model, *paths,
                            exit_code=exit_code, **options)

    def test_unknown_model(self):
        self.assertIn("nosuch", self.refused_prediction("model.unknown", self.image, model="nosuch"))

    def test_names_that_lead_elsewhere(self):
        for name in ("../tiny", "..", ".", "", "a/b", "tiny/../../state", "%2e%2e", "Tiny", "t" * 65, "ti\nny"):
            line = self.refused_prediction("argument.invalid", self.image, model=name, exit_code=2)
            self.assertNotIn("internal", line)

    def test_server_down(self):
        line = self.refused_prediction("server.unreachable", self.image, server=f"http://127.0.0.1:{free_port()}")
        self.assertIn("127.0.0.1", line)

    def test_addresses_that_are_none(self):
        for url in ("", "127.0.0.1", "ftp://127.0.0.1", "http://", "file:///etc/passwd", "http://a b"):
            self.refused_prediction("argument.invalid", self.image, server=url, exit_code=2)

    def test_images_that_are_none(self):
        missing = self.folder / "missing.png"
        self.assertIn(str(missing), self.refused_prediction("file.not-found", missing))
        data = self.image.read_bytes()
        for name, content in (("empty", b""), ("text", b"hello, this is text\n"), ("cut", data[:len(data) // 2]),
                              ("header", data[:20]), ("folder", None)):
            path = self.folder / f"{name}.png"
            if content is None:
                path.mkdir(exist_ok=True)
                self.refused_prediction("file.unreadable", path)
            else:
                path.write_bytes(content)
                self.assertIn(str(path), self.refused_prediction("image.malformed", path))

    def test_images_of_another_size(self):
        for width, height in ((SIDE + 1, SIDE), (SIDE, SIDE - 1), (1, 1), (28, 28)):
            path = self.folder / f"{width}x{height}.png"
            path.write_bytes(images.png(bytes(width * height), width, height))
            line = self.refused_prediction("image.wrong-size", path)
            self.assertIn(f"{SIDE}x{SIDE}", line.replace(" ", "").replace("\u00d7", "x"))

    def test_one_bad_image_among_good_ones_sends_nothing(self):
        bad = self.folder / "bad.png"
        bad.write_bytes(b"no image")
        home = self.folder / "fresh"
        self.refused_prediction("image.malformed", self.image, bad, home=home)
        self.assertFalse(home.exists())

    def test_wrong_passphrase(self):
        self.predict(self.service.url, self.image)
        line = self.refused_prediction("keyfile.passphrase", self.image, passphrase="wrong horse")
        self.assertNotIn("wrong horse", line)
        result, _ = self.predict(self.service.url, self.image)
        self.assert_right(result, self.written)

    def test_passphrases_that_are_none(self):
        self.predict(self.service.url, self.image)
        self.refused_prediction("passphrase.missing", self.image, passphrase=None)
        self.refused_prediction("argument.invalid", self.image, passphrase="", exit_code=2)
        self.refused_prediction("argument.invalid", self.image, passphrase="x" * 1025, exit_code=2)

    def test_a_flipped_bit_in_the_key_file(self):
        self.predict(self.service.url, self.image)
        home = self.folder / "flipped"
        for offset in (0, 8, 9, 12, 16, 20, 40, 60, 91, 92, 107):
            shutil.rmtree(home, ignore_errors=True)
            home.mkdir()
            source, = self.home.glob("secret-*.key")
            data = bytearray(source.read_bytes())
            self.assertEqual(len(data), 108)
            data[offset] ^= 1
            (home / source.name).write_bytes(data)
            done_code = "keyfile.malformed" if offset < 16 else "keyfile.passphrase"
            self.refused_key(home, offset, done_code)

    def refused_key(self, home, offset, likely):
        with self.subTest(offset=offset):
            self.refused_prediction(likely, self.image, home=home)

    def test_a_cut_key_file(self):
        self.predict(self.service.url, self.image)
        source, = self.home.glob("secret-*.key")
        home = self.folder / "cut-key"
        home.mkdir()
        for length in (0, 7, 59, 107, 109):
            (home / source.name).write_bytes((source.read_bytes() + b"\0")[:length])
            self.refused_prediction("keyfile.malformed", self.image, home=home)

    def test_wrong_usage(self):
        for arguments in ((), ("predict",), ("predict", "--server", self.service.url), ("nosuchverb",),
                          ("predict", "--server", self.service.url, "--model", "tiny"),
                          ("inspect", "--nosuchflag", "x"), ("evaluate", "--server", self.service.url, "--model", "tiny",
                                                             "--dataset", self.folder, "--count", "-1")):
            self.refused("argument.invalid", *arguments, exit_code=2)


class Packages(TacitTest):
    """A .tacit file from somebody else."""

    def test_a_damaged_package_is_refused(self):
        data = (self.models / "tiny.tacit").read_bytes()
        path = self.folder / "damaged.tacit"
        length = len(data)
        for content in (b"", data[:8], data[:12], data[:length // 2], data[:-1], data + b"\0", b"X" + data[1:],
                        data[:length // 3] + bytes([data[length // 3] ^ 1]) + data[length // 3 + 1:],
                        data[:12] + b"\xff" * 7 + b"\x7f" + data[20:]):
            path.write_bytes(content)
            line = self.refused_any(("data.truncated", "data.trailing", "data.malformed", "data.too-large"),
                                    "inspect", path)
            self.assertIn("damaged.tacit", line)

    def refused_any(self, codes, *arguments):
        failures = []
        for code in codes:
            try:
                return self.refused(code, *arguments)
            except AssertionError as error:
                failures.append(str(error))
        raise AssertionError(f"none of {codes}: {failures[-1]}")

    def test_a_package_that_is_not_there(self):
        self.refused("file.not-found", "inspect", self.folder / "nosuch.tacit")
        self.refused("file.not-found", "run", self.folder / "nosuch.tacit", "--input", "x.npy", "--output", "y.npy")


if __name__ == "__main__":
    unittest.main()
