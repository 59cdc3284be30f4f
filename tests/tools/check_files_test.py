#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""tools/check_files on small trees of its own."""
import subprocess
import tempfile
import unittest
from pathlib import Path

TOOL = Path(__file__).resolve().parents[2] / "tools/check_files"
LICENCE = "// SPDX-License-Identifier: Apache-2.0\n"


class CheckFiles(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)

    def check(self, **files):
        for name, text in files.items():
            path = self.root / name.replace("__", "/").replace("_dot_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        done = subprocess.run([TOOL, self.root], capture_output=True, text=True)
        self.assertEqual(done.stderr, "")
        self.assertEqual(done.returncode, 1 if done.stdout else 0)
        return done.stdout.splitlines()

    def test_a_good_file_passes(self):
        self.assertEqual(self.check(src__a_dot_cpp=LICENCE + "int a;\n" * 599), [])

    def test_one_line_too_many(self):
        self.assertEqual([line.split(":")[:2] for line in self.check(src__a_dot_cpp=LICENCE + "int a;\n" * 600)],
                         [["src/a.cpp", "601"]])

    def test_a_reason_excuses_a_long_file(self):
        text = LICENCE + "int a;\n" * 600
        self.assertEqual(self.check(src__a_dot_cpp=text, tools__long_files_dot_txt="src/a.cpp # one table\n"), [])
        self.assertIn("has no reason", self.check(tools__long_files_dot_txt="src/a.cpp\n")[0])
        self.assertIn("does not exist", self.check(tools__long_files_dot_txt="src/a.cpp # x\nsrc/b.cpp # x\n")[0])

    def test_the_licence_must_be_named(self):
        self.assertIn("src/a.h:1: ", self.check(src__a_dot_h="int a;\n")[0])
        self.assertIn("tool:1: ", self.check(src__a_dot_h=LICENCE, tool="#!/bin/sh\necho\n")[0])

    def test_unfinished_text_is_found(self):
        for word in ("TO" "DO", "FIX" "ME"):
            self.assertEqual(self.check(docs__a_dot_md=f"# A\n\n{word}: write this\n"),
                             ["docs/a.md:3: says that it is unfinished"])

    def test_trailing_white_space_is_found(self):
        self.assertEqual(self.check(docs__a_dot_md="# A \n"), ["docs/a.md:1: ends in white space"])

    def test_links_lead_somewhere(self):
        text = "# A\n[b](b.md) [c](../src/c.h#x) [d](https://example.org/d) [e](#a)\n"
        self.assertEqual(self.check(docs__b_dot_md="# B\n", src__c_dot_h=LICENCE, docs__a_dot_md=text), [])
        self.assertEqual(self.check(docs__a_dot_md=text + "[f](f.md)\n"),
                         ["docs/a.md:3: links to f.md, which does not exist"])


if __name__ == "__main__":
    unittest.main()
