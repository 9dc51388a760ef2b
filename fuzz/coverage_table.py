#!/usr/bin/env python3
"""Prints the line coverage of some sources of an `llvm-cov export -summary-only` report.

    fuzz/coverage_table.py TITLE REPORT.json SOURCE...

Exits non-zero if one of them has less than 90%.
"""

import json
import sys
from pathlib import Path

title, report, *sources = sys.argv[1:]
files = json.loads(Path(report).read_text())["data"][0]["files"]
low = False
print(f"{title}:")
for source in sources:
    # Compilers' caches make paths relative to the build folder.
    lines = next((f["summary"]["lines"] for f in files
                  if Path(f["filename"]).as_posix().endswith("/" + source)), None)
    if lines is None:
        sys.exit(f"{report} does not mention {source}")
    low |= lines["percent"] < 90
    print(f"  {source:42} {lines['covered']:5} of {lines['count']:5} lines {lines['percent']:7.2f}%")
sys.exit(low)
