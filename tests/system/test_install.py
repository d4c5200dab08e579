# SPDX-License-Identifier: GPL-2.0-only
"""make install and make uninstall, into a folder; make dist; what scripts/setup and scripts/rights say
where something is missing."""
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

from stage import BUILD, ROOT, WEIR, check, demand, run, run_tests, skip

# What an operator has to find, below PREFIX or in /etc.
EXPECTED = """sbin/weir libexec/weir/restore share/man/man8/weir.8 share/man/man5/weir.conf.5
share/bash-completion/completions/weir lib/systemd/system/weir.service
lib/systemd/system/weir-restore.service lib/systemd/system/weir-attach@.service
lib/sysusers.d/weir.conf share/doc/weir/README.md share/doc/weir/NEWS share/doc/weir/LICENSE
share/doc/weir/docs/tutorial.md share/doc/weir/docs/guide.md share/doc/weir/examples/weir.yaml
share/doc/weir/examples/prometheus/weir-alerts.yml
share/doc/weir/examples/prometheus/prometheus.yml share/doc/weir/examples/grafana/weir.json""".split()
SETTINGS, WORDS = "etc/weir/weir.yaml", "etc/default/weir"


def make(target, folder, *words):
    """Without the variables of a `make test` that this may run in."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(["make", "--no-print-directory", "-C", ROOT, target, f"DESTDIR={folder}",
                           f"SAN={int(BUILD.name == 'san')}", *words], capture_output=True, text=True, env=env, check=False)
    demand(done.returncode == 0, f"make {target}: {done.stderr}")
    return done.stdout


def files_in(folder):
    return {str(path.relative_to(folder)) for path in pathlib.Path(folder).rglob("*")
            if not path.is_dir()}


def test_install(lab):
    del lab
    with tempfile.TemporaryDirectory() as folder:
        said = make("install", folder, "PREFIX=/usr")
        there = files_in(folder)
        missing = {f"usr/{name}" for name in EXPECTED} | {SETTINGS, WORDS}
        missing -= there
        check(not missing, "make install: everything is there", missing or f"{len(there)} files")
        check("systemd-sysusers" in said and "daemon-reload" in said,
              "with DESTDIR it says what is left to do", said.strip().splitlines()[-1])
        checked = run(WEIR, "daemon", "check", "config", f"{folder}/{SETTINGS}").out
        check("mode: judge" in checked, "the settings that it installs ban nothing", "mode: judge")
        words = re.findall("^WEIR_ATTACH=(.*)$", pathlib.Path(folder, WORDS).read_text(), re.M)
        unit = pathlib.Path(folder, "usr/lib/systemd/system/weir-attach@.service").read_text()
        default = re.findall("^Environment=WEIR_ATTACH=(.*)$", unit, re.M)
        check(words == default == ["monitor"] and "EnvironmentFile=-/etc/default/weir" in unit,
              "weir-attach@ begins in monitor mode, with its file and without", f"{words} {default}")
        check("ExecStart=/usr/sbin/weir attach" in unit, "the units name the installed program", "/usr")
        lost = [(page, link) for page in there if page.endswith(".md")
                for link in re.findall(r"\]\(([^)#:]+)[)#]", pathlib.Path(folder, page).read_text())
                if not pathlib.Path(folder, page).parent.joinpath(link).exists()]
        check(not lost, "the links between the documents hold", lost or "all")


def test_uninstall(lab):
    del lab
    with tempfile.TemporaryDirectory() as folder:
        make("install", folder)
        make("uninstall", folder)
        check(not files_in(folder) and not pathlib.Path(folder, "etc/weir").exists(),
              "make uninstall leaves nothing that is as it was installed", files_in(folder) or "no file")
        make("install", folder)
        settings, words = pathlib.Path(folder, SETTINGS), pathlib.Path(folder, WORDS)
        settings.write_text("mode: enforce\n")
        words.write_text("WEIR_ATTACH=\n")
        policy = pathlib.Path(folder, "etc/weir/policy")
        policy.write_text("limit set rate 10kpps\n")
        said = make("install", folder)
        check(settings.read_text() == "mode: enforce\n" and words.read_text() == "WEIR_ATTACH=\n" and
              f"{settings} stays" in said and f"{words} stays" in said,
              "make install again keeps the operator's settings, and says so",
              " / ".join(line for line in said.splitlines() if "stays" in line))
        said = make("uninstall", folder)
        left = files_in(folder)
        check(left == {SETTINGS, WORDS, "etc/weir/policy"} and
              all(f"{path} stays" in said for path in (settings, words, policy)),
              "make uninstall keeps what the operator changed, and says so", sorted(left))


def dist(tree, folder, **env):
    """The checksum of the tarball of a tree. `dirty`: a test may run before a commit."""
    done = run("sh", "-c", f"umask {env.pop('umask', '022')}; exec \"$@\"", "sh",
               f"{tree}/scripts/dist", "9.9", folder, "dirty", env=env)
    tarball = pathlib.Path(folder, "weir-9.9.tar.gz")
    digest = hashlib.sha256(tarball.read_bytes()).hexdigest()
    demand(digest in done.out, f"{done} does not say {digest}")
    return digest


def test_dist(lab):
    """The same bytes from a clone with any umask, and from the release itself, which has no git."""
    del lab
    with tempfile.TemporaryDirectory() as folder:
        first = dist(ROOT, f"{folder}/1")
        second = dist(ROOT, f"{folder}/2", umask="077", TZ="Asia/Kathmandu", LC_ALL="C.UTF-8")
        run("tar", "-C", folder, "-xzf", f"{folder}/1/weir-9.9.tar.gz")
        tree = pathlib.Path(folder, "weir-9.9")
        (tree / "build").mkdir()
        (tree / "build/weir").write_text("not a part of it")
        third = dist(tree, f"{folder}/3")
        check(first == second == third, "make dist: the same commit, the same bytes", first[:16])
        checked = run("sh", "-c", f"cd {folder}/1 && sha256sum -c SHA256SUMS")
        check("OK" in checked.out, "and a checksum", checked.out.strip())
        names = files_in(tree) - {"build/weir"}
        want = {"README.md", "NEWS", "LICENSE", "Makefile", "scripts/demo", "scripts/test", ".ci/run"}
        check(want <= names and not any("__pycache__" in name or name.startswith(".git/")
                                        for name in names),
              "it has what is committed", f"{len(names)} files")
        wrong = [name for name in names if (ROOT / name).read_bytes() != (tree / name).read_bytes() or
                 os.access(ROOT / name, os.X_OK) != os.access(tree / name, os.X_OK)]
        check(not wrong, "with its content and modes", wrong or "all the same")


def test_dist_refuses_what_is_not_committed(lab):
    del lab
    if not shutil.which("git"):
        skip("make dist packs a commit only", "git is not installed")
        return
    with tempfile.TemporaryDirectory() as folder:
        tree = pathlib.Path(folder, "tree")
        dist(ROOT, f"{folder}/1")
        run("tar", "-C", folder, "-xzf", f"{folder}/1/weir-9.9.tar.gz")
        os.rename(f"{folder}/weir-9.9", tree)
        git = ["git", "-C", tree, "-c", "user.name=a", "-c", "user.email=a@example.org"]
        run(*git, "init", "-q")
        run(*git, "add", "-A")
        run(*git, "commit", "-q", "-m", "all")
        clean = run(tree / "scripts/dist", "9.9", f"{folder}/2", expect=None)
        (tree / "stray.c").write_text("int i;\n")
        done = run(tree / "scripts/dist", "9.9", f"{folder}/3", expect=None)
        check(clean.status == 0 and done.status == 1 and "stray.c" in done.err and
              not os.path.exists(f"{folder}/3/weir-9.9.tar.gz"),
              "make dist packs a commit only, and names what is not in it", done)


def refused(what, words, *command, **options):
    """A command fails, and names what is missing and what to do."""
    done = run(*command, expect=None, **options)
    lacks = [word for word in words if word not in done.err]
    check(done.status == 1 and not lacks, what, f"without {lacks}: {done}" if lacks else done)


def test_rights(lab):
    del lab
    rights = ROOT / "scripts/rights"
    done = run(rights, "this test", expect=None)
    check(done.status == 0 and not done.out + done.err, "rights: all are here", done)
    bound = ("setpriv", "--bounding-set=-sys_admin,-bpf", "--inh-caps=-all")
    refused("rights: capabilities are named", ("the demo", "CAP_SYS_ADMIN CAP_BPF", "--privileged"),
            *bound, rights, "the demo")
    refused("and the tests ask for them", ("datapath or system", "CAP_BPF", "scripts/test unit"),
            *bound, ROOT / "scripts/run-tests", "datapath")
    refused("rights: root", ("needs root", "sudo"), "setpriv", "--reuid=65534", "--clear-groups",
            "bash", "-s", "the demo", text_in=rights.read_text())


def test_rights_in_a_chroot(lab):
    """Its root is a folder on a file system, and no mount point. This mount namespace is the test's."""
    del lab
    with tempfile.TemporaryDirectory() as folder:
        run("mount", "-t", "tmpfs", "tmpfs", folder)
        root = pathlib.Path(folder, "root")
        for name in ("bin", "sbin", "lib", "lib64", "usr", "proc", "sys", "dev"):
            if not os.path.isdir(f"/{name}"):
                continue
            (root / name).mkdir(parents=True)
            run("mount", "--rbind", f"/{name}", root / name)
        shutil.copy(ROOT / "scripts/rights", root / "rights")
        refused("rights: a plain chroot is named", ("plain chroot", "mount --bind"),
                "chroot", root, "/rights", "the demo")
        run("umount", "--lazy", folder)


def test_setup_says_what_is_missing(lab):
    del lab
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        folder = pathlib.Path(folder)
        shutil.copy(ROOT / "scripts/setup", folder / "setup")
        nothing = folder / "nothing"
        nothing.mkdir()
        (nothing / "dpkg-query").write_text("#!/bin/sh\nexit 1\n")     # knows no package
        (nothing / "apt-get").write_text("#!/bin/sh\nexit 1\n")
        for path in nothing.iterdir():
            path.chmod(0o755)
        refused("setup: only root can install", ("clang", "libxdp-dev", "sudo scripts/setup demo"),
                "setpriv", "--reuid=65534", "--clear-groups", folder / "setup", "demo",
                env={"PATH": f"{nothing}:{os.environ['PATH']}"})
        alone = folder / "alone"
        alone.mkdir()
        for name in ("bash", "env"):
            (alone / name).symlink_to(shutil.which(name))
        refused("setup: without apt", ("no apt-get", "clang", "<xdp/libxdp.h>", "hacking.md"),
                folder / "setup", "demo", env={"PATH": str(alone)})
        done = run(folder / "setup", "nonsense", expect=None)
        check(done.status == 2 and "demo, build, kernels" in done.err, "setup: an unknown group", done)


run_tests(__name__)
