# SPDX-License-Identifier: Apache-2.0
"""experiments.md from results.json: page.template with its {names} filled in, and the plots."""
from pathlib import Path

import plots
from laboratory import NETWORKS

TEMPLATE = Path(__file__).resolve().parent / "page.template"
LEVELS = {"square1": 2, "square2": 4, "pool": 5, "logits": 5}  # that the garment network takes up to each cut


def size(count):
    """Bytes with three digits."""
    for unit, divisor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= divisor:
            return f"{count / divisor:.3g} {unit}" if count < 999.5 * divisor else f"{count / divisor:,.0f} {unit}"
    return f"{count} B"


def duration(seconds):
    """Seconds with three digits."""
    if seconds < 0.9995:
        return f"{seconds * 1000:.3g} ms"
    return f"{seconds:.3g} s" if seconds < 99.95 else f"{seconds:,.0f} s"


def ratio(value):
    """A ratio with two or three digits."""
    return f"{value:.2g}" if value < 9.95 else f"{value:,.0f}"


def percent(share):
    return f"{100 * share:.1f} %"


def table(head, rows):
    lines = ["| " + " | ".join(map(str, line)) + " |" for line in (head, *rows)]
    lines.insert(1, "|---" * len(head) + "|")
    return "\n".join(lines)


def title(entry):
    return NETWORKS[entry["network"]].title


def kept(entry, kind):
    """Agreement with the original network, and the largest change of an output as a share of the outputs' range."""
    return (f"{percent(entry[kind + '_agreement'])}, "
            f"{100 * entry[kind + '_largest_difference'] / entry['output_range']:.2g} %")


def accuracy_tables(entries):
    scores = table(("network", "test images", "original", "polynomial", "simulated noise", "encrypted"),
                   [(title(e), e["count"], *(percent(e[kind + "_accuracy"])
                                             for kind in ("clear", "polynomial", "simulated", "encrypted")))
                    for e in entries])
    changes = table(("network", "polynomial", "simulated noise", "encrypted"),
                    [(title(e), *(kept(e, kind) for kind in ("polynomial", "simulated", "encrypted")))
                     for e in entries])
    return scores, changes


def replaced_words(entry):
    """What polynomials in the place of activations have done to a network."""
    points = 100 * abs(entry["polynomial_accuracy"] - entry["clear_accuracy"])
    difference = 100 * entry["polynomial_largest_difference"] / entry["output_range"]
    kind = entry["activations"][0]["kind"].lower()
    return (f"{title(entry)} was trained with {kind}, which the compiler replaces by polynomials of degree\n"
            f"{entry['activations'][0]['degree']}: this moves outputs by up to {difference:.0f} % of their range and the "
            f"accuracy by {points:.1f} points, with\n{percent(entry['polynomial_agreement'])} of the labels as before. "
            f"That is far more than encryption moves, and a network that is trained with\nsquares does not pay it; "
            f"[its card](../models/{entry['network']}/README.md) has the same over more images.\n")


def accuracy_words(entries):
    exact = [e for e in entries if not e["activations"]]
    lost = max(abs(e["encrypted_accuracy"] - e["polynomial_accuracy"]) for e in entries)
    worst = max(e["encrypted_largest_difference"] / e["output_range"] for e in exact)
    return {"exact_networks": ", ".join(map(title, exact)), "encryption_points": f"{100 * lost:.1f}",
            "worst_difference": f"{100 * worst:.2g} %",
            "replaced": "".join(replaced_words(e) for e in entries if e["activations"])}


def recall_table(entries):
    return table(("network", "ring", "levels", "keys, once", "up", "down", "encrypt", "server", "decrypt"),
                 [(title(e), f"2^{e['costs']['ring_degree'].bit_length() - 1}", e["costs"]["levels"],
                   size(e["costs"]["key_bytes"]), size(e["costs"]["upload_bytes"]), size(e["costs"]["download_bytes"]),
                   duration(e["times"]["encrypt_ms"] / 1000), duration(e["server_seconds"]),
                   duration(e["times"]["decrypt_ms"] / 1000)) for e in entries])


def scaling_table(entries):
    """Of one network: for each number of images the processor time, and everything that was sent."""
    modes = {e["mode"]: {p["images"]: (e, p) for p in e["points"]} for e in entries}
    counts = sorted({count for points in modes.values() for count in points})
    rows = []
    for count in counts:
        found = [points.get(count) for points in modes.values()]
        rows.append((f"{count:,}", *(duration(plots.total_seconds(f[1])) if f else "" for f in found),
                     *(size(plots.total_bytes(*f)) if f else "" for f in found)))
    names = [plots.MODES[mode] for mode in modes]
    return table(("images", *(f"time, {n}" for n in names), *(f"bytes, {n}" for n in names)), rows)


def one_image(entry):
    """The server's processor time for a request with one image, or the compiler's estimate, and whether it was
    measured. Where each image is a request, the mean over the most that were asked for."""
    if entry["points"]:
        point = entry["points"][0 if entry["costs"]["batch"] > 1 else -1]
        return point["server_seconds"] / point["images"], True
    return entry["costs"]["estimated_ms"] / 1000, False


def baseline_pairs(entries):
    """The two packings of each network that has both."""
    packed = {e["network"]: e for e in entries if e["mode"] == "latency"}
    return [(packed[e["network"]], e) for e in entries if e["mode"] == "per-pixel" and e["network"] in packed]


def baseline_row(packed, pixel):
    seconds, measured = one_image(pixel)
    packed_seconds = one_image(packed)[0] if measured else packed["costs"]["estimated_ms"] / 1000
    note = "" if measured else " (estimated)"

    def change(key):
        return f"{size(packed['costs'][key])} → {size(pixel['costs'][key])}"

    up, down = (pixel["costs"][key] / packed["costs"][key] for key in ("upload_bytes", "download_bytes"))
    return (title(pixel), f"{change('upload_bytes')}, {ratio(up)}", f"{change('download_bytes')}, {ratio(down)}",
            f"{duration(packed_seconds)} → {duration(seconds)}, {ratio(seconds / packed_seconds)}{note}",
            change("memory_bytes"), change("key_bytes"))


def scaling_words(entries):
    (packed, pixel), = [pair for pair in baseline_pairs(entries) if pair[0]["network"] == "cryptonets"]
    small, = [e for e in entries if (e["network"], e["mode"]) == ("cryptonets", "small-keys")]
    seconds, pixel_seconds = one_image(packed)[0], one_image(pixel)[0]

    def up(entry):
        return entry["costs"]["upload_bytes"]

    def down(entry):
        return entry["costs"]["download_bytes"]

    def keys(entry):
        return entry["costs"]["key_bytes"]

    batch = pixel["costs"]["batch"]
    last = pixel["points"][-1]
    batch_seconds = (last if last["images"] == batch else pixel["points"][0])["server_seconds"] / batch
    per_image = up(packed) + down(packed)
    equal_bytes = (up(pixel) + down(pixel) + keys(pixel) - keys(packed)) / per_image
    return {"up_ratio": ratio(up(pixel) / up(packed)), "down_ratio": ratio(down(pixel) / down(packed)),
            "batch": f"{batch:,}", "equal_time": ratio(pixel_seconds / seconds), "equal_bytes": ratio(equal_bytes),
            "batch_time": duration(batch_seconds), "batch_bytes": size((up(pixel) + down(pixel)) / batch),
            "packed_time": duration(seconds), "packed_bytes": size(per_image),
            "small_key_share": percent(1 - keys(small) / keys(packed)),
            "small_time_ratio": f"{small['points'][-1]['server_seconds'] / packed['points'][-1]['server_seconds']:.2f}"}


def transfer_table(entries):
    sizes = list(entries[0]["scores"]["encrypted"])
    rows = []
    for e in entries:
        rows.append((plots.CUTS[e["cut"]], f"{e['features']:,}", LEVELS[e["cut"]], size(e["costs"]["key_bytes"]),
                     size(e["costs"]["upload_bytes"]), size(e["costs"]["download_bytes"]),
                     *(f"{percent(e['scores']['encrypted'][s])} ({percent(e['scores']['clear'][s])})" for s in sizes)))
    rows.append(("raw pixels", "784", "", "", "", "", *(percent(entries[0]["scores"]["pixels"][s]) for s in sizes)))
    return table(("features from", "how many", "levels", "keys, once", "up", "down",
                  *(f"{s} digits" for s in sizes)), rows)


def transfer_words(entries):
    best = max(entries, key=lambda e: list(e["scores"]["encrypted"].values())[-1])
    last = list(best["scores"]["encrypted"])[-1]
    return {"best_cut": plots.CUTS[best["cut"]], "best_score": percent(best["scores"]["encrypted"][last]),
            "pixel_score": percent(best["scores"]["pixels"][last]), "most_digits": last,
            "held_out": best["test_images"],
            "feature_agreement": f"{100 * min(e['agreement'] for e in entries):.2f} %"}


def kind(results):
    """What sort of run the results are of, and what it lacks."""
    if results["run"]["quick"]:
        return "the quick run, of a few images, which shows that the program works and little else"
    measured = {e["network"] for e in results["accuracy"]}
    missing = [network.title for name, network in NETWORKS.items() if name not in measured]
    return f"the full run without the accuracy of {', '.join(missing)} (`--go-on` adds it)" if missing else "the full run"


def run_words(results):
    run = results["run"]
    return {"date": run["date"], "version": run["version"], "commit": run["commit"], "processor": run["processor"],
            "cores": run["cores"], "memory": f"{run['memory_bytes'] / 2 ** 30:.0f} GiB",
            "minutes": f"{run['minutes']:.0f}", "least_load": f"{min(run['load']):.1f}",
            "most_load": f"{max(run['load']):.1f}",
            "kind": kind(results)}


def fill(results):
    """The text of the page."""
    scores, changes = accuracy_tables(results["accuracy"])
    scaling = {name: [e for e in results["scaling"] if e["network"] == name] for name in NETWORKS}
    garments = [e for e in scaling["fashion_mnist"] if e["points"]]
    words = {**run_words(results), **accuracy_words(results["accuracy"]), **scaling_words(results["scaling"]),
             **transfer_words(results["transfer"]), "accuracy_table": scores, "change_table": changes,
             "recall_table": recall_table(results["accuracy"]), "scaling_table": scaling_table(scaling["cryptonets"]),
             "garment_table": scaling_table(garments) if garments else "Not part of the quick run.",
             "baseline_table": table(("network", "up", "down", "one image", "server's memory", "keys, once"),
                                     [baseline_row(*pair) for pair in baseline_pairs(results["scaling"])]),
             "transfer_table": transfer_table(results["transfer"])}
    return TEMPLATE.read_text(encoding="utf-8").format(**words)


def write(results, folder):
    """folder/experiments.md and the plots in folder/experiments."""
    plots.write(results, folder / "experiments")
    (folder / "experiments.md").write_text(fill(results), encoding="utf-8")
