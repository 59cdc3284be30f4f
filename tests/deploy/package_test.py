#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The Debian packages: what is in them, and their life from installation to purging, in a machine of their own."""
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))
from machine import Machine, needs_root
from packages import ROOT, make_packages, systemctl, unit_settings
from support import TacitTest

STATE, MODELS = "/var/lib/tacit/state", "/var/lib/tacit/models"


class Packages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="tacit-packages-")
        cls.addClassCleanup(folder.cleanup)
        cls.packages = make_packages(folder.name)

    def field(self, package, name):
        return subprocess.run(["dpkg-deb", "--field", str(self.packages[package]), name], capture_output=True, text=True,
                              check=True).stdout.strip()

    def test_there_are_two(self):
        self.assertEqual(sorted(self.packages), ["tacit", "tacitd"])

    def test_contents(self):
        wanted = {
            "tacit": {"./usr/bin/tacit": "-rwxr-xr-x root/root", "./usr/share/man/man1/tacit.1.gz": "-rw-r--r-- root/root",
                      "./usr/share/doc/tacit/copyright": "-rw-r--r-- root/root"},
            "tacitd": {"./usr/sbin/tacitd": "-rwxr-xr-x root/root", "./lib/systemd/system/tacitd.service":
                       "-rw-r--r-- root/root", "./etc/tacit/tacitd.toml": "-rw-r--r-- root/root",
                       "./usr/share/man/man8/tacitd.8.gz": "-rw-r--r-- root/root",
                       **{f"./usr/share/doc/tacitd/{file}": "-rw-r--r-- root/root" for file in (
                           "operating.md", "monitoring.md", "nginx.conf", "prometheus/alerts.yml", "grafana/tacitd.json",
                           "protocol/rest.md", "protocol/errors.md")}}}
        for package, files in wanted.items():
            listing = subprocess.run(["dpkg-deb", "--contents", str(self.packages[package])], capture_output=True,
                                     text=True, check=True).stdout
            entries = {fields[5]: " ".join(fields[:2]) for fields in (line.split() for line in listing.splitlines())}
            for path, owner in files.items():
                self.assertEqual(entries.get(path), owner, f"{path} in {package}")
            self.assertNotIn("./var/lib/tacit/", entries)

    def test_links_of_pages_lead_to_what_is_installed(self):
        with tempfile.TemporaryDirectory(prefix="tacit-installed-") as name:
            root = Path(name)
            for package in self.packages.values():
                subprocess.run(["dpkg-deb", "--extract", str(package), name], check=True)
            pages = sorted(root.glob("usr/share/doc/**/*.md"))
            self.assertGreater(len(pages), 10)
            links = 0
            for page in pages:
                text = page.read_text(encoding="utf-8")
                for target in re.findall(r"\]\(([^)#\s]+)", text):
                    if "://" in target:
                        continue
                    links += 1
                    self.assertTrue((page.parent / target).is_file(), f"{page.relative_to(root)} links to {target}")
                # What a page names under there is there, too.
                for path in re.findall(r"/usr/share/doc/[\w./-]*\w", text):
                    self.assertTrue((root / path[1:]).exists(), f"{page.relative_to(root)} names {path}")
            self.assertGreater(links, 30)

    def test_dependencies_are_those_of_the_programs(self):
        for package in self.packages:
            depends = self.field(package, "Depends")
            for library in ("libc6", "libstdc++6", "libsodium23", "libtbb12"):
                self.assertRegex(depends, rf"\b{library.replace('+', '[+]')}( |$|,)", package)
        self.assertIn("adduser", self.field("tacitd", "Depends"))
        self.assertNotIn("libcurl", self.field("tacitd", "Depends"))

    def test_lintian_finds_no_error(self):
        if not shutil.which("lintian"):
            self.skipTest("lintian is not here")
        # A program of no distribution has no bug that asked for it.
        done = subprocess.run(["lintian", "--fail-on", "error", "--suppress-tags", "initial-upload-closes-no-bugs",
                               "--allow-root", *map(str, self.packages.values())], capture_output=True, text=True)
        print(done.stdout, file=sys.stderr)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


class Life(TacitTest):
    @classmethod
    def setUpClass(cls):
        needs_root()
        super().setUpClass()
        cls.packages = make_packages(cls.folder / "packages")
        cls.machine = Machine()
        cls.machine.start()
        cls.addClassCleanup(cls.machine.stop)
        cls.machine.run("! dpkg-query -W tacitd 2>/dev/null && ! id _tacitd 2>/dev/null")
        for package in cls.packages.values():
            cls.machine.write(f"/tmp/{package.name}", package.read_bytes())
        cls.deb = f"/tmp/{cls.packages['tacitd'].name}"

    def assert_stat(self, path, expected):
        self.assertEqual(self.machine.run(f"stat -c '%U:%G %a' {path}").strip(), expected, path)

    def install(self):
        said = self.machine.run("dpkg -i /tmp/tacit_*.deb /tmp/tacitd_*.deb")
        self.assertNotRegex(said, r"(?i)error|warning|cannot|failed")

    def test_1_installs(self):
        self.install()
        self.assertRegex(self.machine.run("getent passwd _tacitd"),
                         r"^_tacitd:x:\d{3}:\d{3}:Tacit server(,,,)?:/nonexistent:/usr/sbin/nologin$")
        self.assert_stat("/var/lib/tacit", "root:root 755")
        self.assert_stat(MODELS, "root:_tacitd 750")
        self.assert_stat(STATE, "_tacitd:_tacitd 700")
        self.assertIn("/etc/tacit/tacitd.toml", self.machine.run("dpkg-query -W -f '${Conffiles}' tacitd"))
        self.machine.run("test -L /etc/systemd/system/multi-user.target.wants/tacitd.service")
        self.machine.run("tacitd --config /etc/tacit/tacitd.toml --check-config && tacit --version && tacitd --version")
        self.assertEqual(self.machine.run("dpkg --audit && dpkg --verify tacit tacitd"), "")

    def test_2_the_unit_and_the_pages_are_sound(self):
        self.machine.run("man --warnings -E UTF-8 -l -Tutf8 -Z /usr/share/man/man1/tacit.1.gz >/dev/null; "
                         "man -l /usr/share/man/man8/tacitd.8.gz | grep -q 'tacitd token create'")
        if not shutil.which("systemd-analyze"):
            self.skipTest("systemd-analyze is not here")
        said = self.machine.run("systemd-analyze verify --man=no tacitd.service 2>&1 || true")
        self.assertNotIn("tacitd", said)

    def test_3_serves_as_its_user(self):
        self.machine.write("/usr/local/sbin/systemctl", systemctl(), 0o755)
        self.addCleanup(self.machine.run, "rm /usr/local/sbin/systemctl")
        self.machine.run("systemctl start tacitd", expect=2)  # there is no model: ls says so
        self.machine.write(f"{MODELS}/tiny.tacit", (self.models / "tiny.tacit").read_bytes())
        token = self.machine.run(f"runuser -u _tacitd -- tacitd token create --state {STATE} --tenant clinic 2>/dev/null").strip()
        self.machine.run("systemctl start tacitd")
        status = self.machine.run("cat /proc/$(cat /run/tacitd.pid)/status")
        uid = self.machine.run("id -u _tacitd").strip()
        self.assertRegex(status, rf"Uid:\t{uid}\t{uid}\t{uid}\t{uid}\n")
        for line in (r"CapEff:\t0+\n", r"CapBnd:\t0+\n", r"NoNewPrivs:\t1\n"):
            self.assertRegex(status, line)
        ask = "curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:8080/v2/models"
        self.assertEqual(self.machine.run(ask), "401")
        self.assertEqual(self.machine.run(f"{ask} -H 'Authorization: Bearer {token}'"), "200")
        self.machine.run("systemctl reload tacitd && sleep 0.2 && systemctl status tacitd")
        # It can write its state and nothing else of ours.
        for place in (MODELS, "/etc/tacit", "/var/lib/tacit"):
            self.machine.run(f"! runuser -u _tacitd -- touch {place}/x 2>/dev/null")
        self.machine.run("systemctl stop tacitd")
        self.assertIn("is whole", self.machine.run(f"runuser -u _tacitd -- tacitd check --state {STATE}"))
        self.assertEqual(self.machine.run(f"find {STATE} ! -user _tacitd -o -perm /077 -type f"), "")

    def test_3_works_as_in_the_container(self):
        """Read-only root, the state a volume, reachable from outside: Dockerfile and compose.yaml."""
        self.machine.write(f"{MODELS}/tiny.tacit", (self.models / "tiny.tacit").read_bytes())
        self.machine.write("/usr/local/bin/tacitd-healthcheck", (ROOT / "deploy/healthcheck").read_bytes(), 0o755)
        as_user = "setpriv --reuid _tacitd --regid _tacitd --clear-groups --no-new-privs --bounding-set -all --inh-caps -all"
        self.machine.write("/root/container", f"""set -euo pipefail
mount -t tmpfs -o uid=$(id -u _tacitd),gid=$(id -g _tacitd),mode=700 tmpfs {STATE}
mount -o remount,ro,bind /
if touch /x /var/lib/tacit/x 2>/dev/null; then exit 1; fi
export TACITD_SERVER_LISTEN=0.0.0.0:8080
if {as_user} tacitd --config /etc/tacit/tacitd.toml 2>/run/refused; then exit 1; fi
grep -q 'there is no token yet' /run/refused
{as_user} tacitd token create --state {STATE} --tenant clinic >/run/token 2>/dev/null
{as_user} tacitd --config /etc/tacit/tacitd.toml 2>/run/container.log &
for _ in $(seq 100); do
  if {as_user} tacitd-healthcheck 8080 2>/dev/null; then echo healthy; kill $!; wait $!; exit; fi
  sleep 0.1
done
cat /run/container.log
exit 1
""")
        self.assertIn("healthy", self.machine.run("unshare --mount bash /root/container", timeout=120))

    def test_4_an_upgrade_keeps_what_people_changed(self):
        self.machine.run("echo '# mine' >> /etc/tacit/tacitd.toml; systemctl --quiet disable tacitd.service; "
                         f"chmod 0710 {MODELS}")
        self.machine.run(f"dpkg -i --force-confdef --force-confold {self.deb}")
        self.assertIn("# mine", self.machine.run("cat /etc/tacit/tacitd.toml"))
        self.assert_stat(MODELS, "root:_tacitd 710")
        self.machine.run("test ! -e /etc/systemd/system/multi-user.target.wants/tacitd.service")
        self.machine.run(f"test -s {STATE}/tacit.db")

    def test_5_removal_keeps_data_and_purging_takes_them(self):
        self.machine.run("dpkg --remove tacitd")
        self.machine.run(f"test ! -e /usr/sbin/tacitd && test -s {STATE}/tacit.db && test -s /etc/tacit/tacitd.toml")
        said = self.machine.run("dpkg --purge tacitd")
        self.assertNotRegex(said, r"(?i)error|warning|cannot")
        self.machine.run(f"test ! -e {STATE} && test ! -e /etc/tacit && test -s {MODELS}/tiny.tacit")
        self.machine.run("test -z \"$(find /etc/systemd /var/lib/systemd -name '*tacitd*')\"")
        self.machine.run(f"rm {MODELS}/tiny.tacit")

    def test_6_installs_again_and_leaves_nothing(self):
        self.install()
        self.machine.run("dpkg --purge tacit tacitd")
        self.machine.run("test ! -e /var/lib/tacit && test ! -e /etc/tacit && test -z \"$(dpkg --audit)\"")


class Unit(unittest.TestCase):
    def test_paths_of_unit_and_configuration_agree(self):
        service = unit_settings()["Service"]
        self.assertEqual(service["StateDirectory"], ["tacit/state"])
        self.assertEqual(service["ExecStart"], ["/usr/sbin/tacitd --config /etc/tacit/tacitd.toml"])


if __name__ == "__main__":
    unittest.main()
