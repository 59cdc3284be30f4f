# SPDX-License-Identifier: Apache-2.0
"""Networks made node by node: what other exporters write and PyTorch's does not."""
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper
from torch.nn import functional as F

from model_writer import node
from torch_evaluator import evaluate

MODELS = Path(__file__).resolve().parents[2] / "models"


def write_bundled(writer):
    """The networks that come with the project, beside PyTorch's functions on their weights."""
    for path in sorted(MODELS.glob("*/*.onnx")):
        model = onnx.load(str(path))
        shape = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim[1:]]
        images = writer.inputs(path.stem, shape)
        writer.save(path.stem, model, images, evaluate(model, images))


def write(writer):
    write_bundled(writer)
    torch.manual_seed(20)
    kernel, bias = torch.randn(4, 2, 3, 3), torch.randn(4)
    matrix, vector = torch.randn(36, 5), torch.randn(5)

    def conv_model(name, attributes, pads, stride=(1, 1), dilation=(1, 1), shape=(2, 7, 8)):
        """pads as PyTorch's F.pad takes them: left, right, top, bottom."""
        writer.build(name, [node("Conv", "x w b", **attributes)], shape, {"w": kernel, "b": bias},
                     lambda x: F.conv2d(F.pad(x, pads), kernel, bias, stride, 0, dilation))

    conv_model("asymmetric_pads", {"pads": [0, 1, 2, 3]}, (1, 3, 0, 2))
    conv_model("same_upper", {"auto_pad": "SAME_UPPER", "strides": [2, 3]}, (0, 1, 1, 1), (2, 3))
    conv_model("same_lower", {"auto_pad": "SAME_LOWER", "strides": [2, 3], "kernel_shape": [3, 3]}, (1, 0, 1, 1),
               (2, 3))
    conv_model("same_upper_even", {"auto_pad": "SAME_UPPER", "strides": [2, 2]}, (0, 1, 0, 1), (2, 2), shape=(2, 8, 8))
    conv_model("same_lower_even", {"auto_pad": "SAME_LOWER", "strides": [2, 2]}, (1, 0, 1, 0), (2, 2), shape=(2, 8, 8))
    conv_model("same_dilated", {"auto_pad": "SAME_UPPER", "dilations": [2, 1]}, (1, 1, 2, 2), dilation=(2, 1))
    conv_model("valid", {"auto_pad": "VALID", "strides": [2, 1]}, (0, 0, 0, 0), (2, 1))

    def counted(x, pads, include):
        """Average pool 3x3, stride 2, with pads on each side of their own."""
        total = F.avg_pool2d(F.pad(x, pads), 3, 2) * 9
        ones = F.avg_pool2d(F.pad(torch.ones_like(x), pads, value=1.0 if include else 0.0), 3, 2) * 9
        return total / ones
    for include in (0, 1):
        writer.build(f"asymmetric_pool_{'counted' if include else 'uncounted'}",
                     [node("AveragePool", "x", kernel_shape=[3, 3], strides=[2, 2], pads=[0, 1, 2, 1],
                           count_include_pad=include)],
                     (2, 7, 7), {}, lambda x, include=include: counted(x, (1, 1, 0, 2), include))
    writer.build("same_pool", [node("AveragePool", "x", kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER")],
                 (2, 8, 8), {}, lambda x: counted(x, (0, 1, 0, 1), False))
    writer.build("pad_counted_pool",
                 [node("Pad", "x p", "z"), node("AveragePool", "z", kernel_shape=[3, 3], strides=[2, 2],
                                                pads=[1, 1, 1, 1], count_include_pad=1)],
                 (2, 7, 7), {"p": np.array([0, 0, 1, 0, 0, 0, 0, 1], np.int64)},
                 lambda x: F.avg_pool2d(F.pad(x, (1, 2, 2, 1)), 3, 2))
    writer.build("pad_uncounted_pool",
                 [node("Pad", "x p", "z"), node("AveragePool", "z", kernel_shape=[3, 3], strides=[2, 2],
                                                pads=[1, 1, 1, 1])],
                 (2, 7, 7), {"p": np.array([0, 0, 1, 0, 0, 0, 0, 1], np.int64)},
                 lambda x: counted(F.pad(x, (0, 1, 1, 0)), (1, 1, 1, 1), False))
    writer.build("pad_twice_opset9",
                 [node("Pad", "x", "z", pads=[0, 0, 1, 2, 0, 0, 0, 1]),
                  node("Pad", "z", "v", pads=[0, 0, 0, 1, 0, 0, 1, 0]), node("Conv", "v w b", pads=[1, 0, 0, 0])],
                 (2, 5, 5), {"w": kernel, "b": bias}, lambda x: F.conv2d(F.pad(x, (3, 1, 2, 1)), kernel, bias), opset=9)

    flat = node("Flatten", "x", "f")
    writer.build("gemm_plain", [flat, node("Gemm", "f w")], (4, 3, 3), {"w": matrix}, lambda x: x.flatten(1) @ matrix)
    writer.build("gemm_alpha_beta", [flat, node("Gemm", "f w c", alpha=0.5, beta=-2.0, transB=1)], (4, 3, 3),
                 {"w": matrix.T.contiguous(), "c": vector.reshape(1, 5)},
                 lambda x: 0.5 * (x.flatten(1) @ matrix) - 2 * vector)
    writer.build("gemm_scalar_bias", [flat, node("Gemm", "f w c", beta=3.0)], (4, 3, 3),
                 {"w": matrix, "c": np.float32(0.25)}, lambda x: x.flatten(1) @ matrix + 0.75)
    writer.build("matmul_add", [flat, node("MatMul", "f w", "m"), node("Add", "b m")], (4, 3, 3),
                 {"w": matrix, "b": vector}, lambda x: x.flatten(1) @ matrix + vector)
    writer.build("matmul_rank3", [node("Reshape", "x s", "f"), node("MatMul", "f w", "m"), node("Add", "m b", "a"),
                                  node("Squeeze", "a o")], (4, 3, 3),
                 {"w": matrix, "b": vector, "s": np.array([0, 1, -1], np.int64), "o": np.array([1], np.int64)},
                 lambda x: x.flatten(1) @ matrix + vector)
    writer.build("transposed_weights", [flat, node("Identity", "w", "v"), node("Transpose", "v", "t", perm=[1, 0]),
                                        node("MatMul", "f t", "y")], (4, 3, 3), {"w": matrix.T.contiguous()},
                 lambda x: x.flatten(1) @ matrix)

    # How weights can be stored.
    typed = helper.make_tensor("w", TensorProto.FLOAT, kernel.shape, kernel.flatten().tolist())
    double = helper.make_tensor("b", TensorProto.DOUBLE, bias.shape, bias.double().tolist())
    writer.build("typed_weights", [node("Cast", "b", "c", to=TensorProto.FLOAT), node("Conv", "x w c")], (2, 6, 6),
                 {"w": typed, "b": double}, lambda x: F.conv2d(x, kernel, bias))
    writer.build("raw_double_weights", [node("Conv", "x w b")], (2, 6, 6), {"w": kernel.double(), "b": bias.double()},
                 lambda x: F.conv2d(x, kernel, bias), element=TensorProto.DOUBLE)
    writer.build("constant_weights",
                 [node("Constant", "", "w", value=helper.make_tensor("", TensorProto.FLOAT, kernel.shape,
                                                                     kernel.numpy().tobytes(), raw=True)),
                  node("Constant", "", "b", value_floats=bias.tolist()), node("Conv", "x w b", "c"),
                  node("Constant", "", "k", value_float=2.5), node("Mul", "k c", "m"),
                  node("Constant", "", "two", value_int=2), node("Pow", "m two")],
                 (2, 6, 6), {}, lambda x: (2.5 * F.conv2d(x, kernel, bias)) ** 2, opset=12)
    writer.build("weights_listed_as_inputs", [node("Conv", "x w b", "c"), node("Relu", "c")], (2, 6, 6),
                 {"w": kernel, "b": bias}, lambda x: F.relu(F.conv2d(x, kernel, bias)), list_weights=True,
                 ir_version=3, opset=9)
    writer.build("unsorted_unnamed_and_dead",
                 [node("Relu", "c"), node("MaxPool", "c", "unused", kernel_shape=[2, 2]), node("Conv", "x w b", "c")],
                 (2, 6, 6), {"w": kernel, "b": bias, "q": np.zeros(3, np.uint8)},
                 lambda x: F.relu(F.conv2d(x, kernel, bias)))

    # Training leftovers that mean nothing at inference.
    writer.build("dropout_opset11", [node("Dropout", "x", "d mask", ratio=0.3), node("Relu", "d")], (2, 3, 3), {},
                 F.relu, opset=11)
    writer.build("dropout_opset13", [node("Dropout", "x r t", "d"), node("Identity", "d", "i"), node("Relu", "i")],
                 (2, 3, 3), {"r": np.float32(0.5), "t": np.array(False)}, F.relu)
    statistics = {"s": torch.rand(2) + 0.5, "o": torch.randn(2), "m": torch.randn(2), "v": torch.rand(2) + 0.5}
    scale, shift, mean, variance = statistics.values()
    writer.build("batch_norm_opset15", [node("BatchNormalization", "x s o m v", epsilon=0.01, training_mode=0)],
                 (2, 3, 3), statistics,
                 lambda x: F.batch_norm(x, mean, variance, scale, shift, eps=0.01), opset=15)
    writer.build("softmax_opset9_reshaped", [flat, node("Softmax", "f", "p"), node("Reshape", "p s")], (3, 1, 2),
                 {"s": np.array([-1, 6], np.int64)}, lambda x: F.softmax(x.flatten(1), 1), opset=9)
    # Before opset 13 everything from the axis on is one vector.
    writer.build("softmax_flattening_opset11", [node("Softmax", "x", axis=1)], (2, 3, 2), {},
                 lambda x: F.softmax(x.flatten(1), 1).reshape(x.shape), opset=11)
    # A normalisation that nobody folded.
    writer.build("computed_norm",
                 [node("Add", "v epsilon", "a"), node("Sqrt", "a", "r"), node("Reciprocal", "r", "i"),
                  node("Mul", "i s", "f"), node("Exp", "o", "p"), node("Abs", "p", "q"), node("Floor", "q", "low"), node("Ceil", "q", "high"),
                  node("Add", "low high", "t"), node("Mul", "x f", "scaled"), node("Add", "scaled t")],
                 (2, 3, 3), {**{name: value.reshape(2, 1, 1) for name, value in statistics.items()},
                             "epsilon": np.float32(0.001)},
                 lambda x: x * (scale / torch.sqrt(variance + 0.001)).reshape(2, 1, 1)
                 + (shift.exp().floor() + shift.exp().ceil()).reshape(2, 1, 1))
    writer.build("scalar_forms", [node("Div", "x d", "a"), node("Sub", "c a", "b"), node("Neg", "b", "e"),
                                  node("Pow", "e one", "g"), node("Add", "g z")],
                 (2, 3, 3), {"d": np.float32(4).reshape(1, 1, 1, 1), "c": np.float32([1.5]), "one": np.float32(1),
                             "z": np.float32(0.125)}, lambda x: x / 4 - 1.5 + 0.125)

    # Shape arithmetic in the manner of TensorFlow's exporter.
    integers = {"zero": [0], "one": [1], "two": [2], "axis0": 0, "minus": [-1], "four": [4]}
    constants = {name: np.array(value, np.int64) for name, value in integers.items()}
    writer.build("tensorflow_flatten",
                 [node("Shape", "x", "shape"), node("Cast", "shape", "s32", to=TensorProto.INT32),
                  node("Slice", "s32 zero one zero", "n1"), node("Squeeze", "n1 zero", "n"),
                  node("Gather", "shape two", "h1"), node("Slice", "shape one four", "chw"),
                  node("Gather", "chw axis0", "c"), node("Gather", "chw minus", "w1"),
                  node("Unsqueeze", "c zero", "c1"), node("Mul", "c1 h1", "ch"), node("Mul", "ch w1", "size"),
                  node("Unsqueeze", "n zero", "n2"), node("Cast", "n2", "n64", to=TensorProto.INT64),
                  node("Concat", "n64 size", "target", axis=0), node("Reshape", "x target", "f"),
                  node("MatMul", "f w", "m"), node("Add", "m b", "a"), node("Softmax", "a", axis=-1)],
                 (4, 3, 3), {"w": matrix, "b": vector, **constants},
                 lambda x: F.softmax(x.flatten(1) @ matrix + vector, 1))
    writer.build("shape_ranges_opset15",
                 [node("Shape", "x", "tail", start=1), node("Shape", "x", "n", end=1),
                  node("Slice", "tail minus low zero minus", "reversed"),
                  node("Concat", "n reversed", "target", axis=0), node("Reshape", "x target")],
                 (4, 3, 2), {**constants, "low": np.array([-2**62], np.int64)},
                 lambda x: x.reshape(-1, 2, 3, 4), opset=15)
    writer.build("constant_of_shape",
                 [node("ConstantOfShape", "two", "front", value=helper.make_tensor("", TensorProto.INT64, [1], [0])),
                  node("Concat", "front two one front zero two", "pads", axis=0), node("Pad", "x pads")],
                 (2, 3, 3), constants, lambda x: F.pad(x, (1, 2, 2, 0)))
    writer.build("transposed_vector",
                 [node("GlobalAveragePool", "x", "g"), node("Transpose", "g", "t", perm=[0, 2, 3, 1]),
                  node("Flatten", "t")], (5, 3, 3), {}, lambda x: x.mean((2, 3)))
    writer.build("fixed_batch", [node("Reshape", "x s", "f"), node("Gemm", "f w b")], (4, 3, 3),
                 {"w": matrix, "b": vector, "s": np.array([8, 36], np.int64)},
                 lambda x: x.flatten(1) @ matrix + vector, batch=8)
    writer.build("no_nodes_but_identity", [node("Identity", "x")], (1, 2, 2), {}, lambda x: x)
