#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Each write, fsync, rename and removal of a client's session fails in turn, and allocations do, in one server that has to go on.

    nth_failure_test.py [ALLOCATIONS [SEED [PARTS]]]     how many failing allocations to try, default 1500; which
                                                         of "calls,tokens,allocations,dearth", default all

The sessions: keys deleted and uploaded, a job submitted, awaited, given the input of its second round, awaited, fetched and
deleted; a long key sent in parts, given up, sent again, put into a set and deleted. For each point of fault_shim.cpp the first,
second, ... call fails, until the session has no such call any more; in the same way those of `tacitd token create` beside the
server. Of the allocations some fail alone, then for a while all from one on. Whatever fails: every answer is a success or an
error with a code, nothing acknowledged is lost, it is in the audit log, and the next session works."""
import json
import os
import random
import re
import sys
import tempfile
import time
import uuid
from pathlib import Path

from check import Check
from client import Client
from ledger import Job, Ledger
from recording import BIN, Piece, Service, prepare
from workload import arguments

DATABASE = {
    "database": ("write", "fsync"),
    "journal": ("open", "write", "fsync", "truncate"),
    "audit": ("write", "fsync"),
}
JOB_FILES = {
    "piece": ("open", "write", "fsync", "rename", "unlink"),
    "input": ("open", "write", "fsync", "rename", "unlink"),
    "result": ("open", "write", "fsync", "rename", "unlink"),
    "folder": ("fsync",),
} | DATABASE
UPLOAD_FILES = {
    "part": ("open", "write", "fsync", "rename", "unlink"),
}


class Run:
    def __init__(self, folder):
        self.folder = folder
        self.plan, self.struck = folder / "plan", folder / "struck"
        self.ledger = Ledger(folder / "state", prepare(folder)).begin()
        self.rounds = self.ledger.recordings.rounds
        settings = {"quota.requests_per_second": 0, "log.level": "off"}
        self.service = Service(BIN / "tacitd", folder / "models", folder / "state", folder / "log", settings)
        self.service.environment |= self.faults_for(self.plan)
        self.failures, self.faults, self.refusals, self.restarts = [], 0, 0, 0

    def faults_for(self, plan):
        return {"LD_PRELOAD": os.environ["TACIT_FAULT_SHIM"], "TACIT_FAULT_PLAN": str(plan),
                "TACIT_FAULT_STRUCK": str(self.struck)}

    def fail(self, what):
        self.failures.append(f"{self.now}: {what}")

    def client(self):
        return Client(self.service.port, self.ledger.token)

    def ask(self, what, *arguments):
        """(status, body) of a success or a coded error; (None, b"") where the connection broke."""
        try:
            status, headers, body = what(*arguments)
        except ConnectionError:
            self.refusals += 1
            return None, b""
        self.request_id = headers.get("x-request-id")
        self.judge(f"{what.__name__} {arguments[:2]}", status, body)
        return status, body

    def judge(self, what, status, body):
        if status >= 400:
            self.refusals += 1
            code = json.loads(body).get("code") if body.startswith(b"{") else None
            if not code or status not in (404, 409, 500, 503, 507):
                self.fail(f"{what}: {status} {body[:200]}")

    def note(self, event):
        self.ledger.note(event, "request_id", self.request_id)

    def job_session(self, client):
        recording = self.rounds
        if self.ask(client.ask, "DELETE", f"/v2/keys/{recording.key_id}")[0] == 204:
            self.note("keys.deleted")
        self.ledger.keys.clear()
        # One of them as its only part; then it is there already.
        self.ask(client.put_part, Piece(next(iter(recording.pieces.values()))), 0)
        if self.ask(client.upload_keys, recording)[0] in (200, 201):
            self.ledger.put("keys", recording.key_id)
            self.note("keys.stored")
        self.job = Job(str(uuid.uuid4()), recording)
        self.ledger.put("jobs", self.job.key, self.job)
        status, body = self.ask(client.submit, recording, self.job.key)
        if status != 202:
            return
        self.change(id=json.loads(body)["job_id"])
        self.note("job.accepted")
        place = f"/v2/jobs/{self.job.id}"
        if self.rest(client, place) == "awaiting_client":
            self.change(sent=1)
            if self.ask(client.resume, recording, self.job.id, 1)[0] == 202:
                self.change(stage=1)
                self.note("job.resumed")
                self.rest(client, place)
        self.ask(client.ask, "GET", place + "/result")
        status, _ = self.ask(client.ask, "DELETE", place)
        self.change(deleting=True, deleted=status in (204, 404))
        if status in (200, 204):
            self.note("job.deleted" if status == 204 else "job.cancelled")

    def change(self, **changes):
        self.job = self.ledger.change(self.job, **changes)

    def rest(self, client, place):
        """The state in which the job waits for somebody; None where that was not seen."""
        for _ in range(400):
            status, body = self.ask(client.ask, "GET", place)
            if status == 200 and json.loads(body)["state"] not in ("queued", "running"):
                return json.loads(body)["state"]
            time.sleep(0.01)
        return None

    def upload_session(self, client):
        upload = self.ledger.upload
        for step, *number in ((upload.send, 1), (upload.give_up,), (upload.send, 0), (upload.send, 1), (upload.make_set,),
                              (upload.remove,)):
            try:
                status, body, event = step(client, *number)
            except ConnectionError:
                self.refusals += 1
                continue
            self.judge(f"{step.__name__} {number}", status, body)
            if event and status in (200, 201, 204):
                self.ledger.note(event[0], "request_id", event[1])

    def verify(self, client):
        """Without faults: what was acknowledged is so."""
        if self.ledger.keys and client.ask("GET", f"/v2/keys/{self.rounds.key_id}")[0] != 200:
            self.fail("acknowledged keys are gone")
        if not self.ledger.keys:
            client.upload_keys(self.rounds)
        check = Check(self.service.port, self.ledger)
        check.upload()
        if self.job is not None and self.job.id is None:
            self.job = check.submit_again(self.job)
        if self.job is not None:
            self.verify_job(client, check)
        self.ledger.jobs.clear()
        check.client.close()
        for problem in check.problems + self.ledger.unaudited():
            self.fail(problem)

    def verify_job(self, client, check):
        place = f"/v2/jobs/{self.job.id}"
        if self.job.deleted:
            status, _, body = client.ask("GET", place)
            if status != 404:
                self.fail(f"deleted job is there: {status} {body[:200]}")
            return
        # One that could not be run says so.
        for _ in range(1500):
            status, _, body = client.ask("GET", place)
            page = json.loads(body)
            if status == 404 or page["state"] not in ("queued", "running"):
                break
            time.sleep(0.01)
        allowed = ("keys.missing", "keys.unknown", "memory.exhausted", "internal")
        if status != 200 or page["state"] != "failed" or page["error"]["code"] not in allowed:
            check.bring_to_end(self.job)
        client.ask("DELETE", place)
        client.ask("DELETE", place)

    def attempt(self, plan, session):
        """One session under a plan, and what was true after it; whether the plan struck."""
        self.now, self.job = plan, None
        self.struck.unlink(missing_ok=True)
        if self.service.process.poll() is not None:
            self.restarts += 1
            self.fail("the server had ended")
            self.service.start()
        client = self.client()
        self.put_plan(self.plan, plan)
        session(client)
        self.plan.unlink()
        client.close()
        if self.service.process.poll() is not None:
            self.fail(f"the server ended with {self.service.process.returncode}: {self.service.read_log()[-2000:]}")
            self.service.start()
        client = self.client()
        self.verify(client)
        client.close()
        return self.has_struck()

    def put_plan(self, path, plan):
        path.with_suffix(".new").write_text(plan)
        path.with_suffix(".new").rename(path)

    def has_struck(self):
        struck = self.struck.exists()
        self.faults += struck
        return struck

    def attempt_token(self, plan):
        """`tacitd token create` under a plan; the token is tried by verify_tokens()."""
        self.now = f"token create, {plan}"
        self.struck.unlink(missing_ok=True)
        verb_plan = self.folder / "verb-plan"
        self.put_plan(verb_plan, plan)
        token, words = self.ledger.make_token(self.faults_for(verb_plan))
        if token is None and not re.search(r"^tacitd: [a-z.-]+: .+$", words, re.M):
            self.fail(f"no error: {words}")
        return self.has_struck()

    def verify_tokens(self):
        check = Check(self.service.port, self.ledger)
        check.tokens()
        for problem in check.problems + self.ledger.unaudited():
            self.fail(problem)


def fail_calls(run, files, attempt):
    for file, calls in files.items():
        for call in calls:
            for action in ("eio", "enospc"):
                number = 1
                while attempt(f"{call}.{file}.before:{number}:{action}"):
                    number += 1
            print(f"{call}.{file}: {number - 1} calls, each failed; {len(run.failures)} failures", flush=True)


def fail_allocations(run, rng, count, action, session):
    last = 1  # about as many as a session has
    while run.attempt(f"malloc:{last}:{action}", session):
        last *= 2
    for i in range(count):
        run.attempt(f"malloc:{rng.randint(1, last)}:{action}", session)
        if i % 100 == 99 or i + 1 == count:
            print(f"{action}: {i + 1} of up to {last} allocations; {len(run.failures)} failures", flush=True)


def main():
    allocations, seed = arguments(1500)
    parts = sys.argv[3].split(",") if len(sys.argv) > 3 else ("calls", "tokens", "allocations", "dearth")
    print(f"seed {seed}", flush=True)
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="tacit-failure-") as name:
        run = Run(Path(name))
        with run.service:
            if "calls" in parts:
                fail_calls(run, JOB_FILES, lambda plan: run.attempt(plan, run.job_session))
                fail_calls(run, UPLOAD_FILES, lambda plan: run.attempt(plan, run.upload_session))
            if "tokens" in parts:
                fail_calls(run, DATABASE, run.attempt_token)
                run.verify_tokens()
            for part, action, count in (("allocations", "nomem", allocations), ("dearth", "nomem+", allocations // 10)):
                if part in parts:
                    fail_allocations(run, rng, count - count // 5, action, run.job_session)
                    fail_allocations(run, rng, count // 5, action, run.upload_session)
        for failure in run.failures[:50]:
            print(failure)
        print(f"{run.faults} faults, {run.refusals} requests refused, {len(run.failures)} violations")
    return 1 if run.failures else 0


if __name__ == "__main__":
    sys.exit(main())
