# SPDX-License-Identifier: GPL-2.0-only
"""Real services behind weir and their clients: what users do, without any harm meant."""
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

from stage import FAR4, NEAR4, demand, wait_for
from unbound import COMMON, UNBOUND

PATH = os.environ["PATH"] + ":/usr/sbin:/sbin"
PAGE_OBJECTS, OBJECT_BYTES = 60, 33000      # a page of 2 MB
UDP_MBIT = 50


def lacking(*programs):
    """The first of @programs that this machine does not have, or None."""
    return next((name for name in programs if not shutil.which(name, path=PATH)), None)


def program(name):
    return shutil.which(name, path=PATH)


class Folder:
    """A folder that goes with the stage: it stands among the children of the test."""

    def __init__(self, lab):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="weir-services-"))
        self.path.chmod(0o755)
        lab.children.append(self)

    def poll(self):
        return None

    def kill(self):
        shutil.rmtree(self.path, ignore_errors=True)

    def wait(self):
        return 0


def listens(lab, port, kind="t"):
    return wait_for(lambda: f":{port} " in lab.near.run("ss", f"-Hln{kind}").out, 10)


def start(lab, port, *words, kind="t"):
    lab.children.append(subprocess.Popen(
        lab.near.command("setpriv", "--pdeathsig", "KILL", *map(str, words)),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL))
    demand(listens(lab, port, kind), f"{words[0]} does not listen at port {port}")


# ---- bulk: iperf3 ----

class Bulk:
    """iperf3: an upload, a download, and a stream of UDP at a usual rate."""
    needs = ("iperf3",)

    def __init__(self, lab):
        self.lab = lab
        start(lab, 5201, program("iperf3"), "-s")

    def mbit(self, *words):
        """What the receiving end got."""
        for _ in range(5):      # the server may still be busy with the one before
            report = json.loads(self.lab.far.run("iperf3", "-J", "-c", NEAR4, *words,
                                                 expect=None).out)
            end = report.get("end", {})
            if "sum_received" in end or "sum" in end:
                total = end.get("sum_received") or end["sum"]
                return total["bits_per_second"] / 1e6
            wait_for(lambda: False, 1)
        demand(False, f"iperf3 {' '.join(words)}: {report.get('error')}")

    def upload(self, seconds=3, *words):
        return self.mbit("-t", str(seconds), *words)

    def download(self, seconds=3):
        return self.mbit("-t", str(seconds), "-R")

    def stream(self, seconds=3, mbit=UDP_MBIT):
        return self.mbit("-t", str(seconds), "-u", "-b", f"{mbit}M", "-l", "1400")


# ---- a web server: nginx ----

NGINX = """daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/log;
events {{ worker_connections 1024; }}
http {{ access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
server {{ listen {address}:80; root {folder}/www;
location /paced/ {{ alias {folder}/www/; limit_rate 300k; }} }} }}
"""


class Web:
    """nginx, wrk that asks as fast as it can, and browsers that load a page of many objects."""
    needs = ("nginx", "wrk", "curl")

    def __init__(self, lab):
        self.lab = lab
        folder = Folder(lab).path
        (folder / "www").mkdir()
        for i in range(PAGE_OBJECTS):
            (folder / f"www/{i}").write_bytes(b"x" * OBJECT_BYTES)
        (folder / "conf").write_text(NGINX.format(folder=folder, address=NEAR4))
        start(lab, 80, program("nginx"), "-c", folder / "conf")

    def requests(self, seconds=3, connections=64):
        """Requests answered in a second."""
        out = self.lab.far.run("wrk", "-t", 1, "-c", connections, "-d", f"{seconds}s",
                               f"http://{NEAR4}/0").out
        demand("Requests/sec:" in out, out)
        return float(out.split("Requests/sec:")[1].split()[0])

    def paced(self, seconds, connections=16):
        """wrk, to which nginx sends 300 kB a second on each connection: the same on any machine."""
        return self.lab.far.command(program("wrk"), "-t", "1", "-c", str(connections), "-d",
                                    f"{seconds}s", f"http://{NEAR4}/paced/0")

    def browser(self, source=FAR4, pages=1, kbytes_per_s=None):
        """A browser: six connections, each page anew."""
        words = ["curl", "-s", "--no-progress-meter", "--interface", source, "--parallel", "--parallel-max", "6",
                 "-o", "/dev/null"]
        words += ["--limit-rate", f"{kbytes_per_s}k"] if kbytes_per_s else []
        urls = " ".join(f"-o /dev/null http://{NEAR4}/{i}" for i in range(PAGE_OBJECTS))
        line = f"for i in $(seq {pages}); do {' '.join(words[:-2])} {urls} || exit 1; done"
        return self.lab.far.command("sh", "-c", line)

    def page(self):
        """Loads the page once; the packets that this took."""
        before = self.lab.stats().packets
        process = subprocess.run(self.browser(), check=False, timeout=60)
        demand(process.returncode == 0, f"curl: {process.returncode}")
        return self.lab.stats().packets - before


# ---- a name server: unbound ----

NAMES = COMMON + """
server:
  interface: {address}
  access-control: 0.0.0.0/0 allow
  directory: "{folder}"
  local-zone: "example.com." redirect
  local-data: "example.com. A 192.0.2.53"
"""


class Names:
    """unbound, and dnsperf as a client that asks at a steady rate."""
    needs = ("unbound", "dnsperf")

    def __init__(self, lab):
        self.lab, self.folder = lab, Folder(lab).path
        (self.folder / "conf").write_text(NAMES.format(folder=self.folder, address=NEAR4))
        (self.folder / "queries").write_text("".join(f"h{i}.example.com A\n" for i in range(1000)))
        start(lab, 53, UNBOUND, "-c", self.folder / "conf", kind="u")

    def client(self, seconds=3, per_s=1000, source=FAR4):
        return ["dnsperf", "-s", NEAR4, "-a", source, "-d", str(self.folder / "queries"), "-l",
                str(seconds), "-Q", str(per_s), "-c", "1", "-T", "1"]

    def answers(self, seconds=3, per_s=1000):
        """Queries answered in a second."""
        out = self.lab.far.run(*self.client(seconds, per_s)).out
        demand("Queries per second:" in out, out)
        return float(out.split("Queries per second:")[1].split()[0])
