#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A server with tokens makes predictions; then its state folder, its log and its memory are searched for what must not be
there: the secret key in every form that it has, the image, the passphrase, and (but for the memory) the token.

Every search is shown to find something: what the server may well have, the key's public name and the token's digest."""
import ctypes
import ctypes.util
import hashlib
import json
import os
import struct
import subprocess
import sys
import unittest
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "secret"))
import known_answers_test as definitions
from proxy import Proxy
from support import BIN, DEVIATION, MEAN, PASSPHRASE, SIDE, TacitTest, images, random_images

CHUNK = 16 << 20


# --- what to look for ------------------------------------------------------------------------------------------------

def open_key_file(data, passphrase):
    """(log2 N, the seed) of a key file, as protocol/key-file.md has it."""
    sodium = ctypes.CDLL(ctypes.util.find_library("sodium"))
    assert sodium.sodium_init() >= 0
    log_degree, passes, memory = data[10], *struct.unpack("<II", data[12:20])
    key, seed = ctypes.create_string_buffer(32), ctypes.create_string_buffer(32)
    assert sodium.crypto_pwhash(key, ctypes.c_ulonglong(32), passphrase, ctypes.c_ulonglong(len(passphrase)),
                                data[20:36], ctypes.c_ulonglong(passes), ctypes.c_size_t(memory), 2) == 0
    assert sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(
        seed, None, None, data[60:], ctypes.c_ulonglong(48), data[:60], ctypes.c_ulonglong(60), data[36:60], key) == 0
    return log_degree, seed.raw


def key_tag(seed):
    return hashlib.blake2b(b"tacit/v1/key-tag", key=hashlib.blake2b(seed, digest_size=32).digest(),
                           digest_size=32).digest()[:16]


def key_forms(log_degree, seed, primes):
    """The secret key as bytes: its seed, and pieces of it as coefficients and as values, the way that programs keep them."""
    n = 1 << log_degree
    definitions.LOG_N, definitions.N = log_degree, n
    secret = [int(c) for c in definitions.ternary(seed)]
    forms = {"its seed": seed}
    for start in (0, n // 2, n - 64):
        piece = secret[start:start + 64]
        forms[f"coefficients from {start}, a byte each"] = struct.pack("<64b", *piece)
        forms[f"coefficients from {start}, 32 bits each"] = struct.pack("<64i", *piece)
        forms[f"coefficients from {start}, 64 bits each"] = struct.pack("<64q", *piece)
        for q in primes:
            forms[f"coefficients from {start} modulo {q}"] = struct.pack("<64Q", *(c % q for c in piece))
    for q in primes:
        # Position 0 holds the value at psi, position 1 that at -psi (protocol/bytes.md).
        psi = definitions.root(q)
        even = odd = 0
        for i in reversed(range(0, n, 2)):
            even = (even * psi * psi + secret[i]) % q
            odd = (odd * psi * psi + secret[i + 1]) % q
        values = [(even + psi * odd) % q, (even - psi * odd) % q]
        forms[f"values modulo {q}"] = struct.pack("<2Q", *values)
        forms[f"values modulo {q}, Montgomery form"] = struct.pack("<2Q", *((v << 52) % q for v in values))
    return forms


def image_forms(pixels, png):
    """The image as bytes: as it is, in rows, as floating-point numbers, normalised."""
    forms = {"its pixels": pixels.tobytes(), "its third row": pixels[2].tobytes(), "its PNG data": png[41:-16]}
    for name, kind in (("single", np.float32), ("double", np.float64)):
        forms[f"its third row in {name} precision"] = pixels[2].astype(kind).tobytes()
        forms[f"its third row scaled, in {name} precision"] = (pixels[2].astype(kind) / kind(255)).tobytes()
        forms[f"its third row normalised, in {name} precision"] = (
            (pixels[2].astype(kind) / kind(255) - kind(MEAN)) / kind(DEVIATION)).tobytes()
    return forms


# --- where to look ---------------------------------------------------------------------------------------------------

def files_below(folder):
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def memory_of(pid):
    """Yields the readable memory of a process, piece by piece, each with the end of the one before."""
    with open(f"/proc/{pid}/maps", encoding="ascii") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in maps.read().splitlines():
            fields = line.split(maxsplit=5)
            if fields[1][0] != "r" or fields[-1] in ("[vvar]", "[vsyscall]"):
                continue
            first, end = (int(word, 16) for word in fields[0].split("-"))
            tail = b""
            for start in range(first, end, CHUNK):
                try:
                    memory.seek(start)
                    data = memory.read(min(CHUNK, end - start))
                except (OSError, ValueError, OverflowError):
                    break  # a page that cannot be read, or is gone by now
                yield tail + data
                tail = data[-1024:]


class Secrets(TacitTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.state = cls.folder / "server"
        made = subprocess.run([str(BIN / "tacitd"), "token", "create", "--state", str(cls.state), "--tenant", "clinic"],
                              capture_output=True, text=True, check=True)
        cls.token = made.stdout.strip()
        cls.service = cls.start_service()
        pixels = random_images(1, 77)[0]
        cls.png = images.png(pixels.tobytes(), SIDE, SIDE)
        cls.image = cls.folder / "image.png"
        cls.image.write_bytes(cls.png)
        with Proxy(cls.service.port, fields={"Authorization": f"Bearer {cls.token}"}) as proxy:
            for _ in range(2):
                cls.predict(cls(), proxy.url, cls.image)
            page = json.loads(proxy.find("GET", "/client").answer.body)
            cls.request = proxy.find("POST", "/infer").body
        key_file = next(cls.home.glob("secret-*.key"))
        log_degree, seed = open_key_file(key_file.read_bytes(), PASSPHRASE.encode())
        cls.tag = key_tag(seed)
        parameters = page["parameters"]
        cls.forbidden = {f"secret key: {name}": form for name, form in key_forms(
            log_degree, seed, parameters["primes"] + parameters["special_primes"]).items()}
        cls.forbidden.update({f"image: {name}": form for name, form in image_forms(pixels, cls.png).items()})
        cls.forbidden["passphrase"] = PASSPHRASE.encode()
        cls.token_digest = hashlib.blake2b(cls.token[23:].encode(), digest_size=32).digest()
        secret = cls.token[23:].encode()
        cls.token_forms = {"token": cls.token.encode(), "token's secret": secret, "the first half of it": secret[:21]}

    def test_0_what_is_looked_for_is_right(self):
        self.assertRegex(self.token, r"^tacit_[0-9a-f]{16}_[A-Za-z0-9_-]{43}$")
        self.assertIn(self.tag, self.request, "the key file's seed is not that of the request's ciphertext")
        for name, form in self.forbidden.items():
            self.assertGreaterEqual(len(form), 8, name)
            self.assertNotIn(form, self.request, name)

    def test_state_folder(self):
        files = files_below(self.state)
        everything = b"".join(files.values())
        self.assertIn(self.tag, everything, "the search is blind")
        self.assertIn(self.token_digest, everything, "the search is blind")
        for place, content in files.items():
            for name, form in {**self.forbidden, **self.token_forms}.items():
                self.assertNotIn(form, content, f"{name} in {place}")
                self.assertNotIn(form.hex().encode(), content, f"{name} in {place}, as hex digits")
        for path in (self.state, *self.state.rglob("*")):
            self.assertEqual(path.stat().st_mode & 0o077, 0, f"{path} is open to others")

    def test_log(self):
        log = Path(self.service.log).read_bytes()
        self.assertIn(b"/infer status=200", log, "the search is blind")
        for name, form in {**self.forbidden, **self.token_forms}.items():
            self.assertNotIn(form, log, name)
            self.assertNotIn(form.hex().encode(), log, f"{name}, as hex digits")

    @unittest.skipIf(os.environ.get("TACIT_SANITIZE"), "a sanitizer's own memory is terabytes")
    def test_memory(self):
        pid = self.service.process.pid
        if os.geteuid() != 0:
            with self.assertRaises(PermissionError):
                next(memory_of(pid))
            return  # that nobody else can look is all that can be seen without being root
        found, total = set(), 0
        searched = {**self.forbidden, "the key's name": self.tag, "the token's digest": self.token_digest}
        for piece in memory_of(pid):
            total += len(piece)
            found.update(name for name, form in searched.items() if form in piece)
        print(f"searched {total >> 20} MiB", file=sys.stderr)
        self.assertEqual(found, {"the key's name", "the token's digest"})

    def test_no_core_dump(self):
        limits = Path(f"/proc/{self.service.process.pid}/limits").read_text(encoding="ascii")
        self.assertRegex(limits, r"Max core file size +0 +0 ")
        # The files of a process that cannot be dumped belong to root.
        with open(f"/proc/{self.service.process.pid}/status", encoding="ascii") as status:
            self.assertEqual(os.fstat(status.fileno()).st_uid, 0)
        other = self.folder / "ends"
        other.mkdir()
        program = subprocess.Popen(
            [str(BIN / "tacitd"), "--models", str(self.models), "--state", str(other / "state"), "--listen",
             "127.0.0.1:0"], cwd=other, stderr=subprocess.PIPE, preexec_fn=allow_core)
        for line in program.stderr:
            if b"listening on" in line:
                break
        program.send_signal(6)
        program.communicate(timeout=60)
        self.assertEqual(program.returncode, -6)
        self.assertEqual([path.name for path in other.iterdir()], ["state"])


def allow_core():
    import resource
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))


if __name__ == "__main__":
    unittest.main()
