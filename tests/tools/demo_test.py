#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""tools/demo and its helpers, with tacit and tacitd played by small programs: what is shown, and that the server is
ended and everything temporary removed on every way out. The real programs are driven by tests/e2e."""
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest
import zlib
from pathlib import Path

sys.dont_write_bytecode = True
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import images

TACITD = """#!/usr/bin/python3
import http.server, os, sys
open(os.environ["NOTES"] + "/server.pid", "w").write(str(os.getpid()))
if "refuse" in os.environ["MODE"]:
    sys.exit("tacitd: address.in-use: the port is taken")
class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/v2/health/ready" else 404)
        self.end_headers()
host, port = sys.argv[sys.argv.index("--listen") + 1].split(":")
server = http.server.HTTPServer((host, int(port)), Ready)
print(f"tacitd: listening on http://127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
"""
TACIT = """#!/usr/bin/python3
import json, os, sys, time
notes, mode = os.environ["NOTES"], os.environ["MODE"]
open(notes + "/calls", "a").write(json.dumps(sys.argv[1:]) + "\\n")
if sys.argv[1] == "compile":
    open(sys.argv[sys.argv.index("-o") + 1], "w").write("package")
elif "fail" in mode:
    sys.exit("tacit: server.error: it went wrong")
else:
    open(notes + "/folder", "w").write(os.path.dirname(os.environ["TACIT_HOME"]))
    time.sleep(60 if "hang" in mode else 0)
    files = [a for a in sys.argv if a.endswith(".png")]
    assert all(open(f, "rb").read(4) == b"\\x89PNG" for f in files) and os.environ["TACIT_PASSPHRASE"]
    print(json.dumps({"count": len(files), "encrypt_ms": 3.25, "server_ms": 1234.5, "decrypt_ms": 1.5,
        "upload_bytes": 250_000, "download_bytes": 65_000, "key_bytes": 12_300_000,
        "predictions": [{"image": f, "label": "Ankle boot", "probability": 0.875} for f in files]}))
"""


class Demo(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        for name in ("tools", "build/release/bin", "models/fashion_mnist", "notes"):
            (self.root / name).mkdir(parents=True)
        for name in ("demo", "images.py", "local_service.py"):
            shutil.copy(ROOT / "tools" / name, self.root / "tools")
        for name in ("preprocessing.json", "fashion_mnist.onnx"):
            shutil.copy(ROOT / "models/fashion_mnist" / name, self.root / "models/fashion_mnist")
        for name, text in (("tacit", TACIT), ("tacitd", TACITD)):
            path = self.root / "build/release/bin" / name
            path.write_text(text)
            path.chmod(0o755)

    def start(self, mode, *arguments):
        environment = dict(os.environ, NOTES=str(self.root / "notes"), MODE=mode, COLUMNS="80")
        return subprocess.Popen([self.root / "tools/demo", *arguments], env=environment, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)

    def run_demo(self, mode="", *arguments):
        process = self.start(mode, *arguments)
        out, err = process.communicate(timeout=50)
        return process.returncode, out, err

    def note(self, name):
        return (self.root / "notes" / name).read_text()

    def assert_server_gone(self):
        with self.assertRaises(ProcessLookupError):
            os.kill(int(self.note("server.pid")), 0)

    def test_shows_what_the_programs_answered(self):
        code, out, err = self.run_demo("", "2")
        self.assertEqual((code, err), (0, ""))
        for text in ("test image 0", "is:         Ankle boot", "is:         Pullover", "prediction: Ankle boot",
                     "87.5%  (wrong)", "1 of 2 predictions are right", "1.23 s", "250.0 kB", "65.0 kB", "12.3 MB", "3.2 ms"):
            self.assertIn(text, out)
        self.assert_server_gone()
        self.assertFalse(Path(self.note("folder")).exists())

    def test_compiles_only_what_is_older_than_its_sources(self):
        package = self.root / "build/models/fashion_mnist.tacit"
        compiles = lambda: [c for c in map(json.loads, self.note("calls").splitlines()) if c[0] == "compile"]
        self.run_demo("", "1")
        self.run_demo("", "1")
        self.assertEqual(len(compiles()), 1)
        self.assertEqual(compiles()[0][-1], str(package))
        os.utime(package, (0, 0))
        self.run_demo("", "1")
        self.assertEqual(len(compiles()), 2)

    def test_a_failed_prediction_is_reported_and_the_server_ended(self):
        code, _, err = self.run_demo("fail")
        self.assertEqual(code, 1)
        self.assertIn("tacit: server.error: it went wrong", err)
        self.assertIn("demo: 'tacit predict' failed (exit code 1)", err)
        self.assert_server_gone()

    def test_a_server_that_does_not_start_is_reported_with_its_last_words(self):
        code, _, err = self.run_demo("refuse")
        self.assertEqual(code, 1)
        self.assertIn("demo: tacitd ended with exit code 1: tacitd: address.in-use: the port is taken", err)

    def test_a_signal_ends_the_server_too(self):
        process = self.start("hang")
        deadline = time.monotonic() + 30
        while not (self.root / "notes/folder").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
        self.assertEqual(process.returncode, 128 + signal.SIGTERM)
        self.assert_server_gone()
        self.assertFalse(Path(self.note("folder")).exists())

    def test_a_count_that_is_none_is_refused(self):
        for count in ("0", "1001", "many"):
            code, _, err = self.run_demo("", count)
            self.assertEqual(code, 1)
            self.assertRegex(err, "^demo: .*\n$")


class Images(unittest.TestCase):
    def test_png_holds_the_pixels(self):
        for channels, colour_type in ((1, 0), (3, 2)):
            pixels = bytes(range(5 * 3 * channels))
            data = images.png(pixels, 5, 3, channels)
            chunks, at = {}, 8
            while at < len(data):
                size, = struct.unpack_from(">I", data, at)
                kind, body = data[at + 4:at + 8], data[at + 8:at + 8 + size]
                self.assertEqual(struct.unpack_from(">I", data, at + 8 + size)[0], zlib.crc32(kind + body))
                chunks[kind], at = body, at + 12 + size
            self.assertEqual(struct.unpack(">IIBB", chunks[b"IHDR"][:10]), (5, 3, 8, colour_type))
            rows = zlib.decompress(chunks[b"IDAT"])
            stride = 5 * channels + 1
            self.assertEqual(b"".join(rows[y * stride + 1:(y + 1) * stride] for y in range(3)), pixels)

    def test_debians_test_set_is_read(self):
        pixels, label = images.fashion_mnist_test()[0]
        self.assertEqual((len(pixels), label), (784, 9))

    def test_drawings_have_a_character_for_two_pixels(self):
        pixels = bytes([0, 255] * 14 * 28)
        for lines in (images.ascii_art(pixels, 28, 28), images.half_blocks(pixels, 28, 28)):
            self.assertEqual(len(lines), 14)
        self.assertEqual(images.ascii_art(pixels, 28, 28)[0], " @" * 14)
        self.assertEqual(images.half_blocks(pixels, 28, 28)[0].count("\u2580"), 28)


if __name__ == "__main__":
    unittest.main()
