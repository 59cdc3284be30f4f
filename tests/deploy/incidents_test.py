#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What docs/operating.md says about incidents: a full disk, a damaged state, a state of a newer release, wrong configuration."""
import sqlite3
import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))
from machine import Machine, needs_root
from support import BIN, TacitTest


def tacitd(*arguments):
    return subprocess.run([str(BIN / "tacitd"), *map(str, arguments)], capture_output=True, text=True, timeout=120)


class Incidents(TacitTest):
    def serve(self, state):
        """Runs tacitd, which has to end by itself."""
        return tacitd("--models", self.models, "--state", state, "--listen", "127.0.0.1:0")

    def make_state(self, name):
        state = self.folder / name
        self.assertEqual(tacitd("token", "create", "--state", state, "--tenant", "clinic").returncode, 0)
        return state

    def test_a_damaged_database(self):
        state = self.make_state("damaged")
        database = state / "tacit.db"
        content = bytearray(database.read_bytes())
        content[:100] = b"\x55" * 100
        database.write_bytes(content)
        for done in (self.serve(state), tacitd("check", "--state", state)):
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertIn("tacitd: state.corrupt: ", done.stderr)

    def test_damaged_keys_are_found(self):
        service = self.start_service("keys-damaged")
        written = self.write_images("damage", 1)
        self.predict(service.url, written[0][0])
        service.stop()
        state = self.folder / "keys-damaged"
        self.assertIn("is whole", tacitd("check", "--state", state).stderr)
        piece = next((state / "blobs").rglob("pieces/*"))
        content = bytearray(piece.read_bytes())
        content[-1] ^= 1
        piece.write_bytes(content)
        done = tacitd("check", "--state", state)
        self.assertEqual(done.returncode, 1)
        self.assertIn("state.corrupt", done.stderr)
        self.assertIn(piece.name, done.stdout)

    def test_a_state_of_a_newer_release(self):
        state = self.make_state("newer")
        connection = sqlite3.connect(state / "tacit.db")
        connection.execute("PRAGMA user_version = 1000")
        connection.commit()
        connection.close()
        done = self.serve(state)
        self.assertEqual(done.returncode, 1)
        self.assertIn("tacitd: state.version: ", done.stderr)

    def test_wrong_configuration_is_exit_code_2(self):
        page = self.folder / "wrong.toml"
        page.write_text("[server]\nmodel = 'x'\n")
        done = tacitd("--config", page)
        self.assertEqual(done.returncode, 2)
        self.assertIn("is server.models meant?", done.stderr)

    def test_two_servers_on_one_state(self):
        service = self.start_service("twice")
        self.assertIn("state.in-use", self.serve(self.folder / "twice").stderr)
        self.assertIn("state.in-use", tacitd("check", "--state", self.folder / "twice").stderr)
        service.stop()


class FullDisk(TacitTest):
    def test_uploads_fail_and_the_server_goes_on(self):
        needs_root()
        machine = Machine()
        machine.start()
        self.addCleanup(machine.stop)
        machine.run("mkdir -p /root/models /root/state && mount -t tmpfs -o size=3m tmpfs /root/state")
        machine.write("/root/models/tiny.tacit", (self.models / "tiny.tacit").read_bytes())
        machine.write("/root/image.png", self.write_images("full", 1)[0][0].read_bytes())
        ask = ("TACIT_HOME=/root/keys TACIT_PASSPHRASE=x "
               f"{BIN}/tacit predict --server http://127.0.0.1:8080 --model tiny /root/image.png")
        health = "curl -sf http://127.0.0.1:8080/v2/health/ready"
        machine.run(f"setsid {BIN}/tacitd --models /root/models --state /root/state --listen 127.0.0.1:8080 "
                    f">/root/log 2>&1 </dev/null & for _ in $(seq 100); do {health} && exit 0; sleep 0.1; done; exit 1")
        said = machine.run(ask, expect=1)
        self.assertIn("disk.full", said)
        machine.run("curl -sf http://127.0.0.1:8080/v2/health/live")
        self.assertIn("disk.full", machine.run("curl -s http://127.0.0.1:8080/v2/health/ready"))
        self.assertIn("status=507", machine.run("cat /root/log"))
        # Space comes back, and so do predictions, without a restart.
        machine.run("mount -o remount,size=200m /root/state")
        self.assertRegex(machine.run(ask), "circle|square|star")


if __name__ == "__main__":
    unittest.main()
