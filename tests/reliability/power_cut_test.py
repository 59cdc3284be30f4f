#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The power goes while the server works: nothing that was acknowledged may be lost, whatever the disk had not been told to keep.

    power_cut_test.py [CUTS [SEED]]     default 10000

trace_shim.cpp writes down every change that a tacitd under load, and `tacitd token` beside it, makes to its state folder. After
any number of them the power may go. What was synced by then is on the disk; of the rest, each write may be there or not, or only
some of its sectors, and of the changes to a folder only the first few. In every second cut nothing of it is there. In such a
folder `tacitd check` must find only what the next start removes, and the database and the audit log must have everything that
was acknowledged before the cut; every hundredth is started and asked for it, and what was begun is brought to its end. A
journalling file system is kinder than this; none is asked for more."""
import collections
import concurrent.futures
import os
import random
import shutil
import sqlite3
import struct
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from check import Check
from ledger import AuditLog, Ledger, token_id
from recording import BIN, Service, prepare
from workload import SETTINGS, arguments, load

SECTOR = 512
STATES = {"awaiting_client": 2, "succeeded": 3}  # in the database
STARTED = 100  # every so many cuts a server is started
SHOWN = 50  # so many failures are printed: one that stays on the disk shows at every later cut
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


class Past:
    """A ledger as it was when the trace had a given length, which grows."""

    def __init__(self, ledger):
        self.ledger, self.changes = ledger, collections.deque(ledger.history)
        self.tables = {table: {} for table in Ledger.TABLES}

    def at(self, moment, state):
        """A ledger of its own for the state folder that the power cut has left."""
        while self.changes and self.changes[0][0] <= moment:
            _, table, key, value = self.changes.popleft()
            self.tables[table][key] = value
        past = Ledger(state, self.ledger.recordings)
        for table, entries in self.tables.items():
            setattr(past, table, dict(entries))
        return past


def write_folder(folder, found):
    folder.mkdir(mode=0o700)
    for path, content in found.items():  # a folder comes before what is in it
        if content is None:
            (folder / path).mkdir(mode=0o700)
        else:
            (folder / path).write_bytes(content)


def check_folder(folder, harmless=""):
    """What `tacitd check` finds wrong, without lines that have these words."""
    done = subprocess.run([BIN / "tacitd", "check", "--state", folder], capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if not harmless or harmless not in line]
    return lines or ([done.stderr.strip()] if done.returncode != 0 and not done.stdout else [])


def examine(past, models):
    """What is wrong with the state that is left. `models` is where a server that is to be started finds its models, or None."""
    if not past.tokens and not (past.state / "tacit.db").exists():
        return []  # the state was not made yet, and nobody was told that it is
    # The next start removes blobs without a row, and half a line of the audit log.
    problems = check_folder(past.state, "; the next start of tacitd ")
    if not past.tokens:
        return problems  # nobody was told of anything
    with sqlite3.connect(past.state / "tacit.db") as database:
        problems += [f"in the database: {problem}" for problem in wrong_rows(database, past)]
    database.close()
    past.audit = AuditLog(past.state)
    audited = dict(past.audited)
    problems += past.unaudited()
    if models is not None:
        past.audit, past.audited = AuditLog(past.state), audited
        with Service(BIN / "tacitd", models, past.state, past.state.with_suffix(".log"), SETTINGS) as service:
            problems += [f"started: {problem}" for problem in Check(service.port, past).run()]
        problems += [f"started and ended: {line}" for line in check_folder(past.state)]
    return problems


def wrong_rows(database, past):
    sets = {row[0].hex() for row in database.execute("SELECT id FROM key_set")}
    jobs = {row[0]: row[1:] for row in database.execute("SELECT id, stage, state, result IS NOT NULL FROM job")}
    promises = dict(database.execute("SELECT key, job FROM idempotency"))
    tokens = dict(database.execute("SELECT id, revoked IS NULL FROM token"))
    piece = past.recordings.large
    received = [row[0] for row in database.execute("SELECT number FROM part WHERE piece = ?", [bytes.fromhex(piece.digest)])]
    stored = database.execute("SELECT 1 FROM piece WHERE digest = ?", [bytes.fromhex(piece.digest)]).fetchone()
    for token, valid in past.tokens.items():
        if valid is not None and tokens.get(token_id(token)) != valid:
            yield f"token {token_id(token)} was {'made' if valid else 'revoked'}"
    for key_id in past.keys.keys() - sets:
        yield f"the key set {key_id} was acknowledged and is gone"
    if wrong := past.upload.claim.broken("stored" if stored else "partial" if received else None, received, piece.key_id in sets):
        yield wrong
    for job in past.jobs.values():
        if job.deleted and job.id in jobs:
            yield f"job {job.id} was deleted and is there"
        if job.id is None or job.deleting:
            continue
        if promises.get(job.key) != job.id:
            yield f"the promise of job {job.id} is gone"
        if job.id not in jobs:
            yield f"job {job.id} was acknowledged and is gone"
            continue
        stage, state, result = jobs[job.id]
        if not job.stage <= stage <= job.sent:
            yield f"job {job.id} was given the input of stage {job.stage}, sent that of {job.sent}, and is in stage {stage}"
        if job.seen is not None and (state != STATES[job.seen] or not result):
            yield f"job {job.id} was {job.seen}, and its state is {state}"


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
        recordings = prepare(folder)
        state, trace = folder / "state", folder / "trace"
        state.mkdir(mode=0o700)
        trace.touch()
        traced = {"LD_PRELOAD": os.environ["TACIT_TRACE_SHIM"], "TACIT_TRACE_FOLDER": str(state), "TACIT_TRACE": str(trace)}
        ledger = Ledger(state, recordings, traced, lambda: trace.stat().st_size).begin()
        service = Service(BIN / "tacitd", folder / "models", state, folder / "log", SETTINGS)
        service.environment |= traced
        failures = []
        with service, load(service, ledger, rng, failures, parts=1, uncertain=()):
            time.sleep(max(2, cuts / 1000))
        records, ends = read_trace(trace)
        print(f"{len(records)} changes, {trace.stat().st_size >> 20} MiB, {ledger.acknowledged} acknowledgements", flush=True)

        for problem in failures[:SHOWN]:
            print(problem)

        def fail(problem):
            failures.append(problem)
            if len(failures) <= SHOWN:
                print(problem, flush=True)

        disk, past, made, examined = Disk(str(state)), Past(ledger), 0, 0
        # Every twentieth while the state folder is made and filled with the keys: that is once, and short.
        with_keys = {key: moment for moment, table, key, _ in reversed(ledger.history) if table == "keys"}
        filled = next(i for i, end in enumerate(ends) if end >= max(with_keys.values()))
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
                models = folder / "models" if number % STARTED == 0 else None
                label = f"cut {number} after change {moment} of {len(records)}, {kept} of what was not synced"
                waiting.append((label, copy, pool.submit(examine, past.at(ends[moment - 1], copy), models)))
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
