# SPDX-License-Identifier: Apache-2.0
"""The Debian packages of a build folder, and the service manager's part in a machine that has none."""
import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("TACIT_BUILD", ROOT / "build/release"))
UNIT = ROOT / "deploy/tacitd.service"


def make_packages(folder):
    """Builds both packages into `folder`, or takes those that are in $TACIT_PACKAGES: {name: path}."""
    if "TACIT_PACKAGES" in os.environ:
        return {path.name.split("_")[0]: path for path in sorted(Path(os.environ["TACIT_PACKAGES"]).glob("*.deb"))}
    for command in (["cmake", "--build", BUILD, "--target", "package_files"],
                    ["cpack", "--config", BUILD / "CPackConfig.cmake", "-B", folder]):
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    return {path.name.split("_")[0]: path for path in sorted(Path(folder).glob("*.deb"))}


def unit_settings():
    """{section: {key: [values]}} of the unit."""
    settings = {}
    for line in UNIT.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section = settings.setdefault(line.strip("[]"), {})
        elif line and not line.startswith("#"):
            key, _, value = line.partition("=")
            section.setdefault(key, []).append(value)
    return settings


# What systemctl does for tacitd, as the unit says, in a machine without systemd: its user, no capabilities, its limits.
SYSTEMCTL = """#!/bin/bash
set -euo pipefail
# A process that nobody has waited for is not alive.
alive() { [[ -e /proc/$1 ]] && ! grep -q '^State:.*Z' "/proc/$1/status"; }
case "$1" in
  start | restart)
    if [[ $1 == restart ]]; then "$0" stop tacitd; fi
    ls /var/lib/tacit/models/*.tacit >/dev/null
    cd /
    umask 0077
    setsid setpriv --reuid @USER@ --regid @GROUP@ --clear-groups --no-new-privs --bounding-set -all --inh-caps -all \\
      @EXEC@ >>/run/tacitd.log 2>&1 </dev/null &
    echo $! >/run/tacitd.pid
    for _ in $(seq 600); do
      if curl -sf http://127.0.0.1:8080/v2/health/ready >/dev/null; then exit 0; fi
      alive "$(cat /run/tacitd.pid)" || { tail -n 3 /run/tacitd.log >&2; exit 1; }
      sleep 0.1
    done
    exit 1 ;;
  stop)
    pid=$(cat /run/tacitd.pid)
    kill -TERM "$pid"
    for _ in $(seq 300); do
      if ! alive "$pid"; then
        rm /run/tacitd.pid
        exit 0
      fi
      sleep 0.1
    done
    exit 1 ;;
  reload) kill -HUP "$(cat /run/tacitd.pid)" ;;
  status) alive "$(cat /run/tacitd.pid)" ;;
  daemon-reload) ;;
  *) exec /usr/bin/systemctl "$@" ;;  # what works without a running systemd
esac
"""


def systemctl():
    service = unit_settings()["Service"]
    text = SYSTEMCTL
    for name, value in (("USER", service["User"]), ("GROUP", service["Group"]), ("EXEC", service["ExecStart"])):
        text = text.replace(f"@{name}@", value[0])
    return text
