#!/usr/bin/env python3
"""Measures the methods of table.yaml and writes docs/quality.md. Needs Python 3.9 or later and nothing else.

  run.py --scant build/release/scant --models-dir MODELS --data-dir TEXTS --work WORK --out docs/quality.md

Every cell (row x model) is made by `scant compress`, read by `scant eval`, and deleted; its result is a small file in
WORK/cells. A run that is stopped goes on where it was: finished cells are not measured again, nor are those of the folders
of --merge, such as bench/methods, where the cells of the page in the repository are. Cells may be shared out over machines
with --rows and --models; the page is made of all of them. A row that fails is reported with scant's message, in the page too, and the exit status is then 1.
"""

import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import threading
import time

from render import page
from table import cell_file, compress_flags, find_model, read_table, row_name

HERE = pathlib.Path(__file__).resolve().parent


class Failed(Exception):
    """A row's command failed; the message is scant's."""


class Stopped(Exception):
    """The time given to this run is over."""


def program_of(scant):
    version = subprocess.run([scant, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    return {"version": version, "sha256": hashlib.sha256(pathlib.Path(scant).read_bytes()).hexdigest()}


def write_json(path, content):
    partial = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}.partial")
    partial.write_text(json.dumps(content, separators=(",", ":")) + "\n", encoding="utf-8")
    partial.replace(path)


def read_json(path):
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


class Runner:
    def __init__(self, options, table):
        self.options, self.table = options, table
        self.protocol = dict(table["protocol"])
        for name in ("tokens", "choose_tokens", "samples", "window"):
            if getattr(options, name) is not None:
                self.protocol[name] = getattr(options, name)
        self.program = program_of(options.scant)
        self.threads = max(1, options.threads // options.jobs)
        self.end = time.monotonic() + 60 * options.minutes if options.minutes else None
        self.cells = pathlib.Path(options.work, "cells")
        self.scratch = pathlib.Path(options.scratch or pathlib.Path(options.work, "scratch"))
        for folder in (self.cells, self.scratch):
            folder.mkdir(parents=True, exist_ok=True)

    def scant(self, *words):
        if self.end and time.monotonic() > self.end:
            raise Stopped
        begin = time.monotonic()
        command = [str(self.options.scant), "--quiet", "--threads", str(self.threads), *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            lines = [line for line in done.stderr.splitlines() if line.strip()]
            raise Failed(lines[-1] if lines else f"exit status {done.returncode} and no message")
        return done.stdout, time.monotonic() - begin

    def evaluate(self, path, text, tokens):
        output, seconds = self.scant("eval", path, "--text", pathlib.Path(self.options.data_dir, text["file"]), "--json",
                                     "--window", self.protocol["window"], "--max-tokens", tokens)
        result = json.loads(output)
        return {"perplexity": result["perplexity"], "nll": result["nll"], "tokens": result["tokens"],
                "nll_sums": [round(nll, 4) for nll in result["per_window"]["nll_sum"]],
                "counts": result["per_window"]["predictions"], "seconds": round(seconds, 1)}

    def compress(self, row, one_try, path, out):
        flags, calibrated = compress_flags(row, one_try)
        if calibrated:
            flags += ["--calibration", pathlib.Path(self.options.data_dir, self.protocol["calibration"]),
                      "--samples", self.protocol["samples"], "--window", self.protocol["window"]]
        _, seconds = self.scant("compress", path, "-o", out, "--force", "--seed", self.protocol["seed"], *flags)
        described = json.loads(pathlib.Path(out, "scant.json").read_text(encoding="utf-8"))
        return {"flags": " ".join(map(str, compress_flags(row, one_try)[0])),
                "bits_per_weight": described["bits_per_weight"],
                "compressed_bytes": described["sizes"]["compressed_bytes"], "compress_seconds": round(seconds, 1)}

    def choose(self, row, path, result, file):
        """Makes every try and keeps the folder of the best; tries of an earlier run are not made again."""
        text = next(text for text in self.table["texts"] if text["use"] == "choose")
        tries, kept = result.setdefault("tries", []), None
        for one_try in row["try"][len(tries):]:
            out = self.scratch / f"{file.stem}.{len(tries)}"
            made = self.compress(row, one_try, path, out)
            if len(row["try"]) > 1:
                read = self.evaluate(out, text, self.protocol["choose_tokens"])
                made["choose"] = {key: read[key] for key in ("perplexity", "nll", "tokens")}
            tries.append(made)
            write_json(file.with_suffix(".part"), result)
            best = self.best(tries)
            if kept is not None:
                shutil.rmtree(kept if best == len(tries) - 1 else out)
            kept = out if kept is None or best == len(tries) - 1 else kept
        bits = {made["bits_per_weight"] for made in tries}
        if len(bits) > 1:
            raise Failed(f"its tries store different numbers of bits: {sorted(bits)}")
        best = self.best(tries)
        out = self.scratch / f"{file.stem}.{best}"
        if not (out / "scant.json").exists():  # made by an earlier run
            self.compress(row, row["try"][best], path, out)
        result.update(chosen=best, bits_per_weight=tries[best]["bits_per_weight"],
                      compressed_bytes=tries[best]["compressed_bytes"], compress_seconds=tries[best]["compress_seconds"])
        return out

    @staticmethod
    def best(tries):
        return min(range(len(tries)), key=lambda i: tries[i].get("choose", {"nll": 0})["nll"])

    def measure(self, row, model, file):
        asked = {"row": row_name(row), "model": model["model"], "try": row["try"], "protocol": self.protocol,
                 "program": self.program}
        part = read_json(file.with_suffix(".part"))
        same = part and all(part.get(key) == asked[key] for key in asked)
        result = part if same else asked
        path = find_model(model, self.options.models_dir)
        out = self.choose(row, path, result, file) if row["try"] else path
        texts = result.setdefault("texts", {})
        for text in self.table["texts"]:
            if text["use"] == "test" and text["text"] not in texts:
                texts[text["text"]] = self.evaluate(out, text, self.protocol["tokens"])
                write_json(file.with_suffix(".part"), result)
        write_json(file, result)
        file.with_suffix(".part").unlink()

    def finished(self, row, name):
        folders = [self.cells, *(pathlib.Path(folder, "cells") for folder in self.options.merge)]
        found = [done for done in (read_json(folder / name) for folder in folders) if done]
        return any("error" not in done and done["try"] == row["try"] and done["protocol"] == self.protocol for done in found)

    def cell(self, row, model):
        """What became of it: "done", "kept", "stopped" or the error."""
        file = self.cells / cell_file(row, model)
        if self.finished(row, file.name):
            return "kept"
        try:
            self.measure(row, model, file)
            return "done"
        except Stopped:
            return "stopped"
        except Failed as error:
            write_json(file, {"row": row_name(row), "model": model["model"], "try": row["try"], "protocol": self.protocol,
                              "program": self.program, "error": str(error)})
            return f"error: {error}"
        finally:
            for folder in self.scratch.glob(f"{file.stem}.*"):
                shutil.rmtree(folder, ignore_errors=True)


def chosen(table, options):
    def wanted(name, patterns):
        return not patterns or any(re.search(pattern, name) for pattern in patterns)

    rows = [row for row in table["rows"] if wanted(row_name(row), options.rows) and (
        options.all or options.rows or not row.get("more"))]
    models = [model for model in table["models"] if wanted(model["model"], options.models)]
    return [(row, model) for model in models for row in rows]


def run_cells(runner, cells, jobs):
    failed = stopped = done = 0
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        futures = {pool.submit(runner.cell, row, model): (row, model) for row, model in cells}
        for future in concurrent.futures.as_completed(futures):
            row, model = futures[future]
            outcome = future.result()
            done += 1
            failed += outcome.startswith("error")
            stopped += outcome == "stopped"
            print(f"[{done}/{len(cells)}] {model['model']}, {row_name(row)}: {outcome}", file=sys.stderr, flush=True)
    if stopped:
        print(f"{stopped} cells are left for the next run.", file=sys.stderr)
    return failed, stopped


def results_of(folders):
    """All results by (row, model); of several of one cell one without an error, the first folder's first."""
    results = {}
    for folder in folders:
        for file in sorted(pathlib.Path(folder, "cells").glob("*.json")):
            result = read_json(file)
            if result is None:
                continue
            key = result["row"], result["model"]
            if key not in results or ("error" in results[key] and "error" not in result):
                results[key] = result
    return results


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", required=True, help="folder of the results")
    parser.add_argument("--scant", help="the program; without it nothing is measured and the page is made")
    parser.add_argument("--models-dir", default=".", help="where the models of the table are")
    parser.add_argument("--data-dir", default=".", help="where its texts are")
    parser.add_argument("--scratch", help="where compressed models lie for a moment (default: in WORK)")
    parser.add_argument("--table", default=str(HERE / "table.yaml"))
    parser.add_argument("--rows", nargs="+", help="only rows that match one of these expressions, those of --all too")
    parser.add_argument("--models", nargs="+", help="only models that match one of these expressions")
    parser.add_argument("--all", action="store_true", help="the rows marked \"more\" too")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of all jobs together")
    parser.add_argument("--jobs", type=int, default=1, help="cells at once")
    parser.add_argument("--minutes", type=float, help="begin nothing new after this time")
    parser.add_argument("--merge", nargs="+", default=[], help="other work folders, whose cells are not measured again")
    parser.add_argument("--out", help="the page to write, such as docs/quality.md")
    parser.add_argument("--notes", help="Markdown that the page ends with")
    for name in ("tokens", "choose-tokens", "samples", "window"):
        parser.add_argument("--" + name, type=int, help="instead of the table's, for a try")
    parser.add_argument("--list", action="store_true", help="print the cells and stop")
    return parser.parse_args()


def main():
    options = parse_arguments()
    table = read_table(options.table)
    cells = chosen(table, options)
    if options.list:
        print("\n".join(f"{model['model']}\t{row_name(row)}" for row, model in cells))
        return 0
    failed = stopped = 0
    if options.scant:
        failed, stopped = run_cells(Runner(options, table), cells, options.jobs)
    if options.out:
        notes = pathlib.Path(options.notes).read_text(encoding="utf-8") if options.notes else ""
        text = page(table, cells, results_of([options.work, *options.merge]), notes)
        pathlib.Path(options.out).write_text(text, encoding="utf-8")
    return 1 if failed or stopped else 0


if __name__ == "__main__":
    sys.exit(main())
