#!/usr/bin/env python3
"""Tests of run.py on the embedded model. Usage: run_test.py SCANT"""

import json
import math
import pathlib
import subprocess
import sys
import tempfile
import unittest

import render
from table import cell_file, compress_flags, read_table, row_name

HERE = pathlib.Path(__file__).resolve().parent
ASSETS = HERE.parent.parent / "assets"
SCANT = pathlib.Path(sys.argv.pop(1)).resolve() if len(sys.argv) > 1 else None

SMALL = """
protocol: {"window": 64, "tokens": 512, "choose_tokens": 256, "samples": 2, "seed": 0, "calibration": "calibration.txt"}
texts:
  - {"text": "valid", "file": "demo.txt", "use": "choose"}
  - {"text": "test", "file": "books.txt", "use": "test"}
models:
  - {"model": "small", "path": "quill-llama-5m"}
rows:
  - {"setting": "dense", "method": "dense", "try": []}
  - {"setting": "2:4 + int4:g128", "method": "one-pass", "try": ["--joint one-pass", "--joint one-pass :mse"]}
  - {"setting": "2:4 + int4:g128", "method": "scant", "try": ["data-free --order joint"]}
  - {"setting": ["2:4", "50%"], "method": "absent", "try": ["--pruner absent"], "more": true}
"""


class Table(unittest.TestCase):
    table = read_table(HERE / "table.yaml")

    def test_names_24_rows_and_further_ones_that_are_all_different(self):
        rows = self.table["rows"]
        self.assertEqual(sum(not row.get("more") for row in rows), 24)
        names = {cell_file(row, self.table["models"][0]) for row in rows}
        self.assertEqual(len(names), len(rows))

    def test_is_what_a_yaml_reader_sees(self):
        try:
            import yaml
        except ImportError:
            self.skipTest("PyYAML is not installed")
        seen = yaml.safe_load((HERE / "table.yaml").read_text(encoding="utf-8"))
        expanded = [dict(row, setting=setting) for row in seen["rows"]
                    for setting in (row["setting"] if isinstance(row["setting"], list) else [row["setting"]])]
        self.assertEqual(dict(seen, rows=expanded), self.table)

    def test_flags(self):
        row = {"setting": "2:4 + int4:g128", "method": "x", "try": ["--joint x :mse"]}
        self.assertEqual(compress_flags(row, "--joint x :mse"),
                         (["--sparsity", "2:4", "--weights", "int4:g128:mse", "--joint", "x"], True))
        self.assertEqual(compress_flags(dict(row, setting="50%"), "data-free"), (["--sparsity", "50%"], False))
        self.assertEqual(row_name(row), "2:4 + int4:g128: x")


class Figures(unittest.TestCase):
    @staticmethod
    def text(values):
        return {"nll": sum(values) / len(values), "nll_sums": [10 * value for value in values], "counts": [10] * len(values)}

    def test_a_constant_difference_has_no_width(self):
        base = self.text([3.0, 3.5, 4.0, 5.0])
        above = self.text([3.1, 3.6, 4.1, 5.1])
        self.assertEqual(render.difference(above, base), "+0.1000 (+0.1000 to +0.1000)")

    def test_share_of_the_distance(self):
        dense, base = self.text([math.log(20)] * 4), self.text([math.log(40)] * 4)
        for perplexity, share in ((40, 0), (33, 0.35), (20, 1), (44, -0.2)):
            for value in render.share_closed(dense, base, self.text([math.log(perplexity)] * 4)):
                self.assertAlmostEqual(value, share)


@unittest.skipIf(SCANT is None, "no program given")
class Run(unittest.TestCase):
    def run_table(self, folder, *more):
        (folder / "table.yaml").write_text(SMALL, encoding="utf-8")
        (folder / "data").mkdir(exist_ok=True)
        for name in ("calibration.txt", "books.txt"):
            text = (ASSETS / "text" / name).read_bytes()[:40000].rsplit(b" ", 1)[0]
            (folder / "data" / name).write_bytes(text)
        (folder / "data" / "demo.txt").write_bytes((ASSETS / "text" / "books.txt").read_bytes()[60000:70000])
        command = [sys.executable, HERE / "run.py", "--table", folder / "table.yaml", "--models-dir", ASSETS, "--data-dir",
                   folder / "data", "--work", folder / "work", "--out", folder / "page.md", *more]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def test_measures_keeps_resumes_and_reports_errors(self):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            first = self.run_table(folder, "--scant", SCANT, "--jobs", "2", "--threads", "2")
            self.assertEqual(first.returncode, 0, first.stderr)
            page = (folder / "page.md").read_text(encoding="utf-8")
            self.assertIn("of the distance from one-pass to dense in 1 of 1 cases.", page)
            self.assertEqual(list((folder / "work" / "scratch").iterdir()), [])
            cells = folder / "work" / "cells"
            chosen = json.loads((cells / "2-4-int4-g128-one-pass@small.json").read_text(encoding="utf-8"))
            nlls = [made["choose"]["nll"] for made in chosen["tries"]]
            self.assertEqual(chosen["chosen"], nlls.index(min(nlls)))
            self.assertEqual(len(chosen["texts"]["test"]["nll_sums"]), 512 // 64)
            self.assertEqual(list(chosen["texts"]), ["test"])

            # As if it had been stopped between the tries: only what is missing is done, and it ends the same.
            part = dict(chosen, tries=chosen["tries"][:1], texts={})
            part["tries"][0]["compress_seconds"] = -1
            (cells / "2-4-int4-g128-one-pass@small.part").write_text(json.dumps(part), encoding="utf-8")
            (cells / "2-4-int4-g128-one-pass@small.json").unlink()
            again = self.run_table(folder, "--scant", SCANT, "--all")
            self.assertEqual(again.returncode, 1, "rows of an absent method were asked for")
            self.assertEqual(again.stderr.count(": kept"), 2, again.stderr)
            self.assertEqual(again.stderr.count(": error: "), 2, again.stderr)
            resumed = json.loads((cells / "2-4-int4-g128-one-pass@small.json").read_text(encoding="utf-8"))
            self.assertEqual(resumed["tries"][0]["compress_seconds"], -1)
            self.assertEqual(resumed["texts"]["test"]["nll_sums"], chosen["texts"]["test"]["nll_sums"])

            rendered = self.run_table(folder, "--all")
            self.assertEqual(rendered.returncode, 0, rendered.stderr)
            page = (folder / "page.md").read_text(encoding="utf-8")
            self.assertIn("| 50% | absent | **error**: scant: ", page)

    def test_stops_in_time(self):
        with tempfile.TemporaryDirectory() as name:
            stopped = self.run_table(pathlib.Path(name), "--scant", SCANT, "--minutes", "0.000001")
            self.assertEqual(stopped.returncode, 1)
            self.assertIn("3 cells are left", stopped.stderr)
            self.assertIn("not measured", pathlib.Path(name, "page.md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    unittest.main()
