# SPDX-License-Identifier: Apache-2.0
"""A tacitd of one's own on the loopback interface, for the demo and the end-to-end tests."""
import http.client
import socket
import subprocess
import time

START_SECONDS = 120


class ServiceError(Exception):
    """tacitd did not start; the text says why."""


def free_port():
    """A loopback TCP port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Service:
    """Runs tacitd while the `with` block lasts. Its log goes to `log`; `url`, `port` and `process` are for callers."""

    def __init__(self, program, models, state, log, port=None):
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = log
        self.command = [str(program), "--models", str(models), "--state", str(state), "--listen", f"127.0.0.1:{self.port}"]
        self.process = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        """Starts the server and returns when it is ready."""
        with open(self.log, "ab") as log:
            try:
                self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            except OSError as error:
                raise ServiceError(f"cannot start {self.command[0]}: {error.strerror}") from None
        try:
            self.wait_until_ready()
        except BaseException:
            self.stop()
            raise

    def wait_until_ready(self):
        deadline = time.monotonic() + START_SECONDS
        while not self.answers("/v2/health/ready"):
            if self.process.poll() is not None:
                raise ServiceError(f"tacitd ended with exit code {self.process.returncode}: {self.last_words()}")
            if time.monotonic() > deadline:
                raise ServiceError(f"tacitd was not ready after {START_SECONDS} s: {self.last_words()}")
            time.sleep(0.05)

    def answers(self, path):
        """Whether GET `path` is answered with 200."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def last_words(self):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return " | ".join(log.read().strip().splitlines()[-3:]) or "it wrote nothing"

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
