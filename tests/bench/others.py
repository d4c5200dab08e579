#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""weir beside what a user would pick instead: packets a second that one core
takes and drops, the same frames over the same veth.

Each is told to drop what is over a limit that all sources are over, or what is
in a list that all sources are in; what its limiter still lets through drops in
the next rule of the same hook (for weir, which has none: in nft's ingress hook).
usage: others.py [SECONDS of each figure] [PART-OF-NAME]
"""
import contextlib
import pathlib
import sys
import tempfile


from bench import (STRIDE, SIZES, Absent, Bench, addresses, must, need, save, stage, start,
                   write_file)

SOURCES = ("1", "1k", "1M", "random")
LISTS = ("1k", "100k", "1M")
RATE_PER_MIN, BURST = 20, 2
XDP_FILTER_MOST = 10000     # entries of its table


def drop_rest(bench):
    """After weir: what it lets through must not reach the stack either."""
    must(bench, "nft", f"table netdev rest {{ chain c {{ type filter hook ingress "
         f"device {bench.near_dev} priority 0; policy drop; }}; }}")


def nothing(bench, _):
    need("nft")
    drop_rest(bench)


def weir_limit(bench, _):
    bench.weir("limit", "set", "rate", f"{RATE_PER_MIN}/min", "burst", BURST)
    bench.weir("attach", "dev", bench.near_dev, "mode", "native")
    drop_rest(bench)


def weir_list(bench, path):
    bench.weir("list", "load", "bench", "file", path, "force")
    bench.weir("attach", "dev", bench.near_dev, "mode", "native")


def nft_limit(bench, _):
    need("nft")
    must(bench, "nft", f"""table netdev t {{
        set s {{ type ipv4_addr; size 2000000; flags dynamic,timeout; timeout 2m; }}
        chain c {{ type filter hook ingress device {bench.near_dev} priority 0; policy drop;
            update @s {{ ip saddr limit rate over {RATE_PER_MIN}/minute burst {BURST} packets }} \
drop; }}; }}""")


def nft_text(path, dev):
    """As `nft -f` reads it; elements in one statement, which is the fast way."""
    elements = ",\n".join(pathlib.Path(path).read_text(encoding="ascii").split())
    return (f"table netdev t {{\nset s {{ type ipv4_addr; flags interval;\nelements = {{\n"
            f"{elements} }}; }}\nchain c {{ type filter hook ingress device {dev} priority 0; "
            f"policy accept;\nip saddr @s drop; }}; }}\n")


def nft_list(bench, path):
    need("nft")
    ruleset = pathlib.Path(f"{path}.nft")
    ruleset.write_text(nft_text(path, bench.near_dev), encoding="ascii")
    must(bench, "nft", "-f", ruleset)


def iptables(bench, *words):
    need("iptables-legacy")
    must(bench, "iptables-legacy", "-w", "-t", "raw", "-A", "PREROUTING", *words)


def hashlimit(bench, _):
    iptables(bench, "-m", "hashlimit", "--hashlimit-above", f"{RATE_PER_MIN}/min",
             "--hashlimit-burst", BURST, "--hashlimit-mode", "srcip", "--hashlimit-name", "bench",
             "--hashlimit-htable-size", "1048576", "--hashlimit-htable-max", "2000000", "-j", "DROP")
    iptables(bench, "-i", bench.near_dev, "-j", "DROP")


def ipset_text(path):
    lines = pathlib.Path(path).read_text(encoding="ascii").split()
    yield f"create s hash:net family inet hashsize {max(1024, len(lines) // 4)} maxelem 2000000"
    for line in lines:
        yield f"add s {line}"


def ipset_list(bench, path):
    need("ipset")
    must(bench, "ipset", "restore", "-f", write_file(f"{path}.ipset", ipset_text(path)))
    iptables(bench, "-m", "set", "--match-set", "s", "src", "-j", "DROP")


def xdp_filter_list(bench, path):
    need("xdp-filter")
    lines = pathlib.Path(path).read_text(encoding="ascii").split()
    if len(lines) > XDP_FILTER_MOST:
        raise Absent(f"its table has {XDP_FILTER_MOST:,} entries")
    must(bench, "xdp-filter", "load", "-m", "native", "-p", "allow", "-f", "ipv4", bench.near_dev)
    for line in lines:
        must(bench, "xdp-filter", "ip", "-m", "src", line)


LIMITERS = {"no filter, drop all": nothing, "weir": weir_limit, "nft dynamic set": nft_limit,
            "iptables hashlimit": hashlimit}
LISTERS = {"weir": weir_list, "nft interval set": nft_list, "iptables ipset": ipset_list,
           "xdp-filter": xdp_filter_list}


def flood_words(sources):
    words = ["to", stage.NEAR4, "from", "10.0.0.0/8", "sources", SIZES.get(sources, sources)]
    return words if sources == "random" else [*words, "stride", STRIDE]


def measure(arrange, path, sources, seconds):
    """Returns packets a second, packets a second of the core's time, why not."""
    flood = flood_words(sources)
    first = SIZES.get(sources, 0) * (BURST + 1)     # from then on all are over the limit
    with contextlib.closing(Bench()) as bench:
        try:
            if arrange in (weir_limit, weir_list, xdp_filter_list):
                arrange(bench, path)    # XDP before the link is up
                bench.up()
            else:
                bench.up()
                arrange(bench, path)
            bench.place()
            return (*bench.measure(flood, seconds, first=first), None)
        except (Absent, stage.Failed) as why:
            return None, None, str(why)


def table(rows, kind, arrangements, columns, path_of, seconds, only):
    """Adds to @rows, and saves them each time: a run that is cut short has measured too."""
    notes = []
    print(f"\n{kind:24}" + "".join(f"{column:>13}" for column in columns))
    for name, arrange in arrangements.items():
        if only and only not in name:
            continue
        print(f"{name:24}", end="", flush=True)
        for column in columns:
            pps, core, why = measure(arrange, path_of(column), column, seconds)
            rows.append({"kind": kind, "name": name, "column": column, "pps": pps and round(pps),
                         "pps_core": core and round(core), "absent": why})
            print(f"{pps / 1e6:6.2f} {core / 1e6:6.2f}" if pps else f"{'absent':>13}", end="", flush=True)
            if why and (name, why) not in notes:
                notes.append((name, why))
        print()
        save("others", rows)
    for name, why in notes:
        print(f"  {name}, absent: {why}")


def main():
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    only = sys.argv[2] if len(sys.argv) > 2 else None
    start()
    print("Million packets a second taken and dropped, over veth: as sent here, and as many as\n"
          "the receiving core would take if the sender always had more")
    with tempfile.TemporaryDirectory() as folder:
        def list_of(size):
            path = pathlib.Path(folder, size)
            return path if path.exists() else write_file(path, addresses(SIZES[size]))

        rows = []
        table(rows, "limit, sources:", LIMITERS, SOURCES, lambda _: None, seconds, only)
        table(rows, "list, entries:", LISTERS, LISTS, list_of, seconds, only)


main()
