# SPDX-License-Identifier: Apache-2.0
"""Whether everything that a ledger says is still true after a crash."""
import json
import random
import time

from client import Client
from ledger import Claim, token_id
from workload import give_input


class Check:
    """Asks a server that works; `problems` is what is not true. What was begun is brought to its end."""

    def __init__(self, port, ledger, seed=0):
        self.ledger, self.problems, self.rng = ledger, [], random.Random(seed)
        self.client = Client(port, ledger.token)
        self.deadline = time.monotonic() + 60

    def run(self):
        self.tokens()
        self.keys()
        self.upload()
        self.jobs()
        self.problems += self.ledger.unaudited()
        self.client.close()
        return self.problems

    def tokens(self):
        """A server that ran while they were made or revoked sees it within a second."""
        for token, valid in list(self.ledger.tokens.items()):
            other = Client(self.client.port, token)
            expected = {True: 200, False: 401}.get(valid)
            while (status := other.ask("GET", "/v2/models")[0]) != expected and expected and time.monotonic() < self.deadline:
                time.sleep(0.02)
            other.close()
            if expected and status != expected:
                self.problems.append(f"token {token_id(token)} was {'made' if valid else 'revoked'}: {status}")
            if not valid:
                del self.ledger.tokens[token]

    def keys(self):
        for recording in (self.ledger.recordings.tiny, self.ledger.recordings.rounds):
            status, _, body = self.client.ask("GET", f"/v2/keys/{recording.key_id}")
            if recording.key_id in self.ledger.keys and status != 200:
                self.problems.append(f"the key set of {recording.model} was acknowledged and is gone: {status} {body[:200]}")
            if status != 200:
                status, headers, body = self.client.upload_keys(recording)
                if status not in (200, 201):
                    self.problems.append(f"keys are not taken: {status} {body[:200]}")
                    continue
                self.ledger.note("keys.stored", "request_id", headers["x-request-id"])
            self.ledger.put("keys", recording.key_id)

    def upload(self):
        """An upload that was begun is ended with the parts that are missing. Then it is taken out."""
        upload = self.ledger.upload
        state, received, in_set = upload.look(self.client)
        if wrong := upload.claim.broken(state, received, in_set):
            self.problems.append(wrong)
        if state == "partial":
            upload.say(Claim(frozenset(received)))
            for number in upload.missing():
                status, body, _ = upload.send(self.client, number)
            if status != 201:
                self.problems.append(f"an upload cannot be ended: {status} {body[:200]}")
        if upload.look(self.client)[0] == "stored":
            for status, body, event in (upload.make_set(self.client), upload.remove(self.client)):
                if status in (200, 201, 204):
                    self.ledger.note(event[0], "request_id", event[1])
                else:
                    self.problems.append(f"the piece cannot be taken out: {status} {body[:200]}")
        state = upload.look(self.client)[0]
        if state is not None:
            self.problems.append(f"the piece was taken out and is {state}")
            upload.give_up(self.client)

    def jobs(self):
        ledger, ids = self.ledger, {}
        for job in list(ledger.jobs.values()):
            if job.deleted:
                status = self.client.ask("GET", f"/v2/jobs/{job.id}")[0]
                if status != 404:
                    self.problems.append(f"job {job.id} was deleted and is there: {status}")
                continue
            if job.id is None:
                job = self.submit_again(job)
                if job is None:
                    continue
            if job.id in ids:
                self.problems.append(f"two keys have one job {job.id}")
            ids[job.id] = job
        for job in ids.values():
            self.bring_to_end(job)
        listed = {page["job_id"] for page in json.loads(self.client.ask("GET", "/v2/jobs")[2])["jobs"]}
        if listed - ids.keys():
            self.problems.append(f"jobs that nobody was told of: {sorted(listed - ids.keys())}")
        # Room for the next round.
        for name in listed:
            for _ in range(2):
                if self.client.ask("DELETE", f"/v2/jobs/{name}")[0] == 204:
                    break
        ledger.jobs.clear()

    def submit_again(self, job):
        """What was never answered, or refused: the same request must lead to one job. None where it does not."""
        status, _, body = self.client.submit(job.recording, job.key)
        if status != 202:
            self.problems.append(f"submitting again: {status} {body[:200]}")
            return None
        name = json.loads(body)["job_id"]
        self.ledger.note("job.accepted", "job_id", name)
        return self.ledger.change(job, id=name)

    def bring_to_end(self, job):
        """Whatever it waits for it gets, until it has succeeded."""
        while job is not None:
            page = self.resting(job)
            job = page and self.go_on(job, page)

    def resting(self, job):
        """Its page once it rests; None where it is rightly gone, or what it is like is not true."""
        while True:
            status, _, body = self.client.ask("GET", f"/v2/jobs/{job.id}")
            page = json.loads(body)
            if job.deleting and (status == 404 or page["state"] == "cancelled"):
                return None
            if status != 200:
                self.problems.append(f"job {job.id} was acknowledged and is gone: {status}")
            elif not job.deleting and job.seen not in (None, page["state"]):
                self.problems.append(f"job {job.id} was {job.seen}: {page}")
            elif not job.stage <= page["stage"] <= job.sent:
                self.problems.append(f"job {job.id} was given the input of stage {job.stage}, sent that of {job.sent}: {page}")
            elif page["state"] not in ("queued", "running"):
                return page
            elif time.monotonic() > self.deadline:
                self.problems.append(f"job {job.id} never ends: {page}")
            else:
                time.sleep(0.02)
                continue
            return None

    def go_on(self, job, page):
        """The job after it was given its next input, where it awaits one; None where it is at its end."""
        last = page["stage"] == len(job.recording.predictions[0]) - 1
        if page["state"] != ("succeeded" if last else "awaiting_client"):
            self.problems.append(f"job {job.id}: {page}")
            return None
        status, _, body = self.client.ask("GET", f"/v2/jobs/{job.id}/result")
        if status != 200 or len(body) < 1000:
            self.problems.append(f"the result of {job.id} is lost: {status} {body[:200]}")
        # The same request once more is the same job.
        again, _, body = self.client.submit(job.recording, job.key)
        if again != 202 or json.loads(body)["job_id"] != job.id:
            self.problems.append(f"the request of {job.id}, sent again, is another job: {again} {body[:200]}")
        if last:
            return None
        status, body = give_input(self.client, self.ledger, job, page["stage"] + 1, self.rng)
        if status != 202:
            self.problems.append(f"the input of {job.id} is not taken: {status} {body[:200]}")
            return None
        return self.ledger.jobs[job.key]
