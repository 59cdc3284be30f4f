# SPDX-License-Identifier: Apache-2.0
"""What clients send: the bytes of two predictions that one `tacit predict` made with each of two models, and an evaluation
key that is longer than one part of an upload."""
import hashlib
import json
import struct
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/e2e")]
from proxy import Proxy
from support import BIN, SEED, SIDE, TinyNetwork, clear_cut_images, compile_arguments, images, tacit, write_sources
from local_service import Service

PART_BYTES = 8 << 20  # protocol/keys.md


def digest(data):
    return hashlib.blake2b(data, digest_size=32).hexdigest()


@dataclass
class Stage:
    """A request of a prediction; `json_bytes` is its Inference-Header-Content-Length."""
    body: bytes
    json_bytes: str


@dataclass
class Recording:
    """What a client sends to a model: pieces by digest, the body that makes the key set, the stages of each prediction."""
    model: str
    pieces: dict
    key_set: bytes
    key_id: str
    predictions: list


@dataclass
class Piece:
    """An evaluation key that is sent in parts, and the set that it is alone in."""
    content: bytes

    def __post_init__(self):
        self.digest = digest(self.content)
        self.parts = range(-(-len(self.content) // PART_BYTES))
        self.key_set = json.dumps({"pieces": [self.digest]}).encode()
        self.key_id = digest(bytes.fromhex(self.digest))

    def part(self, number):
        return self.content[number * PART_BYTES:(number + 1) * PART_BYTES]

    def fields(self, number):
        return {"Tacit-Piece-Bytes": str(len(self.content)), "Tacit-Part-Digest": digest(self.part(number))}


@dataclass
class Recordings:
    """`tiny` answers at once, `rounds` asks its client in between (--refresh)."""
    tiny: Recording
    rounds: Recording
    large: Piece


def large_piece(parameters):
    """The shortest evaluation key of more than one part that these parameters admit. It belongs to no secret key, but a server
    cannot know that: each residue is random and below its prime, as its highest bit is 0."""
    degree, specials = 1 << parameters["log_degree"], parameters["special_primes"]
    for level in range(len(parameters["primes"])):
        primes = parameters["primes"][:level + 1]
        bits = [prime.bit_length() for prime in primes + specials]
        if 72 + 32 + (level + 1) * sum(bits) * degree // 8 > PART_BYTES:
            break
    else:
        raise AssertionError("no key has more than one part")
    basis = hashlib.blake2b(struct.pack(f"<{2 + len(bits)}Q", degree, level + 1, *primes, *specials), digest_size=32).digest()
    rng = np.random.default_rng(SEED)
    header = struct.pack("<4sBBH16sBBBBIQ32s", b"TACT", 3, 1, 0, rng.bytes(16), parameters["log_degree"], level, 1,
                         len(specials), 1, 0, basis)
    limbs = [rng.integers(0, 2, (degree, width), np.uint8) for _ in range(level + 1) for width in bits]
    for limb in limbs:
        limb[:, -1] = 0
    return Piece(header + rng.bytes(32) + b"".join(np.packbits(limb, bitorder="little").tobytes() for limb in limbs))


def record(model, service, paths, home):
    """Lets `tacit predict` ask for each of the images."""
    with Proxy(service.port) as proxy:
        done = tacit("predict", "--server", proxy.url, "--model", model, *paths, home=home)
    if done.returncode != 0:
        raise AssertionError(done.stderr)
    pieces, key_set, key_id, stages = {}, None, None, []
    for exchange in proxy.exchanges:
        if exchange.method == "PUT" and "/pieces/" in exchange.path:
            pieces[exchange.path.rsplit("/", 1)[1]] = exchange.body
        elif exchange.path == "/v2/keys" and exchange.answer.status in (200, 201):
            key_set, key_id = exchange.body, json.loads(exchange.answer.body)["key_id"]
        elif exchange.path.endswith("/infer"):
            headers = {name.lower(): value for name, value in exchange.headers.items()}
            stages.append(Stage(exchange.body, headers["inference-header-content-length"]))
    each = len(stages) // len(paths)
    return Recording(model, pieces, key_set, key_id, [stages[i:i + each] for i in range(0, len(stages), each)])


def prepare(folder):
    """Compiles the models into folder/models and records the predictions."""
    models = folder / "models"
    models.mkdir()
    network = TinyNetwork()
    write_sources(folder, network)

    def compile_model(name, model, *options):
        onnx.save(model, str(folder / f"{name}.onnx"))
        done = tacit(*compile_arguments(folder, folder / f"{name}.onnx", models / f"{name}.tacit"), "--name", name,
                     "--sample", "0", *options)
        if done.returncode != 0:
            raise AssertionError(done.stderr)
        package = (models / f"{name}.tacit").read_bytes()
        return json.loads(package[20:20 + int.from_bytes(package[12:20], "little")])

    compile_model("tiny", network.model())
    compile_model("rounds", network.model(kinds=("Relu",)), "--refresh")
    # So deep that its keys are long; of those so deep, one that a server loads quickly.
    deep = compile_model("deep", network.model(kinds=("Tanh", "Tanh")), "--degree", "15", "--max-calibration", "4",
                         "--mode", "throughput")
    paths = [folder / f"image-{i}.png" for i in range(2)]
    for path, pixels in zip(paths, clear_cut_images(network, len(paths))):
        path.write_bytes(images.png(pixels.tobytes(), SIDE, SIDE))
    with Service(BIN / "tacitd", models, folder / "recorded", folder / "recorded.log") as service:
        tiny, rounds = (record(model, service, paths, folder / "keys") for model in ("tiny", "rounds"))
    return Recordings(tiny, rounds, large_piece(deep["parameters"]))
