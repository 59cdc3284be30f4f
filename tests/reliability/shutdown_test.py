#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""SIGTERM under load, again and again, on one state folder: the server ends by itself with exit code 0, and at its next start
everything that it had acknowledged is there, jobs that ran included.

    shutdown_test.py [ROUNDS [SEED]]     default 100

The longest times to end and to be ready again are printed; to be asked for are 10 s and 5 s."""
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


def main():
    rounds, seed = arguments(100)
    print(f"seed {seed}, {rounds} rounds", flush=True)
    rng = random.Random(seed)
    failures, ends, starts, acknowledged = [], [], [], 0
    with tempfile.TemporaryDirectory(prefix="tacit-shutdown-") as name:
        folder = Path(name)
        ledger = Ledger(folder / "state", prepare(folder)).begin()
        for round_ in range(rounds):
            service = Service(BIN / "tacitd", folder / "models", folder / "state", folder / "log", SETTINGS)
            began = time.monotonic()
            service.start()
            starts.append(time.monotonic() - began)
            problems = Check(service.port, ledger, rng.random()).run() if round_ else []
            before = ledger.acknowledged
            with load(service, ledger, rng, problems):
                time.sleep(rng.uniform(0.05, 1.2))
                service.process.terminate()
                began = time.monotonic()
                try:
                    code = service.process.wait(60)
                except subprocess.TimeoutExpired:
                    service.process.kill()
                    code = "none within a minute"
                ends.append(time.monotonic() - began)
            acknowledged += ledger.acknowledged - before
            if code != 0:
                problems.append(f"exit code {code}: {service.last_words()}")
            for problem in problems:
                failures.append(f"round {round_}: {problem}")
                print(failures[-1], flush=True)
        with Service(BIN / "tacitd", folder / "models", folder / "state", folder / "log", SETTINGS) as service:
            failures += Check(service.port, ledger, rng.random()).run()
    print(f"{rounds} rounds, {acknowledged} acknowledgements: ends within {max(ends):.1f} s, ready again within "
          f"{max(starts):.1f} s, {len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
