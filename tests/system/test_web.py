# SPDX-License-Identifier: GPL-2.0-only
"""The daemon's HTTP server: its answers agree with the commands, it refuses what it must, and in a
real browser the page shows what is counted."""
import contextlib
import http.client
import json
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time

from stage import BUILD, NEAR4, STATE, STRANGE_MAC, WEIR, check, demand, run_tests, skip, wait_for

PORT = 9108
SETTINGS = """mode: enforce
sources:
  windows: 3
  ban: 60s
state:
  known: ""
  settings: ""
http:
  address: {address}
  port: {port}
{more}"""
# Parts of the API, and the commands with the same answer.
COMMANDS = {"status": "show status", "stats": "show stats", "reasons": "show reasons",
            "sources": "show sources top 20", "networks": "show networks top 20",
            "limits": "limit show", "budgets": "budget show", "rules": "drop show", "lists": "list show",
            "bans": "show bans", "judgements": "ban-log last 50",
            "incidents": "incidents"}
RULES = ("query proto udp dport 81 length 20-100", "try proto udp dport 81 length 20-1400 monitor",
         "hour proto udp sport 53,123,389,1900,11211 length 400-1500 spare proven rate 500pps ttl 1h")
SHOTS = {"light": (1600, "light"), "dark": (1280, "dark"), "narrow": (360, "light"),
         "phone": (390, "dark")}


class Server:
    """A running `weir daemon` with its HTTP server."""

    def __init__(self, lab, address="127.0.0.1", port=PORT, more=""):
        self.lab, self.address, self.port = lab, address, port
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="weir-web-"))
        (self.folder / "weir.yaml").write_text(
            SETTINGS.format(address=address, port=port, more=more))
        with open(self.folder / "log", "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                lab.near.command(WEIR, "daemon", "config", self.folder / "weir.yaml"),
                stderr=log, stdin=subprocess.DEVNULL)
        lab.children.append(self.process)
        demand(wait_for(lambda: "http" in self.log() or self.process.poll() is not None, 10),
               f"no word of http: {self.log()}")

    def log(self):
        return (self.folder / "log").read_text(encoding="utf-8")

    def ask(self, path, method="GET", host=None, body=None, timeout=10, **headers):
        """(status, headers, body)"""
        with self.lab.near:
            connection = http.client.HTTPConnection(self.address, self.port, timeout=timeout)
            connection.connect()
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        if host != "":
            connection.putheader("Host", host or f"{self.address}:{self.port}")
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        done = answer.status, dict(answer.getheaders()), answer.read().decode()
        connection.close()
        return done

    def json(self, path):
        status, _, body = self.ask(path)
        demand(status == 200, f"{path}: {status} {body}")
        return json.loads(body)

    def stop(self):
        self.process.terminate()
        return self.process.wait(timeout=20)


def settle(lab):
    """Makes settings and counters of all kinds. No packets follow, so answers can be compared."""
    lab.weir("limit", "set", "rate", "100pps", "burst", 10)
    lab.weir("budget", "set", "game", "dport", "9", "rate", "200pps")
    for line in RULES:
        lab.weir("drop", "add", *line.split())
    lab.weir("block", "add", "203.0.113.0/25", "ttl", "1h", "comment", "<b>\"quoted\" & marked</b>")
    lab.weir("block", "add", "2001:db8:1::/48")
    (BUILD / "web-list.txt").write_text("203.0.113.200\n2001:db8:2::/48\n")
    lab.weir("list", "load", "bad", "file", BUILD / "web-list.txt")
    lab.attach()
    lab.flood("to", NEAR4, "mac", STRANGE_MAC, "from", "198.51.100.0/24", "sources", 8, "pps", 2000,
              "count", 1000)


def without_clock(value):
    """JSON without the values that change by themselves."""
    if isinstance(value, dict):
        return {name: without_clock(each) for name, each in value.items()
                if name not in ("ttl_seconds", "seconds_ago", "used", "pressed",
                                "seconds_since_loop")}
    return [without_clock(each) for each in value] if isinstance(value, list) else value


def test_answers(lab):
    settle(lab)
    server = Server(lab)
    demand(wait_for(lambda: lab.read("show", "status")["daemon"]["up"], 10), "the daemon does not loop")
    wrong = []
    for name, command in COMMANDS.items():
        said, shown = server.json(f"/api/{name}"), lab.read(*command.split())
        if without_clock(said) != without_clock(shown):
            wrong.append(f"{name}: {said} for {shown}")
    check(not wrong, "/api says what the commands print with -j", wrong or ", ".join(COMMANDS))
    health = server.json("/api/health")
    check(health["daemon"]["up"] and health["daemon"]["loops"] > 0 and
          health["devices"][0]["attached"], "/api/health: the daemon is up, weir is attached",
          f"{health['daemon']}")
    check(wait_for(lambda: len(server.json("/api/history")["time_ms"]) >= 3, 10),
          "/api/history: a sample a second", len(server.json("/api/history")["time_ms"]))
    compare_metrics(lab, server)
    check(server.stop() == 0, "the daemon ends", server.process.returncode)
    check(lab.read("show", "health")["daemon"]["loops"] >= health["daemon"]["loops"],
          "its loops stay counted", lab.read("show", "health")["daemon"])


def compare_metrics(lab, server):
    _, headers, text = server.ask("/metrics")
    names = {line.split("{")[0].split()[0] for line in text.splitlines() if line[0] != "#"}
    own = lab.weir("metrics").out
    same = [line for line in own.splitlines() if line.startswith(("weir_packets", "weir_list"))]
    check(headers["Content-Type"].startswith("text/plain; version=0.0.4") and
          all(line in text for line in same) and len(same) > 24,
          "/metrics is what `weir metrics` prints", f"{len(same)} lines compared, {len(names)} names")
    check({"weir_daemon_loop_duration_seconds", "weir_daemon_loop_age_seconds"} <= names and
          "weir_daemon_up 1" in text, "and it tells how the daemon does", "up")
    _, headers, text = server.ask("/metrics", Accept="application/openmetrics-text;version=1.0.0,"
                                  "text/plain;version=0.0.4;q=0.5")
    check(headers["Content-Type"].startswith("application/openmetrics-text") and
          text.endswith("# EOF\n"), "OpenMetrics where it is accepted", headers["Content-Type"])


def test_refusals(lab):
    lab.weir("limit", "set", "rate", "100pps")
    before = lab.weir("save").out
    server = Server(lab)
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
        status, headers, _ = server.ask("/api/stats", method, body=b"limit flush")
        check(status == 405 and headers.get("Allow") == "GET, HEAD", f"{method} is not allowed", status)
    for path in ("/nothing", "/api", "/api/", "/api/block", "/../etc/passwd", "/weir.js/", "//",
                 "/%2e%2e/", "/index.html"):
        status, _, _ = server.ask(path)
        check(status == 404, f"{path} is not there", status)
    status, headers, body = server.ask("/", "HEAD")
    check(status == 200 and not body and int(headers["Content-Length"]) > 1000,
          "HEAD has the length and no body", headers["Content-Length"])
    for host in ("localhost", "localhost:8080", "127.0.0.1:1", "[::1]:9108", "LOCALHOST"):
        check(server.ask("/", host=host)[0] == 200, f"Host {host} is served", 200)
    for host in ("evil.example", "localhost.evil.example", "127.0.0.1.evil.example:9108",
                 "localhost:", "localhost:80x", "127.0.0.11", "localhost@evil"):
        status, _, _ = server.ask("/api/stats", host=host)
        check(status == 403, f"Host {host} is refused", status)
    status, _, _ = server.ask("/api/stats", host="")
    check(status in (400, 403), "no Host is refused", status)
    check(lab.weir("save").out == before, "nothing of all that changed a setting", "weir save")
    many_connections(server)


def many_connections(server):
    """A client that holds connections open does not shut out others for long."""
    tasks = pathlib.Path(f"/proc/{server.process.pid}/task")
    before = len(list(tasks.iterdir()))
    with contextlib.ExitStack() as stack:
        held = 0
        for _ in range(200):
            with server.lab.near:
                sock = stack.enter_context(socket.socket())
                sock.settimeout(2)
                with contextlib.suppress(OSError):
                    sock.connect((server.address, server.port))
                    sock.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
                    held += 1
        threads = len(list(tasks.iterdir()))
        # Those that sample traffic come and go.
        check(threads <= before + 2, "200 half requests take no thread of their own",
              f"{held} sent, {threads} threads")
    check(wait_for(lambda: is_served(server), 30), "others are served again", 200)


def is_served(server):
    with contextlib.suppress(OSError):
        return server.ask("/api/stats", timeout=3)[0] == 200
    return False


# ---- clients that are slow on purpose ----

REQUEST_S = 20      # as in user/daemon/http_server.c


class Tricklers:
    """Connections that each send a byte of an endless request every few seconds, and that are opened
    again as soon as the server closes them."""

    def __init__(self, namespace, address, sources, each, pause=2):
        self.namespace, self.address, self.pause = namespace, address, pause
        self.lives, self.stopping = [], threading.Event()
        self.open = {(source, i): None for source in sources for i in range(each)}
        self.thread = threading.Thread(target=self.trickle)
        self.thread.start()

    def connect(self, source):
        with self.namespace:
            sock = socket.socket()
            sock.settimeout(2)
            sock.bind((source, 0))
            sock.connect((self.address, PORT))
        sock.setblocking(False)
        sock.send(b"GET /metrics HTTP/1.1\r\nX: ")
        return sock, time.monotonic()

    def trickle(self):
        while not self.stopping.wait(self.pause / 10):
            for key, held in self.open.items():
                with contextlib.suppress(OSError):
                    self.open[key] = self.step(key, held)
        for held in self.open.values():
            if held:
                held[0].close()

    def step(self, key, held):
        if not held:
            return self.connect(key[0])
        sock, began = held
        ended = False
        try:
            ended = sock.recv(100) == b""
        except BlockingIOError:
            pass
        except OSError:
            ended = True
        if ended:
            sock.close()
            self.lives.append(time.monotonic() - began)
            return None
        if time.monotonic() - began > self.pause * (1 + len(self.lives) % 2):
            with contextlib.suppress(OSError):
                sock.send(b"x")
        return held

    def held(self):
        return sum(held is not None for held in self.open.values())

    def stop(self):
        self.stopping.set()
        self.thread.join()


def scrapes(server, count=10, ask=None):
    """How many of @count requests are answered, each within 2 s."""
    good = 0
    for _ in range(count):
        with contextlib.suppress(OSError, http.client.HTTPException):
            good += (ask or (lambda: server.ask("/metrics", timeout=2)))()[0] == 200
        time.sleep(0.2)
    return good


def test_tricklers(lab):
    """More slow clients than there are places, from several addresses of the link."""
    lab.attach()
    addresses = [f"192.0.2.{n}" for n in range(10, 18)]
    for address in addresses:
        lab.far.run("ip", "address", "add", f"{address}/24", "dev", lab.far_dev)
    server = Server(lab, address="0.0.0.0")
    slow = Tricklers(lab.far, NEAR4, addresses, each=10)
    try:
        wait_for(lambda: slow.held() >= 64, 20)
        server.address = "127.0.0.1"
        good = scrapes(server)
        check(good == 10, "a scraper on loopback is answered beside 80 tricklers of 8 addresses",
              f"{good} of 10, {slow.held()} held")
        server.address = NEAR4
        good = scrapes(server)
        check(good == 10, "one that uses the configured address, too", f"{good} of 10")
        good = scrapes(server, ask=lambda: ask_from(lab.far, "192.0.2.99", lab))
        check(good == 10, "and one on another host", f"{good} of 10")
        check(wait_for(lambda: slow.lives, 2 * REQUEST_S), "tricklers are cut off", len(slow.lives))
        wait_for(lambda: len(slow.lives) > 90, 2 * REQUEST_S)
        check(max(slow.lives, default=99) < REQUEST_S + 5, "none keeps its place for longer than a request may take",
              f"{len(slow.lives)} connections, the longest {max(slow.lives, default=0):.1f} s")
        check("places for remote clients are taken" in server.log() and
              server.log().count("places for") == 1, "the log says so, once",
              [line for line in server.log().splitlines() if "places" in line])
    finally:
        slow.stop()
    server.stop()


def ask_from(namespace, source, lab):
    """A whole request from an address of its own; (status,)."""
    lab.far.run("ip", "address", "replace", f"{source}/24", "dev", lab.far_dev)
    with namespace:
        connection = http.client.HTTPConnection(NEAR4, PORT, timeout=2, source_address=(source, 0))
        connection.connect()
    connection.request("GET", "/metrics")
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return (answer.status,)


def test_trickler_alone(lab):
    """One slow client, with no lack of places: the deadline is for the whole request."""
    server = Server(lab)
    slow = Tricklers(lab.near, "127.0.0.1", ["127.0.0.1"], each=1)
    try:
        check(wait_for(lambda: slow.lives, REQUEST_S + 10), "it is cut off", f"after {slow.lives} s")
        check(scrapes(server, 3) == 3, "and others are served", 3)
        with lab.near:
            idle = socket.create_connection(("127.0.0.1", PORT))
        idle.sendall(b"GET /icon.svg HTTP/1.1\r\nHost: localhost\r\n\r\n")
        check(idle.recv(15) == b"HTTP/1.1 200 OK", "a whole request on a connection that stays", 200)
        idle.close()
    finally:
        slow.stop()
    server.stop()


def ask_socket(path, host="evil.example"):
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(5)
    sock.connect(str(path))
    sock.sendall(f"GET /metrics HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    answer = b""
    while more := sock.recv(65536):
        answer += more
    sock.close()
    return int(answer.split()[1]), answer


def test_unix_socket(lab):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="weir-socket-"))
    path = folder / "http"
    server = Server(lab, port=0, more=f"  socket: {path}\n  socket_group: daemon\n")
    demand(wait_for(path.exists, 5), server.log())
    status, answer = ask_socket(path)
    check(status == 200 and b"weir_daemon_up 1" in answer, "the metrics at a Unix socket", status)
    mode = path.stat()
    check(mode.st_mode & 0o7777 == 0o660 and path.group() == "daemon",
          "only its group and the daemon's user may use it", f"{mode.st_mode & 0o7777:o} {path.group()}")
    with lab.near, contextlib.suppress(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", PORT), 2)
        check(False, "no port", PORT)
    server.process.kill()
    server.process.wait()
    server = Server(lab, more=f"  socket: {path}\n")
    check(path.stat().st_mode & 0o7777 == 0o600 and ask_socket(path)[0] == 200 and
          server.ask("/")[0] == 200, "after a kill the socket is made again; without a group it is 0600, "
          "and the port serves beside it", oct(path.stat().st_mode))
    server.stop()
    check(not path.exists(), "the socket goes with the daemon", path)
    server = Server(lab, port=0, more=f"  socket: {folder}/none/http\n")
    check("cannot listen on the http socket" in server.log() and server.process.poll() is None,
          "a socket that cannot be made: said, and the daemon goes on", server.log().splitlines()[-1])
    server.stop()


def test_headers(lab):
    server = Server(lab)
    for path in ("/", "/weir.js", "/weir.css", "/chart.js", "/icon.svg", "/api/history", "/metrics",
                 "/nothing"):
        status, headers, _ = server.ask(path)
        policy = headers.get("Content-Security-Policy", "")
        check("default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy and
              headers.get("X-Content-Type-Options") == "nosniff" and
              headers.get("X-Frame-Options") == "DENY", f"{path}: strict headers", status)
    page = server.ask("/")[2]
    inline = re.findall(r"<script(?![^>]*\bsrc=)|<style|\bstyle=|\bon\w+=|javascript:", page)
    outside = re.findall(r"""(?:src|href)=["'](?:https?:)?//[^"']*""", page)
    check(not inline and not outside, "the page has no inline script or style, nothing from outside",
          inline + outside or f"{len(page)} bytes")


def test_addresses(lab):
    """The addresses on which it listens, and the messages where it cannot."""
    lab.near.set("ipv6/conf/lo/disable_ipv6", 0)
    server = Server(lab, address="::1")
    status, _, _ = server.ask("/", host="[::1]:9108")
    check(status == 200, "IPv6's loopback", status)
    server.stop()
    server = Server(lab, address="0.0.0.0")
    server.address = "127.0.0.1"
    check(server.ask("/", host="weir.example")[0] == 200,
          "not on a loopback address alone: any name is served", 200)
    server.stop()
    with lab.near:
        taken = socket.create_server(("127.0.0.1", PORT))
    server = Server(lab)
    check("cannot listen on 127.0.0.1 port 9108: Address already in use" in server.log() and
          server.process.poll() is None, "a port in use: said, and the daemon goes on",
          server.log().splitlines()[-1])
    taken.close()
    (server.folder / "weir.yaml").write_text(SETTINGS.format(address="127.0.0.1", port=9109, more=""))
    server.process.send_signal(1)
    server.port = 9109
    check(wait_for(lambda: "http://127.0.0.1:9109/" in server.log(), 5) and
          server.ask("/")[0] == 200, "SIGHUP with another port: served there", 9109)
    server.stop()


# ---- in a browser ----

@contextlib.contextmanager
def browser(folder):
    from selenium import webdriver                              # pylint: disable=import-outside-toplevel
    from selenium.webdriver.chrome.options import Options       # pylint: disable=import-outside-toplevel
    from selenium.webdriver.chrome.service import Service       # pylint: disable=import-outside-toplevel
    options = Options()
    options.binary_location = shutil.which("chromium")
    for word in ("headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run",
                 "disable-background-networking", "disable-component-update", "disable-sync",
                 "hide-scrollbars", f"user-data-dir={folder}"):
        options.add_argument(f"--{word}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(service=Service(shutil.which("chromedriver")), options=options)
    try:
        yield driver
    finally:
        driver.quit()


def browser_is_missing():
    try:
        import selenium     # noqa: F401  pylint: disable=import-outside-toplevel,unused-import
    except ImportError:
        return True
    return not shutil.which("chromium") or not shutil.which("chromedriver")


def shoot(driver, name, what=""):
    """Saves a picture of the whole page. Returns by how much it is wider than the window."""
    width, scheme = SHOTS[name]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {
        "features": [{"name": "prefers-color-scheme", "value": scheme}]})
    for height in (900, None):
        full = driver.execute_script("return document.documentElement.scrollHeight")
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": width, "height": height or full, "deviceScaleFactor": 1,
            "mobile": width < 500})
        time.sleep(2)
    driver.save_screenshot(str(BUILD / "-".join(filter(None, ("web", what, f"{name}.png")))))
    return driver.execute_script("return document.documentElement.scrollWidth") - width


def shown(driver):
    """The packets by reason that the page shows."""
    return driver.execute_script("""
        return Object.fromEntries([...document.querySelectorAll("#reasons td[data-field=packets]")]
            .map(cell => [cell.dataset.reason, [Number(cell.dataset.value), cell.textContent]]));""")


def requests_of(driver):
    """The addresses that the browser has requested."""
    asked = set()
    for entry in driver.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            asked.add(message["params"]["request"]["url"])
    return asked


def compare_page(lab, driver):
    """Under a flood the page is at most a few seconds late, and never ahead."""
    before = lab.stats()
    time.sleep(3)
    page = shown(driver)
    time.sleep(0.1)
    after = lab.stats()
    wrong = [f"{reason}: {value} not in {before[reason]}..{after[reason]}"
             for reason, (value, _) in page.items() if reason != "all"
             and not before[reason] <= value <= after[reason]]
    total = page.get("all", [0])[0]
    grew = after.packets - before.packets
    check(not wrong and grew > 0 and before.packets < total <= after.packets,
          "under a flood the page shows what `show stats` says, in between two readings",
          wrong or f"{before.packets} < {total} <= {after.packets}")
    told = {reason: text.replace(",", "") for reason, (_, text) in page.items()}
    check(all(told[reason] == str(value) for reason, (value, _) in page.items()),
          "as figures that a person reads", told)


def compare_meanings(lab, driver):
    """Where the pointer rests on a reason, its meaning is that of `show reasons`."""
    texts = {each["reason"]: each["meaning"] for each in lab.read("show", "reasons")["reasons"]}
    for where in ("#reasons th.reason", ".legend li.reason"):
        titles = driver.execute_script("""
            return [...document.querySelectorAll(arguments[0])].map(each => [each.textContent, each.title]);
            """, where)
        wrong = [text for text, title in titles
                 if not any(text.startswith(reason) and title.startswith(meaning)
                            for reason, meaning in texts.items())]
        check(titles and not wrong, f"{where}: each has its meaning", wrong or f"{len(titles)} reasons")


def test_page(lab):
    what = "the page in a browser"
    if browser_is_missing():
        skip(what, "chromium, chromium-driver or python3-selenium is not installed "
             "(make test-web installs them)")
        return
    settle(lab)
    server = Server(lab)
    words = ("to", NEAR4, "mac", STRANGE_MAC, "seconds", 60)
    floods = [lab.start_flood("from", "198.51.100.0/29", "sources", 6, "pps", 3000, *words),
              lab.start_flood("from", "203.0.113.240/28", "pps", 1000, "dport", 81, *words),
              lab.start_flood("from", "203.0.113.0/24", "sources", 200, "pps", 2000, "dport", 80,
                              *words)]
    with lab.near, browser(server.folder / "profile") as driver:
        driver.get(f"http://127.0.0.1:{PORT}/")
        demand(wait_for(lambda: shown(driver).get("all"), 20), "the page shows no figures")
        compare_page(lab, driver)
        compare_tables(lab, driver)
        compare_meanings(lab, driver)
        for name in SHOTS:
            wider = shoot(driver, name)
            check(wider <= 0, f"{name}: nothing sticks out at {SHOTS[name][0]} pixels",
                  f"build/web-{name}.png")
        for flood in floods:
            flood.stop()
        demand(wait_for(lambda: len(set(lab.sums("near0").values())) == 1, 3), "packets still come")
        stats = lab.stats()
        check(wait_for(lambda: shown(driver)["all"][0] == stats.packets, 8) and
              all(shown(driver)[reason][0] == stats[reason] for reason in stats.reasons
                  if stats[reason]), "after it both say exactly the same",
              f"{stats.packets} packets")
        console = [entry for entry in driver.get_log("browser")]
        check(not console, "no word on the console, so no violation of the policy either",
              console or "empty")
        outside = [url for url in requests_of(driver) if not url.startswith(f"http://127.0.0.1:{PORT}/")
                   and not url.startswith(("data:", "chrome:", "about:"))]
        check(not outside, "no request to anywhere else", outside or "none")
        server.stop()
        check(wait_for(lambda: "does not answer" in alert(driver), 20),
              "when the daemon is gone the page says so", alert(driver))


def test_page_alarm(lab):
    """What the last boot could not put in force is a banner of its own, until a restore succeeds."""
    what = "the page's alarm in a browser"
    if browser_is_missing():
        skip(what, "chromium, chromium-driver or python3-selenium is not installed "
             "(make test-web installs them)")
        return
    lab.attach()
    server = Server(lab)
    with lab.near, browser(server.folder / "profile") as driver:
        driver.get(f"http://127.0.0.1:{PORT}/")
        demand(wait_for(lambda: shown(driver).get("all") is not None, 20), "the page shows no figures")
        check(not banner(driver), "without an alarm there is no banner", banner(driver))
        (STATE / "alarm").write_text(f"2026-01-02 03:04: <b>/{'long' * 20}/policy</b> cannot be restored: "
                                     "weir started WITHOUT SETTINGS\n")
        check(wait_for(lambda: "WITHOUT SETTINGS" in banner(driver), 20) and
              "long/policy</b>" in banner(driver),
              "the alarm of the last boot is a banner, as text and never markup", banner(driver))
        check(not alert(driver), "beside it the figures are told as fresh", alert(driver))
        for name in SHOTS:
            wider = shoot(driver, name, "alarm")
            check(wider <= 0, f"{name}: the banner does not stick out at {SHOTS[name][0]} pixels",
                  f"build/web-alarm-{name}.png")
        lab.near.run(WEIR, "restore", "-", text_in="limit set rate 1000pps\n")
        check(wait_for(lambda: not banner(driver), 20), "a restore that succeeds takes it away",
              banner(driver))
        console = list(driver.get_log("browser"))
        check(not console, "no word on the console", console or "empty")
    server.stop()


def banner(driver):
    """What the reader sees of it."""
    return driver.execute_script("return document.getElementById('alarm').innerText")


def alert(driver):
    return driver.execute_script("return document.getElementById('alert').textContent")


def compare_tables(lab, driver):
    def rows(table):
        return driver.execute_script("""
            return [...document.querySelectorAll(`#${arguments[0]} tbody tr`)].map(row =>
                [...row.cells].map(cell => cell.textContent));""", table)

    bans = lab.read("show", "bans")["bans"]
    demand(wait_for(lambda: len(rows("bans")) == len(lab.read("show", "bans")["bans"]) > 1, 15),
           f"bans: {rows('bans')} for {bans}")
    mine = [row for row in rows("bans") if row[0] == "203.0.113.0/25"]
    check(mine and mine[0][1] == "<b>\"quoted\" & marked</b>" and mine[0][2] == "operator",
          "a ban with its reason; a comment is text and never markup", mine)
    by_daemon = [row for row in rows("bans") if row[2] == "daemon"]
    check(len(by_daemon) == 6 and all("pps" in row[1] for row in by_daemon),
          "the daemon's bans with theirs", by_daemon[:1])
    check([row[0] for row in rows("budgets")] == ["game"] and
          [row[0] for row in rows("lists")] == ["bad"] and len(rows("tables")) == 4,
          "budgets, lists, tables", f"{rows('budgets')} {rows('lists')}")
    compare_rules(lab, rows)
    pills = driver.execute_script("return document.getElementById('devices').innerText")
    check("near0: native, attached" in pills and "daemon" in pills, "what is attached", pills)
    drawn = driver.execute_script("""
        return [...document.querySelectorAll("canvas")].map(canvas => {
            const at = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
            return at.filter((value, i) => i % 4 === 3 && value > 0).length; });""")
    check(min(drawn) > 1000, "both plots are drawn", f"{drawn} pixels")
    labels = driver.execute_script("""
        return [...document.querySelectorAll("canvas")].map(each => each.ariaLabel ||
            each.getAttribute("aria-label"));""")
    check("now" in labels[0] and "ban" in labels[1], "and told in words", labels[1])


def compare_rules(lab, rows):
    """The rates that the page shows are those of the counters over some rounds of its requests."""
    demand(wait_for(lambda: rows("rules") and all("\u2026" not in row[2] for row in rows("rules")), 12),
           f"no rates of drop rules: {rows('rules')}")
    shown = rows("rules")
    check([row[0] for row in shown] == ["query", "try", "hour"] and
          shown[1][1].endswith("; only counts") and shown[2][1].endswith("; above 500 packets/s; spares only proven sources") and
          "sport 53,123,389,1900,11211" in shown[2][1], "drop rules and what they match", shown)
    check(shown[0][5] == "stays" and shown[2][5] in ("60 min", "59 min", "1 h") and
          all(re.fullmatch(r"\d+ (s|min)", row[4]) for row in shown), "their age and their end",
          [row[4:] for row in shown])
    before, at = dropped_by(lab, "query"), time.monotonic()
    time.sleep(7)                       # two rounds and a little
    rate = (dropped_by(lab, "query") - before) / (time.monotonic() - at)
    shown = rows("rules")
    check(rate > 100 and 0.6 * rate < figure(shown[0][2]) < 1.6 * rate and shown[1][2] == "0" and
          shown[2][2] == "0", "what drop rules drop per second",
          f"{[row[:1] + row[2:4] for row in shown]}, {rate:.0f} by `drop show`")


def dropped_by(lab, name):
    return next(rule["packets"] for rule in lab.read("drop", "show")["rules"] if rule["name"] == name)


def figure(text):
    """As the page writes it: 980 or 1.23 k."""
    number, _, unit = text.partition(" ")
    return float(number) * {"": 1, "k": 1e3, "M": 1e6}[unit]


if __name__ == "__main__":
    run_tests(__name__)
