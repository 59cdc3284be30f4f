# SPDX-License-Identifier: Apache-2.0
"""What the model makers share: seeded weights, and writing a model with its inputs and PyTorch's outputs."""
import io
import zlib

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

IMAGES = 3


def randomise(module):
    """Weights of a size that keeps activations near 1, and batch norms with statistics that are not trivial."""
    for layer in module.modules():
        if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)):
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.uniform_(layer.bias, -0.5, 0.5)
            nn.init.uniform_(layer.running_mean, -0.5, 0.5)
            nn.init.uniform_(layer.running_var, 0.5, 2)
    return module.eval()


def as_images(images):
    """[n, c], [n, c, w] or [n, c, h, w] as [n, c, h, w], which is how the programs take their inputs."""
    n, c, *space = images.shape
    return images.reshape(n, c, *[1] * (2 - len(space)), *space)


class Writer:
    def __init__(self, folder):
        self.folder = folder
        self.good = []

    def inputs(self, name, shape):
        """IMAGES images of `shape` (c, h, w), (c, w) or (c,), the same in every run."""
        torch.manual_seed(zlib.crc32(name.encode()))
        return torch.randn(IMAGES, *shape)

    def save(self, name, model, images, outputs):
        assert name not in self.good, name
        onnx.save(model, str(self.folder / "good" / f"{name}.onnx"))
        for kind, tensor in (("input", as_images(images)), ("output", outputs)):
            np.save(self.folder / "good" / f"{name}.{kind}.npy", tensor.detach().numpy().astype(np.float32))
        self.good.append(name)

    def export(self, name, make, shape, opset=13, dynamic=False, fold=True):
        """PyTorch's own export of the module make() and what the module computes."""
        images = self.inputs(name, shape)
        module = randomise(make())
        with torch.no_grad():
            outputs = module(images)
        buffer = io.BytesIO()
        axes = {"image": {0: "n"}, "result": {0: "n"}} if dynamic else None
        torch.onnx.export(module, images[:1], buffer, opset_version=opset, input_names=["image"],
                          output_names=["result"], dynamic_axes=axes, do_constant_folding=fold)
        self.save(name, onnx.load_from_string(buffer.getvalue()), images, outputs)

    def build(self, name, nodes, shape, weights, outputs, **options):
        """A hand-made model; outputs(images) is what it should compute, from images with the channels first even where
        `dims` has them last."""
        images = self.inputs(name, shape)
        self.save(name, make_model(nodes, shape, weights, **options), images, outputs(images))

    def refuse(self, name, model):
        data = model if isinstance(model, bytes) else model.SerializeToString()
        (self.folder / "bad" / f"{name}.onnx").write_bytes(data)


def tensor(name, value):
    """An initializer; a TensorProto is passed through."""
    if isinstance(value, TensorProto):
        value.name = name
        return value
    if isinstance(value, torch.Tensor):
        value = value.detach().numpy()
    return numpy_helper.from_array(np.asarray(value), name)


def make_model(nodes, shape, weights, opset=13, batch="n", inputs=None, outputs=("y",), list_weights=False,
               dims=None, ir_version=7, element=TensorProto.FLOAT):
    """A model of one graph: input x [batch, *shape] unless `inputs` are given, initializers `weights` by name."""
    initializers = [tensor(name, value) for name, value in weights.items()]
    inputs = inputs or [helper.make_tensor_value_info("x", element, dims or [batch, *shape])]
    if list_weights:  # as in format versions before 4
        inputs = [helper.make_tensor_value_info(t.name, t.data_type, t.dims) for t in initializers] + inputs
    graph = helper.make_graph(nodes, "g", inputs,
                              [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
                              initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir_version)


def node(kind, inputs, outputs="y", name=None, **attributes):
    """A node; names separated by blanks, "-" for one that is left out."""
    def split(text):
        return ["" if part == "-" else part for part in text.split()]
    return helper.make_node(kind, split(inputs), split(outputs), name=name, **attributes)
