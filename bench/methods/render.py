"""docs/quality.md from the results of the cells: tables, paired intervals, and what scant closes of the distance."""

import functools
import math
import random

from table import row_name

ROUNDS = 1000
GOAL = 0.35
BASE, OURS, RIVALS = "one-pass", "scant", ("obr", "alps, gptq")


@functools.lru_cache(maxsize=8)
def draws(samples):
    """How often each window is drawn in each resample: the same for every row, so differences are paired."""
    source, result = random.Random(0), []
    for _ in range(ROUNDS):
        counts = [0] * samples
        for index in source.choices(range(samples), k=samples):
            counts[index] += 1
        result.append(counts)
    return result


def resampled_nll(text):
    """Mean NLL of each resample of a text's windows."""
    def mean(drawn):
        total = sum(n * value for n, value in zip(drawn, text["nll_sums"]))
        return total / sum(n * count for n, count in zip(drawn, text["counts"]))
    return [mean(drawn) for drawn in draws(len(text["counts"]))]


def middle_95(values):
    ordered = sorted(values)
    return ordered[round(0.025 * (len(ordered) - 1))], ordered[round(0.975 * (len(ordered) - 1))]


def difference(text, base):
    """NLL above `base`, with its paired interval."""
    low, high = middle_95([a - b for a, b in zip(resampled_nll(text), resampled_nll(base))])
    return f"{text['nll'] - base['nll']:+.4f} ({low:+.4f} to {high:+.4f})"


def share_closed(dense, base, ours):
    """(base - ours) / (base - dense) in perplexity, and its paired interval."""
    def share(d, b, o):
        return (math.exp(b) - math.exp(o)) / (math.exp(b) - math.exp(d)) if b != d else float("nan")
    low, high = middle_95([share(*nlls) for nlls in zip(*map(resampled_nll, (dense, base, ours)))])
    return share(dense["nll"], base["nll"], ours["nll"]), low, high


def duration(seconds):
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def text_names(table):
    return [text["text"] for text in table["texts"] if text["use"] == "test"]


class Page:
    def __init__(self, table, cells, results):
        self.table, self.results = table, results
        self.rows = unique(row for row, _ in cells)
        self.models = list(dict.fromkeys(model["model"] for _, model in cells))

    def found(self, setting, method, model):
        """The texts of a cell that was measured, or None."""
        name = setting if setting == "dense" else f"{setting}: {method}"
        return self.results.get((name, model), {}).get("texts")

    def protocol(self):
        measured = [result for result in self.results.values() if "texts" in result]
        if not measured:
            return "Nothing is measured yet."
        lines = []
        for protocol in unique(result["protocol"] for result in measured):
            lines.append(f"- {protocol['tokens']:,} tokens of each text in windows of {protocol['window']} that do not overlap; "
                         f"calibration: {protocol['samples']} windows of {protocol['window']} tokens of "
                         f"{protocol['calibration']}, seed {protocol['seed']}. Several forms of a method are compared on the "
                         f"first {protocol['choose_tokens']:,} tokens of {self.choose_text()}, never on these texts.")
        if len(lines) > 1:
            lines.append("- **Rows were measured under different protocols**, listed above; they cannot be compared.")
        versions = unique(result["program"]["version"] for result in measured)
        lines.append(f"- Program: {', '.join(versions)}. Intervals are 95%, from {ROUNDS} resamples of the windows, the same for "
                     "every row, so that differences are paired.")
        return "\n".join(lines)

    def choose_text(self):
        return next(text["text"] for text in self.table["texts"] if text["use"] == "choose")

    def main_table(self, model):
        names = text_names(self.table)
        lines = ["| setting | method | bits per weight | " + " | ".join(
            f"{name} | NLL above dense" for name in names) + " | made in |",
            "| --- | --- | --- | " + " | ".join("--- | ---" for _ in names) + " | --- |"]
        dense = self.found("dense", "", model)
        for row in self.rows:
            head = f"| {row['setting']} | {row['method']} | "
            result = self.results.get((row_name(row), model))
            if result is None:
                lines.append(head + "not measured |" + " |" * (2 * len(names) + 1))
            elif "error" in result:
                lines.append(head + f"**error**: {result['error'].replace('|', '/')} |" + " |" * (2 * len(names) + 1))
            else:
                lines.append(head + self.figures(row, result, dense, names))
        return "\n".join(lines)

    @staticmethod
    def figures(row, result, dense, names):
        cells = [f"{result['bits_per_weight']:.3f}" if row["try"] else ""]
        for name in names:
            text = result["texts"][name]
            cells.append(f"{text['perplexity']:.2f}")
            cells.append(difference(text, dense[name]) if dense and row["try"] else "")
        cells.append(duration(result["compress_seconds"]) if row["try"] else "")
        return " | ".join(cells) + " |"

    def product_settings(self):
        return list(dict.fromkeys(row["setting"] for row in self.rows if row["method"] == OURS))

    def closing(self):
        """The table of what scant closes, and sentences that say where it falls short."""
        lines = [f"| model | text | setting | dense | {BASE} | " + " | ".join(RIVALS) + f" | {OURS} | closed | "
                 f"NLL above {BASE} |", "| --- " * (8 + len(RIVALS)) + "|"]
        short, beaten, compared, cases = [], [], 0, 0
        for model in self.models:
            for name in text_names(self.table):
                for setting in self.product_settings():
                    found = {method: (self.found(setting, method, model) or {}).get(name)
                             for method in (BASE, *RIVALS, OURS)}
                    dense = (self.found("dense", "", model) or {}).get(name)
                    if not (dense and found[BASE] and found[OURS]):
                        continue
                    cases += 1
                    share, low, high = share_closed(dense, found[BASE], found[OURS])
                    where = f"{model}, {name}, {setting}"
                    short += [f"{where} ({share:.0%})"] if share < GOAL else []
                    beaten += [f"{where} ({rival})" for rival in RIVALS
                               if found[rival] and found[rival]["nll"] <= found[OURS]["nll"]]
                    compared += sum(found[rival] is not None for rival in RIVALS)
                    perplexities = " | ".join(f"{text['perplexity']:.2f}" if text else "-"
                                              for text in (dense, *found.values()))
                    lines.append(f"| {model} | {name} | {setting} | {perplexities} | {share:.0%} ({low:.0%} to {high:.0%}) | "
                                 f"{difference(found[OURS], found[BASE])} |")
        if not cases:
            return "Not measured."
        return "\n".join(lines) + "\n\n" + self.sentences(cases, compared, short, beaten)

    @staticmethod
    def sentences(cases, compared, short, beaten):
        text = f"{OURS} closes {GOAL:.0%} or more of the distance from {BASE} to dense in {cases - len(short)} of {cases} cases."
        if short:
            text += f" It falls short of that in: {'; '.join(short)}."
        text += (f"\n\nIt has the lower perplexity in {compared - len(beaten)} of {compared} comparisons with "
                 f"{' and '.join(f'`{rival}`' for rival in RIVALS)}.")
        if beaten:
            text += f" Not in: {'; '.join(beaten)}."
        return text

    def tries(self):
        lines = [f"| model | row | flags | {self.choose_text()} | |", "| --- | --- | --- | --- | --- |"]
        for row in self.rows:
            for model in self.models:
                result = self.results.get((row_name(row), model), {})
                if len(result.get("tries", [])) < 2 or "chosen" not in result:
                    continue
                for number, made in enumerate(result["tries"]):
                    lines.append(f"| {model} | {row_name(row)} | `{made['flags']}` | {made['choose']['perplexity']:.2f} | "
                                 f"{'chosen' if number == result['chosen'] else ''} |")
        return "\n".join(lines)


def unique(values):
    result = []
    for value in values:
        if value not in result:
            result.append(value)
    return result


def page(table, cells, results, notes):
    sheet = Page(table, cells, results)
    parts = ["# Quality of the methods",
             "Perplexity (lower is better) of the methods of [table.yaml](../bench/methods/table.yaml), each at the same bits in "
             "a setting. Made by `bench/methods/run.py` ([how](../bench/methods/README.md)); nothing here is written by hand "
             "except notes at the end, if there are any.\n\n" + sheet.protocol(),
             f"## What `{OURS}` closes of the distance from `{BASE}` to dense",
             "Share: (one-pass - scant) / (one-pass - dense) in perplexity.\n\n" + sheet.closing()]
    for model in sheet.models:
        parts += [f"## {model}", sheet.main_table(model)]
    parts += ["## Which forms were chosen", sheet.tries()]
    if notes:
        parts += ["## Notes", notes.strip()]
    return "\n\n".join(parts) + "\n"
