# SPDX-License-Identifier: Apache-2.0
"""Load on a tacitd: jobs, some of which await their client in between, keys, a piece that is sent in parts, and tokens. Every
request has a token."""
import contextlib
import json
import random
import sys
import threading
import uuid

from client import Client
from ledger import Job

# Of a server that only the faults stop.
SETTINGS = {"quota.jobs": 0, "quota.requests_per_second": 0, "limits.queue": 1000, "log.level": "warning"}
# Under faults: with these something may have happened or not, which the check finds out.
UNCERTAIN = (500, 503, 507)


def arguments(count):
    """[COUNT [SEED]] of the command line: `count` and a random seed where they are not there."""
    return (int(sys.argv[1]) if len(sys.argv) > 1 else count,
            int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(2**31))


# A tenant may keep 256 finished jobs, and a list has 100: fewer, and the check sees all of them.
MOST_JOBS = 60
MOST_TOKENS = 6


class Worker:
    """Random requests until `stop` is set or the server is gone. `parts`: how many of a hundred are about the piece in parts."""

    def __init__(self, service, ledger, seed, problems, parts, uncertain):
        self.service, self.ledger, self.rng, self.problems = service, ledger, random.Random(seed), problems
        self.parts, self.uncertain = parts, uncertain
        self.client = Client(service.port, ledger.token, timeout=20)

    def run(self, stop):
        while not stop.is_set() and self.service.process.poll() is None:
            try:
                self.choose()()
            except ConnectionError:
                stop.wait(0.02)
        self.client.close()

    def choose(self):
        with self.ledger.lock:
            jobs = [job for job in self.ledger.jobs.values() if not job.deleted]
            keys = len(self.ledger.keys)
        self.known = [job for job in jobs if job.id and not job.deleting]
        if keys < 2:
            return self.upload_keys
        weights = {self.upload_keys: 4, self.upload_parts: self.parts, self.change_tokens: 3, self.list_jobs: 4}
        if len(jobs) < MOST_JOBS:
            weights |= {self.submit: 35}
        if self.known:
            weights |= {self.resume: 15, self.fetch: 10, self.delete: 15}
        return self.rng.choices(list(weights), weights.values())[0]

    def refused(self, what, status, body, expected=()):
        if status not in (*self.uncertain, *expected):
            self.problems.append(f"{what}: {status} {body[:200]}")

    def upload_keys(self):
        recordings = self.ledger.recordings
        for recording in (recordings.tiny, recordings.rounds):
            status, headers, body = self.client.upload_keys(recording)
            if status not in (200, 201):
                return self.refused("keys", status, body)
            self.ledger.put("keys", recording.key_id)
            self.ledger.note("keys.stored", "request_id", headers["x-request-id"])

    def upload_parts(self):
        upload = self.ledger.upload
        if not upload.turn.acquire(blocking=False):
            return
        try:
            status, body, event = upload.step(self.client, self.rng)
        finally:
            upload.turn.release()
        if status in (200, 201, 204):
            self.ledger.note(*((event[0], "request_id", event[1]) if event else ()))
        else:
            self.refused("parts", status, body)

    def change_tokens(self):
        with self.ledger.lock:
            valid = [token for token, state in self.ledger.tokens.items() if state and token != self.ledger.token]
        if valid and (len(valid) >= MOST_TOKENS or self.rng.random() < 0.4):
            self.ledger.revoke(self.rng.choice(valid))
        else:
            self.ledger.make_token()

    def submit(self):
        recordings = self.ledger.recordings
        job = Job(str(uuid.UUID(int=self.rng.getrandbits(128))), self.rng.choice((recordings.tiny, recordings.rounds)))
        self.ledger.put("jobs", job.key, job)
        status, _, body = self.client.submit(job.recording, job.key)
        if status != 202:
            return self.refused("submit", status, body, (429,))
        name = json.loads(body)["job_id"]
        self.ledger.change(job, id=name)
        self.ledger.note("job.accepted", "job_id", name)

    def resume(self):
        """A job that awaits its client gets the next stage's input; others may do the same at this moment."""
        job = self.rng.choice(self.known)
        status, _, body = self.client.ask("GET", f"/v2/jobs/{job.id}")
        if status != 200:
            return self.refused("job", status, body, (404,))
        page = json.loads(body)
        if page["state"] in ("awaiting_client", "succeeded"):
            with self.ledger.lock:
                if self.ledger.jobs[job.key].sent == page["stage"]:
                    self.ledger.change(job, seen=page["state"])
        if page["state"] == "awaiting_client":
            status, body = give_input(self.client, self.ledger, job, page["stage"] + 1, self.rng)
            if status != 202:
                self.refused(f"input of {job.id}", status, body, (404, 409))

    def fetch(self):
        status, _, body = self.client.ask("GET", f"/v2/jobs/{self.rng.choice(self.known).id}/result")
        self.refused("result", status, body, (200, 404, 409))

    def delete(self):
        job = self.rng.choice(self.known)
        self.ledger.change(job, deleting=True)
        status, headers, body = self.client.ask("DELETE", f"/v2/jobs/{job.id}")
        if status in (204, 404):
            self.ledger.change(job, deleted=True)
        if status in (200, 204):
            self.ledger.note("job.deleted" if status == 204 else "job.cancelled", "request_id", headers["x-request-id"])
        else:
            self.refused("delete", status, body, (404,))

    def list_jobs(self):
        self.client.ask("GET", "/v2/jobs")


def give_input(client, ledger, job, stage, rng):
    """The input of `stage`, of any prediction: clients that ask again encrypt anew. (status, body)"""
    with ledger.lock:
        ledger.change(job, sent=max(ledger.jobs[job.key].sent, stage), seen=None)
    status, headers, body = client.resume(job.recording, job.id, stage, rng.randrange(len(job.recording.predictions)))
    if status == 202:
        with ledger.lock:
            ledger.change(job, stage=max(ledger.jobs[job.key].stage, stage))
        ledger.note("job.resumed", "request_id", headers["x-request-id"])
    return status, body


@contextlib.contextmanager
def load(service, ledger, rng, problems, parts=14, uncertain=UNCERTAIN):
    """Four clients at work while the `with` block lasts."""
    stop = threading.Event()
    workers = [Worker(service, ledger, rng.random(), problems, parts, uncertain) for _ in range(4)]
    threads = [threading.Thread(target=worker.run, args=(stop,)) for worker in workers]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()
