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
        self.assert_alive(self.service)

    def refused_prediction(self, code, *paths, server=None, model="tiny", **options):
        options.setdefault("home", self.home)
        url = self.service.url if server is None else server
        return self.refused(code, "predict", "--server", url, "--model", model, *paths, **options)

    def test_unknown_model(self):
        self.refused_prediction("model.unknown", self.image, model="nosuch")

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
            self.assertRegex(line, rf"\b{width}\b.*\b{height}\b.*\b{SIDE}\b.*\b{SIDE}\b")

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

    def test_a_changed_byte_in_the_key_file(self):
        self.predict(self.service.url, self.image)
        source, = self.home.glob("secret-*.key")
        home = self.folder / "changed"
        home.mkdir()
        # What makes a header impossible is told from what could be another passphrase (protocol/key-file.md).
        impossible = [(0, 1), (7, 1), (8, 1), (9, 1), (10, 0x80), (11, 1), (12, 0x80), (15, 0x80), (19, 0x80)]
        possible = [(10, 1), (12, 1), (16, 1), (20, 1), (40, 1), (60, 1), (91, 0x80), (92, 1), (107, 0x80)]
        for code, changes in (("keyfile.malformed", impossible), ("keyfile.passphrase", possible)):
            for offset, change in changes:
                data = bytearray(source.read_bytes())
                data[offset] ^= change
                (home / source.name).write_bytes(data)
                with self.subTest(offset=offset):
                    self.refused_prediction(code, self.image, home=home)

    def test_a_cut_key_file(self):
        self.predict(self.service.url, self.image)
        source, = self.home.glob("secret-*.key")
        home = self.folder / "cut-key"
        home.mkdir()
        for length in (0, 7, 59, 107, 109):
            (home / source.name).write_bytes((source.read_bytes() + b"\0")[:length])
            self.refused_prediction("keyfile.malformed", self.image, home=home)

    def test_wrong_usage(self):
        asking = ("--server", self.service.url, "--model", "tiny")
        for arguments in ((), ("nosuchverb",), ("inspect", "--nosuchflag", "x"), ("predict",), ("predict", *asking[:2]),
                          ("predict", *asking), ("evaluate", *asking, "--dataset", self.folder, "--count", "-1")):
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
            line = self.refused({"data.truncated", "data.trailing", "data.malformed", "data.too-large"}, "inspect", path)
            self.assertIn("damaged.tacit", line)

    def test_a_package_that_is_not_there(self):
        self.refused("file.not-found", "inspect", self.folder / "nosuch.tacit")
        self.refused("file.not-found", "run", self.folder / "nosuch.tacit", "--input", "x.npy", "--output", "y.npy")


if __name__ == "__main__":
    unittest.main()
