# SPDX-License-Identifier: GPL-2.0-only
"""A driver of a real card's kind, virtio_net, whose queues, rings and statistics veth does not have.

scripts/kernels gives its guest two such cards on one link. The driver counts what an XDP program
drops as rx_dropped as well: weir takes that off what it calls lost.
"""
import json
import pathlib
import re
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "system"))

from stage import FAR4, NEAR4, Stage, check, run, run_tests, send_udp, skip  # noqa: E402

CARDS = "eth0", "eth1"
PACKETS = 2000


class Cards(Stage):
    """Far and near have a card each."""

    def join(self):
        for card, dev, namespace, address in ((CARDS[0], self.near_dev, self.near, NEAR4),
                                              (CARDS[1], self.far_dev, self.far, FAR4)):
            run("ip", "link", "set", "dev", card, "name", dev)
            run("ip", "link", "set", "dev", dev, "netns", namespace.name)
            namespace.set("ipv6/conf/all/disable_ipv6", 1)
            namespace.run("ip", "address", "add", f"{address}/24", "dev", dev)
            namespace.run("ip", "link", "set", "lo", "up")
        self.mac = self.near.link(self.near_dev)["address"]


def have_cards():
    return all(pathlib.Path("/sys/class/net", card).exists() for card in CARDS)


def statistics(lab, name):
    """
    The sum of a statistic over the receiving queues. Linux 6.12 calls rx0_drops what was
    rx_queue_0_drops, and has their sum beside as rx_drops.
    """
    lines = lab.near.run("ethtool", "-S", lab.near_dev).out
    return sum(map(int, re.findall(rf"^ *rx(?:_queue_)?\d+_{name}: (\d+)$", lines, re.MULTILINE)))


def check_losses(lab):
    lab.weir("limit", "set", "proto", "udp", "rate", "10pps")
    lab.weir("attach", "dev", lab.near_dev, "mode", "native")
    lab.up()
    time.sleep(2)
    send_udp(lab.far, FAR4, NEAR4, PACKETS, pps=1000)
    time.sleep(1)
    stats, lost = lab.stats(), lab.read("show", "health")["devices"][0]["lost"]
    counted, own, drops = lab.lost(), statistics(lab, "xdp_drops"), statistics(lab, "drops")
    check(stats.dropped() > PACKETS / 2 and own >= stats.dropped() and counted >= own and
          drops >= own, "virtio_net counts what weir drops as xdp_drops, drops and rx_dropped",
          f"{stats.dropped()} dropped by weir, xdp_drops {own}, drops {drops}, rx_dropped {counted}")
    check(lost["own_drops"] == "statistic" and lost["packets"]["dropped"] <= counted - own and
          lost["packets"]["queues"] <= drops - own and not lost["alarm"],
          "and weir does not call it lost", json.dumps(lost))


def check_doctor(lab):
    done = lab.weir("-j", "doctor", "dev", lab.near_dev, expect=None)
    found = {each["check"]: each for each in json.loads(done.out)["findings"]
             if each["subject"] == lab.near_dev}
    check("virtio_net" in found["driver"]["text"] and found["driver"]["level"] == "ok" and
          "does not tell" not in found["queues"]["text"] + found["ring"]["text"],
          "weir doctor on a card", "; ".join(each["text"] for each in found.values()))


def test_cards(_):
    if not have_cards():
        skip("virtio_net", "this machine has no two idle cards; scripts/kernels gives its guest two")
        return
    lab = Cards()
    check_losses(lab)
    check_doctor(lab)


if __name__ == "__main__":
    run_tests(__name__)
