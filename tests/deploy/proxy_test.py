#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""deploy/nginx.conf in Debian's nginx, in front of a tacitd: TLS, tokens, predictions, and events as they happen."""
import http.client
import http.server
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))
from packages import ROOT
from proxy import Proxy
from support import BIN, TacitTest
from local_service import free_port

NAME = "tacit.example.org"
MAIN = """
error_log {folder}/error.log info;
pid {folder}/nginx.pid;
events {{}}
http {{
  access_log {folder}/access.log;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  include {folder}/tacit.conf;
}}
"""


def make_certificate(folder, authority=True):
    """A private authority, ca.pem, and a certificate of it for NAME; a new certificate only where not `authority`."""
    new_key = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    commands = (
        [*new_key, "-x509", "-days", "2", "-subj", "/CN=Test authority", "-keyout", "ca.key", "-out", "ca.pem"],
        [*new_key, "-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}", "-keyout", "key.pem", "-out",
         "request.pem"],
        ["x509", "-req", "-in", "request.pem", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
         "-copy_extensions", "copy", "-out", "certificate.pem"])
    for command in commands if authority else commands[1:]:
        subprocess.run(["openssl", *command], cwd=folder, check=True, capture_output=True)


class Nginx:
    """nginx with deploy/nginx.conf and `port` of this machine behind it; `https` is where it listens."""

    def __init__(self, folder, port):
        self.folder, self.https = folder, free_port()
        folder.mkdir()
        make_certificate(folder)
        text = (ROOT / "deploy/nginx.conf").read_text(encoding="utf-8")
        for old, new in (("listen 443 ssl;", f"listen 127.0.0.1:{self.https} ssl;"),
                         ("server 127.0.0.1:8080;", f"server 127.0.0.1:{port};"),
                         ("/etc/tacit/tls/certificate.pem", f"{folder}/certificate.pem"),
                         ("/etc/tacit/tls/key.pem", f"{folder}/key.pem")):
            assert text.count(old) == 1, f"deploy/nginx.conf has not one {old}"
            text = text.replace(old, new)
        (folder / "tacit.conf").write_text(text, encoding="utf-8")
        (folder / "nginx.conf").write_text(MAIN.format(folder=folder), encoding="utf-8")
        self.command = ["nginx", "-c", str(folder / "nginx.conf"), "-p", str(folder), "-e", str(folder / "error.log")]

    def start(self):
        tested = subprocess.run([*self.command, "-t"], capture_output=True, text=True)
        assert tested.returncode == 0 and "[warn]" not in tested.stderr, tested.stderr
        self.process = subprocess.Popen([*self.command, "-g", "daemon off;"], stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        while True:
            try:
                return socket.create_connection(("127.0.0.1", self.https), 1).close()
            except OSError:
                assert self.process.poll() is None and time.monotonic() < deadline, (self.folder / "error.log").read_text()
                time.sleep(0.05)

    def stop(self):
        self.process.terminate()
        self.process.wait()

    def curl(self, path, *options):
        """(exit code, head and body) of curl for `path`, which checks the certificate."""
        done = subprocess.run(
            ["curl", "--silent", "--show-error", "--include", "--noproxy", "*", "--cacert", str(self.folder / "ca.pem"),
             "--resolve", f"{NAME}:{self.https}:127.0.0.1", *options, f"https://{NAME}:{self.https}{path}"],
            capture_output=True, text=True, timeout=120)
        return done.returncode, done.stdout + done.stderr

    def connect(self):
        """An http.client connection with TLS 1.3, certificate checked."""
        context = ssl.create_default_context(cafile=str(self.folder / "ca.pem"))
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        connection = http.client.HTTPSConnection(NAME, self.https, timeout=300, context=context)
        connection._create_connection = lambda address, *rest: socket.create_connection(("127.0.0.1", address[1]), *rest)
        return connection


def needs_nginx():
    if not shutil.which("nginx") and not Path("/usr/sbin/nginx").exists():
        raise unittest.SkipTest("nginx is not here: apt-get install nginx")


class BehindNginx(TacitTest):
    @classmethod
    def setUpClass(cls):
        needs_nginx()
        super().setUpClass()
        cls.service = cls.start_service()
        cls.nginx = Nginx(cls.folder / "nginx", cls.service.port)
        cls.nginx.start()
        cls.addClassCleanup(cls.nginx.stop)
        # As long as there is no token: nothing for those who come through the proxy.
        cls.before = cls.nginx.curl("/v2/models")
        made = subprocess.run([str(BIN / "tacitd"), "token", "create", "--state", str(cls.folder / "server"), "--tenant",
                               "clinic"], capture_output=True, text=True, check=True)
        cls.token = made.stdout.strip()
        time.sleep(1)  # so soon the server sees it
        cls.header = f"Authorization: Bearer {cls.token}"

    def test_tls_1_3_alone(self):
        self.assertEqual(self.nginx.curl("/v2/health/live", "--tls-max", "1.2")[0], 35)
        code, answer = self.nginx.curl("/v2/health/live", "--tlsv1.3")
        self.assertEqual(code, 0, answer)
        self.assertIn("HTTP/1.1 200", answer)
        self.assertRegex(answer, r"(?i)strict-transport-security: max-age=\d+")
        self.assertNotRegex(answer, r"nginx/\d")

    def test_tokens(self):
        self.assertIn("HTTP/1.1 401", self.before[1])
        self.assertIn("through a proxy", self.before[1])
        self.assertIn("HTTP/1.1 401", self.nginx.curl("/v2/models")[1])
        answer = self.nginx.curl("/v2/models", "--header", self.header)[1]
        self.assertIn("HTTP/1.1 200", answer)
        self.assertIn('"tiny"', answer)

    def test_predictions(self):
        written = self.write_images("proxied", 3)
        with Proxy(connect=self.nginx.connect, fields={"Authorization": f"Bearer {self.token}"}) as relay:
            self.assert_right(self.predict(relay.url, *(path for path, _ in written))[0], written)
        log = (self.nginx.folder / "access.log").read_text()
        self.assertIn("POST /v2/models/tiny/infer HTTP/1.1\" 200", log)
        self.assertNotIn(self.token[23:], log + (self.nginx.folder / "error.log").read_text())
        # No ciphertext or key waited in a file.
        self.assertNotIn("temporary file", (self.nginx.folder / "error.log").read_text())

    def test_a_new_certificate_without_a_restart(self):
        def serial():
            connection = self.nginx.connect()
            try:
                connection.connect()
                return connection.sock.getpeercert()["serialNumber"]
            finally:
                connection.close()
        before = serial()
        make_certificate(self.nginx.folder, authority=False)
        self.nginx.process.send_signal(signal.SIGHUP)  # what "systemctl reload nginx" sends
        deadline = time.monotonic() + 30
        while serial() == before:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.1)
        self.assertIn("HTTP/1.1 200", self.nginx.curl("/v2/health/ready")[1])

    def test_limits(self):
        announced = ["--request", "PUT", "--header", self.header, "--header"]
        self.assertIn("HTTP/1.1 413", self.nginx.curl("/v2/keys/pieces/00", *announced, "Content-Length: 1073741825")[1])
        self.assertIn("HTTP/1.1 404", self.nginx.curl("/v2/nothing", "--header", self.header)[1])


class Events(unittest.TestCase):
    """A server that sends an event and waits: it has to arrive at once."""

    def test_events_are_not_kept_back(self):
        needs_nginx()
        go_on = threading.Event()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                for text in (b"data: 1\n\n", b"data: 2\n\n"):
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(text), text))
                    self.wfile.flush()
                    go_on.wait(60)
                self.wfile.write(b"0\r\n\r\n")

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        folder = tempfile.TemporaryDirectory(prefix="tacit-nginx-")
        self.addCleanup(folder.cleanup)
        nginx = Nginx(Path(folder.name) / "nginx", server.server_port)
        nginx.start()
        self.addCleanup(nginx.stop)
        connection = nginx.connect()
        self.addCleanup(connection.close)
        connection.request("GET", "/v2/jobs/0123/events")
        response = connection.getresponse()
        self.assertEqual(response.readline(), b"data: 1\n")
        self.assertFalse(go_on.is_set(), "the second event was sent already")
        go_on.set()
        self.assertEqual(response.read(), b"\ndata: 2\n\n")


class Figures(unittest.TestCase):
    def test_they_are_those_of_the_protocol(self):
        text = (ROOT / "deploy/nginx.conf").read_text(encoding="utf-8")
        limits = (ROOT / "src/server/limits.h").read_text(encoding="utf-8")
        idle = int(re.search(r"idle\{(\d+)'000\}", limits)[1])
        self.assertLess(int(re.search(r"^  keepalive_timeout (\d+)s", text, re.M)[1]), idle)
        header = int(re.search(r"header\{(\d+)'000\}", limits)[1])
        self.assertIn(f"client_header_timeout {header}s;", text)
        default = subprocess.run([str(BIN / "tacitd"), "--list-config"], capture_output=True, text=True, check=True).stdout
        self.assertIn('\nbody_bytes = "1 GiB"\n', default)
        self.assertIn("client_max_body_size 1g;", text)


if __name__ == "__main__":
    unittest.main()
