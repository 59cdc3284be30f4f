# SPDX-License-Identifier: Apache-2.0
"""What approximation and encryption cost in accuracy: the original network, the one with polynomials, the one with
simulated noise, and the encrypted one, all on the same test images."""
import bundled_accuracy
from laboratory import NETWORKS, costs, say

COUNTS = {"cryptonets": 500, "lenet5": 100, "lenet1": 100, "fashion_mnist": 500, "cifar10": 100}
QUICK_COUNTS = {"cryptonets": 20, "lenet1": 10, "fashion_mnist": 20}


def measure(laboratory):
    """One entry for each bundled network that has its data."""
    entries = []
    for folder, count in (QUICK_COUNTS if laboratory.quick else COUNTS).items():
        network = NETWORKS[folder]
        if not laboratory.has(network):
            continue
        package, report = laboratory.compile(network)
        say(f"{folder}: {count} images in the clear and with simulated noise")
        clear = bundled_accuracy.measure(network.source, package, laboratory.datasets[network.data], count)
        say(f"{folder}: {count} encrypted images")
        with laboratory.serve(package) as service:
            answer, _ = laboratory.evaluate(service, folder, laboratory.test_images(network, count), count, network)
        clear.update(encrypted_accuracy=answer["accuracy"], encrypted_agreement=answer["agreement"],
                     encrypted_largest_difference=answer["max_logit_difference"])
        entries.append({"network": folder, "activations": report["activations"], **clear, "costs": costs(report),
                        "times": {key: answer[key] for key in ("encrypt_ms", "server_ms", "decrypt_ms")},
                        "peak_memory_bytes": answer["peak_memory_bytes"]})
    return entries
