# SPDX-License-Identifier: GPL-2.0-only
"""The man pages agree with the tool: each command, word for word, and each key of its JSON."""
import re
import shutil
import tempfile

from stage import FAR4, NEAR4, ROOT, STATE, WEIR, check, run, run_tests, skip

MAN = ROOT / "packaging/man"


def commands_of_the_tool():
    """The commands that `weir help all` lists, a line each."""
    found = []
    for line in run(WEIR, "help", "all").out.splitlines():
        if line.startswith("  weir ") and " = " not in line:
            found.append(line.strip())
        elif re.match(" {10}[^ ]", line):
            found[-1] += f" {line.strip()}"
    return found


def commands_of_the_page():
    """The commands of the man page, each with the text below it."""
    found, command = {}, None
    for line in (MAN / "weir.8.scd").read_text().splitlines():
        if line.startswith("*weir ") and not line.startswith("*weir*"):
            command = line.replace("*", "").replace("\\", "").strip()
            found[command] = ""
        elif line.startswith("\t") and command:
            found[command] += line.strip() + " "
        elif line.startswith("#"):
            command = None
    return found


def test_commands(lab):
    tool, page = commands_of_the_tool(), commands_of_the_page()
    lacking = [command for command in tool if command not in page]
    idle = [command for command in page if command not in tool]
    check(not lacking and len(tool) > 30, "every command stands in weir(8), word for word",
          f"packaging/man/weir.8.scd lacks: {'; '.join(lacking)}" if lacking else f"{len(tool)}")
    check(not idle, "weir(8) has no command that the tool lacks", "; ".join(idle) or f"{len(page)}")
    empty = [command for command, text in page.items() if not text.strip()]
    check(not empty, "each is explained", "; ".join(empty) or f"{len(page)}")


def reasons_of_the_abi(lab):
    return [reason["reason"] for reason in lab.read("show", "stats")["devices"][0]["reasons"]]


def keys_of(value):
    if isinstance(value, dict):
        return set(value) | {key for each in value.values() for key in keys_of(each)}
    if isinstance(value, list):
        return {key for each in value for key in keys_of(each)}
    return set()


def fill(lab, folder):
    """Makes settings and traffic of each kind, so that every key appears."""
    path = f"{folder}/list"
    for text in ("203.0.113.0/24\n", "203.0.113.0/25\n"):
        with open(path, "w") as file:
            file.write(text)
        lab.weir("list", "load", "drop", "file", path)
    lab.weir("limit", "set", "rate", "1/h", "burst", 2)
    lab.weir("budget", "set", "web", "rate", "1000pps")
    lab.weir("dns", "protect", "always", "force")
    lab.weir("limit", "set", "icmp", "rate", "1000pps")
    lab.weir("drop", "add", "a", "sport", 123, "ttl", "10m")
    lab.weir("allow", "add", "192.0.2.77")
    lab.weir("block", "add", "198.51.100.1", "ttl", "10m")
    lab.attach("try", "60s")
    lab.flood("to", NEAR4, "from", f"{FAR4}/32", "count", 50, "pps", 1000)


def test_json(lab):
    with tempfile.TemporaryDirectory() as folder:
        fill(lab, folder)
    page = {" ".join(command.split()[1:3]): text for command, text in commands_of_the_page().items()}
    lacking, checked = [], 0
    (STATE / "incidents").mkdir(mode=0o700)
    seed = ROOT / "tests/fuzz/seeds/incident/ended.json"
    (STATE / "incidents/12.json").write_bytes(seed.read_bytes())
    ping = lab.spawn(lab.far, ["ping", "-q", "-i", "0.05", NEAR4])
    for words in ("limit show", "budget show", "known show", "allow show", "allow test 192.0.2.77",
                  "block show", "block test 198.51.100.1", "dns show", "drop show", "list show",
                  "list diff drop",
                  f"check {FAR4}", "show status", "show stats rates", "show reasons", "show sources",
                  "show sources all seconds 1", "suggest seconds 5", "explain seconds 1",
                  "doctor", "incidents", "incidents 12"):
        name = " ".join(words.split()[:2])
        text = page.get(name) or next(value for key, value in page.items()
                                      if key.split()[0] == words.split()[0])
        keys = keys_of(lab.read(*words.split()))
        checked += len(keys)
        lacking += [f"{name}: {key}" for key in sorted(keys) if f'"{key}"' not in text]
    ping.terminate()
    check(not lacking and checked > 60, "every key of the JSON is documented",
          "; ".join(lacking) or f"{checked} keys of 22 commands")
    text = (MAN / "weir.8.scd").read_text()
    lacking = [reason for reason in reasons_of_the_abi(lab) if f"*{reason}*" not in text]
    check(not lacking, "every reason of the ABI is named", "; ".join(lacking) or "all")


def test_reasons(lab):
    """The text of each reason is the tool's, word for word."""
    page = " ".join(re.sub(r"[*\\\\]", "", (MAN / "weir.8.scd").read_text()).split())
    lacking = []
    for each in lab.read("show", "reasons")["reasons"]:
        texts = [each[key].replace("`", "") for key in ("meaning", "remedy", "more")]
        if any(text not in page for text in texts if text != "Nothing."):
            lacking.append(each["reason"])
    check(not lacking, "what weir(8) says of reasons is what `weir show reasons` says",
          ", ".join(lacking) or "all")


def keys_of_settings(value, above=""):
    for key, each in value.items():
        if isinstance(each, dict):
            yield from keys_of_settings(each, f"{above}{key}.")
        elif not isinstance(each, list):
            yield above + key


def test_settings(lab):
    page = (MAN / "weir.conf.5.scd").read_text()
    named = set(re.findall(r"^\*([a-z_.]+)\*$", page.replace("\\_", "_"), re.MULTILINE))
    with tempfile.NamedTemporaryFile("w") as file:
        example = page.split("```")[1] + "\n"
        file.write(example.replace("/var/lib/blocklists/drop.txt", "/tmp/x"))
        file.flush()
        value = lab.read("daemon", "check", "config", file.name)
    known = set(keys_of_settings(value))
    for each in value["lists"]["load"]:
        known |= {f"lists.load.{key}" for key in each}
    check(known == named and len(known) > 20, "weir.conf(5) has every key, and none that is not",
          ", ".join(sorted(known ^ named)) or f"{len(known)} keys")
    shipped = lab.weir("daemon", "check", "config", ROOT / "packaging/systemd/weir.yaml")
    check("mode: judge" in shipped.out, "the settings file that is shipped is right", "mode: judge")


def test_pages_build(lab):
    if not shutil.which("scdoc"):
        skip("man pages build", "scdoc is not installed")
        return
    for source in sorted(MAN.glob("*.scd")):
        with tempfile.NamedTemporaryFile("w", suffix=source.suffixes[0]) as page:
            done = run("sh", "-c", f"scdoc < {source}")
            page.write(done.out)
            page.flush()
            said = run("sh", "-c", f"MANWIDTH=80 man --warnings -l {page.name} 2>&1 >/dev/null").out
            text = run("sh", "-c", f"MANWIDTH=80 man -l {page.name} 2>/dev/null").out
            check(not done.err and not said.strip() and len(text.splitlines()) > 50,
                  f"{source.stem} builds without a warning",
                  said.strip() or f"{len(text.splitlines())} lines")
            if shutil.which("mandoc"):
                said = run("mandoc", "-T", "lint", "-W", "error", page.name, expect=None).out
                check(not said, f"{source.stem}: mandoc finds no error", said or "none")


run_tests(__name__)
