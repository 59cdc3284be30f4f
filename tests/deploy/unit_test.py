#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The systemd unit and what tacitd does for a service manager."""
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))
import sandbox
from packages import ROOT, UNIT, unit_settings
from support import BIN, TacitTest

# "How exposed" as systemd-analyze counts it, 0 to 10; docs/operating.md says so.
WORST_EXPOSURE = 1.5


def needs_systemd_analyze():
    if not shutil.which("systemd-analyze"):
        raise unittest.SkipTest("systemd-analyze is not here")


class Notifications(TacitTest):
    """tacitd under a service manager that we play."""

    def run_notifying(self, name, address, talk):
        """Runs tacitd with NOTIFY_SOCKET until it is told to stop; `talk(process)` is called once it listens."""
        with open(self.folder / f"{name}.log", "w+", encoding="utf-8") as log:
            process = subprocess.Popen([str(BIN / "tacitd"), "--models", str(self.models), "--state",
                                        str(self.folder / name), "--listen", "127.0.0.1:0"],
                                       env={**os.environ, "NOTIFY_SOCKET": address}, stderr=log)
            try:
                talk(process)
                process.send_signal(signal.SIGTERM)
                self.assertEqual(process.wait(30), 0)
            finally:
                process.kill()
                process.wait()
            log.seek(0)
            return log.read()

    def test_says_ready_and_stopping(self):
        path = str(self.folder / "notify.socket")
        for name, address in (("path", path), ("abstract", f"\0tacit-{os.getpid()}")):
            with self.subTest(name), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
                manager.bind(address)
                manager.settimeout(60)

                def talk(process):
                    lines = manager.recv(4096).decode().split("\n")
                    self.assertEqual(lines[0], "READY=1")
                    port = re.fullmatch(r"STATUS=Listening on http://127\.0\.0\.1:(\d+)", lines[1])[1]
                    # It was not said too early.
                    socket.create_connection(("127.0.0.1", int(port)), 5).close()
                    for _ in range(3):  # a reload does not end it
                        process.send_signal(signal.SIGHUP)
                    socket.create_connection(("127.0.0.1", int(port)), 5).close()
                    self.assertIsNone(process.poll())

                log = self.run_notifying(name, address.replace("\0", "@"), talk)
                self.assertEqual(manager.recv(4096).decode().split("\n")[0], "STOPPING=1")
                self.assertNotIn("service manager", log)

    def test_serves_where_nobody_listens(self):
        for name, address in (("gone", str(self.folder / "nobody")), ("long", "/" + "x" * 200), ("odd", "vsock:2:1")):
            def talk(process):
                while "listening on" not in (self.folder / f"{name}.log").read_text():
                    self.assertIsNone(process.poll())
                while "service manager" not in (self.folder / f"{name}.log").read_text():
                    self.assertIsNone(process.poll())
            with self.subTest(name):
                self.run_notifying(name, address, talk)


class Confined(TacitTest):
    def test_a_prediction_under_the_units_filter(self):
        needs_systemd_analyze()
        service = unit_settings()["Service"]
        calls = sandbox.allowed_calls(service["SystemCallFilter"])
        for call, expected in (("read", True), ("socket", True), ("prlimit64", True), ("mount", False), ("ptrace", False),
                               ("setuid", False), ("sched_setaffinity", False), ("bpf", False)):
            self.assertEqual(call in calls, expected, call)
        enter = sandbox.confine(calls)
        # The filter denies what it should, and so is there.
        mounted = subprocess.run(["/usr/bin/python3", "-c", "import os, sys; os.setpriority(os.PRIO_PROCESS, 0, 5)"],
                                 preexec_fn=enter, capture_output=True, text=True)
        self.assertIn("PermissionError", mounted.stderr)
        log = self.folder / "confined.log"
        with open(log, "w", encoding="utf-8") as output:
            process = subprocess.Popen(
                [str(BIN / "tacitd"), "--models", str(self.models), "--state", str(self.folder / "confined"), "--listen",
                 "127.0.0.1:0"], preexec_fn=enter, stderr=output, cwd="/")
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        found = None
        while not found:
            self.assertIsNone(process.poll(), log.read_text())
            found = re.search(r"listening on (http://127\.0\.0\.1:\d+)\n", log.read_text())
        written = self.write_images("confined", 2)
        self.assert_right(self.predict(found[1], *(path for path, _ in written))[0], written)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(60), 0, log.read_text())
        copy = subprocess.run([str(BIN / "tacitd"), "check", "--state", str(self.folder / "confined")],
                              preexec_fn=enter, capture_output=True, text=True)
        self.assertEqual(copy.returncode, 0, copy.stderr)


class Exposure(unittest.TestCase):
    def test_systemd_analyze_security(self):
        needs_systemd_analyze()
        done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager",
                               f"--threshold={int(WORST_EXPOSURE * 10)}", str(UNIT)], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        exposure = float(re.search(r"Overall exposure level for tacitd.service: ([0-9.]+)", done.stdout)[1])
        print(f"exposure {exposure}", file=sys.stderr)
        said = float(re.search(r"exposure level of ([0-9.]+)",
                               (ROOT / "docs/operating.md").read_text(encoding="utf-8"))[1])
        self.assertEqual(said, exposure, "docs/operating.md says another one")


if __name__ == "__main__":
    unittest.main()
