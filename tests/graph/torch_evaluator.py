#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What an ONNX network computes, by PyTorch's functions in double precision: the reference of the graph layer's tests.

    /usr/bin/python3 torch_evaluator.py MODEL.onnx INPUT.npy OUTPUT.npy    reads [n, ...] as the model takes it

evaluate(model, images) is the same in Python. Nodes are run in the order of the file, one PyTorch function each.
"""
import sys

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch.nn import functional as F

TYPES = {TensorProto.FLOAT: torch.float64, TensorProto.DOUBLE: torch.float64, TensorProto.INT64: torch.int64,
         TensorProto.INT32: torch.int32, TensorProto.BOOL: torch.bool}


def to_torch(proto):
    value = torch.from_numpy(numpy_helper.to_array(proto).copy())
    return value.double() if value.is_floating_point() else value


def window_pads(x, kernel, options):
    """(before, after) for each axis of the image, in the model's own pads or as its auto_pad means."""
    axes = len(kernel)
    strides, dilations = options.get("strides", [1] * axes), options.get("dilations", [1] * axes)
    mode = options.get("auto_pad", b"NOTSET").decode()
    if mode in ("SAME_UPPER", "SAME_LOWER"):
        pads = []
        for size, k, s, d in zip(x.shape[2:], kernel, strides, dilations):
            total = max(0, (-(-size // s) - 1) * s + (k - 1) * d + 1 - size)
            small, large = total // 2, total - total // 2
            pads.append((small, large) if mode == "SAME_UPPER" else (large, small))
        return pads
    flat = options.get("pads", [0] * 2 * axes)
    return list(zip(flat[:axes], flat[axes:]))


def padded(x, pads, value=0.0):
    return F.pad(x, [amount for pair in reversed(pads) for amount in pair], value=value)


def conv(options, x, w, b=None):
    x = padded(x, window_pads(x, w.shape[2:], options))
    function = F.conv1d if x.dim() == 3 else F.conv2d
    axes = x.dim() - 2
    return function(x, w, b, options.get("strides", [1] * axes), 0, options.get("dilations", [1] * axes),
                    options.get("group", 1))


def ceil_pads(x, pads, kernel, strides, dilations):
    """What ceil_mode adds behind each axis: a last window that begins in the image or in the padding before it."""
    added = []
    for size, (before, after), k, s, d in zip(x.shape[2:], pads, kernel, strides, dilations):
        extent = (k - 1) * d + 1
        windows = -(-(size + before + after - extent) // s) + 1
        if (windows - 1) * s >= size + before:
            windows -= 1
        added.append(max(0, (windows - 1) * s + extent - (size + before + after)))
    return added


def pool(options, x, reduce, outside):
    """reduce over every window; places outside of the image are `outside`."""
    kernel = options["kernel_shape"]
    axes = len(kernel)
    strides, dilations = options.get("strides", [1] * axes), options.get("dilations", [1] * axes)
    pads = window_pads(x, kernel, options)
    added = ceil_pads(x, pads, kernel, strides, dilations) if options.get("ceil_mode", 0) else [0] * axes
    full = padded(padded(x, pads, outside[0]), [(0, more) for more in added], outside[1])
    for axis, (k, s, d) in enumerate(zip(kernel, strides, dilations)):
        # A new last axis with the taps of each place's window.
        full = full.unfold(2 + axis, (k - 1) * d + 1, s)[..., ::d]
    return reduce(full.flatten(x.dim()))


def average_pool(options, x):
    counted = 1.0 if options.get("count_include_pad", 0) else 0.0
    total = pool(options, x, lambda windows: windows.sum(-1), (0.0, 0.0))
    return total / pool(options, torch.ones_like(x), lambda windows: windows.sum(-1), (counted, 0.0))


def max_pool(options, x):
    return pool(options, x, lambda windows: windows.amax(-1), (-float("inf"), -float("inf")))


def gemm(options, a, b, c=None):
    a = a.T if options.get("transA", 0) else a
    b = b.T if options.get("transB", 0) else b
    result = options.get("alpha", 1.0) * (a @ b)
    return result if c is None else result + options.get("beta", 1.0) * c


def softmax(options, x, opset, function):
    axis = options.get("axis", 1 if opset < 13 else -1)
    if opset >= 13:
        return function(x, axis)
    axis %= x.dim()
    return function(x.reshape(*x.shape[:axis], -1), -1).reshape(x.shape)


def arg_max(options, x):
    return torch.argmax(x, options.get("axis", 0), bool(options.get("keepdims", 1)))


def pad(options, opset, x, pads=None, value=None):
    assert options.get("mode", b"constant") == b"constant"
    flat = options["pads"] if opset < 11 else pads.tolist()
    rank = x.dim()
    constant = options.get("value", 0.0) if opset < 11 or value is None else value.item()
    return padded(x, list(zip(flat[:rank], flat[rank:])), constant)


def reshape(options, x, shape):
    target = [x.shape[i] if size == 0 and not options.get("allowzero", 0) else size
              for i, size in enumerate(shape.tolist())]
    return x.reshape(target)


def flatten(options, x):
    axis = options.get("axis", 1)
    return x.reshape(int(np.prod(x.shape[:axis])), -1)


def axes_of(options, opset, axes):
    return options.get("axes") if opset < 13 else None if axes is None else axes.tolist()


def squeeze(options, opset, x, axes=None):
    axes = axes_of(options, opset, axes)
    dropped = [i for i, size in enumerate(x.shape) if size == 1] if axes is None else [axis % x.dim() for axis in axes]
    return x.reshape([size for i, size in enumerate(x.shape) if i not in dropped])


def unsqueeze(options, opset, x, axes=None):
    axes = axes_of(options, opset, axes)
    rank = x.dim() + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        x = x.unsqueeze(axis)
    return x


def slice_(options, opset, x, starts=None, ends=None, axes=None, steps=None):
    if opset < 10:
        starts, ends = options["starts"], options["ends"]
        axes = options.get("axes", range(len(starts)))
        steps = [1] * len(starts)
    else:
        starts, ends = starts.tolist(), ends.tolist()
        axes = range(len(starts)) if axes is None else axes.tolist()
        steps = [1] * len(starts) if steps is None else steps.tolist()
    result = x.numpy()
    for start, end, axis, step in zip(starts, ends, axes, steps):
        place = [slice(None)] * result.ndim
        place[axis] = slice(start, None if step < 0 and end < -result.shape[axis] else end, step)
        result = result[tuple(place)]
    return torch.from_numpy(result.copy())


def constant(options):
    if "value" in options:
        return to_torch(options["value"])
    for name, kind in (("value_float", torch.float64), ("value_floats", torch.float64), ("value_int", torch.int64),
                       ("value_ints", torch.int64)):
        if name in options:
            return torch.tensor(options[name], dtype=kind)
    raise NotImplementedError(sorted(options))


def clip(options, opset, x, low=None, high=None):
    if opset < 11:
        low, high = options.get("min"), options.get("max")
    low = -float("inf") if low is None else float(low)
    high = float("inf") if high is None else float(high)
    return torch.minimum(torch.maximum(x, torch.tensor(low).double()), torch.tensor(high).double())


def divide(a, b):
    return a / b if a.is_floating_point() else torch.div(a, b, rounding_mode="trunc")


def norm(options, x, scale, shift, mean, variance):
    return F.batch_norm(x, mean, variance, scale, shift, eps=options.get("epsilon", 1e-5))


def reduce_mean(options, x):
    return x.mean(options.get("axes", list(range(x.dim()))), bool(options.get("keepdims", 1)))


# By operator: a function of (attributes, opset, inputs).
OPERATORS = {
    "Add": lambda o, v, a, b: a + b,
    "ArgMax": lambda o, v, x: arg_max(o, x),
    "AveragePool": lambda o, v, x: average_pool(o, x),
    "BatchNormalization": lambda o, v, *inputs: norm(o, *inputs),
    "Cast": lambda o, v, x: x.to(TYPES[o["to"]]),
    "Clip": lambda o, v, *inputs: clip(o, v, *inputs),
    "Concat": lambda o, v, *inputs: torch.cat(inputs, o["axis"]),
    "Constant": lambda o, v: constant(o),
    "ConstantOfShape": lambda o, v, shape: torch.full(
        shape.tolist(), to_torch(o["value"]).item() if "value" in o else 0.0),
    "Conv": lambda o, v, *inputs: conv(o, *inputs),
    "Div": lambda o, v, a, b: divide(a, b),
    "Dropout": lambda o, v, x, *rest: x,
    "Elu": lambda o, v, x: F.elu(x, o.get("alpha", 1.0)),
    "Erf": lambda o, v, x: torch.erf(x),
    "Flatten": lambda o, v, x: flatten(o, x),
    "Gather": lambda o, v, x, indices: torch.from_numpy(np.take(x.numpy(), indices.numpy(), o.get("axis", 0))),
    "Gemm": lambda o, v, *inputs: gemm(o, *inputs),
    "GlobalAveragePool": lambda o, v, x: x.mean(list(range(2, x.dim())), True),
    "GlobalMaxPool": lambda o, v, x: x.amax(list(range(2, x.dim())), True),
    "HardSigmoid": lambda o, v, x: (o.get("alpha", 0.2) * x + o.get("beta", 0.5)).clamp(0, 1),
    "HardSwish": lambda o, v, x: F.hardswish(x),
    "Identity": lambda o, v, x: x,
    "LeakyRelu": lambda o, v, x: F.leaky_relu(x, o.get("alpha", 0.01)),
    "LogSoftmax": lambda o, v, x: softmax(o, x, v, F.log_softmax),
    "MatMul": lambda o, v, a, b: a @ b,
    "Max": lambda o, v, a, b: torch.maximum(a, b),
    "MaxPool": lambda o, v, x: max_pool(o, x),
    "Min": lambda o, v, a, b: torch.minimum(a, b),
    "Mul": lambda o, v, a, b: a * b,
    "Neg": lambda o, v, x: -x,
    "PRelu": lambda o, v, x, slope: torch.where(x < 0, x * slope, x),
    "Pad": lambda o, v, *inputs: pad(o, v, *inputs),
    "Pow": lambda o, v, x, power: x ** power,
    "ReduceMean": lambda o, v, x: reduce_mean(o, x),
    "Relu": lambda o, v, x: F.relu(x),
    "Reshape": lambda o, v, x, shape: reshape(o, x, shape),
    "Selu": lambda o, v, x: o.get("gamma", 1.05070102214813232421875) * F.elu(
        x, o.get("alpha", 1.67326319217681884765625)),
    "Shape": lambda o, v, x: torch.tensor(list(x.shape)[o.get("start", 0):o.get("end", None)]),
    "Sigmoid": lambda o, v, x: torch.sigmoid(x),
    "Slice": lambda o, v, *inputs: slice_(o, v, *inputs),
    "Softmax": lambda o, v, x: softmax(o, x, v, F.softmax),
    "Softplus": lambda o, v, x: F.softplus(x, threshold=100),
    "Squeeze": lambda o, v, *inputs: squeeze(o, v, *inputs),
    "Sub": lambda o, v, a, b: a - b,
    "Tanh": lambda o, v, x: torch.tanh(x),
    "Transpose": lambda o, v, x: x.permute(o.get("perm", list(reversed(range(x.dim()))))),
    "Unsqueeze": lambda o, v, *inputs: unsqueeze(o, v, *inputs),
}


def evaluate(model, images):
    """The model's one output for each of `images`, an array whose first axis counts them; in double precision."""
    opset = next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    weights = {"": None, **{proto.name: to_torch(proto) for proto in model.graph.initializer}}
    given = next(value.name for value in model.graph.input if value.name not in weights)
    outputs = []
    with torch.no_grad():
        for image in torch.as_tensor(images).double():
            values = dict(weights, **{given: image.unsqueeze(0)})
            for node in model.graph.node:
                options = {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}
                inputs = [values[name] for name in node.input]
                values[node.output[0]] = OPERATORS[node.op_type](options, opset, *inputs)
            outputs.append(values[model.graph.output[0].name])
    return torch.cat(outputs)


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    outputs = evaluate(onnx.load(sys.argv[1]), np.load(sys.argv[2]))
    np.save(sys.argv[3], outputs.numpy().astype(np.float32))


if __name__ == "__main__":
    main()
