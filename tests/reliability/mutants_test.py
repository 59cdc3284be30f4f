#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Valid requests of every route, damaged, over HTTP: each that is refused is refused with 4xx and a code, and the server goes
on.

    mutants_test.py [REFUSALS [SEED]]     default 2000

Each request is whole and answered with 2xx before it is damaged: in its header, its body or both, by changed, doubled, moved
and missing bytes and by values that lie. A connection that the server closes without an answer is right only where the
damage has made it wait for bytes that never come; 2xx only where the damage has done no harm.

The routes are held against the server's own /openapi.json: one that no request here is for fails the test."""
import http.client
import json
import random
import re
import select
import socket
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from client import Client
from recording import BIN, Piece, Service, prepare
from workload import arguments

PATIENCE = 0.3  # seconds
LIES = [b"0", b"-1", b"1e9", b"18446744073709551615", b"18446744073709551616", b"999999999", b"nan", b"null", b"[]", b"{}",
        b"\"\"", b"\0", b"\xff\xfe", b"../..", b"%2e%2e", b"A" * 300, b"\r\n", b"true", b"\"\\ud800\""]


@dataclass
class Case:
    """A request to a route, whose path has the names of /openapi.json; they stand for what is there, {key} for a new idempotency
    key. `awaiting`: {job} is one that awaits its client, else one that is finished."""
    method: str
    path: str
    body: bytes = b""
    fields: tuple = ()
    awaiting: bool = False

    def bytes(self, **names):
        lines = [line.format(**names) for line in (f"{self.method} {self.path} HTTP/1.1", "Host: localhost", *self.fields)]
        if self.body or self.method in ("POST", "PUT"):
            lines.append(f"Content-Length: {len(self.body)}")
        return "\r\n".join(lines).encode() + b"\r\n\r\n", self.body


def small_piece(recordings):
    return Piece(min(recordings.tiny.pieces.values(), key=len))


def cases_of(recordings):
    tiny, piece = recordings.tiny, small_piece(recordings)
    infer, resume = tiny.predictions[0][0], recordings.rounds.predictions[0][1]

    def inference(stage, *more):
        return (f"Inference-Header-Content-Length: {stage.json_bytes}",) + more

    model, version = "/v2/models/{model}", "/v2/models/{model}/versions/{version}"
    at = "/v2/keys/pieces/{digest}"
    get = [Case("GET", path) for path in (
        "/v2", "/v2/health/live", "/v2/health/ready", "/metrics", "/openapi.json", "/v2/models", "/v2/models/stats",
        *(of + end for of in (model, version) for end in ("", "/config", "/ready", "/client", "/stats")), at, "/v2/keys",
        "/v2/keys/{key_id}", "/v2/jobs", "/v2/jobs/{job}", "/v2/jobs/{job}/result", "/v2/jobs/{job}/events")]
    return get + [
        Case("PUT", at, piece.content),
        Case("PUT", at + "/parts/{number}", piece.content, tuple(f"{name}: {value}" for name, value in piece.fields(0).items())),
        Case("DELETE", at + "/parts"),
        Case("POST", "/v2/keys", tiny.key_set, ("Content-Type: application/json",)),
        Case("POST", model + "/infer", infer.body, inference(infer)),
        Case("POST", version + "/infer", infer.body, inference(infer)),
        Case("POST", model + "/infer", infer.body,
             inference(infer, "Prefer: respond-async", "Idempotency-Key: \"{key}\"")),
        Case("POST", "/v2/jobs/{job}/input", resume.body, inference(resume), awaiting=True),
        Case("DELETE", "/v2/jobs/{job}"), Case("DELETE", "/v2/keys/{key_id}"),
        Case("POST", "/v2/repository/index"), Case("POST", "/v2/repository/models/{model}/load"),
        Case("POST", "/v2/repository/models/{model}/unload")]


def forgotten(bench, cases):
    """Routes that the server describes and no request is for, and requests for what it does not describe."""
    paths = json.loads(bench.client.ask("GET", "/openapi.json")[2])["paths"]
    described = {(method.upper(), path) for path, methods in paths.items() for method in methods
                 if method in ("get", "put", "post", "delete", "patch", "head", "options", "trace")}
    asked = {(case.method, case.path) for case in cases}
    return ([f"{method} {path} is in /openapi.json, and no request here is for it" for method, path in sorted(described - asked)]
            + [f"{method} {path} is not in /openapi.json" for method, path in sorted(asked - described)])


def damaged(data, rng, near):
    """`data` with one to four changes, most of them among the first `near` bytes."""
    data = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        if not data:
            break
        at = rng.randrange(min(near, len(data)) if rng.random() < 0.9 else len(data))
        kind = rng.randrange(7)
        if kind == 0:
            data[at] = rng.randrange(256)
        elif kind == 1:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 2:
            del data[at:at + rng.randint(1, 16)]
        elif kind == 3:
            data[at:at] = data[at:at + rng.randint(1, 40)]
        elif kind == 4:
            data[at:at + rng.randint(0, 8)] = rng.choice(LIES)
        elif kind == 5:
            other = rng.randrange(len(data))
            data[at], data[other] = data[other], data[at]
        else:
            del data[at:]
    return bytes(data)


class Answer(http.client.HTTPResponse):
    def __init__(self, connection, method):
        super().__init__(connection, method=method)
        self.begin()
        try:
            self.content = self.read()
        except http.client.IncompleteRead as cut:  # events end when the client has said that it sends nothing more
            self.content = cut.partial


def send(port, data, patience=None):
    """The first answer, or None where the connection was closed without one. After so many seconds without an answer the
    server is told that nothing more will come, which a request whose end is missing may wait for."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        try:
            connection.sendall(data)
            if not select.select([connection], [], [], patience)[0]:
                connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # refused before it was read; the answer says why
        try:
            return Answer(connection, data.split(b" ", 1)[0].decode("latin-1"))
        except (http.client.BadStatusLine, ConnectionError):  # no byte of an answer
            return None


def waits(data):
    """Whether a server rightly waits for more: the header has no end, or the body is shorter than it says."""
    head, end, body = data.partition(b"\r\n\r\n")
    lengths = [int(number) for number in re.findall(rb"(?im)^content-length:[ \t]*(\d+)[ \t]*\r?$", head)]
    return not end or any(length > len(body) for length in lengths)


def wrong_with(answer):
    """What is wrong with a refusal; nothing where it is 4xx with a code."""
    if not 400 <= answer.status < 500:
        return f"status {answer.status}: {answer.content[:200]}"
    if answer._method == "HEAD":
        return ""
    try:
        problem = json.loads(answer.content)
    except ValueError:
        return f"no problem document: {answer.content[:200]}"
    if answer.getheader("Content-Type") != "application/problem+json" or problem.get("status") != answer.status:
        return f"another media type or status: {answer.getheaders()} {problem}"
    return "" if problem.get("code") and "\n" not in problem.get("detail", "\n") else f"no code: {problem}"


class Bench:
    """The server and what the requests need to be valid."""

    def __init__(self, service, recordings):
        self.service, self.recordings = service, recordings
        self.digest = small_piece(recordings).digest
        self.client = Client(service.port)
        self.submitted = 0
        self.job, self.awaiting = self.new_job(recordings.tiny), self.new_job(recordings.rounds)

    def new_job(self, recording):
        """One that rests; its keys and its model are there again as well."""
        self.client.ask("POST", f"/v2/repository/models/{recording.model}/load")
        status, _, body = self.client.upload_keys(recording)
        if status not in (200, 201):
            raise AssertionError(f"keys are not taken: {status} {body[:300]}")
        self.submitted += 1
        status, _, body = self.client.submit(recording, f"own-{self.submitted}")
        if status != 202:
            raise AssertionError(f"no job is taken: {status} {body[:300]}")
        job = json.loads(body)["job_id"]
        while self.client.ask("GET", f"/v2/jobs/{job}/result")[0] == 409:
            pass
        return job

    def clear(self):
        """Room for further jobs."""
        for page in json.loads(self.client.ask("GET", "/v2/jobs")[2])["jobs"]:
            for _ in range(2):
                if self.client.ask("DELETE", f"/v2/jobs/{page['job_id']}")[0] == 204:
                    break

    def ready_for(self, recording, job, state):
        status, _, body = self.client.ask("GET", f"/v2/jobs/{job}")
        return (status == 200 and json.loads(body)["state"] == state
                and self.client.ask("GET", f"/v2/keys/{recording.key_id}")[0] == 200
                and self.client.ask("GET", f"/v2/models/{recording.model}/ready")[0] == 200)

    def valid(self, case):
        """(header, body) of a request that is answered with 2xx."""
        tiny, rounds = self.recordings.tiny, self.recordings.rounds
        if case.awaiting:
            if not self.ready_for(rounds, self.awaiting, "awaiting_client"):
                self.awaiting = self.new_job(rounds)
        elif not self.ready_for(tiny, self.job, "succeeded"):
            self.job = self.new_job(tiny)
        self.submitted += 1
        return case.bytes(job=self.awaiting if case.awaiting else self.job, key=f"key-{self.submitted}", model="tiny",
                          version="1", digest=self.digest, number="0", key_id=tiny.key_id)


def run(bench, cases, refusals, rng):
    problems, statuses, codes = forgotten(bench, cases), Counter(), Counter()
    for case in cases:
        head, body = bench.valid(case)
        answer = send(bench.service.port, head + body)
        if answer is None or answer.status // 100 != 2:
            problems.append(f"{case.method} {case.path} is not valid: {answer and (answer.status, answer.content[:300])}")
    refused = sent = 0
    while refused < refusals and not problems and sent < 20 * refusals:
        case = cases[sent % len(cases)]
        if sent % 200 == 199:
            bench.clear()
        head, body = bench.valid(case)
        where = rng.random()
        if where < 0.6 or not body:
            head = damaged(head, rng, len(head))
        if where > 0.5 and body:
            body = damaged(body, rng, 400)
            if rng.random() < 0.7:  # the length is that of the damaged body, so that it is read
                head = b"\r\n".join(b"Content-Length: %d" % len(body) if line.startswith(b"Content-Length:") else line
                                    for line in head.split(b"\r\n"))
        sent += 1
        answer = send(bench.service.port, head + body, PATIENCE)
        if answer is None and not waits(head + body):  # it may have been slow
            answer = send(bench.service.port, head + body)
            if answer is None:
                problems.append(f"request {sent}, {head[:300]!r} and {len(body)} bytes: no answer")
        statuses[answer.status if answer else "closed"] += 1
        if answer is None or answer.status // 100 == 2:
            continue
        trouble = wrong_with(answer)
        if trouble:
            problems.append(f"request {sent}, {head[:300]!r} and {len(body)} bytes: {trouble}")
        elif answer._method != "HEAD":
            refused += 1
            codes[json.loads(answer.content)["code"]] += 1
    routes = len({(case.method, case.path) for case in cases})
    print(f"{sent} damaged requests to {routes} routes: {refused} refused with a code, "
          f"{statuses['closed']} closed, {sent - refused - statuses['closed']} harmless")
    print("statuses: " + ", ".join(f"{status} {count}" for status, count in sorted(statuses.items(), key=str)))
    print("codes: " + ", ".join(f"{code} {count}" for code, count in codes.most_common()))
    if refused < refusals and not problems:
        problems.append(f"only {refused} refusals: the damage does too little")
    return problems


def main():
    refusals, seed = arguments(2000)
    print(f"seed {seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="tacit-mutants-") as name:
        folder = Path(name)
        recordings = prepare(folder)
        settings = {"quota.requests_per_second": 0, "quota.jobs": 0, "log.level": "error"}
        with Service(BIN / "tacitd", folder / "models", folder / "state", folder / "log", settings) as service:
            bench = Bench(service, recordings)
            problems = run(bench, cases_of(recordings), refusals, random.Random(seed))
            if service.process.poll() is not None:
                problems.append(f"the server ended with {service.process.returncode}: {service.last_words()}")
            else:
                bench.clear()
                bench.new_job(recordings.rounds)  # an honest client is still served
                problems += [f"logged: {line}" for line in service.read_log().splitlines() if " error " in line][:5]
                if service.stop() != 0:
                    problems.append("the server did not end by itself")
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
