#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""tools/setup in a tree of its own, with dpkg-query, apt-get, sudo and npm played by scripts that log their calls."""
import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

TOOL = Path(__file__).resolve().parents[2] / "tools/setup"
APT = """#!/bin/bash
echo "apt-get $*" >>"$LOG"
while [[ $# -gt 0 && $1 != --no-install-recommends ]]; do shift; done
for package in "${@:2}"; do echo "$package installed" >>"$STATE"; done
"""


class Setup(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        for name in ("tools", "bin", "tests/seal"):
            (self.root / name).mkdir(parents=True)
        shutil.copy(TOOL, self.root / "tools/setup")
        (self.root / "tools/packages.txt").write_text("# list\nalpha # why\nbeta  # why\ngamma true # has a command\n")
        (self.root / "state").write_text("alpha installed\nbeta config-files\n")
        self.program("dpkg-query", '#!/bin/bash\ncat "$STATE"\n')
        self.program("apt-get", APT)
        self.program("sudo", '#!/bin/bash\nexec "$@"\n')
        self.program("npm", '#!/bin/bash\necho "npm $*" >>"$LOG"\nmkdir -p "$3/node_modules"\n')

    def program(self, name, text):
        path = self.root / "bin" / name
        path.write_text(text)
        path.chmod(0o755)

    def run_setup(self, *arguments):
        log = self.root / "log"
        log.write_text("")
        environment = {"PATH": f"{self.root}/bin:{os.environ['PATH']}", "LOG": str(log), "STATE": str(self.root / "state")}
        done = subprocess.run([self.root / "tools/setup", *arguments], env=environment, capture_output=True, text=True)
        return done, log.read_text().splitlines()

    def test_only_what_is_missing_is_installed_and_only_once(self):
        done, calls = self.run_setup()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(calls, ["apt-get update -q", "apt-get install -q -y --no-install-recommends beta"])
        self.assertIn("installing 1 Debian packages: beta", done.stderr)
        done, calls = self.run_setup()
        self.assertEqual((done.returncode, done.stdout, done.stderr, calls), (0, "", "", []))

    def test_a_command_stands_in_for_its_package(self):
        (self.root / "tools/packages.txt").write_text("gamma no-such-command-anywhere # why\ndelta true # why\n")
        _, calls = self.run_setup()
        self.assertEqual(calls[1:], ["apt-get install -q -y --no-install-recommends gamma"])

    def test_other_lists_can_be_named(self):
        (self.root / "tools/more.txt").write_text("epsilon\n")
        _, calls = self.run_setup("tools/more.txt")
        self.assertEqual(calls[1:], ["apt-get install -q -y --no-install-recommends epsilon"])

    def test_javascript_packages_follow_their_lock_file(self):
        (self.root / "state").write_text("alpha installed\nbeta installed\n")
        self.assertEqual(self.run_setup()[1], [])
        lock = self.root / "tests/seal/package-lock.json"
        lock.write_text("{}\n")
        self.assertEqual(self.run_setup()[1], ["npm ci --prefix tests/seal --no-audit --no-fund --loglevel=error"])
        self.assertEqual(self.run_setup()[1], [])
        lock.write_text('{"version": 2}\n')
        self.assertEqual(len(self.run_setup()[1]), 1)

    def test_a_failed_installation_fails(self):
        self.program("apt-get", "#!/bin/bash\nexit 100\n")
        done, _ = self.run_setup()
        self.assertNotEqual(done.returncode, 0)
        (self.root / "state").write_text("alpha installed\nbeta installed\n")
        (self.root / "tests/seal/package-lock.json").write_text("{}\n")
        self.program("npm", "#!/bin/bash\nexit 1\n")
        done, _ = self.run_setup()
        self.assertEqual(done.returncode, 1)
        self.assertFalse((self.root / "tests/seal/node_modules/.lock-digest").exists())


if __name__ == "__main__":
    unittest.main()
