#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every command of docs/operating.md (the blocks that begin with ```sh), run in order by root in a machine of its own. What
systemctl would do is done by packages.SYSTEMCTL."""
import re
import shutil
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))
from machine import Machine, needs_root
from packages import ROOT, make_packages, systemctl
from support import TacitTest


class Commands(TacitTest):
    def test_they_work(self):
        needs_root()
        if not shutil.which("nginx"):
            self.skipTest("nginx is not here: apt-get install nginx")
        text = (ROOT / "docs/operating.md").read_text(encoding="utf-8")
        blocks = re.findall(r"^```sh\n(.*?)^```$", text, re.S | re.M)
        self.assertGreater(len(blocks), 8)
        machine = Machine()
        machine.start()
        self.addCleanup(machine.stop)
        machine.run("mkdir -p /root/work/build/package")
        for package in make_packages(self.folder / "packages").values():
            machine.write(f"/root/work/build/package/{package.name}", package.read_bytes())
        machine.write("/root/work/mine.tacit", (self.models / "tiny.tacit").read_bytes())
        machine.write("/usr/local/sbin/systemctl", systemctl(), 0o755)
        # What the guide tells to be there.
        machine.run("mkdir -p /etc/tacit/tls && openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=x "
                    "-keyout /etc/tacit/tls/key.pem -out /etc/tacit/tls/certificate.pem 2>/dev/null")
        said = ""
        for number, block in enumerate(blocks):
            if "xargs" in block:  # revokes all tokens of a tenant that an earlier block has deleted
                machine.run("runuser -u _tacitd -- tacitd token create --state /var/lib/tacit/state --tenant clinic "
                            "--scopes infer 2>/dev/null")
            with self.subTest(block=block):
                said += machine.run("cd /root/work\n" + block)
            if number == 0:
                machine.run("tacit --version && tacitd --version")
        for words in ('"tiny"', "[quota]", "state is whole", "monday is whole", "copied to", "ward 3", "revoked "):
            self.assertIn(words, said)
        self.assertEqual(len(re.findall(r"tacitd: revoked [0-9a-f]{16}", said)), 2)
        machine.run("test ! -e /var/lib/tacit/state && ! curl -s http://127.0.0.1:8080/")


if __name__ == "__main__":
    unittest.main()
