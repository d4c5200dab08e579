# SPDX-License-Identifier: GPL-2.0-only
"""Metrics: the conventions, figures that agree with the commands, and the cost of a scrape."""
import re
import resource
import shutil
import subprocess

from stage import BUILD, NEAR4, WEIR, check, demand, run_tests, skip
from strace import traced

SAMPLE = re.compile(r'(\w+)(?:\{(.*)\})? (\S+)')
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+|[0-9a-f]*:[0-9a-f:]*:")
MILLION = 1_000_000


class Metrics:
    """The samples of one scrape, by name and labels."""

    def __init__(self, text):
        self.text, self.samples = text, {}
        for line in text.splitlines():
            if not line.startswith("#"):
                name, labels, value = SAMPLE.fullmatch(line).groups()
                key = (name, *sorted(LABEL.findall(labels or "")))
                demand(key not in self.samples, f"twice: {line}")
                self.samples[key] = float(value)

    def __call__(self, name, **labels):
        return self.samples[(name, *sorted(labels.items()))]

    def names(self):
        return {key[0] for key in self.samples}


def scrape(lab, *words):
    return Metrics(lab.weir("metrics", *words).out)


def promtool(what, text):
    if not shutil.which("promtool"):
        skip(what, "promtool (Debian package prometheus) is not installed")
        return
    done = subprocess.run(["promtool", "check", "metrics"], input=text, text=True,
                          capture_output=True, check=False)
    check(done.returncode == 0 and not done.stdout + done.stderr, what,
          (done.stdout + done.stderr).strip() or f"{len(text.splitlines())} lines, no remark")


def test_nothing_in_use(lab):
    metrics = scrape(lab)
    check(metrics("weir_in_use") == 0 and len(metrics.samples) == 2,
          "where weir is not in use, metrics say that and no more", sorted(metrics.names()))
    promtool("promtool has nothing to say about that", metrics.text)


def test_counters(lab):
    """Each figure agrees with the command that shows it."""
    lab.weir("limit", "set", "rate", "100pps", "burst", 10)
    lab.weir("limit", "set", "dport", "53", "rate", "1mbit")
    lab.weir("budget", "set", "game", "dport", "9", "rate", "300pps", "rate", "8mbit")
    lab.weir("block", "add", "203.0.113.0/25", "2001:db8:1::/48")
    lab.weir("block", "add", "203.0.113.128/25", "ttl", "10m")
    lab.weir("allow", "add", "192.0.2.200")
    (BUILD / "metrics-list.txt").write_text("203.0.113.7\n2001:db8:2::/48\n2001:db8:3::/48\n")
    lab.weir("list", "load", "bad", "file", BUILD / "metrics-list.txt")
    lab.attach()
    lab.flood("to", NEAR4, "from", "198.51.100.0/24", "sources", 4, "pps", 4000, "seconds", 1)
    lab.flood("to", NEAR4, "from", "203.0.113.5/32", "pps", 1000, "count", 100)
    metrics, stats = scrape(lab), lab.stats()
    compare_counters(metrics, stats)
    compare_settings(lab, metrics)
    promtool("promtool has nothing to say", metrics.text)
    labels = {value for key in metrics.samples for _, value in key[1:]}
    check(not any(ADDRESS.search(value) for value in labels), "no address is a label",
          f"{len(labels)} values of labels")


def compare_counters(metrics, stats):
    wrong = []
    for kind in ("packets", "bytes"):
        for name, reason in stats.reasons.items():
            value = metrics(f"weir_{kind}_total", device="near0", action=reason["action"],
                            reason=name)
            if value != reason[kind]:
                wrong.append(f"{name} {kind}: {value} for {reason[kind]}")
    check(not wrong and stats["rate-limit"] > 0 and stats["block"] == 100,
          "packets and bytes by reason are those of `show stats`",
          wrong or f"{2 * len(stats.reasons)} figures, {stats.packets} packets")
    check(metrics("weir_buckets_created_total", device="near0") == stats.created == 4,
          "and buckets created", stats.created)
    check(metrics("weir_table_entries", table="buckets") == 4, "buckets, few of them: exact",
          metrics("weir_table_entries", table="buckets"))
    check(metrics("weir_device_attached", device="near0", mode="native") == 1 and
          metrics("weir_device_monitor", device="near0") == 0, "the device is attached", "near0")


def compare_settings(lab, metrics):
    blocks = {kind: metrics("weir_block_entries", origin="operator", kind=kind)
              for kind in ("permanent", "ban")}
    check(blocks == {"permanent": 2, "ban": 1}, "block entries by origin and kind", blocks)
    tables = [metrics("weir_table_entries", table=table) for table in ("allow", "block")]
    check(tables == [1, 3], "allow and block entries", tables)
    shown = lab.read("list", "show")["lists"][0]
    lists = (metrics("weir_list_entries", list="bad", family="ipv4"),
             metrics("weir_list_entries", list="bad", family="ipv6"),
             metrics("weir_list_generation", list="bad"),
             metrics("weir_list_last_load_timestamp_seconds", list="bad"))
    check(lists == (1, 2, 1, shown["loaded"]), "the list's entries, generation, time", lists)
    check(metrics("weir_limits") == 2, "limits", metrics("weir_limits"))
    budget = lab.read("budget", "show")["budgets"][0]
    dropped = {reason: metrics("weir_budget_dropped_packets_total", budget="game", reason=reason)
               for reason in ("shed", "network-share", "over-budget")}
    check(metrics("weir_budget_packets_per_second", budget="game") == 300 and
          metrics("weir_budget_bytes_per_second", budget="game") == 1e6 and
          metrics("weir_budget_passed_packets_total", budget="game") == budget["passed"] > 0 and
          sum(dropped.values()) == budget["shed"] + budget["share"] + budget["over"],
          "the budget's rates and counts", f"{budget['passed']} passed, {dropped}")
    lab.weir("block", "flush")
    after = scrape(lab)
    check(after("weir_table_entries", table="block") == 0 and
          after("weir_table_entries_highest", table="block") == 3,
          "after a flush, the high-water mark stays", after("weir_table_entries_highest",
                                                             table="block"))


def test_open_metrics(lab):
    lab.weir("limit", "set", "rate", "100pps")
    old, new = scrape(lab), scrape(lab, "openmetrics")
    check(new.text.endswith("\n# EOF\n"), "OpenMetrics ends with # EOF", "it does")
    check(old.names() == new.names(), "both formats have the same samples", len(old.names()))
    families = re.findall(r"^# TYPE (\w+) counter$", new.text, re.MULTILINE)
    check(families and not any(name.endswith("_total") for name in families),
          "OpenMetrics' counters are families without _total", f"{len(families)} counters")


def test_monitor_mode(lab):
    lab.weir("block", "add", "198.51.100.0/24")
    lab.attach("monitor")
    lab.flood("to", NEAR4, "from", "198.51.100.7/32", "pps", 1000, "count", 50)
    metrics = scrape(lab)
    shown = {name: metrics(name, device="near0", action="drop", reason="block")
             for name in ("weir_packets_total", "weir_monitored_packets_total")}
    check(set(shown.values()) == {50} and metrics("weir_device_monitor", device="near0") == 1,
          "what monitor mode let through is told apart", shown)


def cost(lab):
    """Of one `weir metrics`, in CPU time: the machine may be busy with other things."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    lab.weir("metrics")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_a_million_sources(lab):
    """The estimates for a full table are close, and a scrape of it is cheap."""
    empty = min(cost(lab) for _ in range(5))
    lab.weir("limit", "set", "rate", "1/h", "burst", 1)
    few = min(cost(lab) for _ in range(5))
    lab.attach()
    lab.flood("to", NEAR4, "from", "10.0.0.0/8", "sources", MILLION, "count", 3 * MILLION,
              "seconds", 60)
    # The exact number: the kernel walks all keys of the table.
    keys = lab.read("show", "sources", "top", 1)["total"]
    metrics = scrape(lab)
    entries = metrics("weir_table_entries", table="buckets")
    check(abs(entries / keys - 1) < 0.08, "the estimate of the table's entries, within 8 %",
          f"{entries:.0f} for {keys}: {100 * (entries / keys - 1):+.2f} %")
    check(metrics("weir_table_entries_highest", table="buckets") >= entries,
          "their high-water mark", metrics("weir_table_entries_highest", table="buckets"))
    saturation = metrics("weir_gate_saturation_ratio")
    check(saturation > 0.9, "the gate is saturated", saturation)
    full = min(cost(lab) for _ in range(10))
    trace = BUILD / "metrics.strace"
    lab.near.run(*traced("-e", "trace=bpf", "-o", trace), WEIR, "metrics")
    batches = trace.read_text().count("BPF_MAP_LOOKUP_BATCH")
    check(batches <= 6, "a scrape reads a part of the tables, at most 6 times 4096 elements",
          f"{batches} times; processor time as a command of its own, best of several: "
          f"not in use {1e3 * empty:.1f} ms, empty tables {1e3 * few:.1f} ms, "
          f"{keys} buckets {1e3 * full:.1f} ms")


if __name__ == "__main__":
    run_tests(__name__)
