#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The disk fills up under load, again and again: nothing acknowledged is lost, reads go on, and the server recovers by itself
when there is room.

    disk_full_test.py [ROUNDS [SEED]]     default 100

The state folder is on a file system of 64 MiB in memory (needs root). A file takes the room away, all of it or all but some
kilobytes, for a second of load; then it goes, and everything that was acknowledged is asked for from the same process."""
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from check import Check
from client import Client
from ledger import Job, Ledger
from recording import BIN, Service, prepare
from workload import SETTINGS, arguments, load

MEBIBYTES = 64


def fill(path, leave):
    """Takes all room but `leave` bytes."""
    free = os.statvfs(path.parent)
    size = max(free.f_bavail * free.f_frsize - leave, 0)
    with open(path, "wb") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, size)
        except OSError:
            pass


def main():
    if os.geteuid() != 0:
        print("skipped: mounting a small file system needs root")
        return 0
    rounds, seed = arguments(100)
    print(f"seed {seed}, {rounds} rounds", flush=True)
    rng = random.Random(seed)
    failures, refused = [], 0
    with tempfile.TemporaryDirectory(prefix="tacit-full-") as name:
        folder = Path(name)
        recordings = prepare(folder)
        disk = folder / "disk"
        disk.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={MEBIBYTES}m", "tmpfs", disk])
        if mounted.returncode != 0:
            print("skipped: no file system can be mounted here")
            return 0
        settings = SETTINGS | {"log.level": "off"}
        try:
            ledger = Ledger(disk / "state", recordings).begin()
            with Service(BIN / "tacitd", folder / "models", disk / "state", folder / "log", settings) as service:
                Check(service.port, ledger).run()  # uploads the keys
                for round_ in range(rounds):
                    fill(disk / "filler", rng.choice((0, 0, rng.randrange(4096, 400_000))))
                    problems = []
                    with load(service, ledger, rng, problems):
                        time.sleep(0.7)
                    # Reads go on without room.
                    client = Client(service.port, ledger.token)
                    for path in ("/v2/health/live", "/v2/jobs", f"/v2/keys/{recordings.tiny.key_id}"):
                        status = client.ask("GET", path)[0]
                        if status != 200:
                            problems.append(f"GET {path} without room: {status}")
                    probe = Job(f"probe-{round_}", recordings.tiny)
                    refused += client.submit(probe.recording, probe.key)[0] == 507
                    ledger.put("jobs", probe.key, probe)
                    client.close()
                    (disk / "filler").unlink()
                    if service.process.poll() is not None:
                        failures.append(f"round {round_}: the server ended with {service.process.returncode}")
                        service.start()
                    problems += Check(service.port, ledger, rng.random()).run()
                    for problem in problems:
                        failures.append(f"round {round_}: {problem}")
                        print(failures[-1], flush=True)
                    if round_ % 20 == 19:
                        print(f"{round_ + 1} rounds, {ledger.acknowledged} acknowledgements, {refused} probes refused with "
                              f"507, {len(failures)} failures", flush=True)
            # Bytes whose row found no room may be left; the next start removes them.
            with service:
                problems = Check(service.port, ledger, rng.random()).run()
            found = subprocess.run([BIN / "tacitd", "check", "--state", disk / "state"], capture_output=True, text=True)
            if found.returncode != 0 or problems:
                failures.append(f"after a restart: {problems} {found.stdout}{found.stderr}")
        finally:
            subprocess.run(["umount", disk])
    for failure in failures:
        print(failure)
    print(f"{rounds} rounds, {ledger.acknowledged} acknowledgements, {refused} probes refused with 507, "
          f"{len(failures)} failures")
    return 1 if failures or refused == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
