#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The whole way over TLS with a token: tacitd token create, tacitd with a certificate, every verb that asks a server."""
import json
import os
import socket
import subprocess
import time
import unittest

import numpy as np

from support import BIN, TacitTest, clear_cut_images, free_port, tacit, write_idx
from certificates import make_authority, make_certificate


class Tls(TacitTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.authority = make_authority(cls.folder)
        certificate, key = make_certificate(cls.folder, cls.authority)
        cls.token = cls.make_token()
        cls.service = cls.start_service(authority=cls.authority[0],
                                        settings={"tls.certificate": certificate, "tls.private_key": key})

    @classmethod
    def make_token(cls, *more):
        made = subprocess.run([str(BIN / "tacitd"), "token", "create", "--state", str(cls.folder / "server"), "--tenant",
                               "clinic", *more], check=True, capture_output=True, text=True)
        return made.stdout.strip()

    def ask(self, verb, *arguments, token=None, ca=True, **options):
        trusted = ["--ca-file", self.authority[0]] if ca else []
        return tacit(verb, "--server", self.service.url, *trusted, *arguments, home=self.home, token=token, **options)

    def test_every_verb_that_asks_a_server(self):
        self.assertTrue(self.service.url.startswith("https://"))
        written = self.write_images("verbs", 2)
        paths = [path for path, _ in written]
        done = self.ask("predict", "--model", "tiny", *paths, "--json", token=self.token)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assert_right(json.loads(done.stdout), written)
        self.assertNotIn("warning", done.stderr)
        # A file is the other way to give a token, and goes before the environment.
        file = self.folder / "token"
        file.write_text(self.token + "\n")
        features = self.folder / "features.npy"
        data = self.folder / "labelled"
        data.mkdir()
        pixels = clear_cut_images(self.network, 3)
        write_idx(data / "t10k-images-idx3-ubyte", np.array(pixels))
        write_idx(data / "t10k-labels-idx1-ubyte", np.array([0, 1, 2], np.uint8))
        for verb, *arguments in (("models",), ("features", "--model", "tiny", *paths, "--output", features),
                                 ("evaluate", "--model", "tiny", "--dataset", data, "--count", "3")):
            done = self.ask(verb, *arguments, "--token-file", file, token="no-such-token")
            self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(np.load(features).shape, (2, 3))

    def refusal(self, codes, *arguments, **options):
        trusted = ["--ca-file", self.authority[0]] if options.pop("ca", True) else []
        return self.refused(codes, "models", "--server", options.pop("url", self.service.url), *trusted, *arguments,
                            **options)

    def test_without_a_valid_token_there_is_nothing(self):
        for token in (None, "tacit_0123456789abcdef_" + "A" * 43, self.token[:-1] + ("A" if self.token[-1] != "A" else "B")):
            line = self.refusal("auth.required", token=token)
            self.assertIn("--token-file", line)
            self.assertNotIn(str(token), line)

    def said_to(self, token, expected):
        """Asks until the answer has this in it: a running server sees other tokens within a second."""
        for _ in range(100):
            done = self.ask("models", token=token)
            if expected in done.stderr:
                return
            time.sleep(0.05)
        self.fail(f"expected {expected}, got {done.stderr}")

    def test_tokens_are_made_and_revoked_while_the_server_runs(self):
        self.said_to(self.make_token("--scopes", "metrics"), "auth.scope")
        short_lived = self.make_token()
        self.said_to(short_lived, "tiny")
        subprocess.run([str(BIN / "tacitd"), "token", "revoke", "--state", str(self.folder / "server"),
                        short_lived.split("_")[1]], check=True, capture_output=True)
        self.said_to(short_lived, "auth.required")

    def test_what_cannot_be_a_token_is_not_sent(self):
        for text in ("two\nlines", "with space", "t\u00f6ken", "x" * 513, "a\r\nX-Other: b"):
            line = self.refusal("argument.invalid", token=text, exit_code=2)
            self.assertNotIn(text, line)
        (self.folder / "empty").write_text("\n")
        self.refusal("argument.invalid", "--token-file", self.folder / "empty", exit_code=2)
        self.refusal("file.not-found", "--token-file", self.folder / "missing")

    def test_a_server_that_cannot_be_trusted_gets_nothing(self):
        line = self.refusal("server.untrusted", ca=False, token=self.token)
        self.assertIn("--ca-file", line)
        other = make_authority(self.folder, "other")
        self.refusal("server.untrusted", "--ca-file", other[0], ca=False, token=self.token)
        self.refusal("argument.invalid", "--ca-file", other[1], ca=False, token=self.token, exit_code=2)
        self.refusal("file.not-found", "--ca-file", self.folder / "missing", ca=False)
        # Signed by the right authority, for another name.
        stranger = make_certificate(self.folder, self.authority, "stranger", hosts="DNS:example.org")
        impostor = self.start_impostor(stranger)
        self.refusal("server.untrusted", url=impostor, token=self.token)

    def start_impostor(self, certificate):
        """The address of a TCP server with this certificate that ends when the test does."""
        port = free_port()
        process = subprocess.Popen(["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", certificate[0], "-key",
                                    certificate[1], "-quiet"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL)

        def stop():
            process.kill()
            process.communicate()
        self.addCleanup(stop)
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.05)
        return f"https://127.0.0.1:{port}"

    def test_http_where_https_is_spoken_is_an_error_that_says_so(self):
        plain = self.service.url.replace("https:", "http:")
        line = self.refusal({"server.protocol", "server.unreachable"}, url=plain, token=self.token)
        self.assertIn("https", line)

    def test_the_token_is_nowhere_on_disk_or_in_the_log(self):
        self.ask("models", token=self.token)
        secret = self.token.split("_", 2)[2].encode()  # it may have a "_" itself
        for folder, _, names in os.walk(self.folder):
            for name in names:
                if name != "token":
                    with open(os.path.join(folder, name), "rb") as file:
                        self.assertFalse(secret in file.read(), os.path.join(folder, name))


if __name__ == "__main__":
    unittest.main()
