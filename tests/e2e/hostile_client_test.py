#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A client that lies to the server: every request is refused with a stable code before much is spent on it, and the
server still answers those who do not lie. Starts from what an honest client sent, and changes it."""
import hashlib
import http.client
import json
import random
import socket
import struct
import unittest
from dataclasses import dataclass

from proxy import Proxy
from support import SEED, TacitTest

HEADER = 72  # bytes of an object in front of its seed or its residues (protocol/bytes.md)
MUTANTS = 300
BAD_BYTES = {"data.truncated", "data.trailing", "data.malformed", "data.version", "data.too-large",
             "parameters.mismatch", "ciphertext.level", "ciphertext.scale", "ciphertext.residue-range", "keys.missing"}


@dataclass
class Reply:
    status: int
    headers: dict
    body: bytes

    @property
    def problem(self):
        return json.loads(self.body)


def digest(data):
    return hashlib.blake2b(data, digest_size=32).hexdigest()


class HostileClient(TacitTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.service = cls.start_service(settings={"quota.requests_per_second": 0})
        cls.written = cls.write_images(cls, "honest", 1)
        with Proxy(cls.service.port) as proxy:
            cls.predict(cls(), proxy.url, cls.written[0][0])
            infer = proxy.find("POST", "/infer")
            cls.pieces = [x.body for x in proxy.exchanges if x.method == "PUT"]
            cls.key_set = json.loads(proxy.find("POST", "/v2/keys").body)
        cls.infer_path = infer.path
        json_bytes = int(infer.headers["Inference-Header-Content-Length"])
        cls.infer_page = json.loads(infer.body[:json_bytes])
        cls.ciphertext = infer.body[json_bytes + 4:]

    def tearDown(self):
        self.assert_alive(self.service)

    @classmethod
    def tearDownClass(cls):
        # After everything that the tests did, an honest prediction is still right.
        test = cls()
        test.assert_right(test.predict(cls.service.url, cls.written[0][0])[0], cls.written)

    # -------------------------------------------------------------------------------------------------- requests

    def send(self, method, path, body=b"", **headers):
        """One request with a connection of its own; a header whose value is None is left out."""
        connection = http.client.HTTPConnection("127.0.0.1", self.service.port, timeout=60)
        try:
            connection.putrequest(method, path)
            fields = {"Content-Length": str(len(body)), "Content-Type": "application/octet-stream"}
            fields.update({name.replace("_", "-"): value for name, value in headers.items()})
            for name, value in fields.items():
                if value is not None:
                    connection.putheader(name, value)
            connection.endheaders()
            try:
                connection.send(body)
            except OSError:
                pass  # refused before it was read; the answer says why
            response = connection.getresponse()
            return Reply(response.status, dict(response.getheaders()), response.read())
        finally:
            connection.close()

    def infer(self, ciphertext=None, page=None, **headers):
        data = self.ciphertext if ciphertext is None else ciphertext
        if page is None:
            page = json.loads(json.dumps(self.infer_page))
            page["inputs"][0]["parameters"]["binary_data_size"] = len(data) + 4
        text = page if isinstance(page, bytes) else json.dumps(page).encode()
        headers.setdefault("Inference_Header_Content_Length", str(len(text)))
        return self.send("POST", self.infer_path, text + struct.pack("<I", len(data)) + data, **headers)

    def put(self, piece, name=None, **headers):
        return self.send("PUT", f"/v2/keys/pieces/{name or digest(piece)}", piece, **headers)

    def assert_refused(self, reply, codes, status=None):
        """A problem document with one of these codes, in one line, that blames nobody's defect."""
        self.assertIn(reply.status, [status] if status else range(400, 500), reply.body[:300])
        self.assertEqual(reply.headers.get("Content-Type"), "application/problem+json")
        problem = reply.problem
        self.assertIn(problem["code"], {codes} if isinstance(codes, str) else codes, problem)
        self.assertEqual(problem["status"], reply.status)
        self.assertNotIn("\n", problem["detail"])
        self.assertGreater(len(problem["detail"]), 10)

    # ------------------------------------------------------------------------------------------ what is honest

    def test_honest_requests_pass(self):
        self.assertEqual(self.infer().status, 200)
        for piece in self.pieces:
            self.assertIn(self.put(piece).status, (200, 201, 204))
        reply = self.send("POST", "/v2/keys", json.dumps(self.key_set).encode(), Content_Type="application/json")
        self.assertIn(reply.status, (200, 201))

    # -------------------------------------------------------------------------------------------- ciphertexts

    def test_truncated_ciphertexts(self):
        size = len(self.ciphertext)
        for length in (0, 1, HEADER - 1, HEADER, HEADER + 31, HEADER + 32, size // 2, size - 1):
            self.assert_refused(self.infer(self.ciphertext[:length]), {"data.truncated", "data.malformed"})

    def test_ciphertexts_with_something_behind(self):
        for extra in (b"\0", bytes(8), self.ciphertext):
            self.assert_refused(self.infer(self.ciphertext + extra),
                                {"data.trailing", "data.malformed", "data.too-large"})

    def test_every_byte_of_a_ciphertexts_header_matters(self):
        for offset in set(range(HEADER)) - {32, 33}:  # the last bits of the scale are rounding
            for change in (0x01, 0x80, 0xFF):
                data = bytearray(self.ciphertext)
                data[offset] ^= change
                with self.subTest(offset=offset, change=change):
                    self.assert_refused(self.infer(bytes(data)), BAD_BYTES)

    def test_residues_that_are_not_below_their_prime(self):
        begin = HEADER + 32
        for first, last in ((begin, begin + 32), (begin, len(self.ciphertext)),
                            (len(self.ciphertext) - 32, len(self.ciphertext))):
            data = bytearray(self.ciphertext)
            data[first:last] = b"\xff" * (last - first)
            self.assert_refused(self.infer(bytes(data)), "ciphertext.residue-range", 422)

    def test_scales_that_are_no_scales(self):
        for scale in (0.0, -1.0, float("inf"), float("nan"), 5e-324, 1e300):
            data = bytearray(self.ciphertext)
            data[32:40] = struct.pack("<d", scale)
            self.assert_refused(self.infer(bytes(data)), {"data.malformed", "ciphertext.scale"})

    def test_somebody_elses_keys(self):
        with Proxy(self.service.port) as proxy:
            self.predict(proxy.url, self.written[0][0], home=self.folder / "other")
            other = proxy.find("POST", "/infer")
        page = json.loads(other.body[:int(other.headers["Inference-Header-Content-Length"])])
        self.assertNotEqual(page["parameters"]["key_id"], self.infer_page["parameters"]["key_id"])
        self.assert_refused(self.infer(page=page), "parameters.mismatch", 409)

    def test_keys_that_are_not_there(self):
        page = json.loads(json.dumps(self.infer_page))
        page["parameters"]["key_id"] = "0" * 64
        self.assert_refused(self.infer(page=page), "keys.unknown", 404)
        for wrong in ("", "0" * 63, "g" * 64, "../" * 20, 7, None, [], "0" * 10000):
            page["parameters"]["key_id"] = wrong
            self.assert_refused(self.infer(page=page), "request.malformed", 400)

    # ------------------------------------------------------------------------------- lengths in the inference request

    def test_tensor_sizes_that_lie(self):
        size = len(self.ciphertext) + 4
        for wrong in (0, 1, size - 1, size + 1, 1 << 32, 1 << 63, (1 << 64) - 1, 1 << 64, 1 << 200, -1, 0.5, 1e300, "4",
                      True, None, [size]):
            page = json.loads(json.dumps(self.infer_page))
            page["inputs"][0]["parameters"]["binary_data_size"] = wrong
            self.assert_refused(self.infer(page=page), {"request.malformed", "json.malformed"}, 400)

    def test_element_lengths_that_lie(self):
        text = json.dumps(self.infer_page).encode()
        for wrong in (0, 1, len(self.ciphertext) - 1, len(self.ciphertext) + 1, 1 << 31, (1 << 32) - 1):
            reply = self.send("POST", self.infer_path, text + struct.pack("<I", wrong) + self.ciphertext,
                              Inference_Header_Content_Length=str(len(text)))
            self.assert_refused(reply, "request.malformed", 400)

    def test_header_lengths_that_lie(self):
        for wrong in ("", "-1", "1e3", "0x10", "+5", " ", "abc", "1" * 30, str(1 << 64)):
            self.assert_refused(self.infer(Inference_Header_Content_Length=wrong), "request.malformed", 400)
        for wrong in (1 << 63, 1 << 40, 65537):
            self.assert_refused(self.infer(Inference_Header_Content_Length=str(wrong)),
                                {"data.too-large", "request.malformed"})
        for wrong in (1, 17, len(json.dumps(self.infer_page)) + 9):
            self.assert_refused(self.infer(Inference_Header_Content_Length=str(wrong)),
                                {"json.malformed", "request.malformed", "data.malformed"})
        self.assert_refused(self.infer(Inference_Header_Content_Length=None), "request.media-type", 415)

    def test_pages_that_are_not_the_protocols(self):
        for page in (b"{", b"[]", b"null", b"[" * 60000, b'{"a":' * 10000, b"\xff\xfe", b'{"inputs":"x"}', b" " * 60000,
                     {}, {"inputs": []}, dict(self.infer_page, inputs=[{}]), dict(self.infer_page, parameters=[]),
                     dict(self.infer_page, inputs=self.infer_page["inputs"] * 2),
                     dict(self.infer_page, inputs=[dict(self.infer_page["inputs"][0], shape=[1 << 63])]),
                     dict(self.infer_page, inputs=[dict(self.infer_page["inputs"][0], datatype="FP64")])):
            self.assert_refused(self.infer(page=page), {"json.malformed", "request.malformed"}, 400)

    # --------------------------------------------------------------------------------------------- content lengths

    def test_content_lengths_that_lie(self):
        path = f"/v2/keys/pieces/{digest(self.pieces[0])}"
        for target in (path, self.infer_path):
            method = "PUT" if target == path else "POST"
            for wrong in (1 << 63, (1 << 63) - 1, (1 << 64) - 1, 1 << 40):
                reply = self.send(method, target, b"", Content_Length=str(wrong), Inference_Header_Content_Length="10")
                self.assert_refused(reply, "data.too-large", 413)
            for wrong in (str(1 << 64), "-1", "1e3", "0x10", "abc", "", "1" * 40, "5, 6"):
                reply = self.send(method, target, b"", Content_Length=wrong, Inference_Header_Content_Length="10")
                self.assert_refused(reply, {"request.malformed", "data.too-large", "request.length-required"})
            reply = self.send(method, target, b"", Content_Length=None, Inference_Header_Content_Length="10")
            self.assert_refused(reply, {"data.truncated", "request.malformed", "data.malformed"})

    def test_bodies_that_end_early(self):
        piece = self.pieces[0][:-1] + bytes([self.pieces[0][-1] ^ 1])
        head = f"PUT /v2/keys/pieces/{digest(piece)} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(piece)}\r\n\r\n"
        for length in (0, 1, HEADER, len(piece) // 2, len(piece) - 1):
            with socket.create_connection(("127.0.0.1", self.service.port), timeout=30) as connection:
                connection.sendall(head.encode() + piece[:length])
        keys = dict(self.key_set, pieces=[digest(piece)])
        reply = self.send("POST", "/v2/keys", json.dumps(keys).encode(), Content_Type="application/json")
        self.assert_refused(reply, "keys.missing", 409)

    def test_encodings_that_could_blow_up(self):
        self.assert_refused(self.infer(Content_Encoding="gzip"), "request.media-type", 415)
        reply = self.send("POST", self.infer_path, b"5\r\nhello\r\n0\r\n\r\n", Content_Length=None,
                          Transfer_Encoding="chunked", Inference_Header_Content_Length="10")
        self.assert_refused(reply, {"request.length-required", "request.media-type", "request.malformed"})

    # ---------------------------------------------------------------------------------------------- evaluation keys

    def test_truncated_keys(self):
        piece = self.pieces[0]
        for length in (0, 1, HEADER - 1, HEADER, HEADER + 32, len(piece) // 2, len(piece) - 1):
            self.assert_refused(self.put(piece[:length]), {"data.truncated", "data.malformed"})
        self.assert_refused(self.put(piece + b"\0"), {"data.trailing", "data.malformed"})

    def test_keys_under_another_name(self):
        other = bytearray(self.pieces[0])
        other[HEADER + 40] ^= 1
        self.assert_refused(self.put(bytes(other), digest(self.pieces[0])), {"keys.digest", "ciphertext.residue-range"})
        for name in ("0" * 63, "0" * 65, "..", "%2e%2e", "x", "../../etc/passwd"):
            self.assertIn(self.put(self.pieces[0], name).status, (400, 404, 405, 422), name)

    def test_every_byte_of_a_keys_header_matters(self):
        piece = min(self.pieces, key=len)
        for offset in [*range(8), *range(24, HEADER)]:  # 8 to 23 is the tag, which any key may choose
            for change in (0x01, 0xFF):
                data = bytearray(piece)
                data[offset] ^= change
                with self.subTest(offset=offset, change=change):
                    reply = self.put(bytes(data))
                    if offset in range(28, 32) and reply.status in (200, 201, 204):
                        continue  # an odd element below 2N is another key's, which anybody may own
                    self.assert_refused(reply, BAD_BYTES)

    def test_keys_with_residues_that_are_not_below_their_prime(self):
        for piece in self.pieces[:2]:
            data = piece[:HEADER + 32] + b"\xff" * (len(piece) - HEADER - 32)
            self.assert_refused(self.put(data), "ciphertext.residue-range", 422)

    def test_key_sets_that_are_none(self):
        present = self.key_set["pieces"]
        absent = [digest(b"nobody uploaded this")]
        for change, codes in (({"pieces": []}, {"keys.mixed", "keys.missing", "request.malformed"}),
                              ({"pieces": absent}, {"keys.missing"}),
                              ({"pieces": present[:1] + absent}, {"keys.missing"}),
                              ({"pieces": present * 2}, {"keys.mixed", "request.malformed"}),
                              ({"pieces": present[1:]}, {"keys.missing"}), ({"pieces": "x"}, {"request.malformed"}),
                              ({"pieces": [7]}, {"request.malformed"}), ({"pieces": ["../x"]}, {"request.malformed"}),
                              ({"model": "nosuch"}, {"model.unknown"}), ({"model": "../tiny"}, {"model.unknown"}),
                              ({"model": 7}, {"request.malformed"})):
            reply = self.send("POST", "/v2/keys", json.dumps({**self.key_set, **change}).encode(),
                              Content_Type="application/json")
            with self.subTest(change=str(change)[:60]):
                self.assert_refused(reply, codes)
        for text in (b"", b"{", b"[]", b"x" * 1000, b"[" * 60000, b'{"pieces":[' + b'"' + b"0" * 64 + b'",' * 1):
            reply = self.send("POST", "/v2/keys", text, Content_Type="application/json")
            self.assert_refused(reply, {"json.malformed", "request.malformed"}, 400)
        reply = self.send("POST", "/v2/keys", b" " * 70000, Content_Type="application/json")
        self.assert_refused(reply, "data.too-large", 413)

    def test_missing_keys_are_named(self):
        absent = digest(b"nobody uploaded this either")
        reply = self.send("POST", "/v2/keys", json.dumps(dict(self.key_set, pieces=[absent])).encode(),
                          Content_Type="application/json")
        self.assertEqual(reply.problem["missing_pieces"], [absent])

    # --------------------------------------------------------------------------------------------- paths and HTTP

    def test_paths_that_lead_elsewhere(self):
        for path in ("/v2/models/../../etc/passwd/client", "/v2/models/..%2f..%2fetc%2fpasswd/client",
                     "/v2/models/../client", "/v2/models/%2e%2e/client", "/v2/models//client", "/v2/models/tiny/../tiny",
                     "/v2/models/" + "a" * 5000 + "/client", "/v2/models/tiny%00/client", "//etc/passwd", "/",
                     "/v2/models/TINY/client", "/v2/keys/pieces/../../secret"):
            self.assert_refused(self.send("GET", path), {"route.unknown", "model.unknown", "request.method"})

    def test_methods_that_are_not_there(self):
        for method in ("DELETE", "PATCH", "OPTIONS", "TRACE", "FOO"):
            reply = self.send(method, "/v2/models", Content_Length=None)
            self.assert_refused(reply, {"request.method", "request.malformed"})

    def test_what_is_not_http(self):
        lines = [b"GET\r\n\r\n", b"\0" * 100, b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03",
                 b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 10000 + b"\r\n",
                 b"GET / HTTP/1.1\r\nA: " + b"b" * 100000 + b"\r\n\r\n",
                 b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nA b\r\n\r\n",
                 b"POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello"]
        for line in lines:
            with socket.create_connection(("127.0.0.1", self.service.port), timeout=60) as connection:
                try:
                    connection.sendall(line)
                    connection.shutdown(socket.SHUT_WR)
                    answer = connection.recv(12)
                except OSError:
                    answer = b""
                self.assertRegex(answer, rb"^(HTTP/1\.1 (4..|505)|)$", line[:40])

    # ------------------------------------------------------------------------------------------------------ mutants

    def mutants(self, data, chance, count):
        """Copies of `data`, each with a few bytes, mostly near the front, changed or taken out."""
        for _ in range(count):
            mutant = bytearray(data)
            for _ in range(chance.randint(1, 4)):
                at = min(int(chance.expovariate(1 / 200)), len(mutant) - 1) if chance.random() < 0.8 else \
                    chance.randrange(len(mutant))
                kind = chance.randrange(4)
                if kind == 0:
                    mutant[at] = chance.choice((0, 1, 0x7F, 0x80, 0xFF))
                elif kind == 1:
                    mutant[at] ^= 1 << chance.randrange(8)
                elif kind == 2:
                    mutant[at:at + 8] = chance.choice((bytes(8), b"\xff" * 8, b"\xff" * 7 + b"\x7f", bytes(7) + b"\x80"))
                elif len(mutant) > at + 1:
                    del mutant[at:at + chance.randint(1, 64)]
            yield bytes(mutant)

    def test_mutated_inference_requests(self):
        chance = random.Random(SEED)
        text = json.dumps(self.infer_page).encode()
        body = text + struct.pack("<I", len(self.ciphertext)) + self.ciphertext
        refused = 0
        for mutant in self.mutants(body, chance, MUTANTS):
            reply = self.send("POST", self.infer_path, mutant, Inference_Header_Content_Length=str(len(text)))
            if reply.status != 200:
                self.assert_refused(reply, {*BAD_BYTES, "json.malformed", "request.malformed", "request.media-type",
                                            "keys.unknown"})
                refused += 1
        self.assertGreater(refused, MUTANTS // 2)

    def test_mutated_keys(self):
        chance = random.Random(SEED + 1)
        refused = 0
        for mutant in self.mutants(min(self.pieces, key=len), chance, MUTANTS // 3):
            reply = self.put(mutant)
            if reply.status not in (200, 201, 204):
                self.assert_refused(reply, BAD_BYTES)
                refused += 1
        self.assertGreater(refused, MUTANTS // 12)


if __name__ == "__main__":
    unittest.main()
