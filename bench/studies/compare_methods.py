#!/usr/bin/env python3
"""Lays studies of one model side by side, methods as rows: compare_methods.py STUDY/interplay.json ... prints Markdown.

Weights alone. Every file is what `scant interplay` writes, over the same patterns, formats and text. Losses are nats per token above
the dense model; a combination's excess is what it costs beyond the two separate losses. What studies share is shown once.
"""

import json
import pathlib
import sys

DATA_FREE = "magnitude, rtn; joint: gain_mask"  # a study that names no methods


def signed(values):
    middle, low, high = values
    bold = "**" if low > 0 or high < 0 else ""
    return f"{bold}{middle:+.4f}{bold} ({low:+.4f} to {high:+.4f})"


class Study:
    def __init__(self, file):
        self.json = json.loads(pathlib.Path(file).read_text(encoding="utf-8"))
        steps, joint = (self.json["protocol"].get("methods") or DATA_FREE).split("; joint: ")
        pruner, quantizer = steps.split(", ")
        self.names = {"sparsify-first": f"`{pruner}`, `{quantizer}`", "quantize-first": f"`{quantizer}`, `{pruner}`", "joint": f"`{joint}`"}
        self.cells = self.json["cells"]

    def loss(self, cell):
        return cell["nll"][0] - self.cells[0]["nll"][0]

    def alone(self, sparsity, number_format):
        return self.loss(next(cell for cell in self.cells if not cell["activations"]
                              and (cell["sparsity"], cell["format"]) == (sparsity, number_format)))

    def combinations(self):
        """(pattern, format), methods, the row's figures."""
        for combination in self.json["combinations"]:
            cell = self.cells[combination["cell"]]
            if cell["activations"]:
                continue
            pair, ratio = (cell["sparsity"], cell["format"]), combination.get("ratio_nll")
            yield pair, self.names[cell["order"]], [
                f"{self.alone(pair[0], None):.4f}", f"{self.alone(None, pair[1]):.4f}", f"{self.loss(cell):.4f}",
                signed(combination["excess_nll"]), f"{ratio[0]:.2f}" if ratio else "-"]

    def orders(self):
        """(pattern, format), methods, what quantizing first costs more."""
        for order in self.json["orders"]:
            if not order["activations"] and (order["order"], order["against"]) == ("quantize-first", "sparsify-first"):
                yield (order["sparsity"], order["format"]), self.names["sparsify-first"], [signed(order["nll_difference"])]


def print_table(columns, rows):
    """Rows grouped by pattern and format; the first of several of the same methods."""
    print("| " + " | ".join(["pattern", "format", "methods", *columns]) + " |")
    print("| " + " | ".join(["---"] * (3 + len(columns))) + " |")
    table = {}
    for pair, methods, figures in rows:
        table.setdefault(pair, {}).setdefault(methods, figures)
    for pair, by_methods in table.items():
        for methods, figures in by_methods.items():
            print("| " + " | ".join([*pair, methods, *figures]) + " |")


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__.splitlines()[0])
    studies = [Study(file) for file in sys.argv[1:]]
    print_table(["pattern alone", "format alone", "both", "excess", "ratio"], [row for study in studies for row in study.combinations()])
    print()
    print_table(["quantize-first less sparsify-first"], [row for study in studies for row in study.orders()])
    return 0


if __name__ == "__main__":
    sys.exit(main())
