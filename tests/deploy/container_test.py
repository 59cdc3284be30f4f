#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The container's files against the programs and against each other: what can be seen without a container runtime."""
import os
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))
from packages import ROOT
from support import BIN, TacitTest

DEPLOY = ROOT / "deploy"


def instructions():
    """[(instruction, arguments)] of the Dockerfile, with continued lines joined."""
    text = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", (DEPLOY / "Dockerfile").read_text(encoding="utf-8"), flags=re.M))
    return [tuple(line.split(None, 1)) for line in text.splitlines() if line.strip()]


class Container(TacitTest):
    def setUp(self):
        self.compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
        self.settings = subprocess.run([str(BIN / "tacitd"), "--list-config"], capture_output=True, text=True,
                                       check=True).stdout

    def test_what_is_copied_is_there_and_not_ignored(self):
        ignored = [line for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines() if line[:1] not in "#"]
        for name, arguments in instructions():
            if name != "COPY":
                continue
            for source in [word for word in arguments.split() if not word.startswith("--")][:-1]:
                self.assertTrue((ROOT / source).exists(), source)
                self.assertFalse([entry for entry in ignored if source.startswith(entry)], source)
        # Keys and models that lie beside compose.yaml do not go into an image.
        for volume in self.compose["services"]["nginx"]["volumes"] + self.compose["services"]["tacitd"]["volumes"]:
            source = volume.split(":")[0]
            if source.startswith("./") and source != "./nginx.conf":
                self.assertIn(f"deploy/{source[2:]}", ignored)

    def test_it_builds_with_the_libraries_of_the_list(self):
        script = next(re.search(r"sed -n '([^']*)'", arguments)[1] for name, arguments in instructions()
                      if name == "RUN" and "packages.txt" in arguments)
        packages = subprocess.run(["sed", "-n", script, str(ROOT / "tools/packages.txt")], capture_output=True, text=True,
                                  check=True).stdout.split()
        for package in ("g++", "cmake", "libsodium-dev", "libsqlitecpp-dev", "zlib1g-dev"):
            self.assertIn(package, packages)
        self.assertFalse({"python3-torch", "valgrind", "libgtest-dev"}.intersection(packages))

    def test_the_environment_is_one_that_tacitd_takes(self):
        environment = {name: str(value) for name, value in self.compose["services"]["tacitd"]["environment"].items()}
        environment.update(arguments.split("=", 1) for name, arguments in instructions() if name == "ENV")
        self.assertIn("TACITD_SERVER_LISTEN", environment)
        for name in environment:
            self.assertIn(f"; {name}\n", self.settings)
        with tempfile.TemporaryDirectory() as models:
            command = [str(BIN / "tacitd"), "--config", str(DEPLOY / "tacitd.toml"), "--models", models, "--check-config"]
            done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_it_runs_as_nobody_who_may_anything(self):
        names = [name for name, _ in instructions()]
        self.assertIn(("USER", "_tacitd"), instructions())
        self.assertLess(names.index("USER"), names.index("ENTRYPOINT"))
        for name, service in self.compose["services"].items():
            self.assertTrue(service["read_only"], name)
            self.assertEqual(service["cap_drop"], ["ALL"], name)
            self.assertIn("no-new-privileges:true", service["security_opt"], name)
        self.assertNotIn("cap_add", self.compose["services"]["tacitd"])
        # Only TLS is to be reached from outside.
        self.assertEqual(self.compose["services"]["tacitd"]["ports"], ["443:443"])
        self.assertEqual(self.compose["services"]["nginx"]["network_mode"], "service:tacitd")

    def test_without_a_token_it_does_not_start(self):
        done = subprocess.run([str(BIN / "tacitd"), "--models", str(self.models), "--state", str(self.folder / "none")],
                              env={**os.environ, "TACITD_SERVER_LISTEN": "0.0.0.0:0"}, capture_output=True, text=True,
                              timeout=60)
        self.assertEqual(done.returncode, 2)
        self.assertIn("tacitd token create", done.stderr)

    def test_health(self):
        def health(port):
            return subprocess.run([str(DEPLOY / "healthcheck"), str(port)], capture_output=True, timeout=60).returncode
        service = self.start_service("health")
        self.assertEqual(health(service.port), 0)
        port = service.port
        service.stop()
        self.assertNotEqual(health(port), 0)
        broken = self.models / "broken.tacit"
        broken.write_bytes(b"no package")
        self.addCleanup(broken.unlink)
        unready = subprocess.Popen([str(BIN / "tacitd"), "--models", str(self.models), "--state",
                                    str(self.folder / "unready"), "--listen", "127.0.0.1:0"], stderr=subprocess.PIPE,
                                   text=True)
        self.addCleanup(unready.communicate)
        self.addCleanup(unready.terminate)
        for line in unready.stderr:
            if "listening on" in line:
                self.assertNotEqual(health(line.strip().rsplit(":", 1)[1]), 0)
                break


if __name__ == "__main__":
    unittest.main()
