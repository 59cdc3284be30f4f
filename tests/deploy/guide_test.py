#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""docs/operating.md against the programs.

    tests/deploy/guide_test.py            fails where the page is not true
    tests/deploy/guide_test.py --write    writes the table of keys anew
"""
import re
import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))
from packages import ROOT, unit_settings
from support import BIN

PAGE = ROOT / "docs/operating.md"
KEYS = re.compile(r"(?<=--write -->\n)(.*?)(?=<!-- end of keys -->)", re.S)


def keys_table():
    """Every key that tacitd has, as the page should list them."""
    text = subprocess.run([str(BIN / "tacitd"), "--list-config"], capture_output=True, text=True, check=True).stdout
    rows, section, meaning = ["| key | default | meaning |", "|---|---|---|"], None, None
    for line in text.splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line.startswith("# "):
            meaning = line[2:].rpartition("; ")[0]
        elif line:
            key, _, value = line.partition(" = ")
            rows.append(f"| `{section}.{key}` | {'`' + value + '`' if value != chr(34) * 2 else ''} | {meaning} |")
    return "\n".join(rows) + "\n"


class Guide(unittest.TestCase):
    def setUp(self):
        self.text = PAGE.read_text(encoding="utf-8")

    def test_it_lists_every_key(self):
        table = keys_table()
        self.assertGreater(table.count("\n"), 15)
        self.assertEqual(KEYS.search(self.text)[1], table, "tests/deploy/guide_test.py --write brings it up to date")

    def test_error_codes_exist(self):
        known = set(re.findall(r'TACIT_ERROR\(\w+, "([^"]+)"', (ROOT / "src/base/error_codes.def").read_text()))
        families = {code.split(".")[0] for code in known}
        keys = set(re.findall(r"^\| `([a-z_.]+)` \|", keys_table(), re.M))
        named = {code for code in re.findall(r"`([a-z]+\.[a-z-]+)`", self.text) if code.split(".")[0] in families}
        self.assertGreater(len(named), 5)
        self.assertEqual(named - known - keys - {"quota.burst"}, set())

    def test_what_it_says_about_the_unit(self):
        self.assertEqual(unit_settings()["Service"]["MemoryMax"], ["80%"])
        self.assertIn("at most 80 % of the machine's memory", self.text)

    def test_the_schema_version(self):
        migrations = (ROOT / "src/server/state/schema.h").read_text(encoding="utf-8")
        said = re.search(r"`PRAGMA user_version` of `tacit.db`, now (\d+)\)", self.text)[1]
        self.assertEqual(re.search(r"std::array<const char\*, (\d+)>", migrations)[1], said)


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        PAGE.write_text(KEYS.sub(lambda _: keys_table(), PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        unittest.main()
