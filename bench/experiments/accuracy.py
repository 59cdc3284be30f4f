# SPDX-License-Identifier: Apache-2.0
"""What approximation and encryption cost in accuracy: the original network, the one with polynomials, the one with
simulated noise, and the encrypted one, all on the same test images."""
import bundled_accuracy
from laboratory import NETWORKS, costs, say

COUNT = 500
QUICK_COUNTS = {"cryptonets": 20, "lenet1": 10, "fashion_mnist": 20}


def measure_network(laboratory, network, count):
    package, report = laboratory.compile(network)
    say(f"{network.folder}: {count} images in the clear and with simulated noise")
    entry = bundled_accuracy.measure(network.source, package, laboratory.datasets[network.data], count)
    say(f"{network.folder}: {count} encrypted images")
    dataset = laboratory.test_images(network, count)
    with laboratory.serve(package) as service:
        laboratory.evaluate(service, network.folder, dataset, 1)  # makes and uploads the evaluation keys
        answer = laboratory.evaluate(service, network.folder, dataset, count, network)
    entry.update(encrypted_accuracy=answer["accuracy"], encrypted_agreement=answer["agreement"],
                 encrypted_largest_difference=answer["max_logit_difference"])
    times = {key: answer[key] for key in ("encrypt_ms", "server_ms", "decrypt_ms")}
    return entry | {"activations": report["activations"], "costs": costs(report), "times": times,
                    "server_seconds": answer["server_seconds"] / count,
                    "peak_memory_bytes": answer["peak_memory_bytes"]}


def experiments(laboratory):
    """For each bundled network that has its data its name, and the function that makes its entry."""
    counts = QUICK_COUNTS if laboratory.quick else dict.fromkeys(NETWORKS, COUNT)
    for folder, count in counts.items():
        network = NETWORKS[folder]
        if laboratory.has(network):
            yield {"network": folder}, lambda: measure_network(laboratory, network, count)
