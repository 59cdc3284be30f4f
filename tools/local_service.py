# SPDX-License-Identifier: Apache-2.0
"""A tacitd of one's own on the loopback interface, for the demo and the end-to-end tests."""
import http.client
import os
import re
import socket
import ssl
import subprocess
import time

START_SECONDS = 120
LISTENING = re.compile(r"^tacitd: listening on (https?)://127\.0\.0\.1:(\d+)$", re.MULTILINE)


class ServiceError(Exception):
    """tacitd did not start; the text says why."""


def free_port():
    """A loopback TCP port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Service:
    """tacitd on a free port, while the `with` block lasts or from start() to stop(). Its log goes to `log`; `url`,
    `port` and `process` are for callers and change with every start. `settings` are keys of the configuration, for
    instance {"quota.burst": 7}; `authority` is the certificate that a server with TLS is checked with."""

    def __init__(self, program, models, state, log, settings=None, authority=None):
        self.log = log
        self.authority = authority
        self.environment = dict(os.environ)
        for name, value in (settings or {}).items():
            self.environment["TACITD_" + name.replace(".", "_").upper()] = str(value)
        self.command = [str(program), "--models", str(models), "--state", str(state), "--listen", "127.0.0.1:0"]
        self.process = self.port = self.url = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        """Starts the server and returns when it is ready."""
        with open(self.log, "wb") as log:
            try:
                self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                                env=self.environment)
            except OSError as error:
                raise ServiceError(f"cannot start {self.command[0]}: {error.strerror}") from None
        try:
            self.wait_until_ready()
        except BaseException:
            self.stop()
            raise

    def wait_until_ready(self):
        deadline = time.monotonic() + START_SECONDS
        while not (self.find_port() and self.answers("/v2/health/ready")):
            if self.process.poll() is not None:
                raise ServiceError(f"tacitd ended with exit code {self.process.returncode}: {self.last_words()}")
            if time.monotonic() > deadline:
                raise ServiceError(f"tacitd was not ready after {START_SECONDS} s: {self.last_words()}")
            time.sleep(0.05)

    def find_port(self):
        """Whether the server has said where it listens."""
        match = LISTENING.search(self.read_log())
        if match:
            self.port = int(match[2])
            self.url = f"{match[1]}://127.0.0.1:{self.port}"
        return match is not None

    def answers(self, path):
        """Whether GET `path` is answered with 200."""
        if self.url.startswith("https:"):
            context = ssl.create_default_context(cafile=self.authority)
            connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=10, context=context)
        else:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def read_log(self):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return log.read()

    def last_words(self):
        return " | ".join(self.read_log().strip().splitlines()[-3:]) or "it wrote nothing"

    def stop(self):
        """Ends the server, gently first. Returns its exit code, or None where it was never started."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
        return self.process.wait()
