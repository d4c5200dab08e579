# SPDX-License-Identifier: GPL-2.0-only
"""weir explain: what a flood is made of, and the rules that match it and no calm traffic."""
import json
import random
import socket
import struct
import threading
import time

from daemon import Daemon
from players import (NETWORKS, STRANGERS, Players, Sender, calm_file, checksum, learn,
                     packets_kept, udp)
from stage import NEAR4, STATE, check, demand, run_tests


def monlist(rnd):
    """An answer to NTP's monlist: 468 bytes, from one of thousands of time servers."""
    source = f"203.0.{rnd.randrange(256)}.{rnd.randrange(1, 255)}"
    payload = struct.pack(">BBBBHH", 0xd7, rnd.randrange(128), 3, 42, 6, 72) + rnd.randbytes(432)
    return udp(source, NEAR4, 123, rnd.randrange(1024, 65535), payload,
               rnd.choice((64, 128, 255)) - rnd.randrange(6, 25))


def like_players(rnd, players):
    """As calm traffic, of other sources, all over the players' /16."""
    packet = bytearray(players.packet())
    packet[12:16] = bytes((198, 18, rnd.randrange(NETWORKS, 256), rnd.randrange(1, 255)))
    packet[10:12] = b"\0\0"
    packet[10:12] = struct.pack(">H", checksum(bytes(packet[:20])))
    return bytes(packet)


def prepare(lab, players=None):
    """
    A budget that calm traffic keeps within, players of whom most are known, and a daemon that keeps
    a calm sample.
    """
    lab.weir("budget", "set", "game", "rate", "2000pps", "burst", "500")
    lab.attach()
    if players:
        lab.weir("known", "import", "-", "as", "seen",
                 text_in="".join(f"{each[0]}\n" for each in players.all[STRANGERS:]))
    return Daemon(lab, state={"known": '""', "settings": '""', "calm": STATE / "calm",
                              "calm_every": "1s", "every": "1s"})


def explain_under(lab, sender, make, pps, *words):
    """What `weir explain` says while that is sent."""
    done, answer = threading.Event(), {}

    def ask():
        time.sleep(1)       # the flood is under way
        answer["json"] = lab.read("explain", "seconds", 3, *words)
        answer["text"] = lab.weir("explain", "seconds", 1, *words)
        done.set()
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    sender.play(make, pps, done.is_set)
    thread.join()
    return answer["json"], answer["text"]


def check_ntp(lab, found, text):
    fields = {each["match"]: each for each in found["fields"]}
    for match in ("proto udp", "sport 123", "length 468"):
        share = fields.get(match, {}).get("share", 0)
        check(share > 0.5, f"the flood's {match} is named", f"{share:.3f} of {found['packets']} "
              f"packets, {fields.get(match, {}).get('calm_share', 0):.4f} of calm traffic")
    rules = found["rules"]
    words = set(rules[0]["match"].split()) if rules else set()
    check(bool(rules) and {"sport", "123", "length", "468"} <= words and rules[0]["share"] > 0.5 and
          rules[0]["calm_hits"] == 0 and rules[0]["calm_bound"] <= 0.001 and rules[0]["sure"],
          "a rule for what is not calm",
          f"{rules[0]['match']}: {rules[0]['share']:.3f} of the flood, calm hits "
          f"{rules[0]['calm_hits']} of {found['calm']['judged_packets']}, bound "
          f"{rules[0]['calm_bound']:.5f}, sure {rules[0]['sure']} {rules[0]['doubt']}"
          if rules else f"none: {found['remark']}")
    lines = text.out.splitlines()
    command = [line for line in lines if line.startswith("weir drop add ")]
    check(bool(command) and "sport 123" in command[0] and "length 468" in command[0] and
          all(len(line) <= 80 for line in lines if line not in command),
          "the command is printed", command[0] if command else text)


def test_reflection(lab):
    """NTP answers from thousands of servers, over a budget, beside a game."""
    rnd = random.Random(7)
    players, sender = Players(rnd), Sender(lab)
    daemon = prepare(lab, players)
    kept = learn(lab, sender, players)
    stranger = calm_file(lab).read_bytes()
    whole = [each for each in players.all if socket.inet_aton(each[0])[::-1] in stranger]
    check(len(whole) < len(players.all) / 4, "the sample does not hold addresses as they are",
          f"{len(whole)} of {len(players.all)} found in {len(stranger)} bytes, {kept[0]} packets of known sources, {kept[1]} of strangers")
    flood = lambda: monlist(rnd) if rnd.random() < 0.85 else players.packet()
    found, text = explain_under(lab, sender, flood, 8000)
    check_ntp(lab, found, text)
    other = lab.read("explain", "seconds", 1, "proto", "tcp", "to", "192.0.2.77")
    check(other["packets"] == 0 and other["remark"] == "nothing is turned away now",
          "other destinations are left out", other["remark"])
    size = calm_file(lab).stat().st_size
    mode = oct(calm_file(lab).stat().st_mode & 0o777)
    check(mode == "0o640", "only root and its group read the calm sample", f"{mode}, {size} bytes")
    check(daemon.stop() == 0, "the daemon ends", daemon.text().splitlines()[-1])
    before = packets_kept(lab)
    Daemon(lab, state={"known": '""', "settings": '""', "calm": STATE / "calm",
                       "calm_every": "1s", "every": "1s"})
    sender.play(players.packet, 500, lambda: packets_kept(lab) > before)
    check(packets_kept(lab) > before, "the sample goes on after a restart",
          f"{before}, then {packets_kept(lab)} packets")
    sender.close()


def test_hopeless(lab):
    """A flood that looks like calm traffic: no rule."""
    rnd = random.Random(8)
    players, sender = Players(rnd), Sender(lab)
    prepare(lab, players)
    learn(lab, sender, players)
    found, _ = explain_under(lab, sender, lambda: like_players(rnd, players), 8000)
    check(found["samples"] > 200 and not found["rules"] and found["remark"] ==
          "no rule tells what is turned away from calm traffic", "a flood as calm traffic: no rule",
          f"{found['samples']} samples, {[rule['match'] for rule in found['rules']]}: "
          f"{found['remark']}")
    sender.close()


def test_flood_is_not_learnt(lab):
    """While a budget is under pressure, nothing is taken into the sample."""
    rnd = random.Random(9)
    sender = Sender(lab)
    prepare(lab)
    until = time.monotonic() + 9
    sender.play(lambda: monlist(rnd), 8000, lambda: time.monotonic() > until)
    seen = lab.stats()
    check(sum(packets_kept(lab)) == 0, "a flood is not learnt as calm traffic",
          f"{packets_kept(lab)} packets kept of {seen.packets}, {seen.dropped()} dropped")
    sender.close()


def test_no_sample(lab):
    """Without a calm sample the shares are shown, and no rule."""
    rnd = random.Random(10)
    sender = Sender(lab)
    lab.weir("budget", "set", "game", "rate", "200pps")
    lab.attach()
    found, text = explain_under(lab, sender, lambda: monlist(rnd), 3000)
    fields = [each["match"] for each in found["fields"]]
    check("sport 123" in fields and not found["rules"] and found["calm"] is None and
          "there is no calm sample" in found["remark"], "no sample: shares, and why no rules",
          f"{', '.join(fields)}; {found['remark']}")
    check("systemctl enable --now weir" in text.err, "and how to get one", text.err)
    sender.close()


def test_hostile_files(lab):
    """Files that are no calm sample, cut ones, one byte changed: told, and never a crash."""
    rnd = random.Random(11)
    players, sender = Players(rnd), Sender(lab)
    daemon = prepare(lab)
    until = time.monotonic() + 8
    sender.play(players.packet, 1000, lambda: sum(packets_kept(lab)) > 500 or time.monotonic() > until)
    demand(daemon.stop() == 0, daemon.text())
    good, bad = calm_file(lab).read_bytes(), 0
    demand(len(good) > 50000, f"the file has {len(good)} bytes")
    lab.weir("budget", "set", "game", "rate", "100pps")
    cases = [b"", b"weir", bytes(len(good)), good[:47], good[:-1], good + b"\0", good[:20000],
             good[:16] + b"\xff\xff\xff\xff" + good[20:]]
    cases += [good[:at] + bytes((good[at] ^ 1 << rnd.randrange(8),)) + good[at + 1:]
              for at in (0, 9, 13, 30, 50, *(rnd.randrange(48, len(good)) for _ in range(4)))]
    done, said = threading.Event(), []

    def ask():
        nonlocal bad
        for case in cases:
            calm_file(lab).write_bytes(case)
            found = lab.read("explain", "seconds", 1, "calm", STATE / "calm")
            bad += bool(found["rules"]) or found["calm"] is not None or "calm" not in found["remark"]
            said.append(found["remark"])
        done.set()
    threading.Thread(target=ask, daemon=True).start()
    sender.play(players.packet, 2000, done.is_set)
    check(bad == 0, "damaged files are refused", f"{len(cases)} files: {'; '.join(sorted(set(said)))}")
    again = Daemon(lab, state={"known": '""', "settings": '""', "calm": STATE / "calm",
                               "calm_every": "1s", "every": "1s"})
    last = calm_file(lab).read_bytes()
    lab.weir("budget", "del", "game")
    until = time.monotonic() + 12
    sender.play(players.packet, 500, lambda: again.says("the file is kept") or
                time.monotonic() > until)
    time.sleep(2)
    check(bool(again.says("the file is kept")) and calm_file(lab).read_bytes() == last,
          "the daemon keeps a file that it cannot read", again.text().splitlines()[-1])
    sender.close()


if __name__ == "__main__":
    run_tests(__name__)
