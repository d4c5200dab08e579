# SPDX-License-Identifier: GPL-2.0-only
"""Values as they are typed: what is taken and how it is kept, what is refused and what is offered."""
import pathlib
import shlex
import tempfile

from stage import check, run, run_tests, skip

# Commands with the value in place of {}, and what `weir save` says of it in place of {}.
RATE = "limit set rate {}", "limit set rate {} burst"
BITS = "limit set rate 1gbit burst {}", "burst {}"
BURST = "limit set rate 1000pps burst {}", "burst {}"
TTL = "block add 198.51.100.7 ttl '{}'", "ttl {}"
DPORT = "limit set dport {} rate 10pps", "dport {} rate 10pps"
UDP = "limit set dport {} proto udp rate 10pps", "proto udp dport {} rate 10pps"
SYN = "limit set syn dport {} rate 10pps", "syn dport {} rate 10pps"
BUDGET = "budget set web proto tcp dport {} rate 10pps", "web proto tcp dport {} rate 10pps"

# How a value is used, what is typed, and the form in which it is kept; of a time that has begun to
# pass, the beginning of that form, at once or a little later.
TAKEN = [
    (RATE, "100Mbit", "100mbit"), (RATE, "100Mbps", "100mbit"), (RATE, "100mbps", "100mbit"),
    (RATE, "100Mbit/s", "100mbit"), (RATE, "100Mb", "100mbit"), (RATE, "1.5Gbit", "1500mbit"),
    (RATE, "1.5kpps", "1500pps"), (RATE, "10KPPS", "10000pps"), (RATE, "1Mpps", "1000000pps"),
    (RATE, "60/m", "60/min"), (RATE, "60/minute", "60/min"), (RATE, "20/hour", "20/h"),
    (RATE, "100/sec", "100pps"), (RATE, "1k/min", "1000/min"), (RATE, "10p/s", "10pps"),
    (BURST, "100packets", "100"), (BURST, "2kpkts", "2000"), (BITS, "1.5Mbit", "1500kbit"),
    (BITS, "10Mb", "10mbit"),
    (TTL, "1h30m", "1h30m", "1h29m"), (TTL, "10min", "10m", "9m"), (TTL, "90s", "1m30s", "1m2"),
    (TTL, "2d12h", "2d12h", "2d11h59m"), (TTL, "3h59m46s", "3h59m4"),
    (TTL, "1h 30min", "1h30m", "1h29m"), (TTL, "3h59m46.264032632s", "3h59m4"),
    (TTL, "1.5h", "1h30m", "1h29m"), (TTL, "1w", "7d", "6d23h59m"),
    (TTL, "2hours", "2h", "1h59m"),
    (DPORT, "1000-2000", "1000-2000"),
]
# The same for names of services.
SERVICES = "https 443/tcp\nhttps 443/udp\ntftp 69/udp\nimaps 993/tcp\nodd 1001/tcp\nodd 1002/udp\n"
NAMED = [
    (DPORT, "https", "443"), (UDP, "https", "443"), (DPORT, "tftp", "69"), (UDP, "odd", "1002"),
    (SYN, "odd", "1001"), (BUDGET, "imaps", "993"),
]
# How it is used, what is typed, and what the message offers.
REFUSED = [
    (RATE, "1000", "1000 what? 1000pps or 1000bit"), (RATE, "10M", "10M what? 10mpps or 10mbit"),
    (RATE, "1k", "1k what? 1kpps or 1kbit"), (RATE, "500", "500 what? Packets are 500pps"),
    (RATE, "10MB", "MB are bytes, and weir counts bits: that is 80mbit, or 10mbit"),
    (RATE, "10MB/s", "80mbit, or 10mbit"), (RATE, "10MBps", "80mbit, or 10mbit"),
    (RATE, "10mb", "bits or bytes? 10mbit for bits, 80mbit for bytes"),
    (RATE, "1.5pps", "say 90/min"), (RATE, "5/day", "1/h are 24 a day"),
    (RATE, "10packets", "packets in which time? 10pps for a second"),
    (RATE, "1,000pps", "such as"), (RATE, "-5pps", "such as"), (RATE, "0pps", "weir block"),
    (BURST, "1k", "1k what? 1000 packets or 1kbit"), (BURST, "10pps", "not a rate: 10"),
    (BURST, "512KB", "4096kbit, or 512kbit"), (BURST, "10mbps", "not a rate: 10mbit"),
    (TTL, "60", "60 what? 60s or 60m"), (TTL, "1h30", "30 what? 1h30s or 1h30m"),
    (TTL, "10M", "did you mean 10m?"), (TTL, "30m1h", "the largest unit comes first"),
    (TTL, "1m1m", "each once"), (TTL, "500ms", "such as 30s"), (TTL, "4000d", "1s to 3650d"),
    (TTL, "forever", "such as 30s"),
    (DPORT, "1000:2000", "a range is 1000-2000"), (DPORT, "90-80", "did you mean 80-90?"),
    (DPORT, "70000", "1 to 65535"),
]
NAMED_REFUSED = [
    (DPORT, "nosuch", "nor a service of /etc/services"), (SYN, "tftp", "for udp only"),
    (DPORT, "odd", "1001 for tcp, 1002 for udp"), (UDP, "imaps", "for tcp only"),
    (DPORT, "https-imaps", "nor a service"),
]


def answer(lab, use, typed):
    """Runs the command with the value; returns the Done, and what is saved then."""
    done = lab.weir(*shlex.split(use[0].format(typed)), expect=None)
    return done, lab.weir("save", expect=None).out


def taken(lab, what, rows):
    wrong = []
    print(f"{'typed':50} kept as")
    for use, typed, *kept in rows:
        lab.weir("restore", "-")    # of nothing: no settings
        done, saved = answer(lab, use, typed)
        line = next((line for line in saved.splitlines()
                     if any(use[1].format(each) in line for each in kept)), None)
        print(f"{use[0].format(typed):50} {line or done}")
        if done.status or not line:
            wrong.append(f"{use[0].format(typed)}: {done.err.strip() or saved.strip()}")
            continue
        if use is TTL:
            continue
        lab.weir("restore", "-", text_in=saved)
        if lab.weir("save").out != saved:
            wrong.append(f"{typed}: restored otherwise")
    check(not wrong, what, "; ".join(wrong) or f"{len(rows)} rows")


def refused(lab, what, rows):
    wrong = []
    print(f"{'typed':50} answer")
    lab.weir("restore", "-")
    nothing = lab.weir("save").out
    for use, typed, offer in rows:
        done, saved = answer(lab, use, typed)
        first = done.err.partition("\n")[0]
        print(f"{use[0].format(typed):50} {first}")
        if done.status != 2 or offer not in first or typed not in first or done.out or \
                saved != nothing:
            wrong.append(f"{use[0].format(typed)}: {done}")
    check(not wrong, what, "; ".join(wrong) or f"{len(rows)} rows")


def test_values(lab):
    taken(lab, "values with one meaning are taken, kept in one form, and read back the same", TAKEN)
    refused(lab, "others are refused with what could be meant, exit status 2, and nothing is set",
            REFUSED)


def test_services(lab):
    """Services of a file of our own, in the place of /etc/services for this process only."""
    if not pathlib.Path("/etc/services").exists():
        skip("ports by the names of services", "there is no /etc/services")
        return
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(SERVICES)
        file.flush()
        run("mount", "--bind", file.name, "/etc/services")
        try:
            taken(lab, "services are taken by name, of the protocol that is said", NAMED)
            refused(lab, "names that are no service of that protocol are refused", NAMED_REFUSED)
            lab.weir("limit", "set", "rate", "10pps")
            said = lab.read("check", "198.51.100.7", "dport", "https")
            check(said["reason"], "check takes a service", said["reason"])
        finally:
            run("umount", "/etc/services")


if __name__ == "__main__":
    run_tests(__name__)
