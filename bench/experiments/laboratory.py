# SPDX-License-Identifier: Apache-2.0
"""What the experiments share: the bundled networks, their data, compiled packages and servers for them."""
import json
import os
import re
import resource
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from bundled_accuracy import choose, load_recipe
from images import FASHION_MNIST
from local_service import Service

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(os.environ.get("TACIT_BIN", ROOT / "build/release/bin"))
CALIBRATION_IMAGES = 512


def say(text):
    print(text, file=sys.stderr, flush=True)


def tacit(*arguments):
    """Runs tacit and returns its standard output; ends the program with tacit's last words where it fails."""
    done = subprocess.run([str(PROGRAMS / "tacit"), *map(str, arguments)], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        sys.exit(f"tacit {arguments[0]}: {(done.stderr.strip() or 'it said nothing').splitlines()[-1]}")
    return done.stdout


def children_seconds():
    """Processor seconds of all programs that were run to their end."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def process_seconds(pid):
    """Processor seconds of a program that runs."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def available_memory():
    """Bytes that the kernel thinks a new program could have."""
    return 1024 * int(re.search(r"^MemAvailable: +(\d+) kB$", Path("/proc/meminfo").read_text(), re.MULTILINE)[1])


@dataclass(frozen=True)
class Network:
    folder: str  # of models/
    title: str
    data: str  # "mnist", "fashion" or "cifar10"

    @property
    def source(self):
        return ROOT / "models" / self.folder

    @property
    def onnx(self):
        return self.source / f"{self.folder}.onnx"


NETWORKS = {n.folder: n for n in (
    Network("cryptonets", "CryptoNets", "mnist"), Network("lenet5", "LeNet-5", "mnist"),
    Network("lenet1", "LeNet-1", "mnist"), Network("fashion_mnist", "Fashion-MNIST", "fashion"),
    Network("cifar10", "CIFAR-10", "cifar10"))}


class Laboratory:
    """Data and a temporary folder. `cifar10` may be None; quick is for callers."""

    def __init__(self, folder, mnist, cifar10, quick):
        self.folder, self.quick = folder, quick
        self.datasets = {"mnist": mnist, "fashion": Path(FASHION_MNIST), "cifar10": cifar10}
        os.environ.update(TACIT_HOME=str(folder / "keys"), TACIT_PASSPHRASE="only for these experiments")

    def has(self, network):
        return self.datasets[network.data] is not None

    def extract(self, split, chosen):
        """The images of CIFAR-10 at these positions in the order of their names, as LABEL/NAME.jpg in a new folder;
        `chosen` gets all labels and answers the positions."""
        archive_path, = self.datasets["cifar10"].glob(f"*{split}*.zip")
        target = self.folder / f"cifar10-{split}"
        with zipfile.ZipFile(archive_path) as archive:
            names = sorted(name for name in archive.namelist() if name.endswith(".jpg"))
            for position in chosen([name.split("/")[-2] for name in names]):
                label, name = names[position].split("/")[-2:]
                (target / label).mkdir(parents=True, exist_ok=True)
                (target / label / name).write_bytes(archive.read(names[position]))
        return target

    def calibration(self, network):
        if network.data != "cifar10":
            return self.datasets[network.data] / "train-images-idx3-ubyte.gz"
        return self.extract("train", lambda labels: range(0, len(labels), len(labels) // CALIBRATION_IMAGES))

    def test_images(self, network, count):
        """A data set of which the first `count` images are those that bundled_accuracy takes."""
        if network.data != "cifar10":
            return self.datasets[network.data]
        _, labels = load_recipe(network.source).load(
            self.datasets["cifar10"], "test", json.loads((network.source / "preprocessing.json").read_text()))
        return self.extract("test", lambda _: choose(labels, count).tolist())

    def compile(self, network, *options, name=None):
        """A package, alone in its folder, and what `tacit compile --json` says."""
        name = name or network.folder
        package = self.folder / "packages" / name / f"{name}.tacit"
        package.parent.mkdir(parents=True, exist_ok=True)
        say(f"{name}: compiling")
        report = tacit("compile", network.onnx, "--calibration", self.calibration(network), "--preprocessing",
                       network.source / "preprocessing.json", "--name", name, "--sample", 0, "-o", package, "--json",
                       *options)
        return package, json.loads(report)

    def serve(self, package):
        """A server for this package alone; a context manager."""
        folder = package.parent
        return Service(PROGRAMS / "tacitd", folder, folder / "state", folder / "tacitd.log")

    def evaluate(self, service, name, dataset, count, network=None):
        """What `tacit evaluate --json` says of the first `count` images, with client_seconds and server_seconds of
        processor time besides. With a network, its outputs in the clear are compared."""
        clear = ["--onnx", network.onnx] if network else []
        client, server = children_seconds(), process_seconds(service.process.pid)
        answer = json.loads(tacit("evaluate", "--server", service.url, "--model", name, "--dataset", dataset, "--count",
                                  count, "--json", *clear))
        answer["client_seconds"] = children_seconds() - client
        answer["server_seconds"] = process_seconds(service.process.pid) - server
        return answer


def costs(report):
    """The part of a compiled package's report that the page shows."""
    return {key: report[key] for key in ("ring_degree", "log_qp", "levels", "keys", "key_bytes", "upload_bytes",
                                         "download_bytes", "batch", "estimated_ms")} | {
        "memory_bytes": report["memory"]["total"]}
