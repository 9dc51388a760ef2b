#!/usr/bin/env python3
"""Runs a command and prints its peak anonymous resident memory: peak_memory.py COMMAND [ARGUMENT...]

Samples RssAnon of /proc/PID/status (Linux), in which mapped files do not count, every 20 ms.
"""

import subprocess
import sys
import time


def anonymous_kib(pid):
    try:
        with open(f"/proc/{pid}/status", encoding="ascii") as status:
            return next((int(line.split()[1]) for line in status if line.startswith("RssAnon:")), 0)
    except OSError:  # has ended
        return 0


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__.splitlines()[0])
    start = time.monotonic()
    process = subprocess.Popen(sys.argv[1:])
    peak = samples = 0
    while process.poll() is None:
        peak, samples = max(peak, anonymous_kib(process.pid)), samples + 1
        time.sleep(0.02)
    print(f"peak RssAnon {peak / 1024:.0f} MiB ({samples} samples, {time.monotonic() - start:.0f} s)", file=sys.stderr)
    return process.returncode


if __name__ == "__main__":
    sys.exit(main())
