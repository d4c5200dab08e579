#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Plots of build/bench/*.json by gnuplot, each as SVG and PNG beside them."""
import json
import os
import pathlib
import shutil
import subprocess
import sys

FOLDER = pathlib.Path(os.environ.get("BUILD", "build"), "bench")
STYLE = """
set border 3 lc rgb "#888888"
set tics nomirror
set grid y lc rgb "#dddddd"
set style fill solid 0.9 noborder
set key top right
"""
SOURCES = ("one source", "1k in turn", "100k in turn", "1M in turn", "all new")


def gnuplot(name, commands, blocks):
    """Each block is the rows of a data set $0, $1, ..."""
    data = "".join(f"${key} << END\n" + "\n".join(rows) + "\nEND\n" for key, rows in blocks.items())
    for kind, terminal in (("svg", "svg size 760,380 font 'sans-serif,13' background rgb 'white'"),
                           ("png", "pngcairo size 1140,570 font 'sans-serif,17'")):
        script = f"set terminal {terminal}\nset output '{FOLDER / name}.{kind}'\n{data}{STYLE}{commands}"
        done = subprocess.run(["gnuplot"], input=script, text=True, capture_output=True, check=False)
        if done.returncode:
            sys.exit(f"plot: {name}.{kind}: {done.stderr.strip()}")
    print(f"{FOLDER / name}.svg, .png")


def read(name):
    path = FOLDER / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8"))[name] if path.exists() else None


def plot_cost(rows):
    ratio = {row["name"]: row["ratio"]["best"] for row in rows}
    weir = {"one source": "one source over its limit", "1k in turn": "1k sources in turn",
            "100k in turn": "100k sources in turn", "1M in turn": "1M sources in turn",
            "all new": "every packet a new source"}
    lines = [f"\"{name}\" {ratio.get(weir[name], 'NaN')} "
             f"{ratio.get('plain LRU hash, ' + name, 'NaN')}" for name in SOURCES]
    gnuplot("cost", """set style data histogram
set yrange [0:*]
set key top left
set ylabel "cost per packet, times an empty XDP program"
plot $data using 2:xtic(1) title "weir, all features" lc rgb "#1b6ca8", \\
     "" using 3 title "one LRU hash entry a source" lc rgb "#bbbbbb"
""", {"data": lines})


def plot_others(rows):
    for kind, name in (("limit, sources:", "limits"), ("list, entries:", "lists")):
        these = [row for row in rows if row["kind"] == kind]
        names = list(dict.fromkeys(row["name"] for row in these))
        columns = list(dict.fromkeys(row["column"] for row in these))
        value = {(row["name"], row["column"]): (row["pps_core"] or 0) / 1e6 for row in these}
        lines = [f"\"{column}\" " + " ".join(f"{value[n, column]:.3f}" for n in names)
                 for column in columns]
        titles = ", ".join(f"$data using {i + 2}{':xtic(1)' if not i else ''} title \"{n}\""
                           for i, n in enumerate(names))
        gnuplot(name, f"""set style data histogram
set yrange [0:*]
set ylabel "million packets/s dropped by one core"
set xlabel "{kind.split(', ')[1].rstrip(':')}"
plot {titles}
""", {"data": lines})


def plot_goodput(rows):
    names = list(dict.fromkeys(row["filter"] for row in rows))
    blocks = {f"f{i}": [f"{(row['sent_pps'] or 0) / 1e6} {row['answered'] / row['asked'] * 100}"
                        for row in rows if row["filter"] == name and row["answered"] is not None]
              for i, name in enumerate(names)}
    lines = ", ".join(f"$f{i} using 1:2 with linespoints lw 2 pt 7 title \"{name}\""
                      for i, name in enumerate(names) if blocks[f"f{i}"])
    gnuplot("goodput", f"""set yrange [0:105]
set xlabel "flood, million packets/s"
set ylabel "requests of users answered, %"
set key bottom left
plot {lines}
""", {key: block for key, block in blocks.items() if block})


def main():
    if not shutil.which("gnuplot"):
        sys.exit("plot: gnuplot is not installed (scripts/setup bench)")
    plotted = 0
    for name, plot in (("cost", plot_cost), ("others", plot_others), ("goodput", plot_goodput)):
        rows = read(name)
        if rows:
            plot(rows)
            plotted += 1
    if not plotted:
        sys.exit(f"plot: no figures in {FOLDER}: make bench")


main()
