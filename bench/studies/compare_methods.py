#!/usr/bin/env python3
"""Compares the studies of one model by methods: compare_methods.py NAME=STUDY/interplay.json ... prints Markdown.

Weights alone. Every file is what `scant interplay` writes, over the same patterns, formats and text; the first holds the data-free methods.
Figures are nats per token. A combination's excess is what it costs beyond the sum of its two separate losses.
"""

import json
import pathlib
import sys


def signed(values):
    middle, low, high = values
    bold = "**" if low > 0 or high < 0 else ""
    return f"{bold}{middle:+.4f}{bold} ({low:+.4f} to {high:+.4f})"


class Study:
    def __init__(self, file):
        self.json = json.loads(pathlib.Path(file).read_text(encoding="utf-8"))
        self.cells = self.json["cells"]

    def loss(self, cell):
        """Above the dense model."""
        difference = cell.get("nll_difference")
        return difference[0] if difference else cell["nll"][0] - self.cells[0]["nll"][0]

    def alone(self, sparsity, number_format):
        return self.loss(next(cell for cell in self.cells if not cell["activations"]
                              and (cell["sparsity"], cell["format"]) == (sparsity, number_format)))

    def combinations(self):
        for combination in self.json["combinations"]:
            cell = self.cells[combination["cell"]]
            if cell["activations"]:
                continue
            yield cell["sparsity"], cell["format"], cell["order"], cell, combination

    def orders(self):
        for order in self.json["orders"]:
            if not order["activations"] and order["against"] == "sparsify-first" and order["order"] == "quantize-first":
                yield order["sparsity"], order["format"], order["nll_difference"]


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__.splitlines()[0])
    studies = [(name, Study(file)) for name, file in (word.split("=", 1) for word in sys.argv[1:])]
    first = studies[0][1]
    print("| pattern | format | methods | pattern alone | format alone | order | both | excess | ratio |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    shown = set()
    for sparsity, number_format, order, _, _ in first.combinations():
        for name, study in studies:
            for s, f, o, cell, combination in study.combinations():
                if (s, f, o) != (sparsity, number_format, order):
                    continue
                loss = study.loss(cell)
                key = (s, f, o, round(loss, 6))
                if key in shown:  # cells that studies share
                    continue
                shown.add(key)
                ratio = combination.get("ratio_nll")
                print(f"| {s} | {f} | {name} | {study.alone(s, None):+.4f} | {study.alone(None, f):+.4f} | {o} | {loss:+.4f} | "
                      f"{signed(combination['excess_nll'])} | {f'{ratio[0]:.3f}' if ratio else '-'} |")
    print("\n| pattern | format | methods | quantize-first less sparsify-first |")
    print("| --- | --- | --- | --- |")
    shown.clear()
    for sparsity, number_format, _ in first.orders():
        for name, study in studies:
            for s, f, difference in study.orders():
                if (s, f) == (sparsity, number_format) and (s, f, difference[0]) not in shown:
                    shown.add((s, f, difference[0]))
                    print(f"| {s} | {f} | {name} | {signed(difference)} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
