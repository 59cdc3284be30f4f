#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""tacitd with TLS, met by clients that we did not write: curl and Python's ssl."""
import http.client
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))
from support import BIN, TacitTest
from certificates import make_authority, make_certificate

HEALTH = "/v2/health/live"


class TlsTest(TacitTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.authority = make_authority(cls.folder)
        cls.certificate, cls.key = make_certificate(cls.folder, cls.authority)

    @classmethod
    def start_tls(cls, name="server", **settings):
        return cls.start_service(name, authority=cls.authority[0], settings={
            "tls.certificate": cls.certificate, "tls.private_key": cls.key, **settings})

    def context(self):
        return ssl.create_default_context(cafile=self.authority[0])

    def connect(self, service, context=None, name="localhost"):
        """A TLS connection to the server, which is expected to be `name`."""
        sock = socket.create_connection(("127.0.0.1", service.port), timeout=30)
        self.addCleanup(sock.close)
        wrapped = (context or self.context()).wrap_socket(sock, server_hostname=name)
        self.addCleanup(wrapped.close)
        return wrapped

    def curl(self, url, *arguments):
        return subprocess.run(["curl", "-sS", "--noproxy", "*", *map(str, arguments), url], capture_output=True, text=True,
                              timeout=60)


class Handshake(TlsTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.service = cls.start_tls()

    def tearDown(self):
        self.assert_alive(self.service)

    def test_curl_is_answered(self):
        done = self.curl(self.service.url + HEALTH, "-i", "--cacert", self.authority[0])
        self.assertEqual(done.returncode, 0, done.stderr)
        for line in ("HTTP/1.1 200 OK", "Strict-Transport-Security: max-age=31536000",
                     "X-Content-Type-Options: nosniff", "Cache-Control: no-store"):
            self.assertIn(line + "\n", done.stdout.replace("\r", ""))

    def test_only_version_1_3_is_spoken(self):
        self.assertEqual(self.connect(self.service).version(), "TLSv1.3")
        context = self.context()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with self.assertRaises(ssl.SSLError) as refused:
            self.connect(self.service, context)
        self.assertIn("PROTOCOL_VERSION", str(refused.exception).upper())

    def test_a_client_notices_another_name_and_an_authority_that_it_does_not_know(self):
        with self.assertRaises(ssl.SSLCertVerificationError):
            self.connect(self.service, name="example.org")
        with self.assertRaises(ssl.SSLCertVerificationError):
            self.connect(self.service, ssl.create_default_context())
        other = f"https://example.org:{self.service.port}{HEALTH}"
        done = self.curl(other, "--cacert", self.authority[0], "--resolve",
                         f"example.org:{self.service.port}:127.0.0.1")
        self.assertEqual((done.returncode, done.stdout), (60, ""))
        self.assertEqual(self.curl(self.service.url + HEALTH).returncode, 60)

    def test_no_session_is_taken_up_again(self):
        first = self.connect(self.service)
        first.sendall(b"GET /v2 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.assertTrue(first.recv(100).startswith(b"HTTP/1.1 200 "))
        self.assertFalse(first.session is not None and first.session.has_ticket)

    def test_the_protocol_is_http_1_1_or_none(self):
        context = self.context()
        context.set_alpn_protocols(["h2", "http/1.1"])
        self.assertEqual(self.connect(self.service, context).selected_alpn_protocol(), "http/1.1")
        context.set_alpn_protocols(["h2"])
        with self.assertRaises(ssl.SSLError):
            self.connect(self.service, context)
        self.assertIsNone(self.connect(self.service).selected_alpn_protocol())

    def test_what_is_not_tls_is_not_answered(self):
        for said in (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"\x16\x03\x01\xff\xff" + bytes(70000), bytes(100), b"\x16",
                     b"\x15\x03\x03\x00\x02\x02\x28"):
            with socket.create_connection(("127.0.0.1", self.service.port), timeout=30) as sock:
                try:
                    sock.sendall(said)
                    sock.shutdown(socket.SHUT_WR)
                except OSError:
                    pass  # the server has hung up already; what it said is read all the same
                try:
                    while got := sock.recv(4096):
                        self.assertFalse(got.startswith(b"HTTP"), got)
                except ConnectionError:
                    pass

    def test_requests_follow_each_other_on_one_connection(self):
        connection = http.client.HTTPSConnection("localhost", self.service.port, context=self.context(), timeout=60)
        self.addCleanup(connection.close)
        ports = set()
        for size in (0, 1, 16_384, 16_385, 60_000):
            connection.request("POST", "/v2/repository/index", b" " * size + b"{}")
            response = connection.getresponse()
            self.assertEqual(response.status, 200)
            self.assertIn(b"tiny", response.read())
            ports.add(connection.sock.getsockname()[1])
        self.assertEqual(len(ports), 1)

    def test_a_request_in_many_records_is_one_request(self):
        sock = self.connect(self.service)
        for byte in b"POST /v2/repository/index HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}":
            sock.sendall(bytes([byte]))
        self.assertTrue(sock.recv(100).startswith(b"HTTP/1.1 200 "))

    def test_the_connection_ends_with_a_close_notify(self):
        context = self.context()
        context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
        sock = self.connect(self.service, context)
        sock.sendall(b"GET /v2 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        sock.suppress_ragged_eofs = False
        while sock.recv(4096):  # raises where the connection is merely cut
            pass


class Reload(TlsTest):
    def serial(self, service):
        return self.connect(service).getpeercert()["serialNumber"]

    def hang_up(self, service, said):
        """SIGHUP, and waits until the log has said how it went."""
        seen = len(service.read_log())
        service.process.send_signal(signal.SIGHUP)
        for _ in range(600):
            if said in service.read_log()[seen:]:
                return service.read_log()[seen:]
            time.sleep(0.05)
        self.fail(f"the log does not say '{said}': {service.last_words()}")

    def test_a_new_certificate_is_used_and_a_bad_one_is_not(self):
        service = self.start_tls("reloaded")
        stop, failures, asked = threading.Event(), [], [0, 0]

        def keep_asking(which, fresh):
            connection = http.client.HTTPSConnection("localhost", service.port, context=self.context(), timeout=60)
            while not stop.is_set():
                try:
                    connection.request("GET", HEALTH)
                    response = connection.getresponse()
                    if response.status != 200 or not response.read():
                        failures.append(response.status)
                    asked[which] += 1
                except (OSError, http.client.HTTPException) as error:
                    failures.append(error)
                if fresh:
                    connection.close()
            connection.close()

        threads = [threading.Thread(target=keep_asking, args=(0, False)),
                   threading.Thread(target=keep_asking, args=(1, True))]
        for thread in threads:
            thread.start()
        try:
            serials = [self.serial(service)]
            for i in range(3):
                # Written beside and moved, as a tool that renews certificates does it.
                new = make_certificate(self.folder, self.authority, f"new-{i}")
                new[0].replace(self.certificate)
                new[1].replace(self.key)
                self.hang_up(service, "SIGHUP")
                for _ in range(600):
                    if self.serial(service) != serials[-1]:
                        break
                    time.sleep(0.05)
                serials.append(self.serial(service))
            self.assertEqual(len(set(serials)), 4)

            good = self.key.read_bytes()
            other = make_certificate(self.folder, self.authority, "other")
            for bad in (b"", b"no key at all", other[1].read_bytes()):
                self.key.write_bytes(bad)
                log = self.hang_up(service, "stays as it was")
                self.assertIn("tls.certificate", log)
                self.assertIn(str(self.key), log)
                self.assertEqual(self.serial(service), serials[-1])
            self.key.unlink()
            self.hang_up(service, "No such file")
            self.assertEqual(self.serial(service), serials[-1])
            self.key.write_bytes(good)
            before = list(asked)
            while any(now < then + 20 for now, then in zip(asked, before)) and not failures:
                time.sleep(0.01)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        self.assertEqual(failures, [])
        print(f"{asked[0]} requests on one connection, {asked[1]} on new ones", file=sys.stderr)
        self.assertEqual(service.stop(), 0)


class Start(TlsTest):
    def run_tacitd(self, *arguments, **settings):
        environment = {f"TACITD_{name.upper()}": str(value) for name, value in settings.items()}
        return subprocess.Popen([str(BIN / "tacitd"), "--models", str(self.models), "--state", str(self.folder / "starts"),
                                 *arguments], env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def test_a_certificate_that_cannot_be_used_is_named(self):
        other = make_certificate(self.folder, self.authority, "another")
        locked = make_certificate(self.folder, self.authority, "locked", passphrase="secret words")
        missing = self.folder / "missing.pem"
        for certificate, key, named in ((missing, self.key, missing), (self.certificate, missing, missing),
                                        (self.key, self.key, self.key), (self.certificate, other[1], other[1]),
                                        (locked[0], locked[1], locked[1])):
            process = self.run_tacitd("--listen", "127.0.0.1:0", tls_certificate=certificate, tls_private_key=key)
            _, said = process.communicate(timeout=60)
            self.assertEqual(process.returncode, 1, said)
            errors = [line for line in said.splitlines() if line.startswith("tacitd: tls.certificate: ")]
            self.assertEqual(len(errors), 1, said)
            self.assertIn(str(named), errors[0])
            self.assertIn("tls.private_key" if named != missing and named != self.key else "tls.", errors[0])

    def test_a_network_address_without_tls_is_warned_of(self):
        subprocess.run([str(BIN / "tacitd"), "token", "create", "--state", str(self.folder / "starts"), "--tenant", "a"],
                       check=True, capture_output=True)
        for settings, warned in (({}, True), ({"tls_certificate": self.certificate, "tls_private_key": self.key}, False)):
            process = self.run_tacitd("--listen", "0.0.0.0:0", **settings)
            said = ""
            while "listening on" not in said:
                line = process.stderr.readline()
                self.assertTrue(line, said)
                said += line
            process.terminate()
            process.communicate(timeout=60)
            self.assertEqual("NO TLS" in said, warned, said)


if __name__ == "__main__":
    unittest.main()
