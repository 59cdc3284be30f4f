#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Transfer learning on encrypted features: a network trained on garments as feature extractor for handwritten digits.

    examples/transfer_learning/run.py --dataset DIR [--sizes 50,100,200,500] [--train 1000] [--test 1000]
                                      [--cut pool] [--json FILE]

DIR holds the four IDX files of MNIST (train-images-idx3-ubyte.gz and so on). The bundled Fashion-MNIST network is cut
before its last dense layer, or where --cut says, compiled and served on the loopback interface. `tacit features` gets
the features of TRAIN training and TEST test images, which the server sees only encrypted. For each size, `tacit fit`
trains up to five classifiers on as many images, no two of them on the same ones, and `tacit classify` measures them on
the test images. The same is done with features computed in the clear and with raw pixels. The table goes to standard
output.
"""
import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
import onnx.utils

sys.dont_write_bytecode = True
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import images
from local_service import Service

PROGRAMS = Path(os.environ.get("TACIT_BIN", ROOT / "build/release/bin"))
SOURCE = ROOT / "models/fashion_mnist"
NAME = "fashion-features"
MOST_TRAININGS = 5
CUTS = {"square1": "/square1/Mul", "square2": "/square2/Mul", "pool": "/pool/AveragePool", "logits": "/classifier/Gemm"}


def say(text):
    print(text, file=sys.stderr, flush=True)


def tacit(*arguments, quiet=False):
    """Runs tacit and returns its standard output."""
    done = subprocess.run([str(PROGRAMS / "tacit"), *map(str, arguments)], stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.PIPE if quiet else None, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        sys.exit(f"tacit {arguments[0]} failed{': ' + done.stderr.splitlines()[-1] if quiet else ''}")
    return done.stdout


def cut_network(folder, cut):
    """The network up to the node CUTS[cut], as an ONNX file of its own."""
    source = SOURCE / "fashion_mnist.onnx"
    last, = [node for node in onnx.load(str(source)).graph.node if node.name == CUTS[cut]]
    onnx.utils.extract_model(str(source), str(folder / "features.onnx"), ["image"], [last.output[0]])
    page = json.loads((SOURCE / "preprocessing.json").read_text())
    page.update(name=NAME, labels=[])
    (folder / "preprocessing.json").write_text(json.dumps(page))
    return page


def compile_network(folder):
    (folder / "models").mkdir()
    tacit("compile", folder / "features.onnx", "--calibration", f"{images.FASHION_MNIST}/train-images-idx3-ubyte.gz",
          "--preprocessing", folder / "preprocessing.json", "-o", folder / f"models/{NAME}.tacit")
    return folder / f"models/{NAME}.tacit"


def load_mnist(dataset, split, count):
    """Pixels [count, 28, 28] and labels [count] of the first images."""
    shape, pixels = images.read_idx(dataset / f"{split}-images-idx3-ubyte.gz")
    _, labels = images.read_idx(dataset / f"{split}-labels-idx1-ubyte.gz")
    if shape[0] < count:
        sys.exit(f"{dataset} has {shape[0]} images in {split}, but {count} are needed")
    return (np.frombuffer(pixels, np.uint8).reshape(shape)[:count], np.frombuffer(labels, np.uint8)[:count])


def encrypted_features(folder, dataset, counts):
    """The table of each split from the server, and what an image cost."""
    os.environ.update(TACIT_HOME=str(folder / "keys"), TACIT_PASSPHRASE="only for this example")
    costs = {}
    with Service(PROGRAMS / "tacitd", folder / "models", folder / "state", folder / "tacitd.log") as service:
        for split, count in counts.items():
            costs[split] = json.loads(tacit("features", "--server", service.url, "--model", NAME, "--dataset",
                                            dataset / f"{split}-images-idx3-ubyte.gz", "--count", count, "--output",
                                            folder / f"encrypted-{split}.npy", "--json"))
    return costs


def clear_features(folder, package, page, pixels, split):
    tensors = ((pixels[:, None] / page["scale"] - page["mean"][0]) / page["std"][0]).astype(np.float32)
    np.save(folder / "tensors.npy", tensors)
    tacit("simulate", package, "--exact", "--input", folder / "tensors.npy", "--output", folder / f"clear-{split}.npy")


def accuracy(folder, kind, rows, labels, test_labels):
    """Of a head trained on these rows, on the test images; the strength it was trained with, and what it says."""
    table = np.load(folder / f"{kind}-train.npy")[rows]
    np.save(folder / "part.npy", table.reshape(len(table), -1))
    np.save(folder / "part-labels.npy", labels[rows].astype(np.int64))
    np.save(folder / "test-labels.npy", test_labels.astype(np.int64))
    fit = json.loads(tacit("fit", folder / "part.npy", "--labels", folder / "part-labels.npy", "--held-out", 0,
                           "--output", folder / "digits.head", "--json", quiet=True))
    result = json.loads(tacit("classify", folder / "digits.head", folder / f"{kind}-t10k.npy", "--labels",
                              folder / "test-labels.npy", "--json", quiet=True))
    return result["accuracy"], fit["l2"], [entry["label"] for entry in result["predictions"]]


def measure(folder, options):
    counts = {"train": options.train, "t10k": options.test}
    page = cut_network(folder, options.cut)
    package = compile_network(folder)
    mnist = {split: load_mnist(options.dataset, split, count) for split, count in counts.items()}
    started = time.monotonic()
    costs = encrypted_features(folder, options.dataset, counts)
    seconds = time.monotonic() - started
    for split, (pixels, _) in mnist.items():
        clear_features(folder, package, page, pixels, split)
        np.save(folder / f"pixels-{split}.npy", pixels)

    encrypted, clear = (np.load(folder / f"{kind}-t10k.npy") for kind in ("encrypted", "clear"))
    report = {"cut": options.cut, "train_images": counts["train"], "test_images": counts["t10k"],
              "features": int(clear[0].size), "seconds": seconds, "costs": costs["t10k"],
              "largest_feature": float(np.abs(clear).max()),
              "rms_error": float(np.sqrt(np.mean((encrypted - clear) ** 2))),
              "largest_error": float(np.abs(encrypted - clear).max()), "accuracy": {}, "l2": {}}
    agreeing = compared = 0
    for n in options.sizes:
        said = {}
        trainings = min(options.train // n, MOST_TRAININGS)
        for kind in ("encrypted", "clear", "pixels"):
            runs = [accuracy(folder, kind, slice(i * n, (i + 1) * n), mnist["train"][1], mnist["t10k"][1])
                    for i in range(trainings)]
            report["accuracy"].setdefault(kind, {})[n] = [run[0] for run in runs]
            report["l2"].setdefault(kind, {})[n] = [run[1] for run in runs]
            said[kind] = [label for run in runs for label in run[2]]
            say(f"{n} images, {kind}: " + ", ".join(f"{run[0]:.1%}" for run in runs))
        agreeing += sum(a == b for a, b in zip(said["encrypted"], said["clear"]))
        compared += len(said["clear"])
    report["agreement"] = agreeing / compared
    return report


def show(report):
    costs = report["costs"]
    print(f"{report['train_images']} training and {report['test_images']} test images; {report['features']} features "
          f"of each came back encrypted")
    print(f"one image: server {costs['server_ms']:.1f} ms, {costs['upload_bytes'] / 1e3:.0f} kB sent, "
          f"{costs['download_bytes'] / 1e3:.0f} kB received; all together {report['seconds']:.0f} s")
    print(f"features up to {report['largest_feature']:.1f}; encryption changed them by {report['rms_error']:.1e} "
          f"(root mean square), at most {report['largest_error']:.1e}")
    print(f"classifiers of encrypted and of clear features gave the same label for {report['agreement']:.2%} of the "
          f"test images\n")
    print("| trained on | trainings | encrypted features | clear features | raw pixels |")
    print("|---|---|---|---|---|")
    for n in report["accuracy"]["clear"]:
        cells = []
        for kind in ("encrypted", "clear", "pixels"):
            runs = np.array(report["accuracy"][kind][n])
            cells.append(f"{runs.mean():.1%} ({runs.min():.1%} to {runs.max():.1%})")
        print(f"| {n} images | {len(runs)} | {' | '.join(cells)} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", type=Path, required=True, help="folder with the IDX files of MNIST")
    parser.add_argument("--sizes", type=lambda text: [int(n) for n in text.split(",")], default=[50, 100, 200, 500],
                        help="numbers of training images (default 50,100,200,500)")
    parser.add_argument("--train", type=int, default=1000, help="training images in all (default 1000)")
    parser.add_argument("--test", type=int, default=1000, help="test images (default 1000)")
    parser.add_argument("--cut", choices=CUTS, default="pool", help="where the features come from (default pool)")
    parser.add_argument("--json", type=Path, help="receives all figures")
    options = parser.parse_args()
    if not all(1 <= n <= options.train for n in options.sizes) or options.test < 1:
        parser.error("--sizes are numbers from 1 to --train, and --test is at least 1")
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # so that the server is ended too
    with tempfile.TemporaryDirectory(prefix="tacit-transfer-") as folder:
        report = measure(Path(folder), options)
    show(report)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
