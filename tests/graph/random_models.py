# SPDX-License-Identifier: Apache-2.0
"""Small random ONNX networks with what PyTorch computes for them; the same seed gives the same network.

random_model(seed) makes one with any supported operator. For encrypted=True it has only operators that the compiler
takes and few functions one after the other, so that most can be compiled.
"""
from dataclasses import dataclass

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from model_writer import as_images
from torch_evaluator import evaluate

OPSETS = range(9, 18)
IMAGES = 3


@dataclass
class RandomModel:
    model: onnx.ModelProto
    images: np.ndarray   # [n, channels, height, width], whatever the model's own order of axes
    outputs: np.ndarray  # the model's output for each image, as float32
    logits: np.ndarray   # the same before the Softmax or ArgMax at the model's end


class Maker:
    """Appends nodes; `x` is the tensor that the network goes on from and `dims` its dimensions after the batch axis:
    (channels, height, width), (channels, width) or (features,), or with the channels last where `last`."""

    def __init__(self, seed, encrypted):
        self.random = np.random.default_rng(seed)
        self.encrypted = encrypted
        self.opset = int(self.random.choice(list(OPSETS)))
        self.nodes, self.weights = [], {}
        self.functions = 0  # so many more Squares and activations may follow
        self.last = False
        self.x, self.dims = "image", ()

    # ----------------------------------------------------------------------------------------- dice and building blocks
    def chance(self, share):
        return self.random.random() < share

    def below(self, low, high):
        """An integer from low to high, both included."""
        return int(self.random.integers(low, high + 1))

    def normal(self, *shape, deviation=1.0):
        return self.random.normal(0, deviation, shape).astype(np.float32)

    def positive(self, *shape):
        return self.random.uniform(0.5, 1.5, shape).astype(np.float32)

    def constant(self, value):
        name = f"c{len(self.weights)}"
        self.weights[name] = np.asarray(value)
        if not self.chance(0.1):
            return name
        # Some exporters write constants as nodes.
        node = helper.make_node("Constant", [], [name], value=numpy_helper.from_array(self.weights[name], name))
        self.nodes.append(node)
        return name

    def add(self, kind, *inputs, **attributes):
        """A node; returns its result's name."""
        result = f"t{len(self.nodes)}"
        name = "" if self.chance(0.2) else f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [result], name, **attributes))
        return result

    def go_on(self, kind, *inputs, **attributes):
        self.x = self.add(kind, self.x, *inputs, **attributes)

    def with_axes(self, kind, x, axes):
        if self.opset < 13:
            return self.add(kind, x, axes=axes)
        return self.add(kind, x, self.constant(np.array(axes, np.int64)))

    def transpose(self, x, permutation):
        return self.add("Transpose", x, perm=permutation)

    @property
    def channels(self):
        return self.dims[-1 if self.last else 0]

    @property
    def space(self):
        """The image's axes without the channels."""
        return self.dims[:-1] if self.last else self.dims[1:]

    def to_first(self):
        """Puts the channels first, as TensorFlow's exporter does around convolutions; says whether that was needed."""
        if not self.last:
            return False
        rank = len(self.dims)
        if self.channels == 1 and self.chance(0.5):
            self.go_on("Reshape", self.constant(np.array([-1, 1, *self.space], np.int64)))
        else:
            self.x = self.transpose(self.x, [0, rank, *range(1, rank)])
        self.dims, self.last = (self.channels, *self.space), False
        return True

    def to_last(self):
        self.x = self.transpose(self.x, [0, *range(2, len(self.dims) + 1), 1])
        self.dims, self.last = (*self.space, self.channels), True

    # ----------------------------------------------------------------------------------------------------- linear steps
    def windows(self, kernel, space, small_pads):
        """Attributes of a window, and the size that it leaves; the kernel's taps may be spread out."""
        axes = len(kernel)
        strides = [self.below(1, 2) for _ in range(axes)]
        options = {"kernel_shape": list(kernel), "strides": strides}
        mode = self.random.choice(["pads", "none", "SAME_UPPER", "SAME_LOWER", "VALID"])
        pads = [0] * 2 * axes
        if mode == "pads":
            most = [max(0, k // 2 if small_pads else k - 1) for k in kernel] * 2
            pads = [self.below(0, limit) for limit in most]
            options["pads"] = pads
        elif mode != "none":
            options["auto_pad"] = mode
        if mode.startswith("SAME"):
            return options, [-(-size // s) for size, s in zip(space, strides)]
        return options, [(size + pads[i] + pads[axes + i] - kernel[i]) // strides[i] + 1
                         for i, size in enumerate(space)]

    def conv(self, keep=False):
        """A convolution; with `keep`, one that leaves channels and size as they are."""
        back = self.to_first()
        axes = len(self.space)
        if keep:
            kernel, outputs, groups = [self.random.choice([1, 3]) for _ in range(axes)], self.channels, 1
            kernel = [int(k) if size >= 2 else 1 for k, size in zip(kernel, self.space)]
            options, space = {"kernel_shape": kernel, "pads": [k // 2 for k in kernel] * 2}, self.space
        else:
            kernel = [self.below(1, min(3, size)) for size in self.space]
            groups = self.channels if self.chance(0.2) else 1
            outputs = groups * self.below(1, 3)
            options, space = self.windows(kernel, self.space, small_pads=False)
            if "strides" in options and self.chance(0.2) and "auto_pad" not in options:
                room = [(size - 1) // max(1, k - 1) for size, k in zip(self.space, kernel)]
                options = {"kernel_shape": kernel, "dilations": [self.below(1, max(1, min(2, r))) for r in room]}
                space = [size - (k - 1) * d for size, k, d in zip(self.space, kernel, options["dilations"])]
        if groups > 1 or self.chance(0.5):
            options["group"] = groups
        fan_in = self.channels // groups * int(np.prod(kernel))
        inputs = [self.constant(self.normal(outputs, self.channels // groups, *kernel, deviation=fan_in ** -0.5))]
        if self.chance(0.6):
            inputs.append(self.constant(self.normal(outputs, deviation=0.3)))
        self.go_on("Conv", *inputs, **options)
        self.dims = (outputs, *space)
        if len(inputs) == 1 and self.chance(0.5):  # TensorFlow's bias
            self.go_on("Add", self.constant(self.normal(1, outputs, *[1] * axes, deviation=0.3)))
        if back and self.chance(0.8):
            self.to_last()

    def maximum(self, share, compares):
        """Whether a pool takes maxima; where these are encrypted, in place of a function."""
        if not self.chance(share):
            return False
        if not self.encrypted or not compares:
            return True
        self.functions -= 1
        return self.functions >= 0

    def pool(self):
        back = self.to_first()
        kernel = [self.below(1, min(3, size)) for size in self.space]
        maximum = self.maximum(0.4, max(kernel) > 1)
        options, space = self.windows(kernel, self.space, small_pads=True)
        if not maximum and self.chance(0.5):
            options["count_include_pad"] = self.below(0, 1)
        self.go_on("MaxPool" if maximum else "AveragePool", **options)
        self.dims = (self.channels, *space)
        if back and self.chance(0.8):
            self.to_last()

    def batch_norm(self):
        back = len(self.dims) > 1 and self.to_first()
        c = self.channels
        values = [self.positive(c), self.normal(c), self.normal(c), self.positive(c)]
        self.go_on("BatchNormalization", *[self.constant(value) for value in values], epsilon=1e-3)
        if back:
            self.to_last()

    def constant_step(self):
        """A sum, difference, product or quotient with a number, a number per channel, or one per element."""
        per_channel = [1] * len(self.dims)
        per_channel[-1 if self.last else 0] = self.channels
        shape = [(), tuple(per_channel), self.dims][self.below(0, 2)]
        kind = str(self.random.choice(["Add", "Sub", "Mul", "Div"]))
        value = self.constant(self.positive(*shape) * self.random.choice([-1, 1]).astype(np.float32))
        inputs = [self.x, value]
        if kind != "Div" and self.chance(0.4):
            inputs.reverse()
        self.x = self.add(kind, *inputs)

    def pad(self):
        rank = len(self.dims)
        if rank == 1:
            return
        pads = [0] * 2 * (rank + 1)
        for axis in range(1, rank) if self.last else range(2, rank + 1):
            pads[axis], pads[rank + 1 + axis] = self.below(0, 1), self.below(0, 1)
        self.dims = tuple(size + pads[i + 1] + pads[rank + 2 + i] for i, size in enumerate(self.dims))
        if self.opset < 11:
            self.go_on("Pad", pads=pads, mode="constant")
        else:
            self.go_on("Pad", self.constant(np.array(pads, np.int64)))

    def nothing(self):
        """What means nothing at inference."""
        kind = self.random.choice(["Identity", "Dropout", "back and forth", "ones", "reshape twice"])
        rank = len(self.dims)
        if kind in ("Identity", "Dropout"):
            self.go_on(str(kind))
        elif kind == "back and forth" and rank > 1:
            permutation = [0, *(1 + self.random.permutation(rank)).tolist()]
            back = [permutation.index(i) for i in range(rank + 1)]
            self.x = self.transpose(self.transpose(self.x, permutation), back)
        elif kind == "ones":
            self.x = self.with_axes("Squeeze", self.with_axes("Unsqueeze", self.x, [rank + 1]), [rank + 1])
        elif kind == "reshape twice":
            self.go_on("Reshape", self.constant(np.array([-1, int(np.prod(self.dims))], np.int64)))
            self.go_on("Reshape", self.constant(np.array([-1, *self.dims], np.int64)))

    # ---------------------------------------------------------------------------------------------------- other steps
    def scalar(self, value):
        return self.constant(np.float32(value))

    def function(self):
        """Squares and activations, single operators or what exporters write for them."""
        x = self.x
        gate = lambda y: self.add("Mul", *([x, y] if self.chance(0.5) else [y, x]))
        simple = {
            "Relu": {}, "Sigmoid": {}, "Tanh": {}, "Erf": {}, "Softplus": {}, "Selu": {},
            "LeakyRelu": {"alpha": 0.1}, "Elu": {"alpha": float(self.random.choice([0.5, 1.0]))},
            "HardSigmoid": {"alpha": float(self.random.choice([0.2, 1 / 6]))},
        }
        if self.opset >= 14:
            simple["HardSwish"] = {}
        kind = str(self.random.choice([*simple, *["square"] * 6, "silu", "hard swish", "gelu", "gelu tanh", "mish",
                                       "clip", "relu6", "prelu", "cube"]))
        if kind in simple:
            self.go_on(kind, **simple[kind])
        elif kind == "square":
            self.x = self.add("Mul", x, x) if self.chance(0.5) else self.add("Pow", x, self.scalar(2))
        elif kind == "cube":
            self.x = self.add("Pow", self.add("Mul", x, self.scalar(0.5)), self.scalar(3))
        elif kind == "silu":
            self.x = gate(self.add("Sigmoid", x))
        elif kind == "hard swish":
            self.x = gate(self.add("HardSigmoid", x, alpha=1 / 6))
        elif kind == "gelu":
            y = self.add("Add", self.add("Erf", self.add("Div", x, self.scalar(2 ** 0.5))), self.scalar(1))
            self.x = self.add("Mul", gate(y), self.scalar(0.5))
        elif kind == "gelu tanh":
            inner = self.add("Add", x, self.add("Mul", self.scalar(0.044715), self.add("Pow", x, self.scalar(3))))
            y = self.add("Tanh", self.add("Mul", inner, self.scalar((2 / np.pi) ** 0.5)))
            self.x = self.add("Mul", self.scalar(0.5), gate(self.add("Add", self.scalar(1), y)))
        elif kind == "mish":
            self.x = gate(self.add("Tanh", self.add("Softplus", x)))
        elif kind == "clip":
            bounds = sorted(self.normal(2).tolist())
            if self.opset < 11:
                self.go_on("Clip", min=bounds[0], max=bounds[1])
            else:
                self.go_on("Clip", self.scalar(bounds[0]), self.scalar(bounds[1]))
        elif kind == "relu6":
            self.x = self.add("Min", self.add("Max", x, self.scalar(0)), self.scalar(6))
        else:
            self.go_on("PRelu", self.constant(np.full((1,) * len(self.dims), 0.25, np.float32)))

    def branch(self):
        """x beside a convolution of it: added up, or joined."""
        before, dims, last = self.x, self.dims, self.last
        if len(dims) == 1:
            return
        self.conv(keep=True)
        if self.functions > 0 and self.chance(0.4):
            self.functions -= 1
            self.function()
        if self.last and not last:
            self.to_first()
        if last and not self.last:
            self.to_last()
        inputs = [before, self.x] if self.chance(0.5) else [self.x, before]
        if self.chance(0.5):
            self.x = self.add("Add" if self.chance(0.8) else "Sub", *inputs)
        else:
            self.x = self.add("Concat", *inputs, axis=len(dims) if last else 1)
            self.dims = (*dims[:-1], 2 * dims[-1]) if last else (2 * dims[0], *dims[1:])

    def shuffle(self):
        """Channels in another order, as ShuffleNet has them."""
        if self.last or len(self.dims) == 1 or self.channels % 2 != 0:
            return
        rank = len(self.dims)
        self.go_on("Reshape", self.constant(np.array([-1, 2, self.channels // 2, *self.space], np.int64)))
        self.x = self.transpose(self.x, [0, 2, 1, *range(3, rank + 2)])
        self.go_on("Reshape", self.constant(np.array([-1, *self.dims], np.int64)))

    # ---------------------------------------------------------------------------------------------------------- the end
    def flatten(self):
        if len(self.dims) == 1:
            return
        count = int(np.prod(self.dims))
        kind = self.random.choice(["Flatten", "Reshape", "pool"])
        if kind == "Flatten":
            self.go_on("Flatten")
        elif kind == "Reshape":
            self.go_on("Reshape", self.constant(np.array([-1, count], np.int64)))
        else:
            count = self.channels
            rank = len(self.dims)
            space = list(range(1, rank)) if self.last else list(range(2, rank + 1))
            if self.chance(0.5):
                self.go_on("ReduceMean", axes=space, keepdims=0)
            else:
                self.to_first()
                maximum = self.maximum(0.3, max(self.space) > 1)
                self.go_on("GlobalMaxPool" if maximum else "GlobalAveragePool")
                self.x = self.with_axes("Squeeze", self.x, list(range(2, rank + 1)))
        self.dims, self.last = (count,), False

    def dense(self):
        inputs, outputs = self.dims[0], self.below(1, 8)
        weights, bias = self.normal(inputs, outputs, deviation=inputs ** -0.5), self.normal(outputs, deviation=0.3)
        if self.chance(0.5):
            self.go_on("Gemm", self.constant(weights.T.copy()), self.constant(bias), transB=1)
        else:
            self.go_on("MatMul", self.constant(weights))
            if self.chance(0.7):
                self.go_on("Add", self.constant(bias))
        self.dims = (outputs,)

    def finish(self):
        """Softmax or ArgMax over the vector that is there."""
        kind = self.random.choice(["none", "none", "Softmax", "LogSoftmax", "ArgMax"])
        if kind == "none":
            return
        if kind != "ArgMax":
            self.go_on(str(kind), axis=int(self.random.choice([1, -1])))
            return
        self.go_on("ArgMax", axis=1, keepdims=self.below(0, 1))
        if self.chance(0.5):
            self.go_on("Cast", to=TensorProto.INT32)

    def body(self):
        steps = [self.conv] * 4 + [self.pool, self.batch_norm, self.constant_step, self.pad, self.nothing, self.branch,
                                   self.branch, self.shuffle]
        for _ in range(self.below(1, 5)):
            vector = len(self.dims) == 1
            step = steps[self.below(0, len(steps) - 1)]
            if vector and step in (self.conv, self.pool):
                step = self.dense
            step()
            if self.functions > 0 and self.chance(0.4):
                self.functions -= 1
                self.function()

    def model(self, shape, nodes, output):
        dims = [*shape[1:], shape[0]] if self.channels_last else list(shape)
        given = helper.make_tensor_value_info("image", TensorProto.FLOAT, [self.batch, *dims])
        made = {name for node in nodes for name in node.output}
        weights = [numpy_helper.from_array(value, name) for name, value in self.weights.items() if name not in made]
        graph = helper.make_graph(nodes, "random", [given],
                                  [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)], weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=7)

    def make(self):
        kind = self.random.choice(["image", "image", "image", "signal", "vector"], p=[0.25, 0.25, 0.2, 0.24, 0.06])
        shape = {"image": (self.below(1, 4), self.below(3, 10), self.below(3, 10)),
                 "signal": (self.below(1, 4), self.below(3, 20)), "vector": (self.below(2, 20),)}[str(kind)]
        self.channels_last = len(shape) > 1 and self.chance(0.3)
        self.batch = ["n", 1, "unk__0"][self.below(0, 2)]
        self.functions = self.below(0, 2 if self.encrypted else 4)
        self.dims = shape
        if self.channels_last:
            self.dims, self.last = (*shape[1:], shape[0]), True
            # Without a convolution nothing says that the channels are last.
            if self.chance(0.3):
                self.constant_step()
            self.conv()
        self.body()
        if self.chance(0.85):
            self.flatten()
            self.dense()
            if self.functions > 0:
                self.function()
                self.dense()
        logits, nodes = self.x, list(self.nodes)
        if len(self.dims) == 1:
            self.finish()
        if not nodes:
            self.go_on("Identity")
            logits, nodes = self.x, list(self.nodes)
        return shape, self.model(shape, self.nodes, self.x), self.model(shape, nodes, logits)


def random_model(seed, encrypted=False, images=IMAGES):
    """A RandomModel with so many images."""
    maker = Maker(seed, encrypted)
    shape, model, until_logits = maker.make()
    # Through float32, which is what the programs read.
    given = torch.from_numpy(maker.normal(images, *shape))
    seen = given.permute(0, *range(2, given.dim()), 1) if maker.channels_last else given
    outputs, logits = (evaluate(which, seen).numpy().astype(np.float32) for which in (model, until_logits))
    return RandomModel(model, as_images(given).numpy(), outputs, logits)
