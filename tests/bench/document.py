#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Puts the figures of build/bench/*.json into DESIGN.md, between its two marks,
and the plots as SVG into docs/."""
import json
import os
import pathlib
import re
import shutil
import sys

FOLDER = pathlib.Path(os.environ.get("BUILD", "build"), "bench")
DOCUMENT = pathlib.Path("DESIGN.md")
BEGIN, END = "<!-- figures: scripts/bench document -->\n", "<!-- end of figures -->\n"
PLOTS = ("cost", "limits", "lists", "goodput")


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(str(cell) for cell in line) + " |\n" for line in lines)


def about(name, data):
    said = data["about"]
    return (f"*{name}: {said['machine']}; Linux {said['kernel']}; {said['compiler']}; "
            f"commit {said['commit']}, {said['when'][:10]}.*\n\n")


def cost(data):
    return table(
        ["cost per packet", "empty, ns", "best, ns", "median, ns", "best ratio", "median ratio"],
        [[row["name"], f"{row['empty_ns']['median']:.0f}", f"{row['cost_ns']['best']:.0f}",
          f"{row['cost_ns']['median']:.0f}", f"{row['ratio']['best']:.1f}",
          f"{row['ratio']['median']:.1f}"] for row in data["cost"]])


def others(data):
    text = ""
    for kind in dict.fromkeys(row["kind"] for row in data["others"]):
        rows = [row for row in data["others"] if row["kind"] == kind]
        columns = list(dict.fromkeys(row["column"] for row in rows))
        value = {(row["name"], row["column"]): row for row in rows}
        text += table([f"million packets/s a core; {kind}", *columns], [
            [name, *(f"{value[name, column]['pps_core'] / 1e6:.2f}"
                     if value[name, column]["pps_core"] else "absent" for column in columns)]
            for name in dict.fromkeys(row["name"] for row in rows)]) + "\n"
        for name, why in dict.fromkeys((row["name"], row["absent"]) for row in rows
                                       if row["absent"]):
            text += f"{name}, absent: {why}.\n\n"
    return text


def goodput(data):
    rows = data["goodput"]
    names = list(dict.fromkeys(row["filter"] for row in rows))
    value = {(row["flood"], row["filter"]): row for row in rows}

    def cell(row):
        if row["answered"] is None:
            return "absent"
        return f"{row['answered'] / row['asked'] * 100:.0f} % ({row['sent_pps'] / 1e6:.2f})"

    return table(["answered (flood as sent, million packets/s); flood asked for", *names], [
        [flood if isinstance(flood, str) else f"{flood:,d}",
         *(cell(value[flood, name]) for name in names)]
        for flood in dict.fromkeys(row["flood"] for row in rows)])


def load(data):
    return table(
        ["list of", "by", "load, s", "CPU, s", "next, s", "CPU, s", "tool, MiB", "kernel, MiB"],
        [[row["size"], row["tool"], *(
            [row["absent"], *[""] * 5] if "absent" in row else
            [row["first"]["seconds"], row["first"]["cpu_s"], row["next"]["seconds"],
             row["next"]["cpu_s"], f"{row['first']['tool_mib']:.0f}", row["first"]["kernel_mib"]])]
         for row in data["load"]])


def syn(data):
    def users(row, kind):
        group = row[kind]
        ms = group["connect_ms"]["median"]
        return [f"{group['answered']}", f"{ms:.{2 if ms < 10 else 0}f}" if group["answered"] else ""]

    return table(
        ["", "regulars/s", "ms", "newcomers/s", "ms", "transfer, Mbit/s", "SYNs sent/s", "taken/s",
         "SYN-ACKs/s", "core"],
        [[f"IPv{row['family']} {row['what']}", *users(row, "regulars"), *users(row, "newcomers"),
          f"{row['mbits']:.0f}", f"{row['sent_pps'] / 1e6:.2f} M" if row["sent_pps"] else "",
          f"{row['rx_pps'] / 1e6:.2f} M" if row["sent_pps"] else "",
          f"{row['syn_acks_per_s']:,d}", f"{min(1, row['busy']):.0%}"] for row in data["syn"]])


def section(name, figures):
    """What stands there now."""
    found = re.search(rf"^\*{name}: .*?(?=^\*\w+: |\Z)", figures, re.DOTALL | re.MULTILINE)
    return found.group(0).rstrip("\n") + "\n\n" if found else ""


WRITERS = {"cost": cost, "others": others, "goodput": goodput, "syn": syn, "load": load}


def main():
    text = DOCUMENT.read_text(encoding="utf-8")
    if BEGIN not in text or END not in text:
        sys.exit(f"document: {DOCUMENT} has not the marks that the figures go between")
    figures = "\n"
    before, rest = text.split(BEGIN)
    there, after = rest.split(END)
    for name, write in WRITERS.items():
        path = FOLDER / f"{name}.json"
        if not path.exists():
            print(f"document: {path} is missing (make bench): what stands there stays", file=sys.stderr)
            figures += section(name, there)
            continue
        data = json.loads(path.read_text(encoding="utf-8"))
        figures += about(name, data) + write(data).rstrip("\n") + "\n\n"
    DOCUMENT.write_text(before + BEGIN + figures + END + after, encoding="utf-8")
    pathlib.Path("docs").mkdir(exist_ok=True)
    for plot in PLOTS:
        if (FOLDER / f"{plot}.svg").exists():
            shutil.copy(FOLDER / f"{plot}.svg", "docs")
    print(f"{DOCUMENT}, docs/*.svg")


main()
