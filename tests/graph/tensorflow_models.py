# SPDX-License-Identifier: Apache-2.0
"""Networks as tf2onnx writes them from Keras: channels last, transposes around every convolution or only where they are
left after its optimiser, shapes computed from shapes, a batch called unk__0."""
import numpy as np
import torch
from onnx import TensorProto
from torch.nn import functional as F

from model_writer import node

FIRST, LAST = [0, 3, 1, 2], [0, 2, 3, 1]


class Weights:
    """Random weights by name, as PyTorch has them, and constants beside them."""

    def __init__(self, seed):
        torch.manual_seed(seed)
        self.given = {}

    def __call__(self, name, *shape, value=None):
        if value is None:
            fan_in = int(np.prod(shape[1:])) if len(shape) > 1 else 4
            value = torch.randn(*shape) / fan_in ** 0.5
        self.given[name] = value
        return value

    def integers(self, name, *values):
        self.given[name] = np.array(values, np.int64)


def flat_last(x):
    """What Flatten gives on channels-last images."""
    return x.permute(0, 2, 3, 1).flatten(1)


def squeeze(opset, x, axes, result):
    if opset < 13:
        return node("Squeeze", x, result, axes=axes)
    return node("Squeeze", f"{x} squeezed_axes", result)


def grey(writer, opset):
    """A grey image is reshaped, not transposed; the optimiser has left one transpose before the dense layer."""
    w = Weights(30)
    k, b, d, e = w("k", 4, 1, 3, 3), w("b", 4), w("d", 4 * 6 * 5, 5), w("e", 5)
    w.integers("chw", -1, 1, 14, 12)
    w.integers("flat", -1, 4 * 6 * 5)
    nodes = [node("Reshape", "x chw", "i", name="model/conv2d/Conv2D__6"),
             node("Conv", "i k b", "c", name="model/conv2d/BiasAdd", kernel_shape=[3, 3], strides=[1, 1],
                  dilations=[1, 1], auto_pad="VALID"),
             node("Relu", "c", "r"),
             node("AveragePool", "r", "p", kernel_shape=[2, 2], strides=[2, 2], auto_pad="VALID"),
             node("Transpose", "p", "l", perm=LAST, name="model/flatten/Reshape__10"),
             node("Reshape", "l flat", "f"), node("MatMul", "f d", "m"), node("Add", "m e", "a"),
             node("Softmax", "a", axis=1 if opset < 13 else -1)]
    writer.build(f"tensorflow_grey_opset{opset}", nodes, (1, 14, 12), w.given, lambda x: F.softmax(
        flat_last(F.avg_pool2d(F.relu(F.conv2d(x, k, b)), 2)) @ d + e, 1), opset=opset, dims=["unk__0", 14, 12, 1])


def coloured(writer, opset):
    """Normalisation of channels-last pixels; strided SAME convolutions; depthwise and pointwise; Relu6."""
    w = Weights(31)
    k, b = w("k", 6, 3, 3, 3), w("b", 6)
    depthwise, pointwise = w("depthwise", 6, 1, 3, 3), w("pointwise", 8, 6, 1, 1)
    d, e = w("d", 8, 4), w("e", 4)
    mean, deviation = w("mean", value=torch.tensor([0.4, 0.5, 0.6])), w("deviation", value=torch.rand(1, 1, 1, 3) + 0.5)
    w("by", value=np.float32(0.5))
    w("zero", value=np.float32(0))
    w("six", value=np.float32(6))
    w.integers("squeezed_axes", 2, 3)
    nodes = [node("Mul", "x by", "a1"), node("Sub", "a1 mean", "a2"), node("Div", "a2 deviation", "a3"),
             node("Transpose", "a3", "t", perm=FIRST),
             node("Conv", "t k b", "c1", strides=[2, 2], auto_pad="SAME_UPPER"),
             node("Max", "c1 zero", "m1"), node("Min", "m1 six", "m2"),
             node("Conv", "m2 depthwise", "c2", group=6, auto_pad="SAME_UPPER"), node("Conv", "c2 pointwise", "c3"),
             node("Sigmoid", "c3", "s"), node("Mul", "c3 s", "swish"), node("GlobalAveragePool", "swish", "g"),
             squeeze(opset, "g", [2, 3], "f"), node("MatMul", "f d", "m"), node("Add", "m e", "logits"),
             node("ArgMax", "logits", "index", axis=-1, keepdims=0), node("Cast", "index", to=TensorProto.INT64)]

    def outputs(x):
        x = (x * 0.5 - mean.reshape(3, 1, 1)) / deviation.reshape(3, 1, 1)
        x = F.relu6(F.conv2d(F.pad(x, (0, 1, 1, 1)), k, b, 2))
        x = F.silu(F.conv2d(F.conv2d(x, depthwise, padding=1, groups=6), pointwise))
        return (x.mean((2, 3)) @ d + e).argmax(1)
    writer.build(f"tensorflow_coloured_opset{opset}", nodes, (3, 11, 10), w.given, outputs, opset=opset,
                 dims=["unk__0", 11, 10, 3])


def unoptimised(writer):
    """A transpose before and behind every layer that wants the channels first; all else is channels last."""
    w = Weights(32)
    k1, k2, b1, b2 = w("k1", 4, 3, 3, 3), w("k2", 4, 4, 3, 3), w("b1", 4), w("b2", 4)
    statistics = [w(name, value=torch.rand(4) + 0.5) for name in ("scale", "shift", "average", "variance")]
    scale, shift, average, variance = statistics
    d, e = w("d", 4 * 4 * 3, 5), w("e", 5)
    nodes = []

    def first(x, kind, *rest, **options):
        """kind between two transposes; returns the name of its result with the channels last."""
        name = f"{kind}{len(nodes)}"
        nodes.extend([node("Transpose", x, f"{name}_in", perm=FIRST),
                      node(kind, " ".join([f"{name}_in", *rest]), f"{name}_out", **options),
                      node("Transpose", f"{name}_out", name, perm=LAST)])
        return name

    def then(kind, inputs, **options):
        nodes.append(node(kind, inputs, f"{kind}{len(nodes)}", **options))
        return nodes[-1].output[0]
    stem = then("Relu", then("Add", first("x", "Conv", "k1", auto_pad="SAME_UPPER") + " b1"))
    body = then("Add", first(stem, "Conv", "k2", auto_pad="SAME_UPPER") + " b2")
    body = first(body, "BatchNormalization", "scale", "shift", "average", "variance", epsilon=0.001)
    joined = then("Relu", then("Add", f"{body} {stem}"))
    pooled = first(joined, "AveragePool", kernel_shape=[2, 2], strides=[2, 2])
    # The shape of the flattened image, computed as TensorFlow does.
    w.integers("zero", 0)
    w.integers("one", 1)
    w.integers("size", 48)
    batch = then("Slice", then("Cast", then("Shape", pooled), to=TensorProto.INT64) + " zero one zero")
    flat = then("Reshape", f"{pooled} " + then("Concat", f"{batch} size", axis=0))
    nodes.append(node("Add", then("MatMul", f"{flat} d") + " e"))

    def outputs(x):
        y = F.relu(F.conv2d(x, k1, b1, padding=1))
        z = F.batch_norm(F.conv2d(y, k2, b2, padding=1), average, variance, scale, shift, eps=0.001)
        return flat_last(F.avg_pool2d(F.relu(z + y), 2)) @ d + e
    writer.build("tensorflow_unoptimised", nodes, (3, 8, 6), w.given, outputs, dims=["unk__0", 8, 6, 3])


def signals(writer):
    """Conv1D is a Conv on images of height 1; a permutation of rank 3 or of rank 4 brings the channels to the front."""
    w = Weights(33)
    k, b, d = w("k", 5, 3, 3), w("b", 5), w("d", 5 * 7, 4)
    k2 = w("k2", value=k.unsqueeze(2))
    assert k2.shape == (5, 3, 1, 3)
    w.integers("axis1", 1)
    w.integers("axis2", 2)
    w.integers("flat", -1, 35)
    end = [node("Tanh", "l", "h"), node("Reshape", "h flat", "f"), node("MatMul", "f d")]
    high = [node("Unsqueeze", "x axis1", "u"), node("Transpose", "u", "t", perm=FIRST), node("Conv", "t k2", "c"),
            node("Transpose", "c", "v", perm=LAST), node("Squeeze", "v axis1", "s"), node("Add", "s b", "l"), *end]
    low = [node("Transpose", "x", "t", perm=[0, 2, 1]), node("Unsqueeze", "t axis2", "u"), node("Conv", "u k2 b", "c"),
           node("Squeeze", "c axis2", "s"), node("Transpose", "s", "l", perm=[0, 2, 1]), *end]
    for name, nodes in (("rank4", high), ("rank3", low)):
        writer.build(f"tensorflow_signal_{name}", nodes, (3, 9), w.given,
                     lambda x: torch.tanh(F.conv1d(x, k, b)).permute(0, 2, 1).flatten(1) @ d, dims=["unk__0", 9, 3])


def small(writer):
    w = Weights(34)
    k, kb = w("k", 4, 2, 3, 3), w("kb", 4)
    w.integers("rows_and_columns", 0, 1, 2, 0, 0, 0, 1, 0)
    dims = ["unk__0", 6, 7, 2]
    conv = [node("Transpose", "x", "t", perm=FIRST), node("Conv", "t k kb", "c", auto_pad="SAME_LOWER"),
            node("Transpose", "c", "l", perm=LAST)]

    def convolved(x):
        return F.conv2d(x, k, kb, padding=1)
    writer.build("tensorflow_concat", [*conv, node("Concat", "l x", "j", axis=3), node("Transpose", "j", perm=FIRST)],
                 (2, 6, 7), w.given, lambda x: torch.cat([convolved(x), x], 1), dims=dims)
    writer.build("tensorflow_pad", [node("Pad", "x rows_and_columns", "p"), node("Transpose", "p", "t", perm=FIRST),
                                    node("Conv", "t k kb")], (2, 6, 7), w.given,
                 lambda x: F.conv2d(F.pad(x, (2, 1, 1, 0)), k, kb), dims=dims)
    writer.build("tensorflow_mean", [*conv, node("Relu", "l", "r"), node("ReduceMean", "r", axes=[1, 2], keepdims=0)],
                 (2, 6, 7), w.given, lambda x: F.relu(convolved(x)).mean((2, 3)), dims=dims)
    writer.build("tensorflow_image_output", [*conv, node("Relu", "l")], (2, 6, 7), w.given,
                 lambda x: F.relu(convolved(x)).permute(0, 2, 3, 1), dims=dims)
    # Nothing but the look of the input says that its channels are last.
    d, e = w("d", 16 * 16, 5), w("e", 5)
    writer.build("tensorflow_flattened", [node("Flatten", "x", "f"), node("MatMul", "f d", "m"), node("Add", "m e")],
                 (1, 16, 16), w.given, lambda x: flat_last(x) @ d + e, dims=["unk__0", 16, 16, 1])
    d, e = w("d", 16 * 16 * 3, 5), w("e", 5)
    writer.build("tensorflow_flattened_colours", [node("Flatten", "x", "f"), node("MatMul", "f d", "m"),
                                                  node("Add", "m e")],
                 (3, 16, 16), w.given, lambda x: flat_last(x) @ d + e, dims=["unk__0", 16, 16, 3])


def write(writer):
    for opset in (9, 11, 13, 15, 17):
        grey(writer, opset)
        coloured(writer, opset)
    unoptimised(writer)
    signals(writer)
    small(writer)
