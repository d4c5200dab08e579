#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Each place in the BPF code where a reason is returned is executed by the seeds of the fuzzers,
in the program compiled for this machine: see scripts/coverage, which prints all of it."""
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def main():
    done = subprocess.run([ROOT / "scripts/coverage", "seeds"], capture_output=True, text=True,
                          check=False)
    lines = done.stdout.splitlines()
    what = "each place that returns a reason is executed"
    if done.returncode:
        missed = [line for line in lines if line.startswith("not executed")]
        print(f"not ok - {what}: {'; '.join(missed) or done.stderr.strip()[-300:]}")
        return 1
    print(f"ok - {what} ({'; '.join(lines[-3:])})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
