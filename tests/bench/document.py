#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Writes docs/figures.md whole from build/bench/*.json, and copies the plots as SVG into docs/.
A table whose JSON is missing stays as it stands in the page, with its machine and commit."""
import json
import os
import pathlib
import re
import shutil
import sys
import textwrap

FOLDER = pathlib.Path(os.environ.get("BUILD", "build"), "bench")
PAGE = pathlib.Path("docs/figures.md")
COLUMNS = 100
PLOTS = ("cost", "limits", "lists", "goodput")


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(str(cell) for cell in line) + " |\n" for line in lines)


def about(name, data):
    said = data["about"]
    return textwrap.fill(f"*{name}: {said['machine']}; Linux {said['kernel']}; {said['compiler']}; "
                         f"commit {said['commit']}, {said['when'][:10]}.*", COLUMNS) + "\n\n"


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


# ---- the page ----

HEAD = """
# Figures

`scripts/bench document` writes this page from what `make bench` measured; do not edit it by hand.
Each table names the machine, the kernel, the compilers and the commit that it was measured on.
[cost.md](cost.md) says where the time goes and what to expect of more cores.

The machine was otherwise idle, but it shares its third-level cache and its memory with other
machines of the same host. Rows of the plain programs, which wait for memory as weir's rows do, have
differed by half within one day. Compare rows of one table, not tables of different runs.
"""

COST = """
Processor time of `BPF_PROG_TEST_RUN` for four million packets, several rounds, less that of the
same program with its verdict fixed. The ratio is to an empty XDP_DROP program in the same round.
The policy is a typical one: 100 allow entries, a block set of 1M IPv4 and 250k IPv6 prefixes, limits
for four classes and a budget. Rows in which every packet goes to another line of a table wait for
memory, and so depend on what else uses the caches. The plain programs at the end (one LRU hash
entry for each source; one LPM trie) wait for the same memory.

![Cost per packet by number of sources, weir and an LRU hash entry for each source](cost.svg)
"""

OTHERS = """
The same frames come over a veth pair. Its NAPI threads have one core, the generator has the other.
Shown is how many packets a second one core takes and drops: the receiver's counter over the time
that its threads ran. All sources are over the limit (20/min), or on the list.

What a limiter lets through is dropped by the next rule of the same hook. weir has no such rule, so
the first packets of a source go on to nft's ingress hook. With 1M sources and with random ones most
or all packets are a source's first ones, and what is measured is mostly the stack below that hook.

xdp-filter is ahead on a list of 1,000 entries: it reads one address and one map. weir also checks
fragments, extension headers and lengths, counts each reason for each device, and asks four kinds of
entries.

![Packets that one core drops by a limit, by number of sources](limits.svg)

![Packets that one core drops by a list of 1k, 100k and 1M entries](lists.svg)
"""

GOODPUT = """
Users ask for 150 transactions a second, each on a new connection, of a server on the core that
takes the flood: SYNs from 20 sources to the server's port. The limit is 1000 packets a second for
each source. The order in which threads run is set by real-time priorities, as in the laboratory.
"max" is more than the core can take in, whatever filters: five of six packets find the ring full.
Repeated within minutes, weir's figure at a million differed between 68 and 95 %, nft's between 0
and 50 %.

![Requests answered while a flood grows: weir, nft, no filter](goodput.svg)
"""

SYN = """
`tests/bench/syn.py`: the server shares a core with the flood, which is SYNs from random sources.
Regular users and newcomers ask for 250 connections a second each, every one from an address of its
own, and give up after 3.5 s; a transfer of 100 Mbit/s began before. "ms" is the median time to
connect. "users only" is a bound: a program that knows the users beforehand and drops everything
else. The kernel's rows see a thinner flood, because what answers there also uses the sender's core.
"""

LOAD = """
A list is loaded for the first time and then replaced by its next generation, in which a tenth of
the entries differ: time, processor time, and the memory of the tool and of the kernel.
"""

SECTIONS = {"cost": ("Cost per packet", COST, cost), "others": ("Against others", OTHERS, others),
            "goodput": ("Goodput under flood", GOODPUT, goodput),
            "syn": ("New connections under a SYN flood", SYN, syn),
            "load": ("Loading lists", LOAD, load)}


def wrapped(text):
    """Paragraphs, filled to the columns of the documents; headings and pictures as they are."""
    return "\n\n".join(part if part.startswith(("#", "!")) else textwrap.fill(part, COLUMNS)
                       for part in text.strip().split("\n\n")) + "\n\n"


def standing(name, page):
    """The table of @name that stands in the page now, with its line of machine and commit."""
    found = re.search(rf"^\*{name}: .*?(?=^## |\Z)", page, re.DOTALL | re.MULTILINE)
    return found.group(0).rstrip("\n") + "\n" if found else "Not measured yet.\n"


def main():
    page = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    text = wrapped(HEAD)
    for name, (title, prose, write) in SECTIONS.items():
        path = FOLDER / f"{name}.json"
        text += f"## {title}\n\n{wrapped(prose)}"
        if path.exists():
            data = json.loads(path.read_text(encoding="utf-8"))
            text += about(name, data) + write(data).rstrip("\n") + "\n\n"
        else:
            print(f"document: {path} is missing (make bench): the table in {PAGE} stays",
                  file=sys.stderr)
            text += standing(name, page) + "\n"
    PAGE.write_text(text.rstrip("\n") + "\n", encoding="utf-8")
    for plot in PLOTS:
        if (FOLDER / f"{plot}.svg").exists():
            shutil.copy(FOLDER / f"{plot}.svg", "docs")
    print(f"{PAGE}, docs/*.svg")


main()
