#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Each write, fsync, rename and removal of a client's session fails in turn, and allocations do, in one server that has to go on.

    nth_failure_test.py [ALLOCATIONS [SEED [PARTS]]]     how many failing allocations to try, default 1500; which
                                                         of "calls,allocations,dearth", default all

The session: keys deleted and uploaded, a job submitted, awaited, fetched and deleted. For each point of fault_shim.cpp the first,
second, ... call fails, until the session has no such call any more. Of the allocations some fail alone, then for a while all from
one on. Whatever fails: every answer is a success or an error
with a code, nothing acknowledged is lost, and the next session works."""
import json
import os
import random
import sys
import tempfile
import time
import uuid
from pathlib import Path

from workload import BIN, Client, Service, arguments, prepare

FILES = {
    "piece": ("open", "write", "fsync", "rename", "unlink"),
    "input": ("open", "write", "fsync", "rename", "unlink"),
    "result": ("open", "write", "fsync", "rename", "unlink"),
    "database": ("write", "fsync"),
    "journal": ("open", "write", "fsync", "truncate"),
    "folder": ("fsync",),
}


class Run:
    def __init__(self, folder):
        self.folder = folder
        self.recording = prepare(folder)
        self.plan, self.struck = folder / "plan", folder / "struck"
        settings = {"quota.requests_per_second": 0, "log.level": "off"}
        self.service = Service(BIN / "tacitd", folder / "models", folder / "state", folder / "log", settings)
        self.service.environment |= {"LD_PRELOAD": os.environ["TACIT_FAULT_SHIM"], "TACIT_FAULT_PLAN": str(self.plan),
                                     "TACIT_FAULT_STRUCK": str(self.struck)}
        self.failures, self.faults, self.refusals, self.restarts = [], 0, 0, 0

    def ask(self, client, what, *arguments):
        """A success or a coded error; None where the connection broke."""
        try:
            answer = getattr(client, what)(*arguments)
        except ConnectionError:
            self.refusals += 1
            return None
        status, body = answer[0], answer[-1]
        if status >= 400:
            self.refusals += 1
            code = json.loads(body).get("code") if body.startswith(b"{") else None
            if not code or status not in (404, 409, 500, 503, 507):
                self.failures.append(f"{self.now}: {what} {arguments[:2]}: {status} {body[:200]}")
        return answer

    def session(self, client):
        """What was acknowledged: (keys, job, result, deleted)."""
        self.ask(client, "ask", "DELETE", f"/v2/keys/{self.recording.key_id}")
        uploaded = self.ask(client, "upload_keys", self.recording)
        keys = uploaded is not None and uploaded[0] in (200, 201)
        key = str(uuid.uuid4())
        accepted = self.ask(client, "submit", self.recording, key)
        if accepted is None or accepted[0] != 202:
            return keys, key, None, False
        job = json.loads(accepted[2])["job_id"]
        for _ in range(400):
            page = self.ask(client, "ask", "GET", f"/v2/jobs/{job}")
            if page is not None and page[0] == 200 and json.loads(page[2])["state"] not in ("queued", "running"):
                break
            time.sleep(0.01)
        self.ask(client, "ask", "GET", f"/v2/jobs/{job}/result")
        gone = self.ask(client, "ask", "DELETE", f"/v2/jobs/{job}")
        return keys, key, job, gone is not None and gone[0] in (204, 404)

    def verify(self, client, keys, key, job, deleted):
        """Without faults: what was acknowledged is so."""
        if keys and client.ask("GET", f"/v2/keys/{self.recording.key_id}")[0] != 200:
            self.failures.append(f"{self.now}: acknowledged keys are gone")
        if not keys:
            client.upload_keys(self.recording)
        if job is None:
            return
        for _ in range(1500):
            status, _, body = client.ask("GET", f"/v2/jobs/{job}")
            if status == 404 or json.loads(body)["state"] not in ("queued", "running"):
                break
            time.sleep(0.01)
        if deleted:
            if status != 404:
                self.failures.append(f"{self.now}: deleted job is there: {status} {body[:200]}")
            return
        if status == 404:
            return  # deleted without an answer
        page = json.loads(body)
        allowed = ("keys.missing", "keys.unknown", "memory.exhausted", "internal")
        if page["state"] == "failed" and page["error"]["code"] in allowed:
            pass  # it could not be run, and says so
        elif page["state"] != "succeeded":
            self.failures.append(f"{self.now}: acknowledged job: {page}")
        elif client.ask("GET", f"/v2/jobs/{job}/result")[0] != 200:
            self.failures.append(f"{self.now}: the job's result is lost")
        client.ask("DELETE", f"/v2/jobs/{job}")

    def attempt(self, plan):
        """One session under a plan, and what was true after it; whether the plan struck."""
        self.now = plan
        self.struck.unlink(missing_ok=True)
        if self.service.process.poll() is not None:
            self.restarts += 1
            self.failures.append(f"{plan}: the server had ended")
            self.service.start()
        client = Client(self.service.port, timeout=60)
        (self.folder / "plan.new").write_text(plan)
        (self.folder / "plan.new").rename(self.plan)
        said = self.session(client)
        self.plan.unlink()
        client.close()
        if self.service.process.poll() is not None:
            self.failures.append(f"{plan}: the server ended with {self.service.process.returncode}: "
                                 f"{self.service.read_log()[-2000:]}")
            self.service.start()
        client = Client(self.service.port)
        self.verify(client, *said)
        client.close()
        struck = self.struck.exists()
        self.faults += struck
        return struck


def fail_calls(run):
    for file, calls in FILES.items():
        for call in calls:
            for action in ("eio", "enospc"):
                number = 1
                while run.attempt(f"{call}.{file}.before:{number}:{action}"):
                    number += 1
            print(f"{call}.{file}: {number - 1} calls, each failed; {len(run.failures)} failures", flush=True)


def fail_allocations(run, rng, count, action):
    last = 1  # about as many as a session has
    while run.attempt(f"malloc:{last}:{action}"):
        last *= 2
    for i in range(count):
        run.attempt(f"malloc:{rng.randint(1, last)}:{action}")
        if i % 100 == 99 or i + 1 == count:
            print(f"{action}: {i + 1} of up to {last} allocations; {len(run.failures)} failures", flush=True)


def main():
    allocations, seed = arguments(1500)
    parts = sys.argv[3].split(",") if len(sys.argv) > 3 else ("calls", "allocations", "dearth")
    print(f"seed {seed}", flush=True)
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="tacit-failure-") as name:
        run = Run(Path(name))
        with run.service:
            if "calls" in parts:
                fail_calls(run)
            if "allocations" in parts:
                fail_allocations(run, rng, allocations, "nomem")
            if "dearth" in parts:
                fail_allocations(run, rng, allocations // 10, "nomem+")
        for failure in run.failures[:50]:
            print(failure)
        print(f"{run.faults} faults, {run.refusals} requests refused, {len(run.failures)} violations")
    return 1 if run.failures else 0


if __name__ == "__main__":
    sys.exit(main())
