# SPDX-License-Identifier: GPL-2.0-only
"""The examples work with a running weir: alert rules, dashboard, and a real Prometheus."""
import json
import pathlib
import re
import shutil
import subprocess
import tempfile
import time
import urllib.parse
import urllib.request

from stage import NEAR4, ROOT, STRANGE_MAC, WEIR, check, demand, run_tests, skip, wait_for

PROMETHEUS = ROOT / "examples/prometheus"
RULES = PROMETHEUS / "weir-alerts.yml"
DASHBOARD = ROOT / "examples/grafana/weir.json"
METRIC = re.compile(r"\bweir_\w+")
SETTINGS = 'mode: judge\nstate:\n  known: ""\n  settings: ""\nhttp:\n  port: 9108\n'
PORT = 9090


def settle(lab):
    """A daemon, and one of each thing that has metrics."""
    lab.weir("limit", "set", "rate", "100pps", "burst", 10)
    lab.weir("budget", "set", "game", "dport", "9", "rate", "200pps", "rate", "1mbit")
    lab.weir("block", "add", "203.0.113.0/25", "ttl", "1h")
    file = pathlib.Path(tempfile.mkdtemp(prefix="weir-examples-")) / "list"
    file.write_text("203.0.113.200\n")
    lab.weir("list", "load", "bad", "file", file)
    lab.attach()
    settings = file.with_name("weir.yaml")
    settings.write_text(SETTINGS)
    daemon = subprocess.Popen(lab.near.command(WEIR, "daemon", "config", settings),
                              stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    lab.children.append(daemon)
    demand(wait_for(lambda: lab.read("show", "health")["daemon"]["up"], 10), "the daemon is not up")
    return file.parent


def exported(lab):
    return {line.split("{")[0].split()[0] for line in lab.weir("metrics").out.splitlines()
            if not line.startswith("#")}


def metrics_of(text):
    """The names of metrics in a query."""
    return set(METRIC.findall(text))


def test_names(lab):
    settle(lab)
    have = exported(lab)
    board = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    asked = set()
    for panel in board["panels"]:
        for target in panel["targets"]:
            asked |= metrics_of(target["expr"])
    for variable in board["templating"]["list"]:
        asked |= metrics_of(variable.get("definition", ""))
    check(asked and asked <= have, "every metric of the dashboard is exported",
          sorted(asked - have) or f"{len(asked)} of {len(have)} metrics, {len(board['panels'])} panels")
    exprs = re.sub(r"annotations:.*?(?=- alert|\Z)", "", RULES.read_text(encoding="utf-8"), flags=re.S)
    asked = metrics_of(exprs)
    check(asked and asked <= have, "and every metric of the alert rules",
          sorted(asked - have) or f"{len(asked)} metrics")


def test_rules(_):
    what = "promtool tries the alert rules"
    if not shutil.which("promtool"):
        skip(what, "promtool (Debian package prometheus) is not installed")
        return
    for words in (("check", "rules", RULES), ("test", "rules", PROMETHEUS / "weir-alerts-test.yml")):
        done = subprocess.run(["promtool", *words], capture_output=True, text=True, check=False)
        said = " / ".join((done.stdout + done.stderr).split("\n")).strip(" /")
        check(done.returncode == 0 and "SUCCESS" in said, f"{what}: {words[0]} rules", said)


class Prometheus:
    """A real Prometheus in near's namespace that scrapes each second."""

    def __init__(self, lab, folder):
        self.lab = lab
        text = (PROMETHEUS / "prometheus.yml").read_text(encoding="utf-8").replace("15s", "1s")
        (folder / "prometheus.yml").write_text(text)
        shutil.copy(RULES, folder)
        with open(folder / "prometheus.log", "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                lab.near.command("prometheus", f"--config.file={folder}/prometheus.yml",
                                 f"--storage.tsdb.path={folder}/data",
                                 f"--web.listen-address=127.0.0.1:{PORT}"),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        lab.children.append(self.process)
        demand(wait_for(self.is_ready, 30), (folder / "prometheus.log").read_text()[-400:])

    def get(self, path, **query):
        words = f"?{urllib.parse.urlencode(query)}" if query else ""
        with self.lab.near, urllib.request.urlopen(f"http://127.0.0.1:{PORT}{path}{words}",
                                                   timeout=10) as answer:
            return json.load(answer)["data"]

    def is_ready(self):
        try:
            return bool(self.get("/api/v1/status/buildinfo"))
        except OSError:
            return False

    def query(self, expr):
        """[(labels, value)]"""
        return [(each["metric"], float(each["value"][1]))
                for each in self.get("/api/v1/query", query=expr)["result"]]

    def alerts(self):
        return {each["labels"]["alertname"]: each["state"] for each in self.get("/api/v1/alerts")["alerts"]}


def test_prometheus(lab):
    what = "a real Prometheus"
    if not shutil.which("prometheus"):
        skip(what, "the Debian package prometheus is not installed (make test-web installs it)")
        return
    prometheus = Prometheus(lab, settle(lab))
    check(wait_for(lambda: prometheus.query('up{job="weir"}') and
                   prometheus.query('up{job="weir"}')[0][1] == 1, 20), f"{what} scrapes weir",
          [target["lastError"] for target in prometheus.get("/api/v1/targets")["activeTargets"]])
    flood = lab.start_flood("to", NEAR4, "mac", STRANGE_MAC, "from", "198.51.100.0/29", "sources", 4,
                            "pps", 20000, "seconds", 12)
    time.sleep(8)
    rate = prometheus.query('sum(rate(weir_packets_total{action="drop"}[5s]))')
    check(rate and rate[0][1] > 1000, f"{what} sees the flood", f"{rate} packets/s dropped")
    flood.wait()
    compare(lab, prometheus, what)
    rules = [rule for group in prometheus.get("/api/v1/rules")["groups"] for rule in group["rules"]]
    bad = [rule["name"] for rule in rules if rule["health"] != "ok"]
    check(len(rules) > 10 and not bad, f"{what} evaluates all rules", bad or len(rules))
    lab.near.run("ip", "link", "set", lab.near_dev, "xdp", "off")
    check(wait_for(lambda: "WeirNotAttached" in prometheus.alerts(), 10),
          "the program taken off by another: the alert is raised", prometheus.alerts())


def wrong_counters(lab, prometheus):
    stats = lab.stats()
    stored = {metric["reason"]: value for metric, value in prometheus.query("weir_packets_total")}
    return [f"{reason}: {stored.get(reason)} for {stats[reason]}" for reason in stats.reasons
            if stored.get(reason) != stats[reason]]


def compare(lab, prometheus, what):
    """It stores what weir has counted, and its alerts fire. On a busy machine a scrape may be late."""
    wait_for(lambda: not wrong_counters(lab, prometheus), 30)
    wrong = wrong_counters(lab, prometheus)
    check(not wrong, f"{what} has the counters of `show stats`",
          wrong or f"{lab.stats().packets} packets")
    cost = prometheus.query("max_over_time(scrape_duration_seconds[1m])")
    check(len(cost) == 1, "time of its slowest scrape, this machine being busy with the flood",
          f"{cost[0][1] * 1000:.1f} ms")


if __name__ == "__main__":
    run_tests(__name__)
