#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The power goes while the server works: nothing that was acknowledged may be lost, whatever the disk had not been told to keep.

    power_cut_test.py [CUTS [SEED]]     default 10000

trace_shim.cpp writes down every change that a tacitd under load makes to its state folder. After any number of them the power may
go. What was synced by then is on the disk; of the rest, each write may be there or not, or only some of its sectors, and of the
changes to a folder only the first few. In every second cut nothing of it is there. In such a folder `tacitd check` must find only what
the next start removes, and the database must have everything that was acknowledged before the cut; every hundredth is started and asked
for its jobs and their results. A journalling file system is kinder than this; none is asked for more."""
import collections
import concurrent.futures
import json
import os
import random
import shutil
import sqlite3
import struct
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from workload import BIN, SETTINGS, Client, Service, arguments, prepare

SECTOR = 512
MOST_JOBS = 20  # of each client
STARTED = 100  # every so many cuts a server is started
ADDED, REMOVED, RENAMED = "added", "removed", "renamed"
Record = collections.namedtuple("Record", "kind file number path data")
HEAD = struct.Struct("=cQQII")


def read_trace(file):
    """The records, and where each of them ends in the file."""
    data, at, records, ends = file.read_bytes(), 0, [], []
    while at < len(data):
        kind, number, offset, path_size, data_size = HEAD.unpack_from(data, at)
        at += HEAD.size
        path = data[at:at + path_size].decode()
        records.append(Record(kind.decode(), number, offset, path, data[at + path_size:at + path_size + data_size]))
        at += path_size + data_size
        ends.append(at)
    return records, ends


@dataclass
class File:
    """Bytes that are on the disk, and the writes and cuts ("W", "T") since the last sync."""
    durable: bytearray = field(default_factory=bytearray)
    pending: list = field(default_factory=list)

    def sync(self):
        for change in self.pending:
            apply(self.durable, *change)
        self.pending.clear()

    def after_cut(self, keeps):
        content = bytearray(self.durable)
        for kind, number, data in self.pending:
            if kind == "T":
                if keeps():
                    apply(content, kind, number, data)
                continue
            for start in range(0, len(data), SECTOR):
                if keeps():
                    apply(content, kind, number + start, data[start:start + SECTOR])
        return bytes(content)


def apply(content, kind, number, data):
    if kind == "T":
        del content[number:]
    if len(content) < number:
        content.extend(bytes(number - len(content)))
    if kind == "W":
        content[number:number + len(data)] = data


@dataclass
class Folder:
    """Entries by name, on the disk, and the changes since the last sync."""
    durable: dict = field(default_factory=dict)
    pending: list = field(default_factory=list)

    def sync(self):
        self.durable = self.after_cut(len(self.pending))
        self.pending.clear()

    def after_cut(self, kept):
        entries = dict(self.durable)
        for change, name, what in self.pending[:kept]:
            if change == ADDED:
                entries[name] = what
            elif change == RENAMED:
                entries[what] = entries.pop(name)
            else:
                del entries[name]
        return entries


class Disk:
    """What a disk has while the records are made, one by one."""

    def __init__(self, root):
        self.root = root
        self.top = Folder()
        self.nodes = {}      # by inode, which may be used again
        self.paths = {root: self.top}

    def make(self, record):
        kind, number, offset, path, data = record
        if kind in "WT":
            self.nodes[number].pending.append((kind, offset, data))
        elif kind == "S":
            # The folder itself is there from the beginning.
            self.nodes.get(number, self.top).sync()
        elif kind in "CM":
            self.nodes[number] = self.paths[path] = File() if kind == "C" else Folder()
            self.change(path, ADDED, self.paths[path])
        elif kind == "R":
            to = data.decode()
            if os.path.dirname(to) != os.path.dirname(path):
                raise AssertionError(f"{path} was moved to another folder")
            self.paths[to] = self.paths.pop(path)
            self.change(path, RENAMED, os.path.basename(to))
        else:
            del self.paths[path]
            self.change(path, REMOVED, None)

    def change(self, path, change, what):
        self.paths[os.path.dirname(path)].pending.append((change, os.path.basename(path), what))

    def after_cut(self, rng, kept):
        """{path below the folder: its bytes, or None for a folder}. Of what was not synced there is `kept`: "none", "all" or "some"."""
        keeps = {"none": lambda: False, "all": lambda: True, "some": lambda: rng.random() < 0.5}[kept]
        found = {}

        def visit(prefix, folder):
            count = {"none": 0, "all": len(folder.pending), "some": rng.randint(0, len(folder.pending))}[kept]
            for name, node in folder.after_cut(count).items():
                path = f"{prefix}{name}"
                if isinstance(node, Folder):
                    found[path] = None
                    visit(path + "/", node)
                else:
                    found[path] = node.after_cut(keeps)

        visit("", self.top)
        return found


@dataclass
class Job:
    """Where in the trace it was acknowledged, and so on; None where that never happened. `asked` is of the deletion."""
    key: str
    acknowledged: int
    succeeded: int = None
    asked: int = None
    deleted: int = None


class Witness:
    """Clients at work, and where in the trace each acknowledgement came."""

    def __init__(self, recording, port, trace, seed):
        self.recording, self.port, self.trace, self.seed = recording, port, trace, seed
        self.keys = None
        self.jobs = {}
        self.problems = []
        self.lock = threading.Lock()

    def now(self):
        return self.trace.stat().st_size

    def run(self, seconds, clients):
        uploader = Client(self.port)
        status, body = uploader.upload_keys(self.recording)
        if status not in (200, 201):
            raise AssertionError(f"keys: {status} {body[:200]}")
        self.keys = self.now()
        end = time.monotonic() + seconds
        threads = [threading.Thread(target=self.work, args=(end, random.Random(f"{self.seed} {number}")))
                   for number in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def work(self, end, rng):
        client = Client(self.port)
        mine = []
        while time.monotonic() < end:
            if len(mine) < 5 or (len(mine) < MOST_JOBS and rng.random() < 0.4):
                key = str(uuid.UUID(int=rng.getrandbits(128)))
                status, _, body = client.submit(self.recording, key)
                if status != 202:
                    self.problems.append(f"submit: {status} {body[:200]}")
                    continue
                job = json.loads(body)["job_id"]
                with self.lock:
                    self.jobs[job] = Job(key, self.now())
                mine.append(job)
            elif rng.random() < 0.6:
                job = rng.choice(mine)
                page = json.loads(client.ask("GET", f"/v2/jobs/{job}")[2])
                if page["state"] == "succeeded" and self.jobs[job].succeeded is None:
                    self.jobs[job].succeeded = self.now()
            else:
                job = rng.choice(mine)
                if self.jobs[job].asked is None:
                    self.jobs[job].asked = self.now()
                # One that has not ended is only cancelled by it.
                if client.ask("DELETE", f"/v2/jobs/{job}")[0] == 204:
                    self.jobs[job].deleted = self.now()
                    mine.remove(job)
        client.close()

    def count(self):
        return 1 + sum(1 + (job.succeeded is not None) + (job.deleted is not None) for job in self.jobs.values())

    def claims(self, at):
        """What must hold on a disk that has the trace up to `at`: (keys, {job: (key, whether it has succeeded)}, jobs that are gone)."""
        def before(moment):
            return moment is not None and moment <= at
        there = {name: (job.key, before(job.succeeded)) for name, job in self.jobs.items()
                 if before(job.acknowledged) and not before(job.asked)}
        return before(self.keys), there, {name for name, job in self.jobs.items() if before(job.deleted)}


def write_folder(folder, found):
    folder.mkdir(mode=0o700)
    for path, content in found.items():  # a folder comes before what is in it
        if content is None:
            (folder / path).mkdir(mode=0o700)
        else:
            (folder / path).write_bytes(content)


def examine(folder, claims, recording, models):
    """What is wrong with the state in `folder`. `models` is where a server that is to be started finds its models, or None."""
    keys, jobs, gone = claims
    problems = []
    done = subprocess.run([BIN / "tacitd", "check", "--state", folder], capture_output=True, text=True)
    for line in done.stdout.splitlines():
        if "; the next start of tacitd " not in line:  # which removes blobs without a row, and half a line of the audit log
            problems.append(line)
    if done.returncode != 0 and not done.stdout:
        problems.append(done.stderr.strip())
    with sqlite3.connect(folder / "tacit.db") as database:
        sets = {bytes(row[0]).hex() for row in database.execute("SELECT id FROM key_set")}
        rows = {row[0]: row[1:] for row in database.execute("SELECT id, state, result IS NOT NULL FROM job")}
        promises = {row[0]: row[1] for row in database.execute("SELECT key, job FROM idempotency")}
    database.close()
    if keys and recording.key_id not in sets:
        problems.append("the key set was acknowledged and is gone")
    for job, (key, succeeded) in jobs.items():
        if job not in rows:
            problems.append(f"job {job} was acknowledged and is gone")
        elif succeeded and not rows[job][1]:
            problems.append(f"the result of {job} was shown and is gone")
        if promises.get(key) != job:
            problems.append(f"the promise of {job} is gone")
    problems += [f"job {job} was deleted and is there" for job in gone & rows.keys()]
    if models is not None:
        problems += start(folder, keys, jobs, gone, recording, models)
    return problems


def start(folder, keys, jobs, gone, recording, models):
    """The same asked of a server that is started on what is left, until all jobs have ended."""
    problems = []
    with Service(BIN / "tacitd", models, folder, folder.with_suffix(".log"), SETTINGS) as service:
        client = Client(service.port)
        if keys and client.ask("GET", f"/v2/keys/{recording.key_id}")[0] != 200:
            problems.append("started: the key set is gone")
        deadline = time.monotonic() + 60
        for job in jobs:
            while True:
                status, _, body = client.ask("GET", f"/v2/jobs/{job}")
                state = json.loads(body).get("state")
                if state not in ("queued", "running") or time.monotonic() > deadline:
                    break
                time.sleep(0.02)
            if state != "succeeded" or client.ask("GET", f"/v2/jobs/{job}/result")[0] != 200:
                problems.append(f"started: job {job}: {status} {body[:200]}")
        problems += [f"started: {job} is there again" for job in gone if client.ask("GET", f"/v2/jobs/{job}")[0] != 404]
        client.close()
    done = subprocess.run([BIN / "tacitd", "check", "--state", folder], capture_output=True, text=True)
    if done.returncode != 0:
        problems.append(f"started and ended: {done.stdout}{done.stderr}")
    return problems


def contents(folder):
    return {str(path.relative_to(folder)): None if path.is_dir() else path.read_bytes() for path in folder.rglob("*")}


def main():
    cuts, seed = arguments(10_000)
    print(f"seed {seed}, {cuts} cuts", flush=True)
    rng = random.Random(seed)
    # In memory, where there is room: nothing here is about the disk that the test itself has.
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="tacit-power-", dir=place) as name:
        folder = Path(name).resolve()
        recording = prepare(folder)
        state, trace = folder / "state", folder / "trace"
        state.mkdir(mode=0o700)
        trace.touch()
        service = Service(BIN / "tacitd", folder / "models", state, folder / "log", SETTINGS)
        service.environment |= {"LD_PRELOAD": os.environ["TACIT_TRACE_SHIM"], "TACIT_TRACE_FOLDER": str(state),
                                "TACIT_TRACE": str(trace)}
        with service:
            witness = Witness(recording, service.port, trace, seed)
            witness.run(max(2, cuts / 1000), 3)
        records, ends = read_trace(trace)
        print(f"{len(records)} changes, {trace.stat().st_size >> 20} MiB, {witness.count()} acknowledgements", flush=True)
        failures = []

        def fail(problem):
            failures.append(problem)
            print(problem, flush=True)

        for problem in witness.problems:
            fail(problem)
        disk, made, examined = Disk(str(state)), 0, 0
        # Every twentieth while the state folder is made and filled with the keys: that is once, and short.
        filled = next(i for i, end in enumerate(ends) if end >= witness.keys)
        moments = sorted(rng.randint(1, len(records) if number % 20 else filled) for number in range(cuts))
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            waiting = collections.deque()

            def finish():
                nonlocal examined
                label, copy, future = waiting.popleft()
                for problem in future.result():
                    fail(f"{label}: {problem}")
                shutil.rmtree(copy)
                examined += 1
                if examined % 1000 == 0:
                    print(f"{examined} cuts, {len(failures)} failures", flush=True)

            for number, moment in enumerate(moments):
                while made < moment:
                    disk.make(records[made])
                    made += 1
                kept = "none" if number % 2 == 0 else "all" if number % 16 == 1 else "some"
                copy = folder / f"cut-{number}"
                write_folder(copy, disk.after_cut(rng, kept))
                claims = witness.claims(ends[moment - 1])
                models = folder / "models" if number % STARTED == 0 else None
                label = f"cut {number} after change {moment} of {len(records)}, {kept} of what was not synced"
                waiting.append((label, copy, pool.submit(examine, copy, claims, recording, models)))
                while len(waiting) > 2 * os.cpu_count():
                    finish()
            while waiting:
                finish()
        for record in records[made:]:
            disk.make(record)
        if disk.after_cut(rng, "all") != contents(state):
            fail("the trace does not lead to what is in the folder")
    print(f"{examined} cuts of the power, {len(failures)} violations")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
