#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What the service costs beside the bare execution, and what it does with ten times more load than it can bear.

    load_test.py [--cryptonets PACKAGE] [--seconds N] [--overload-seconds N] [--soak-seconds N]

Requests come from `wrk`, and for the overload from Python. Without a package the CryptoNets model is compiled with the images of the tests.
1. Overhead: latency at one client against the time in which the network runs (parameters.compute_ms of the answers).
2. Busy: the processor time of tacitd at eight clients, as a share of all cores.
3. Overload: eighty clients on a line of eight places; how long refusals take, and whether what was taken is finished.
4. Soak: the workload of the crash test, without crashes: errors, and whether memory grows after the first fifth."""
import argparse
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from check import Check
from client import Client
from ledger import Ledger
from recording import BIN, ROOT, Proxy, Service, prepare, tacit
from workload import SETTINGS, load

CORES = len(os.sched_getaffinity(0))
MOST_GROWTH = 1.05  # of the memory in the soak, from one half to the next


def record(folder, package):
    """One prediction of CryptoNets as a client sends it."""
    models = folder / "crypto"
    models.mkdir()
    target = models / "cryptonets.tacit"
    if package:
        target.write_bytes(Path(package).read_bytes())
    else:
        done = tacit("compile", ROOT / "models/cryptonets/cryptonets.onnx", "--calibration",
                     ROOT / "tests/images/mnist/t10k-images-idx3-ubyte.gz", "--preprocessing",
                     ROOT / "models/cryptonets/preprocessing.json", "-o", target)
        if done.returncode:
            raise AssertionError(done.stderr)
    home = folder / "crypto-keys"
    with Service(BIN / "tacitd", models, folder / "crypto-state", folder / "crypto.log") as service:
        with Proxy(service.port) as proxy:
            done = tacit("evaluate", "--server", proxy.url, "--model", "cryptonets", "--dataset",
                         ROOT / "tests/images/mnist", "--count", 1, home=home)
            if done.returncode:
                raise AssertionError(done.stderr)
    exchange = [e for e in proxy.exchanges if e.path.endswith("/infer")][-1]
    return models, exchange


def processor_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) * 1024


def press(folder, port, exchange, clients, seconds):
    """What wrk says: (requests, failed or refused, median ms, p99 ms)."""
    body, script = folder / "body", folder / "post.lua"
    body.write_bytes(exchange.body)
    script.write_text(f"""local file = io.open("{body}", "rb")
wrk.method, wrk.body = "POST", file:read("*a")
wrk.headers["Content-Type"] = "application/octet-stream"
wrk.headers["Inference-Header-Content-Length"] = "{exchange.headers['Inference-Header-Content-Length']}"
""")
    done = subprocess.run(["wrk", "-t", "1", "-c", str(clients), "-d", f"{seconds}s", "--latency", "--timeout", "60s", "-s", script,
                           f"http://127.0.0.1:{port}/v2/models/cryptonets/infer"], capture_output=True, text=True)
    if done.returncode:
        raise AssertionError(done.stderr)
    found = lambda pattern: re.search(pattern, done.stdout)
    milliseconds = lambda text: float(text[1]) * {"us": 0.001, "ms": 1, "s": 1000}[text[2]]
    refused = found(r"Non-2xx or 3xx responses: (\d+)")
    broken = found(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)")
    return (int(found(r"(\d+) requests in")[1]), sum(map(int, broken.groups())) if broken else int(refused[1]) if refused else 0,
            milliseconds(found(r"50%\s+([\d.]+)(us|ms|s)")), milliseconds(found(r"99%\s+([\d.]+)(us|ms|s)")))


def compute_ms(client, exchange):
    status, headers, body = client.ask("POST", "/v2/models/cryptonets/infer", exchange.body, {
        "Inference-Header-Content-Length": exchange.headers["Inference-Header-Content-Length"]})
    assert status == 200, body[:200]
    return json.loads(body[:int(headers["inference-header-content-length"])])["parameters"]["compute_ms"]


def overhead_and_busy(folder, models, exchange, seconds, failures):
    settings = {"quota.requests_per_second": 0, "log.level": "off"}
    with Service(BIN / "tacitd", models, folder / "crypto-state", folder / "crypto.log", settings) as service:
        client = Client(service.port)
        for _ in range(3):
            compute_ms(client, exchange)
        # Turn about, so that both see the same machine: one request's latency and its own compute_ms.
        latencies, bare = [], []
        for _ in range(200):
            start = time.perf_counter()
            bare.append(compute_ms(client, exchange))
            latencies.append((time.perf_counter() - start) * 1000)
            if sum(latencies) > seconds * 1000:
                break
        median = lambda values: sorted(values)[len(values) // 2]
        ratios = [latency / run for latency, run in zip(latencies, bare)]
        count, failed, middle, p99 = press(folder, service.port, exchange, 1, seconds)
        print(f"one client: {len(bare)} requests by Python, median {median(latencies):.1f} ms, of which the network runs "
              f"{median(bare):.1f} ms: {100 * (median(ratios) - 1):.1f} % over the bare execution; wrk: {count} "
              f"requests, median {middle:.1f} ms, {failed} failed", flush=True)
        before, start = processor_seconds(service.process.pid), time.monotonic()
        count, failed_many, middle, p99 = press(folder, service.port, exchange, 8, seconds)
        took = time.monotonic() - start
        busy = (processor_seconds(service.process.pid) - before) / took / CORES
        print(f"eight clients: wrk: {count} requests, {count / took:.1f} a second, median {middle:.0f} ms, p99 {p99:.0f} ms, "
              f"{failed_many} failed; tacitd kept {100 * busy:.1f} % of {CORES} cores busy", flush=True)
        if failed + failed_many:
            failures.append(f"{failed + failed_many} requests failed without overload")


def overload(folder, models, exchange, seconds, failures):
    """Eighty clients where eight can wait."""
    settings = {"quota.requests_per_second": 0, "log.level": "off", "limits.queue": 8,
                "limits.connections_per_address": 1000, "limits.connections": 1000}
    headers = {"Inference-Header-Content-Length": exchange.headers["Inference-Header-Content-Length"]}
    with Service(BIN / "tacitd", models, folder / "crypto-state", folder / "crypto.log", settings) as service:
        compute_ms(Client(service.port), exchange)
        stop = threading.Event()
        lock = threading.Lock()
        served, refusals, odd = [], [], []

        def client_of(seed):
            rng = random.Random(seed)
            client = Client(service.port, timeout=120)
            while not stop.is_set():
                start = time.perf_counter()
                try:
                    status, answer, body = client.ask("POST", "/v2/models/cryptonets/infer", exchange.body, headers)
                except ConnectionError as error:
                    with lock:
                        odd.append(str(error))
                    continue
                took = time.perf_counter() - start
                with lock:
                    if status == 200:
                        served.append(took)
                    elif status == 503 and "retry-after" in answer:
                        refusals.append(took)
                    else:
                        odd.append(f"{status} {body[:100]}")
                if status != 200:
                    stop.wait(rng.uniform(0.1, 0.5))

        threads = [threading.Thread(target=client_of, args=(i,)) for i in range(80)]
        for thread in threads:
            thread.start()
        peak, deadline = 0, time.monotonic() + seconds
        while time.monotonic() < deadline:
            peak = max(peak, resident(service.process.pid))
            time.sleep(0.5)
        stop.set()
        for thread in threads:
            thread.join()
        refusals.sort()
        share = lambda q: refusals[min(int(len(refusals) * q), len(refusals) - 1)] * 1000 if refusals else 0
        print(f"overload: {len(served)} served, {len(refusals)} refused with 503 (median {share(0.5):.1f} ms, p99 "
              f"{share(0.99):.1f} ms), {len(odd)} other answers, memory at most {peak >> 20} MiB", flush=True)
        if odd:
            failures.append(f"overload: {odd[:5]}")
        if not served or not refusals:
            failures.append("overload: nothing was served, or nothing refused")
        if service.process.poll() is not None:
            failures.append("overload: the server ended")


def soak(folder, seconds, failures):
    base = folder / "soak"
    base.mkdir()
    ledger = Ledger(base / "state", prepare(base)).begin()
    with Service(BIN / "tacitd", base / "models", base / "state", base / "log", SETTINGS) as service:
        problems, samples = [], []
        deadline, start = time.monotonic() + seconds, time.monotonic()
        while time.monotonic() < deadline:
            with load(service, ledger, random, problems):
                time.sleep(min(5, max(deadline - time.monotonic(), 0.1)))
            problems += Check(service.port, ledger, random.random()).run()
            samples.append((time.monotonic() - start, resident(service.process.pid)))
        steady = [size / 2**20 for t, size in samples if t > seconds / 5]
        halves = [sum(part) / max(len(part), 1) for part in (steady[:len(steady) // 2], steady[len(steady) // 2:])]
        print(f"soak: {seconds} s, {ledger.acknowledged} acknowledgements, {len(problems)} errors; memory after a fifth of it: "
              f"{halves[0]:.1f} MiB on average, then {halves[1]:.1f} MiB, at most {max(steady, default=0):.1f} MiB", flush=True)
        if len(steady) >= 10 and halves[1] > MOST_GROWTH * halves[0] + 1:
            failures.append(f"soak: memory grew from {halves[0]:.1f} to {halves[1]:.1f} MiB")
        failures += problems[:10]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cryptonets")
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--overload-seconds", type=int, default=120)
    parser.add_argument("--soak-seconds", type=int, default=600)
    options = parser.parse_args()
    failures = []
    with tempfile.TemporaryDirectory(prefix="tacit-load-") as name:
        folder = Path(name)
        models, exchange = record(folder, options.cryptonets)
        overhead_and_busy(folder, models, exchange, options.seconds, failures)
        overload(folder, models, exchange, options.overload_seconds, failures)
        soak(folder, options.soak_seconds, failures)
    for failure in failures:
        print(failure)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
