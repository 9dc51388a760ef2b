#!/usr/bin/env python3
"""Prints the line coverage of some sources of an `llvm-cov export -summary-only` report.

    fuzz/coverage_table.py TITLE REPORT.json SOURCE...

Exits non-zero if the sources together have less than 90%.
"""

import json
import sys
from pathlib import Path

title, report, *sources = sys.argv[1:]
files = json.loads(Path(report).read_text())["data"][0]["files"]
covered = count = 0
print(f"{title}:")
for source in sources:
    # Compilers' caches make paths relative to the build folder.
    lines = next((f["summary"]["lines"] for f in files
                  if Path(f["filename"]).as_posix().endswith("/" + source)), None)
    if lines is None:
        sys.exit(f"{report} does not mention {source}")
    covered, count = covered + lines["covered"], count + lines["count"]
    print(f"  {source:40} {lines['covered']:5} of {lines['count']:5} lines {lines['percent']:7.2f}%")
print(f"  {'together':40} {covered:5} of {count:5} lines {100 * covered / count:7.2f}%")
sys.exit(0 if covered >= 0.9 * count else 1)
