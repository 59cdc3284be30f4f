#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A server that lies to the client: `tacit` refuses weak parameters and answers that cannot be, in one line, and sends
nothing that it would not have sent to an honest server."""
import json
import unittest

from proxy import Proxy
from support import TacitTest, tacit

# Keys that are made anew: that takes less time than to open a stored one.
MEMORY = {"passphrase": None}


class HostileServer(TacitTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.service = cls.start_service()
        cls.written = cls.write_images(cls, "honest", 1)
        cls.image = cls.written[0][0]

    def refused_answer(self, codes, alter, **options):
        """`tacit predict` through a proxy that alters answers. Returns the exchanges."""
        with Proxy(self.service.port, alter) as proxy:
            self.refused(codes, "predict", "--server", proxy.url, "--model", "tiny", self.image, **MEMORY | options)
            return proxy.exchanges

    @staticmethod
    def altered_page(change):
        """Alters the client half, parsed."""
        def alter(exchange):
            if exchange.path.endswith("/client"):
                page = json.loads(exchange.answer.body)
                change(page)
                exchange.answer.body = json.dumps(page).encode()
        return alter

    @staticmethod
    def altered_answer(change):
        """Alters the bytes of the answer's ciphertext."""
        def alter(exchange):
            if exchange.path.endswith("/infer"):
                name = next(n for n in exchange.answer.headers if n.lower() == "inference-header-content-length")
                header = int(exchange.answer.headers[name])
                page, data = json.loads(exchange.answer.body[:header]), bytearray(exchange.answer.body[header + 4:])
                data = bytes(change(data) or data)
                page["outputs"][0]["parameters"]["binary_data_size"] = len(data) + 4
                text = json.dumps(page).encode()
                exchange.answer.headers[name] = str(len(text))
                exchange.answer.body = text + len(data).to_bytes(4, "little") + data
        return alter

    def test_the_proxy_itself_changes_nothing(self):
        for alter in (None, self.altered_page(lambda page: None), self.altered_answer(lambda data: None)):
            with Proxy(self.service.port, alter) as proxy:
                self.assert_right(self.predict(proxy.url, self.image, **MEMORY)[0], self.written)

    def test_weak_parameters_are_refused_before_anything_is_made(self):
        def weaken(page):
            page["parameters"]["log_degree"] = 12
        home = self.folder / "weak"
        exchanges = self.refused_answer("parameters.insecure", self.altered_page(weaken), home=home)
        self.assertEqual([x.method for x in exchanges], ["GET"] * len(exchanges))
        self.assertFalse(home.exists())

    def test_pages_that_are_none(self):
        for body in (b"", b"{", b"[]", b"null", b"[" * 100000, b"<html>", b"\xff\xfe\0", b"{}"):
            def alter(exchange):
                if exchange.path.endswith("/client"):
                    exchange.answer.body = body
            self.refused_answer({"json.malformed", "server.protocol"}, alter)

    def test_every_member_of_the_page_is_checked(self):
        with Proxy(self.service.port) as proxy:
            self.predict(proxy.url, self.image, **MEMORY)
            honest = json.loads(proxy.find("GET", "/client").answer.body)
        for name, value in honest.items():
            for wrong in (None, "x", -1, [], {}, 1e300, [[[]]]):
                if isinstance(value, str) and wrong == "x" or value == wrong:
                    continue
                def replace(page):
                    page[name] = wrong
                with self.subTest(name=name, wrong=wrong):
                    done = self.through(self.altered_page(replace))
                    if done.returncode == 0:
                        continue  # a page may carry what a client has no use for
                    self.assertIn(done.returncode, (1, 2))
                    self.assertRegex(done.stderr.splitlines()[-1], r"^tacit: (?!internal)[a-z.-]+: .{10}")

    def through(self, alter):
        with Proxy(self.service.port, alter) as proxy:
            return tacit("predict", "--server", proxy.url, "--model", "tiny", self.image, **MEMORY)

    def test_answers_that_are_cut_or_long(self):
        for change in (lambda data: b"\0", lambda data: data[:71], lambda data: data[:len(data) // 2],
                       lambda data: data[:-1], lambda data: data + b"\0", lambda data: data + data):
            self.refused_answer({"data.truncated", "data.trailing", "data.malformed", "server.protocol"},
                                self.altered_answer(change))

    def test_answers_for_somebody_else(self):
        def other_tag(data):
            data[8] ^= 1
        self.refused_answer("parameters.mismatch", self.altered_answer(other_tag))

    def test_answers_with_another_scale_level_or_ring(self):
        for offset in (24, 25, 37, 39, 40, 71):
            def change(data):
                data[offset] ^= 1
            self.refused_answer({"parameters.mismatch", "ciphertext.scale", "ciphertext.level", "data.malformed",
                                 "data.truncated", "data.trailing"}, self.altered_answer(change))

    def test_answers_with_residues_that_are_not_below_their_prime(self):
        self.refused_answer("ciphertext.residue-range",
                            self.altered_answer(lambda data: data[:72] + b"\xff" * (len(data) - 72)))

    def test_answers_that_encrypt_nothing(self):
        def transparent(data):
            half = (len(data) - 72) // 2
            return data[:72 + half] + bytes(half)
        self.refused_answer("data.malformed", self.altered_answer(transparent))

    def test_answers_that_are_no_http(self):
        for instead in (b"", b"hello\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
                        b"HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775807\r\n\r\n",
                        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
                        b"HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\noops", b"HTTP/1.1 204 No Content\r\n\r\n"):
            for end in ("/client", "/infer"):
                self.refused_answer({"server.unreachable", "server.protocol", "server.error", "data.too-large",
                                     "json.malformed"},
                                    lambda exchange: instead if exchange.path.endswith(end) else None)

    def test_refusals_are_passed_on_in_one_clean_line(self):
        detail = "first\nsecond \x1b[31mred " + "x" * 5000
        problem = json.dumps({"code": "no.such.code", "detail": detail, "status": 418}).encode()
        def alter(exchange):
            if exchange.path.endswith("/infer"):
                exchange.answer.status, exchange.answer.body = 418, problem
                exchange.answer.headers = {"Content-Type": "application/problem+json"}
        self.refused_answer("server.error", alter)
        done = self.through(alter)
        self.assertNotIn("\x1b", done.stderr)
        self.assertLess(len(done.stderr.splitlines()[-1]), 800)

    def test_a_failed_answer_is_not_asked_for_again(self):
        def spoil(data):
            data[8] ^= 1
        exchanges = self.refused_answer("parameters.mismatch", self.altered_answer(spoil))
        self.assertEqual(sum(x.path.endswith("/infer") for x in exchanges), 1)
        self.assertTrue(exchanges[-1].path.endswith("/infer"))


if __name__ == "__main__":
    unittest.main()
