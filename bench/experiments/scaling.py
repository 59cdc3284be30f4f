# SPDX-License-Identifier: Apache-2.0
"""Time and bytes against the number of images, for three ways to pack: an image in few ciphertexts, the same with small
keys, and the paper's way, a ciphertext for each pixel, where more images share the ciphertexts' other slots."""
from dataclasses import dataclass
from statistics import median

from laboratory import NETWORKS, available_memory, costs, say

FEW = (1, 2, 5)
MANY = (1, 2, 5, 10, 20, 50, 100)
BATCHES = (1, 2, 5, 10, 100, 1000, 4096)
MEMORY_SHARE = 0.8  # of what is free: a package that needs more is only compiled


REPEATED = 5  # up to so many images a point is the median of three runs; more images are a mean by themselves
REPETITIONS = 3


@dataclass(frozen=True)
class Series:
    network: str
    mode: str
    counts: tuple[int, ...]
    repeated: int = REPEATED


FULL = (Series("cryptonets", "latency", MANY), Series("cryptonets", "small-keys", MANY),
        Series("cryptonets", "per-pixel", BATCHES),
        Series("lenet1", "latency", (1, 10)), Series("lenet1", "per-pixel", ()),
        Series("fashion_mnist", "latency", (1, 10, 100)), Series("fashion_mnist", "small-keys", (1, 10, 100)),
        Series("fashion_mnist", "per-pixel", (1,), 0))
QUICK = (Series("cryptonets", "latency", FEW, 0), Series("cryptonets", "small-keys", FEW, 0),
         Series("cryptonets", "per-pixel", (1, 5), 0))
FLAGS = {"latency": (), "small-keys": ("--mode", "small-keys"), "per-pixel": ("--packing", "per-pixel")}


def measure_point(laboratory, service, name, dataset, count, repetitions):
    """Medians over the repetitions. The client's seconds are those of the whole program, the unlocking of its key
    included; bytes are those of all images."""
    answers = [laboratory.evaluate(service, name, dataset, count) for _ in range(repetitions)]
    times = ("client_seconds", "server_seconds", "encrypt_ms", "server_ms", "decrypt_ms")
    return {"images": count, "repetitions": repetitions,
            "upload_bytes": answers[0]["upload_bytes"] * count, "download_bytes": answers[0]["download_bytes"] * count,
            **{key: median(answer[key] for answer in answers) for key in times},
            "peak_memory_bytes": max(answer["peak_memory_bytes"] for answer in answers)}


def measure_series(laboratory, series):
    network = NETWORKS[series.network]
    name = f"{series.network}-{series.mode}"
    package, report = laboratory.compile(network, *FLAGS[series.mode], name=name)
    entry = {"costs": costs(report), "points": []}
    if report["memory"]["total"] > MEMORY_SHARE * available_memory():
        say(f"{name}: needs more memory than there is, and is not run")
        return entry
    if not series.counts:
        return entry
    dataset = laboratory.datasets[network.data]
    with laboratory.serve(package) as service:
        say(f"{name}: making keys")
        laboratory.evaluate(service, name, dataset, 1)
        for count in series.counts:
            say(f"{name}: {count} images")
            repetitions = REPETITIONS if count <= series.repeated else 1
            entry["points"].append(measure_point(laboratory, service, name, dataset, count, repetitions))
    return entry


def experiments(laboratory):
    """For each series its network and mode, and the function that makes its entry: without points where it is not
    run."""
    for series in QUICK if laboratory.quick else FULL:
        yield {"network": series.network, "mode": series.mode}, lambda: measure_series(laboratory, series)
