#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Compares the cost per packet of two runs, by ratio to the empty program of the
same run and by nothing else: only that is the same on another day or machine.
The best round of each counts, which noise disturbs least.
usage: compare.py A.json B.json [PERCENT]
"""
import json
import pathlib
import sys

SLACK = 0.15    # of the empty program's time: below this a difference is noise


def read(path):
    try:
        rows = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))["cost"]
        return {row["name"]: row["ratio"]["best"] for row in rows}
    except (OSError, ValueError, KeyError, TypeError) as error:
        sys.exit(f"compare: {path}: no figures of `bench cost`: {error!r}")


def main():
    if len(sys.argv) not in (3, 4) or not (sys.argv[3:] or ["20"])[0].isdigit():
        print(__doc__.splitlines()[-1], file=sys.stderr)
        sys.exit(2)
    before, after = read(sys.argv[1]), read(sys.argv[2])
    percent = int((sys.argv[3:] or ["20"])[0])
    common = [name for name in before if name in after]
    if not common:
        sys.exit("compare: the two have no row in common")
    worse = 0
    print(f"{'':34}{'before':>9}{'after':>9}{'change':>9}")
    for name in common:
        a, b = before[name], after[name]
        bad = b > a * (1 + percent / 100) and b > a + SLACK
        worse += bad
        change = f"{(b / a - 1) * 100:+8.0f}%" if a > 0 else f"{'':9}"
        print(f"{name:34}{a:8.2f}x{b:8.2f}x{change}{'  worse' if bad else ''}")
    for name in before.keys() ^ after.keys():
        print(f"{name:34} only {'before' if name in before else 'after'}")
    print(f"{len(common)} rows compared, {worse} worse by more than {percent} %")
    sys.exit(1 if worse else 0)


main()
