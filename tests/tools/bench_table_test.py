#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""tools/bench_table on a few figures whose cells are computed by hand."""
import json
import subprocess
import tempfile
import unittest
from pathlib import Path

TOOL = Path(__file__).resolve().parents[2] / "tools/bench_table"
CONTEXT = {"processor": "Abacus", "num_cpus": 2, "memory_gib": "8", "compiler": "GCC 12", "commit": "abc",
           "kernels": "avx512", "parameters_12": "3 primes"}


def benchmark(name, us, real=None, **counters):
    """The entries that a repeated benchmark leaves: a repetition, the median, and a deviation of 2 %."""
    common = {"run_name": name, "time_unit": "us"}
    times = {"cpu_time": us, "real_time": us if real is None else real}
    return [{**common, **{k: 3 * t for k, t in times.items()}, **counters, "run_type": "iteration"},
            {**common, **times, **counters, "aggregate_name": "median"},
            {**common, **{k: t / 50 for k, t in times.items()}, "aggregate_name": "stddev"}]


def transform(name, us):
    return benchmark(f"{name}/12", us, clock_ghz=4.0)


FIGURES = [
    # 65.5 GB/s and 32.8 GB/s.
    *benchmark("read/16", 1.0, bytes=65536.0),
    *benchmark("read/17", 4.0, bytes=131072.0),
    *transform("forward_ntt40/avx2", 6.144),
    *transform("forward_ntt40/avx512", 3.072),
    *transform("inverse_ntt40/avx512", 5.12),
    *benchmark("negate/avx512/12", 2.0, bytes=65536.0),
    *benchmark("add/avx512/12", 6.0, bytes=98304.0),
    *benchmark("reduce/avx512/12", 7.0),
    *benchmark("rotate/12", 171.84, transforms=20.0, streamed_bytes=131072.0),
    *benchmark("rescale/12", 49.152, transforms=6.0, streamed_bytes=0.0),
    *benchmark("encode/12", 30.0, transforms=3.0),
    *benchmark("scalar_product/avx512/27", 10.0, multiply_adds=240000.0, clock_ghz=4.0),
    *benchmark("scalar_product/avx512/40", 10.0, multiply_adds=80000.0, clock_ghz=4.0),
    *benchmark("scalar_product/avx2/27", 10.0, multiply_adds=80000.0, clock_ghz=4.0),
    *benchmark("dense_10x20_threads1/12/real_time", 3.0, real=4000.0, multiply_adds=64e6, clock_ghz=4.0),
    *benchmark("dense_10x20_threads2/12/real_time", 3.0, real=2500.0, multiply_adds=64e6, clock_ghz=4.0),
    *benchmark("linear_transform8_threads1/12", 1000.0, real=1100.0, transforms=100.0, streamed_bytes=1e6),
    *benchmark("linear_transform8_threads2/12/real_time", 100.0, real=550.0, transforms=100.0),
]


class BenchTable(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)

    def write(self, figures, name="a.json"):
        path = self.root / name
        path.write_text(figures if isinstance(figures, str) else
                        json.dumps({"context": CONTEXT, "benchmarks": figures}))
        return path

    def run_tool(self, *arguments):
        return subprocess.run([TOOL, *arguments], capture_output=True, text=True)

    def table(self, figures=None):
        done = self.run_tool(self.write(FIGURES if figures is None else figures))
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def fails(self, message, *arguments):
        done = self.run_tool(*arguments)
        self.assertEqual((done.returncode, done.stdout, done.stderr.count("\n")), (1, "", 1), done.stderr)
        self.assertIn(message, done.stderr)

    def row(self, text, first):
        """The cells after the first one of the only row that begins so."""
        rows = [line for line in text.splitlines() if line.startswith(f"| {first} |")]
        self.assertEqual(len(rows), 1, first)
        return [cell.strip() for cell in rows[0].split("|")[2:-1]]

    def test_the_machine_is_named(self):
        first = self.table().splitlines()[0]
        for part in ("Abacus", "2 cores", "8 GiB", "GCC 12", "`abc`", "4.00 GHz", "65.5 (64 KiB), 32.8 (128 KiB)"):
            self.assertIn(part, first)

    def test_transforms(self):
        # 12,288 cycles for 24,576 butterflies, where 3 for each eight are the limit.
        self.assertEqual(self.row(self.table(), "avx512 | 2^12")[:6],
                         ["2^12", "3.07", "0.50", "75 %", "5.12", "0.83"])

    def test_what_has_no_model_or_no_figure_is_empty(self):
        self.assertEqual(self.row(self.table(), "avx2 | 2^12"),
                         ["2^12", "6.14", "1.00", "", *[""] * 9])
        self.assertEqual(self.row(self.table(), "encode"), ["0.0300", "2.0 %", "3", "", "", ""])

    def test_a_stream_is_compared_with_the_smallest_block_that_holds_it(self):
        self.assertEqual(self.row(self.table(), "`negate`"), ["16", "32.8, 50 %"])
        self.assertEqual(self.row(self.table(), "`add`"), ["24", "16.4, 50 %"])

    def test_an_operations_limit_is_its_transforms_and_its_key(self):
        # 20 transforms of 4.096 µs, 131,072 bytes at 32,768 in a microsecond.
        self.assertEqual(self.row(self.table(), "rotate"), ["0.172", "2.0 %", "20", "0.131", "0.0859", "50 %"])
        self.assertEqual(self.row(self.table(), "rescale"), ["0.0492", "2.0 %", "6", "", "0.0246", "50 %"])

    def test_two_threads(self):
        text = self.table()
        # More than the largest block is read at that block's rate.
        self.assertEqual(self.row(text, "linear transform 8 × 8, one thread"),
                         ["1.00", "2.0 %", "100", "1.00", "0.440", "44 %"])
        self.assertEqual(self.row(text, "linear transform 8 × 8, two threads"), ["0.550", "2.0 %", "100", "", "", ""])
        self.assertIn("Linear transform 8 × 8 at 2^12: 2.00 times as fast on two threads as on one.", text)

    def test_scalar_matrices(self):
        text = self.table()
        self.assertEqual(self.row(text, "avx512 | 27"), ["27", "24.0", "6.00", "75 %"])
        self.assertEqual(self.row(text, "avx512 | 40"), ["40", "8.00", "2.00", "50 %"])
        self.assertEqual(self.row(text, "avx2 | 27"), ["27", "8.00", "2.00", ""])
        self.assertEqual(self.row(text, "dense 10x20, one thread"), ["2^12", "4.00", "16.0"])
        self.assertEqual(self.row(text, "dense 10x20, two threads"), ["2^12", "2.50", "25.6"])
        self.assertIn("Dense 10x20 at 2^12: 1.60 times as fast on two threads as on one.", text)

    def test_operations_without_the_transforms_have_no_limit(self):
        for missing in ("ntt40", "inverse_ntt40", "forward_ntt40/avx512"):
            text = self.table([entry for entry in FIGURES if missing not in entry["run_name"]])
            self.assertEqual(self.row(text, "rotate"), ["0.172", "2.0 %", "20", "0.131", "", ""])
            self.assertEqual("### Transforms" in text, missing != "ntt40")

    def test_what_is_no_kernel_of_the_ring_is_left_out(self):
        self.assertNotIn("reduce", self.table())

    def test_several_files_are_one_run(self):
        some, others = FIGURES[:15], FIGURES[15:]
        done = self.run_tool(self.write(some), self.write(others, "b.json"))
        self.assertEqual(done.stdout, self.table())

    def test_a_page_is_changed_between_its_marks_only(self):
        page = self.root / "page.md"
        page.write_text("# A\n\n<!-- bench: begin -->\nold\n<!-- bench: end -->\n\n\\1 after\n")
        text = self.table()
        for _ in range(2):
            done = self.run_tool("--write", "--page", page, self.root / "a.json")
            self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
            self.assertEqual(page.read_text(),
                             f"# A\n\n<!-- bench: begin -->\n\n{text}\n<!-- bench: end -->\n\n\\1 after\n")

    def test_a_page_without_marks_is_left_alone(self):
        page = self.root / "page.md"
        page.write_text("# A\n")
        self.fails("needs one pair", "--write", "--page", page, self.write(FIGURES))
        self.assertEqual(page.read_text(), "# A\n")
        self.fails("cannot be read", "--write", "--page", self.root / "none.md", self.root / "a.json")

    def test_a_missing_file(self):
        self.fails("none.json: cannot be read", self.root / "none.json")

    def test_malformed_json(self):
        malformed = ["", "{", "[]", "3", "{}", '{"context": {}}', '{"context": {}, "benchmarks": 3}',
                     '{"context": 3, "benchmarks": []}', '{"context": {}, "benchmarks": [3]}',
                     '{"context": {}, "benchmarks": [{}]}']
        for text in malformed:
            with self.subTest(text=text):
                self.fails("a.json: is not the JSON of a benchmark program", self.write(text))

    def test_malformed_benchmarks(self):
        median = FIGURES[1]
        for name in ("cpu_time", "time_unit"):
            with self.subTest(missing=name):
                entry = {key: value for key, value in median.items() if key != name}
                self.fails("a benchmark has no time", self.write([entry, FIGURES[2]]))
        self.fails("a benchmark has no time", self.write([median]))
        self.fails("a benchmark has no time", self.write([{**median, "cpu_time": "fast"}, FIGURES[2]]))
        self.fails("a benchmark has no time", self.write([{**median, "cpu_time": 0}, FIGURES[2]]))

    def test_a_counter_that_is_no_number(self):
        for name in ("bytes", "clock_ghz", "transforms", "streamed_bytes", "multiply_adds"):
            for value in ("many", None, -1):
                with self.subTest(name=name, value=value):
                    self.fails("a benchmark has no time", self.write(benchmark("a/12", 1.0, **{name: value})))

    def test_names_of_another_kind_are_left_out(self):
        more = benchmark("a/b", 1.0, transforms=3.0) + benchmark("a/b/c", 1.0, bytes=1.0, clock_ghz=1.0)
        self.assertEqual(self.table(FIGURES + more), self.table())

    def test_figures_without_repetitions(self):
        self.fails("no medians", self.write([FIGURES[0]]))
        self.fails("no medians", self.write([]))


if __name__ == "__main__":
    unittest.main()
