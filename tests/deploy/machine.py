# SPDX-License-Identifier: Apache-2.0
"""This machine a second time: every file of it, to be changed without changing any, and a network of its own. Wants root."""
import os
import shlex
import signal
import subprocess
import tempfile
import unittest
from pathlib import Path

SETUP = """set -e
mount -t tmpfs -o size=4g tmpfs {base}
mkdir {base}/upper {base}/work {base}/root
mount -t overlay overlay -o lowerdir=/,upperdir={base}/upper,workdir={base}/work {base}/root
mount -t tmpfs tmpfs {base}/root/tmp
mount -t tmpfs tmpfs {base}/root/run
mount -t proc proc {base}/root/proc
mount --rbind /dev {base}/root/dev
echo ready
exec sleep infinity
"""
# The loopback interface comes up with an ioctl; not every machine has the program ip.
LOOPBACK_UP = """
import fcntl, socket, struct
with socket.socket() as s:
    flags = struct.unpack("16xH", fcntl.ioctl(s, 0x8913, struct.pack("16s16x", b"lo"))[:18])[0]
    fcntl.ioctl(s, 0x8914, struct.pack("16sH14x", b"lo", flags | 1))
"""


class Machine:
    """Commands run in it as root, or as somebody else, from start() to stop(). Nothing of it outlives stop()."""

    def start(self):
        self.folder = tempfile.TemporaryDirectory(prefix="tacit-machine-")
        self.root = Path(self.folder.name) / "root"
        self.keeper = subprocess.Popen(
            ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "sh", "-c",
             SETUP.format(base=shlex.quote(self.folder.name))],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if self.keeper.stdout.readline() != "ready\n":
            problem = self.keeper.communicate()[1]
            self.folder.cleanup()
            raise unittest.SkipTest(f"no second machine can be made here: {problem.strip()}")
        self.inner = next(Path(f"/proc/{self.keeper.pid}/task").glob("*/children")).read_text().split()[0]
        self.run("/usr/bin/python3 -c " + shlex.quote(LOOPBACK_UP))

    def stop(self):
        self.keeper.send_signal(signal.SIGKILL)
        self.keeper.communicate()
        self.folder.cleanup()

    def command(self, line):
        return ["nsenter", "--target", self.inner, "--mount", "--net", "--pid", "chroot", str(self.root), "/usr/bin/env",
                "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C.UTF-8",
                "DEBIAN_FRONTEND=noninteractive", "bash", "-euo", "pipefail", "-c", line]

    def run(self, line, expect=0, timeout=600):
        """What a line of shell says on both outputs; it has to end with `expect`."""
        done = subprocess.run(self.command(line), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=timeout)
        if done.returncode != expect:
            raise AssertionError(f"{line}\nended with {done.returncode}, not {expect}:\n{done.stdout}")
        return done.stdout

    def write(self, path, content, mode=0o644):
        """Puts a file into it."""
        writer = subprocess.run(self.command(f"cat > {shlex.quote(path)} && chmod {mode:o} {shlex.quote(path)}"),
                                input=content if isinstance(content, bytes) else content.encode(), capture_output=True)
        assert writer.returncode == 0, writer.stderr


def needs_root():
    if os.geteuid() != 0:
        raise unittest.SkipTest("only root can make a second machine out of this one")
