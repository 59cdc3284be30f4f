# SPDX-License-Identifier: Apache-2.0
"""What the server of one state folder has acknowledged."""
import json
import os
import subprocess
import threading
from dataclasses import dataclass, replace

from recording import BIN, Recording

TENANT = "clinic"


def token_verb(state, verb, *arguments, environment=None):
    """`tacitd token VERB` on a state folder, beside its server if that runs."""
    return subprocess.run([BIN / "tacitd", "token", verb, "--state", state, *arguments], capture_output=True, text=True,
                          env=os.environ | (environment or {}))


def token_id(token):
    return token.split("_")[1]


class AuditLog:
    """The lines of a state folder's audit log, each read once."""

    def __init__(self, state):
        self.folder, self.read = state / "audit", {}

    def new_events(self):
        """(event, member, value) of what the new lines have of the members that an answer can be found by."""
        events = set()
        for path in sorted(self.folder.glob("*.log")):
            with open(path, "rb") as file:
                file.seek(self.read.get(path, 0))
                text = file.read()
            text = text.partition(b"\0")[0]  # where a power cut took sectors out
            text = text[:text.rfind(b"\n") + 1]
            self.read[path] = self.read.get(path, 0) + len(text)
            for line in map(json.loads, text.splitlines()):
                events |= {(line["event"], member, line[member]) for member in ("request_id", "job_id", "token")
                           if member in line}
        return events


@dataclass(frozen=True)
class Job:
    """A request with an idempotency key. `id` is None until it was answered; `stage` is the last one whose input was
    acknowledged, `sent` the last one whose input was sent; `seen` is the state in which it was seen to rest, where nothing
    was asked of it since; `deleting`: its end was asked for."""
    key: str
    recording: Recording
    id: str = None
    stage: int = 0
    sent: int = 0
    seen: str = None
    deleting: bool = False
    deleted: bool = False


@dataclass(frozen=True)
class Claim:
    """What is certain of an upload in parts: the parts that are there unless the piece is, that it is stored and in its set, and
    in which of the states "partial" and "stored" it cannot be, as it was taken out."""
    parts: frozenset = frozenset()
    stored: bool = False
    in_set: bool = False
    never: tuple = ()

    def broken(self, state, received, in_set):
        """What is wrong where the server has this of it; state None: nothing."""
        if self.stored and state != "stored":
            return f"the piece was acknowledged and is {state}"
        if state != "stored" and not self.parts <= set(received):
            return f"parts {sorted(self.parts)} were acknowledged and there are {sorted(received)}"
        if self.in_set and not in_set:
            return "the set of the piece was acknowledged and is gone"
        if state in self.never:
            return f"the piece was taken out and is {state}"
        return None


class Ledger:
    """Tables whose entries are replaced, never altered: of tokens (whether one is valid; None: nobody knows), key_ids, jobs by
    idempotency key, claims by the piece's digest, and (event, member, value) that must have a line in the audit log. An entry
    is weakened before a request that may end what it says, and strengthened after an answer. Where there is `moment`, the
    history has each change with what moment() said then."""
    TABLES = ("tokens", "keys", "jobs", "claims", "audited")

    def __init__(self, state, recordings, environment=None, moment=None):
        """`environment` is that of `tacitd token`."""
        self.state, self.recordings, self.environment, self.moment = state, recordings, environment, moment
        for table in self.TABLES:
            setattr(self, table, {})
        self.upload = Upload(self, recordings.large)
        self.audit, self.history, self.acknowledged, self.lock = AuditLog(state), [], 0, threading.RLock()

    def begin(self):
        """Makes the state folder with a token, before the server starts: without one it would be open."""
        token, words = self.make_token()
        if token is None:
            raise AssertionError(words)
        return self

    @property
    def token(self):
        """The one that requests are made with."""
        return next(iter(self.tokens))

    def put(self, table, key, value=True):
        with self.lock:
            getattr(self, table)[key] = value
            if self.moment:
                self.history.append((self.moment(), table, key, value))

    def change(self, job, **changes):
        with self.lock:
            self.put("jobs", job.key, replace(self.jobs[job.key], **changes))
            return self.jobs[job.key]

    def note(self, event=None, member=None, value=None):
        """Something was acknowledged; an event that has a line in the audit log by then."""
        with self.lock:
            self.acknowledged += 1
            if event is not None:
                self.put("audited", (event, member, value))

    def unaudited(self):
        """Acknowledged events that have no line."""
        missing = self.audited.keys() - self.audit.new_events()
        self.audited.clear()
        return [f"acknowledged and not in the audit log: {event} of {member} {value}"
                for event, member, value in sorted(missing)]

    def make_token(self, environment=None):
        """(token, what the verb said); the token is None where it has failed."""
        done = token_verb(self.state, "create", "--tenant", TENANT, "--scopes", "all",
                          environment=environment or self.environment)
        if done.returncode != 0:
            return None, done.stderr
        token = done.stdout.strip()
        self.put("tokens", token)
        self.note("token.created", "token", token_id(token))
        return token, done.stderr

    def revoke(self, token):
        self.put("tokens", token, None)
        if token_verb(self.state, "revoke", token_id(token), environment=self.environment).returncode == 0:
            self.put("tokens", token, False)
            self.note("token.revoked", "token", token_id(token))


class Upload:
    """A piece that is sent in parts, put into a set and taken out, again and again, by whoever's turn it is. Each request answers
    (status, body, (event, request) of the audit log or None)."""

    def __init__(self, ledger, piece):
        self.ledger, self.piece, self.turn = ledger, piece, threading.Lock()

    @property
    def claim(self):
        return self.ledger.claims.get(self.piece.digest, Claim())

    def say(self, claim):
        self.ledger.put("claims", self.piece.digest, claim)

    def step(self, client, rng):
        """The next request, or now and then the one that gives up."""
        if self.claim.in_set:
            return self.remove(client)
        if self.claim.stored:
            return self.make_set(client)
        if self.claim.parts and rng.random() < 0.2:
            return self.give_up(client)
        return self.send(client, rng.choice(self.missing()))

    def missing(self):
        """The last part that is sent makes the piece, so there is one in any case."""
        return [number for number in self.piece.parts if number not in self.claim.parts] or [0]

    def send(self, client, number):
        self.say(replace(self.claim, never=()))
        status, _, body = client.put_part(self.piece, number)
        if status == 200:
            self.say(replace(self.claim, parts=self.claim.parts | {number}))
        elif status == 201:
            self.say(Claim(stored=True))
        return status, body, None

    def give_up(self, client):
        self.say(Claim())
        status, _, body = client.ask("DELETE", f"/v2/keys/pieces/{self.piece.digest}/parts")
        if status == 204:
            self.say(Claim(never=("partial",)))
        return status, body, None

    def make_set(self, client):
        status, headers, body = client.make_set(self.piece)
        if status in (200, 201):
            self.say(Claim(stored=True, in_set=True))
        return status, body, ("keys.stored", headers["x-request-id"])

    def remove(self, client):
        self.say(Claim())
        status, headers, body = client.ask("DELETE", f"/v2/keys/{self.piece.key_id}")
        if status == 204:
            self.say(Claim(never=("partial", "stored")))
        return status, body, ("keys.deleted", headers["x-request-id"])

    def look(self, client):
        """(state, received parts, whether the set is there)"""
        status, _, body = client.ask("GET", f"/v2/keys/pieces/{self.piece.digest}")
        page = json.loads(body) if status == 200 else {}
        return page.get("state"), page.get("received", []), client.ask("GET", f"/v2/keys/{self.piece.key_id}")[0] == 200
