# SPDX-License-Identifier: Apache-2.0
"""Load on a tacitd, what it acknowledged, and whether that is still true after a crash.

The bytes of keys and ciphertexts are those that one `tacit predict` sent; the requests are made with Python's own HTTP
client, so that nothing of ours is between the test and the server."""
import contextlib
import http.client
import json
import random
import sys
import threading
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/e2e")]
from proxy import Proxy
from support import BIN, TinyNetwork, clear_cut_images, compile_arguments, images, tacit, write_sources, SIDE
from local_service import Service


@dataclass
class Recording:
    """What a client sends for one prediction: pieces by digest, the body that makes the key set, the inference."""
    pieces: dict
    key_set: bytes
    key_id: str
    inference: bytes
    json_bytes: str


def prepare(folder):
    """Compiles the tiny network into folder/models and records one prediction."""
    models = folder / "models"
    models.mkdir()
    network = TinyNetwork()
    write_sources(folder, network)
    done = tacit(*compile_arguments(folder, folder / "tiny.onnx", models / "tiny.tacit"))
    if done.returncode != 0:
        raise AssertionError(done.stderr)
    image = folder / "image.png"
    image.write_bytes(images.png(clear_cut_images(network, 1)[0].tobytes(), SIDE, SIDE))
    with Service(BIN / "tacitd", models, folder / "recorded", folder / "recorded.log") as service:
        with Proxy(service.port) as proxy:
            done = tacit("predict", "--server", proxy.url, "--model", "tiny", image, home=folder / "keys")
    if done.returncode != 0:
        raise AssertionError(done.stderr)
    pieces, key_set, inference = {}, None, None
    for exchange in proxy.exchanges:
        if exchange.method == "PUT" and "/pieces/" in exchange.path:
            pieces[exchange.path.rsplit("/", 1)[1]] = exchange.body
        elif exchange.path == "/v2/keys" and exchange.answer.status in (200, 201):
            key_set, key_id = exchange.body, json.loads(exchange.answer.body)["key_id"]
        elif exchange.path.endswith("/infer"):
            inference = exchange
    headers = {name.lower(): value for name, value in inference.headers.items()}
    return Recording(pieces, key_set, key_id, inference.body, headers["inference-header-content-length"])


class Client:
    """One connection, opened again where it broke."""

    def __init__(self, port, token=None, timeout=60):
        self.port, self.token, self.timeout = port, token, timeout
        self.connection = None

    def ask(self, method, path, body=None, headers=None):
        """(status, headers, body); ConnectionError or OSError where there was no answer."""
        headers = dict(headers or {})
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        for fresh in (False, True):
            if self.connection is None:
                self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=self.timeout)
                fresh = True
            try:
                self.connection.request(method, path, body, headers)
                response = self.connection.getresponse()
                answer = response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()
                if response.will_close:
                    self.close()
                return answer
            except (http.client.HTTPException, OSError) as error:
                self.close()
                # An idle connection may have been closed before the request; it is safe to repeat one only then.
                if fresh or not isinstance(error, http.client.RemoteDisconnected):
                    raise ConnectionError(str(error)) from error
        raise ConnectionError("no answer")

    def close(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def upload_keys(self, recording):
        for digest, piece in recording.pieces.items():
            status, _, body = self.ask("PUT", f"/v2/keys/pieces/{digest}", piece)
            if status not in (200, 201):
                return status, body
        status, _, body = self.ask("POST", "/v2/keys", recording.key_set, {"Content-Type": "application/json"})
        return status, body

    def submit(self, recording, key):
        return self.ask("POST", "/v2/models/tiny/infer", recording.inference, {
            "Inference-Header-Content-Length": recording.json_bytes, "Prefer": "respond-async",
            "Idempotency-Key": f'"{key}"'})


@dataclass
class Ledger:
    """What the server said. `jobs`: idempotency key -> job, or None where the answer never came. `deleted`: jobs that
    are gone for certain; `deleting`: whose deletion was asked for and not answered."""
    jobs: dict = field(default_factory=dict)
    deleted: set = field(default_factory=set)
    deleting: set = field(default_factory=set)
    keys: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)
    acknowledged: int = 0


# Of a server that only the faults stop.
SETTINGS = {"quota.jobs": 0, "quota.requests_per_second": 0, "limits.queue": 1000, "log.level": "warning"}


def arguments(count):
    """[COUNT [SEED]] of the command line: `count` and a random seed where they are not there."""
    return (int(sys.argv[1]) if len(sys.argv) > 1 else count,
            int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(2**31))


# A tenant may keep 256 finished jobs, and a list has 100: fewer, and the check sees all of them.
MOST_JOBS = 60


def work(service, recording, ledger, seed, stop, problems):
    """Random requests until `stop` is set or the server is gone."""
    rng = random.Random(seed)
    client = Client(service.port, timeout=20)
    while not stop.is_set() and service.process.poll() is None:
        try:
            choice = rng.random()
            with ledger.lock:
                known = [job for job in ledger.jobs.values() if job and job not in ledger.deleted | ledger.deleting]
                full = len(ledger.jobs) - len(ledger.deleted) >= MOST_JOBS
            if not ledger.keys or (not known and full) or choice >= 0.9:
                status, body = client.upload_keys(recording)
                with ledger.lock:
                    ledger.keys = ledger.keys or status in (200, 201)
                    ledger.acknowledged += 1
            elif choice < 0.45 and not full or not known:
                key = str(uuid.UUID(int=rng.getrandbits(128)))
                with ledger.lock:
                    ledger.jobs[key] = None
                status, _, body = client.submit(recording, key)
                if status == 202:
                    with ledger.lock:
                        ledger.jobs[key] = json.loads(body)["job_id"]
                        ledger.acknowledged += 1
                elif status not in (429, 500, 503, 507):  # with these it may be there or not, which the check finds out
                    problems.append(f"submit: {status} {body[:200]}")
            elif choice < 0.6:
                status, _, body = client.ask("GET", f"/v2/jobs/{rng.choice(known)}/result")
                if status not in (200, 404, 409, 500, 503):
                    problems.append(f"result: {status} {body[:200]}")
            elif choice < 0.8 or full:
                job = rng.choice(known)
                with ledger.lock:
                    ledger.deleting.add(job)
                status, _, body = client.ask("DELETE", f"/v2/jobs/{job}")
                with ledger.lock:
                    if status in (204, 404):
                        ledger.deleted.add(job)
                        ledger.acknowledged += 1
                    elif status not in (200, 500, 503, 507):
                        problems.append(f"delete: {status} {body[:200]}")
            else:
                client.ask("GET", "/v2/jobs")
        except ConnectionError:
            stop.wait(0.02)
    client.close()


@contextlib.contextmanager
def load(service, recording, ledger, rng, problems):
    """Four clients at work() while the `with` block lasts."""
    stop = threading.Event()
    threads = [threading.Thread(target=work, args=(service, recording, ledger, rng.random(), stop, problems))
               for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def check(port, recording, ledger):
    """Everything that was acknowledged, on a server that works; a list of what is not true."""
    problems = []
    client = Client(port)
    status, _, body = client.ask("GET", f"/v2/keys/{recording.key_id}")
    if ledger.keys and status != 200:
        problems.append(f"the key set was acknowledged and is gone: {status} {body[:200]}")
    if not ledger.keys:
        status, body = client.upload_keys(recording)
        if status not in (200, 201):
            problems.append(f"keys are not taken: {status} {body[:200]}")
        ledger.keys = True
    ids = {}
    for key, job in list(ledger.jobs.items()):
        if job in ledger.deleted:
            status, _, _ = client.ask("GET", f"/v2/jobs/{job}")
            if status != 404:
                problems.append(f"job {job} was deleted and is there: {status}")
            del ledger.jobs[key]
            continue
        if job is None:  # never answered: the same request again must lead to one job
            status, _, body = client.submit(recording, key)
            if status != 202:
                problems.append(f"submitting again: {status} {body[:200]}")
                continue
            job = ledger.jobs[key] = json.loads(body)["job_id"]
        if job in ids:
            problems.append(f"two keys have one job {job}")
        ids[job] = key
    deadline = time.monotonic() + 60
    for job, key in ids.items():
        while True:
            status, _, body = client.ask("GET", f"/v2/jobs/{job}")
            page = json.loads(body)
            if status == 404 and job in ledger.deleting:
                break
            if status != 200:
                problems.append(f"job {job} was acknowledged and is gone: {status}")
                break
            if page["state"] == "cancelled" and job in ledger.deleting:
                break
            if page["state"] in ("queued", "running"):
                if time.monotonic() > deadline:
                    problems.append(f"job {job} never ends: {page}")
                    break
                time.sleep(0.02)
                continue
            if page["state"] != "succeeded":
                problems.append(f"job {job}: {page}")
                break
            status, _, body = client.ask("GET", f"/v2/jobs/{job}/result")
            if status != 200 or len(body) < 1000:
                problems.append(f"the result of {job} is lost: {status} {body[:200]}")
            # The same request once more is the same job.
            again, _, body = client.submit(recording, key)
            if again != 202 or json.loads(body)["job_id"] != job:
                problems.append(f"the request of {job}, sent again, is another job: {again} {body[:200]}")
            break
    listed = {page["job_id"] for page in json.loads(client.ask("GET", "/v2/jobs")[2])["jobs"]}
    extra = listed - set(ids) - ledger.deleting
    if extra:
        problems.append(f"jobs that nobody was told of: {sorted(extra)}")
    # Room for the next round.
    for job in listed:
        for _ in range(2):
            if client.ask("DELETE", f"/v2/jobs/{job}")[0] == 204:
                break
    ledger.jobs.clear()
    ledger.deleted.clear()
    ledger.deleting.clear()
    client.close()
    return problems
