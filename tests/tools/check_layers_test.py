#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""tools/check_layers on small trees of its own: what is forbidden must be found, what is allowed must pass."""
import re
import runpy
import subprocess
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / "tools/check_layers"


class CheckLayers(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def check(self):
        done = subprocess.run([TOOL, self.root], capture_output=True, text=True)
        self.assertEqual(done.stderr, "")
        self.assertEqual(done.returncode, 1 if done.stdout else 0)
        return done.stdout.splitlines()

    def test_allowed_includes_pass(self):
        self.write("src/client/session.h", '#include "secret/key.h"\n#include "base/result.h"\n#include <vector>\n'
                                           '#include "transport.h"\n')
        self.write("src/ring/kernels/avx2.cpp", '#include "ring/ntt.h"\n#include "base/aligned.h"\n')
        self.write("apps/tacit/main.cpp", '#include "compiler/compile.h"\n#include "secret/key.h"\n#include "verbs.h"\n')
        self.write("apps/tacitd/main.cpp", '#include "server/server.h"\n#include "ckks/wire.h"\n')
        self.assertEqual(self.check(), [])

    def test_forbidden_include_is_named_with_its_line(self):
        self.write("src/server/routes.cpp", '// routes\n#include "runtime/model.h"\n#include "secret/key.h"\n')
        self.assertEqual([line.split(": ")[:2] for line in self.check()],
                         [["src/server/routes.cpp:3", "server may not use secret (it may use"]])

    def test_every_way_to_write_an_include_is_seen(self):
        self.write("src/secret/key.h", "")
        for text in ('#include <secret/key.h>', '  #  include "secret/key.h"', '#include "../secret/key.h"'):
            self.write("src/ring/ntt.cpp", text + "\n")
            self.assertEqual(len(self.check()), 1, text)

    def test_a_lower_layer_may_not_use_a_higher_one(self):
        self.write("src/base/result.cpp", '#include "ring/poly.h"\n')
        self.assertIn("src/base/result.cpp:1: base may not use ring", self.check()[0])

    def test_the_server_program_may_not_use_the_client(self):
        self.write("apps/tacitd/main.cpp", '#include "client/session.h"\n')
        self.assertIn("apps/tacitd/main.cpp:1: apps/tacitd may not use client", self.check()[0])

    def test_a_folder_that_is_no_layer_is_found(self):
        self.write("src/extra/thing.cpp", "")
        self.assertIn("src/extra/thing.cpp:1: this folder is not a layer", self.check()[0])

    def test_the_table_is_the_one_in_the_design(self):
        uses = runpy.run_path(str(TOOL))["USES"]
        block = (ROOT / "docs/design.md").read_text().split("## Layers")[1].split("```")[1]
        written = {}
        for line in block.strip().splitlines():
            name, used = re.match(r"(\w+) .*  uses (.+)$", line).groups()
            written[name] = [] if used == "nothing" else used.split(", ")
        self.assertEqual({name: used for name, used in uses.items() if "/" not in name}, written)


if __name__ == "__main__":
    unittest.main()
