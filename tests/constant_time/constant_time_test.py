#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Nothing that the client does with its secrets branches on them or uses them as an address.

    constant_time_test.py CHECK_PROGRAM

Valgrind runs programs without AVX-512, so the portable and the AVX2 kernels are looked at; the AVX-512 ones have the same
loops and no branches on data.
"""
import os
import subprocess
import sys
import unittest
from pathlib import Path

PROGRAM = ""
SUPPRESSIONS = Path(__file__).parent / "rejections.supp"
FOUND = 99


def memcheck(kernel, *arguments):
    return subprocess.run(
        ["valgrind", "--quiet", f"--error-exitcode={FOUND}", f"--suppressions={SUPPRESSIONS}", PROGRAM, *arguments],
        env={**os.environ, "TACIT_KERNEL": kernel}, capture_output=True, text=True)


class ConstantTime(unittest.TestCase):
    def test_no_branch_depends_on_a_secret(self):
        for kernel in ("portable", "avx2"):
            with self.subTest(kernel=kernel):
                result = memcheck(kernel)
                self.assertEqual(result.returncode, 0, result.stderr)
                if kernel == "portable":
                    self.assertEqual(result.stdout.strip(), kernel)

    def test_a_branch_on_a_secret_would_be_found(self):
        result = memcheck("portable", "leak")
        self.assertEqual(result.returncode, FOUND, result.stderr)
        self.assertIn("Conditional jump", result.stderr)


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main()
