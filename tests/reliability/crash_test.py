#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""kill -9 under load, again and again, on one state folder: nothing that was acknowledged may be lost, doubled or left over.

    crash_test.py [ROUNDS [SEED]]     default 200

Every other round the process is killed at a random moment; in the others at the n-th call at a named point (fault_shim.cpp),
each point in turn. After each round the server is started again without faults and asked for everything it acknowledged: keys,
parts of an upload, jobs and the inputs of their rounds, results, tokens, and the audit log's lines about them; what was begun is
brought to its end. `tacitd check` must find nothing wrong."""
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from check import Check
from ledger import Ledger
from recording import BIN, Service, prepare
from workload import SETTINGS, arguments, load

CALLS = {
    "piece": ("open", "write", "fsync", "rename"),
    "part": ("open", "write", "fsync", "rename", "unlink"),
    "input": ("open", "write", "fsync", "rename", "unlink"),
    "result": ("open", "write", "fsync", "rename", "unlink"),
    "database": ("write", "fsync"),
    "journal": ("open", "write", "fsync", "truncate"),
    "folder": ("fsync",),
    "audit": ("write", "fsync"),
}
POINTS = [f"{call}.{file}.{when}" for file, calls in CALLS.items() for call in calls for when in ("before", "after")]
# Pieces are written by the first upload only, and removed with their set: these rounds begin with an empty folder.
FRESH = ("piece",)
# Few calls are made at these, and a round is short.
RARE = ("part",)


def main():
    rounds, seed = arguments(200)
    print(f"seed {seed}, {rounds} rounds, {len(POINTS)} named points", flush=True)
    rng = random.Random(seed)
    shim = os.environ["TACIT_FAULT_SHIM"]
    struck, acknowledged, failures = set(), 0, []
    with tempfile.TemporaryDirectory(prefix="tacit-crash-") as name:
        folder = Path(name)
        recordings = prepare(folder)
        state, states = folder / "state-0", 1
        ledger = Ledger(state, recordings).begin()
        for round_ in range(rounds):
            point = POINTS[(round_ // 2) % len(POINTS)] if round_ % 2 else None
            if point and point.split(".")[1] in FRESH:
                state = folder / f"state-{states}"
                states += 1
                ledger = Ledger(state, recordings).begin()
            service = Service(BIN / "tacitd", folder / "models", state, folder / "log", SETTINGS)
            if point:
                plan = folder / "plan"
                plan.unlink(missing_ok=True)
                service.environment |= {"LD_PRELOAD": shim, "TACIT_FAULT_PLAN": str(plan)}
            service.start()
            if point:
                number = rng.randint(1, 2 if point.split(".")[1] in RARE else 6)
                (folder / "plan.new").write_text(f"{point}:{number}:kill")
                (folder / "plan.new").rename(plan)
            problems = []
            before = ledger.acknowledged
            with load(service, ledger, rng, problems):
                deadline = time.monotonic() + (3 if point else rng.uniform(0.05, 1.2))
                while time.monotonic() < deadline and service.process.poll() is None:
                    time.sleep(0.01)
                if service.process.poll() is None:
                    service.process.kill()
                elif point:
                    struck.add(point)
            service.process.wait()
            acknowledged += ledger.acknowledged - before

            service = Service(BIN / "tacitd", folder / "models", state, folder / "log", SETTINGS)
            service.start()
            problems += Check(service.port, ledger, rng.random()).run()
            service.stop()
            found = subprocess.run([BIN / "tacitd", "check", "--state", state], capture_output=True, text=True)
            if found.returncode != 0:
                problems.append(f"tacitd check: {found.stdout}{found.stderr}")
            for problem in problems:
                failures.append(f"round {round_} ({point or 'random'}): {problem}")
                print(failures[-1], flush=True)
            if round_ % 20 == 19:
                print(f"{round_ + 1} rounds, {acknowledged} acknowledgements, {len(struck)} points struck, "
                      f"{len(failures)} failures", flush=True)
    missed = sorted(set(POINTS[:max(rounds // 2, 1)]) - struck)
    print(f"{rounds} rounds, {acknowledged} acknowledgements, {len(struck)} of {len(POINTS)} named points struck, "
          f"{len(failures)} lost, doubled or left over")
    if missed:
        print("never reached: " + ", ".join(missed))
    return 1 if failures or (rounds >= 200 and len(struck) < 25) else 0


if __name__ == "__main__":
    sys.exit(main())
