# SPDX-License-Identifier: Apache-2.0
"""Writing a trained network as ONNX, running the file with PyTorch's functions, and measuring it."""
from collections import OrderedDict

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_linear_bn_eval

# Nodes after which the range of values is measured: those whose values are encrypted.
MEASURED = ("Conv", "Mul", "Tanh", "Gemm")


def fold_dense_norms(model):
    """A sequence of layers in evaluation mode with each batch norm that follows a dense layer folded into it."""
    layers, last = OrderedDict(), None
    for name, layer in model.named_children():
        if isinstance(layer, nn.BatchNorm1d) and isinstance(layers[last], nn.Linear):
            layers[last] = fuse_linear_bn_eval(layers[last], layer)
        else:
            layers[name] = layer
            last = name
    return nn.Sequential(layers).eval()


def export(model, path, shape):
    """Writes a sequence of layers, opset 13. Batch norms are folded: those after convolutions by the exporter. `shape`
    is that of one image."""
    model = fold_dense_norms(model.eval())
    torch.onnx.export(model, torch.zeros(1, *shape), str(path), opset_version=13, input_names=["image"],
                      output_names=["logits"], dynamic_axes={"image": {0: "n"}, "logits": {0: "n"}})


def run_node(node, attributes, x):
    """One node on its operands; raises ValueError for what the exporter does not write for these networks."""
    a = attributes
    if node.op_type in ("Conv", "AveragePool") and a["pads"][:2] != a["pads"][2:]:
        raise ValueError(f"{node.name}: uneven padding is not supported here")
    if node.op_type == "Conv":
        return F.conv2d(*x, stride=a["strides"], padding=a["pads"][:2])
    if node.op_type == "Mul":
        return x[0] * x[1]
    if node.op_type == "Tanh":
        return torch.tanh(x[0])
    if node.op_type == "AveragePool":
        return F.avg_pool2d(x[0], a["kernel_shape"], a["strides"], a["pads"][:2])
    if node.op_type == "Flatten":
        return x[0].flatten(1)
    if node.op_type == "Gemm" and a["transB"] == 1 and a["alpha"] == a["beta"] == 1:
        return F.linear(*x)
    raise ValueError(f"{node.name}: {node.op_type} with these attributes is not supported here")


def run_onnx(path, images):
    """Runs the ONNX file node by node; yields for each batch of images a node and its result by the result's name."""
    import onnx
    from onnx import helper, numpy_helper
    graph = onnx.load(str(path)).graph
    constants = {t.name: torch.from_numpy(numpy_helper.to_array(t).copy()) for t in graph.initializer}
    nodes = [(node, {a.name: helper.get_attribute_value(a) for a in node.attribute}) for node in graph.node]
    for batch in images.split(500):
        values = {**constants, graph.input[0].name: batch}
        for node, attributes in nodes:
            values[node.output[0]] = run_node(node, attributes, [values[name] for name in node.input])
        yield {node.output[0]: (node, values[node.output[0]]) for node, _ in nodes}


def evaluate(path, images, labels, names):
    """Accuracy, recall and precision per class, confusion matrix, and the range of each layer's values. `names` are
    the labels' texts."""
    logits, ranges = [], {}
    for values in run_onnx(path, images):
        logits.append(values["logits"][1])
        for node, value in values.values():
            if node.op_type in MEASURED:
                r = ranges.setdefault(node.name, {"sum": 0.0, "squares": 0.0, "count": 0, "max_abs": 0.0})
                r["sum"] += value.double().sum().item()
                r["squares"] += value.double().square().sum().item()
                r["count"] += value.numel()
                r["max_abs"] = max(r["max_abs"], value.abs().max().item())
    classes = len(names)
    predicted = torch.cat(logits).argmax(1)
    confusion = torch.bincount(labels * classes + predicted, minlength=classes * classes).reshape(classes, classes)
    for r in ranges.values():
        mean = r.pop("sum") / r["count"]
        r["std"] = round((r.pop("squares") / r["count"] - mean * mean) ** 0.5, 4)
        r["max_abs"] = round(r["max_abs"], 4)
        r["max_over_std"] = round(r["max_abs"] / max(r["std"], 1e-12), 2)
        del r["count"]
    right = confusion.diagonal()
    per_class = {name: {"recall": round((right[i] / confusion[i].sum()).item(), 4),
                        "precision": round((right[i] / confusion[:, i].sum().clamp(min=1)).item(), 4)}
                 for i, name in enumerate(names)}
    return {"count": len(labels), "accuracy": right.sum().item() / len(labels), "per_class": per_class,
            "confusion": confusion.tolist(), "ranges": ranges}
