# SPDX-License-Identifier: Apache-2.0
"""The page's plots as SVG: the same results give the same bytes."""
import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot, ticker  # noqa: E402

MODES = {"latency": "packed", "small-keys": "packed, small keys", "per-pixel": "per pixel"}
COLOURS = {"latency": "#1f77b4", "small-keys": "#2ca02c", "per-pixel": "#d62728"}
CUTS = {"square1": "first square", "square2": "second square", "pool": "second square, pooled", "logits": "logits"}
STYLE = {"svg.hashsalt": "tacit", "svg.fonttype": "none", "font.size": 10, "axes.grid": True, "grid.alpha": 0.3,
         "axes.spines.top": False, "axes.spines.right": False}


def draw(path, lines, x_label, y_label, scale="log"):
    """`lines` are (text, colour or None, xs, ys)."""
    with pyplot.rc_context(STYLE):
        figure, axes = pyplot.subplots(figsize=(6.4, 4))
        for text, colour, xs, ys in lines:
            axes.plot(xs, ys, marker="o", markersize=4, color=colour, label=text)
        for axis, set_scale in ((axes.xaxis, axes.set_xscale), (axes.yaxis, axes.set_yscale)):
            set_scale(scale)
            if scale == "log":
                axis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
                axis.set_minor_locator(ticker.NullLocator())
                axis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:,g}"))
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
        axes.legend(frameon=False)
        figure.tight_layout()
        figure.savefig(path, metadata={"Date": None})
        pyplot.close(figure)
    # Some lines end in blanks, which no file of the project has.
    path.write_text("".join(line.rstrip() + "\n" for line in path.read_text().splitlines()))


def series_lines(series, value):
    return [(MODES[entry["mode"]], COLOURS[entry["mode"]], [point["images"] for point in entry["points"]],
             [value(entry, point) for point in entry["points"]]) for entry in series if entry["points"]]


def total_seconds(point):
    """Processor time of the client's program and of the server for so many images."""
    return point["client_seconds"] + point["server_seconds"]


def total_bytes(entry, point):
    """All that passes the network for so many images, the evaluation keys included."""
    return entry["costs"]["key_bytes"] + point["upload_bytes"] + point["download_bytes"]


def write(results, folder):
    """time.svg, bytes.svg and transfer.svg in `folder`."""
    series = [entry for entry in results["scaling"] if entry["network"] == "cryptonets"]
    draw(folder / "time.svg", series_lines(series, lambda _, point: total_seconds(point)), "images",
         "seconds of processor time in all")
    draw(folder / "bytes.svg", series_lines(series, lambda entry, point: total_bytes(entry, point) / 1e6), "images",
         "MB in all, keys included")
    lines = [(f"{CUTS[entry['cut']]} ({entry['features']:,} features)", None, *points(entry["scores"]["encrypted"]))
             for entry in results["transfer"]]
    lines.append(("raw pixels (784)", "#7f7f7f", *points(results["transfer"][0]["scores"]["pixels"])))
    draw(folder / "transfer.svg", lines, "digits trained on", "right on other digits, %", "linear")


def points(scores):
    return [int(size) for size in scores], [100 * score for score in scores.values()]
