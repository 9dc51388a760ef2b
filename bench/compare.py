#!/usr/bin/env python3
"""Compares two JSON outputs of bench_quantize or bench_forward: bench/compare.py BEFORE AFTER

Prints the ratio of each row that both have, matched by name and threads. What is compared is the share of the yardstick
(copy bandwidth, sgemm rate), not the rate: the yardstick is measured in the same run, so that the machine may have been
busier in one of the two. --measure names another number of the rows. Exits with 1 if a row fell by
more than --tolerance.
"""

import argparse
import json
import sys

SHARES = ("share_of_copy", "share_of_sgemm_by_cpu_time")


def rows_of(path):
    """What the run says of itself, and its rows by (name, threads)."""
    with open(path, encoding="utf-8") as file:
        report = json.load(file)
    if "results" in report:
        return report, {(row["name"], row["threads"]): row for row in report["results"]}
    name = f"{report['model']}, {report['windows']} x {report['window']}"
    return report, {(name, report["threads"]): report}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("before")
    parser.add_argument("after")
    parser.add_argument("--measure", help="the number that is compared (default: the share of the yardstick)")
    parser.add_argument("--tolerance", type=float, default=0.1, help="a fall that is noise (0.1)")
    arguments = parser.parse_args()

    before, old = rows_of(arguments.before)
    after, new = rows_of(arguments.after)
    both = [key for key in old if key in new]
    if not both:
        sys.exit("compare.py: no row with the same name and threads is in both files")
    measure = arguments.measure or next(share for share in SHARES if share in old[both[0]])
    if any(measure not in rows[key] for rows in (old, new) for key in both):
        sys.exit(f"compare.py: not every row has \"{measure}\"; rows have {', '.join(old[both[0]])}")

    for key in ("benchmark", "isa", "rows", "cols"):
        if before.get(key) != after.get(key):
            print(f"note: {key} is {before.get(key)} before and {after.get(key)} after")
    print(f"{measure:48} {'threads':>7} {'before':>8} {'after':>8} {'ratio':>6}")
    fallen = 0
    for key in both:
        a, b = old[key][measure], new[key][measure]
        ratio = b / a if a else float("inf")
        fell, rose = ratio < 1 - arguments.tolerance, ratio > 1 + arguments.tolerance
        fallen += fell
        print(f"{key[0]:48} {key[1]:>7} {a:>8.3f} {b:>8.3f} {ratio:>6.2f}{'  fell' if fell else '  rose' if rose else ''}")
    for name, keys in (("only before", old.keys() - new.keys()), ("only after", new.keys() - old.keys())):
        for key in sorted(keys):
            print(f"{name}: {key[0]}, {key[1]} threads")
    return 1 if fallen else 0


if __name__ == "__main__":
    sys.exit(main())
