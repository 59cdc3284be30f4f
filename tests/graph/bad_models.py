# SPDX-License-Identifier: Apache-2.0
"""Models that must be refused; bad_models_test.cpp says with which code and words."""
import numpy as np
import onnx
from onnx import TensorProto, helper

from model_writer import make_model, node, tensor

SHAPE = (2, 6, 6)
KERNEL = np.ones((4, 2, 3, 3), np.float32)
BIAS = np.ones(4, np.float32)


def value(name, element, dims):
    return helper.make_tensor_value_info(name, element, dims)


def write(writer):
    def refuse(name, nodes, weights=None, **options):
        writer.refuse(name, make_model(nodes, options.pop("shape", SHAPE), weights or {}, **options))

    conv = node("Conv", "x w b", name="stem")
    relu = node("Relu", "x", name="act")
    weights = {"w": KERNEL, "b": BIAS}
    floats = TensorProto.FLOAT

    # Whole model.
    writer.refuse("empty", b"")
    writer.refuse("text", b"this is not a model, it is a line of text\n" * 20)
    writer.refuse("no_graph", onnx.ModelProto(ir_version=7, producer_name="x"))
    refuse("opset8", [relu], opset=8)
    refuse("opset18", [relu], opset=18)
    foreign = make_model([relu], SHAPE, {})
    foreign.opset_import[0].domain = "com.example"
    writer.refuse("opset_missing", foreign)
    external = make_model([conv], SHAPE, weights)
    external.graph.initializer[0].ClearField("raw_data")
    external.graph.initializer[0].data_location = TensorProto.EXTERNAL
    entry = external.graph.initializer[0].external_data.add()
    entry.key, entry.value = "location", "../weights.bin"
    writer.refuse("external_data", external)

    # Inputs and outputs.
    refuse("two_inputs", [node("Add", "left right", name="sum")],
           inputs=[value("left", floats, [1, 2, 6, 6]), value("right", floats, [1, 2, 6, 6])])
    writer.refuse("no_input", helper.make_model(
        helper.make_graph([node("Relu", "w")], "g", [], [value("y", floats, None)], [tensor("w", KERNEL)]),
        opset_imports=[helper.make_opsetid("", 13)]))
    refuse("dynamic_height", [relu], dims=["n", 2, "rows", 6])
    refuse("dynamic_width", [relu], dims=["n", 2, 6, None])
    refuse("dynamic_zero", [relu], dims=["n", 2, 0, 6])
    refuse("no_shape", [relu], inputs=[value("x", floats, None)])
    refuse("scalar_input", [relu], dims=["n"])
    refuse("video_input", [relu], dims=["n", 3, 8, 8, 8])
    refuse("dynamic_length", [relu], dims=["n", 3, "frames"])
    refuse("byte_input", [relu], element=TensorProto.UINT8)
    refuse("huge_input", [relu], shape=(2**40, 2**40, 2**40))
    refuse("two_outputs", [relu, node("Tanh", "x", "z")], outputs=("y", "z"))
    refuse("constant_output", [node("Relu", "x", "z")], {"y": BIAS})
    refuse("missing_output", [node("Relu", "x", "z")])

    # Graphs that contradict themselves.
    refuse("cycle", [node("Add", "x b", "a", name="first"), node("Add", "x a", "b", name="second"), node("Relu", "b")])
    refuse("missing_tensor", [node("Add", "x nowhere", name="sum")])
    refuse("duplicate_output", [node("Relu", "x", "z", name="one"), node("Tanh", "x", "z", name="two"),
                                node("Relu", "z")])
    twice = make_model([conv], SHAPE, weights)
    twice.graph.initializer.append(tensor("w", KERNEL))
    writer.refuse("duplicate_initializer", twice)
    refuse("too_few_inputs", [node("Conv", "x", name="stem")])
    refuse("too_many_inputs", [node("Relu", "x x")])
    short = make_model([conv], SHAPE, weights)
    short.graph.initializer[0].raw_data = short.graph.initializer[0].raw_data[:-4]
    writer.refuse("short_weights", short)
    negative = make_model([conv], SHAPE, weights)
    negative.graph.initializer[0].dims[0] = -4
    writer.refuse("negative_dimension", negative)
    refuse("attribute_type", [node("Conv", "x w b", name="stem", group=1.0)], weights)
    refuse("control_characters", [node("Relu", "x", "z", name="line one\nline two\x7f"),
                                  node("LRN", "z", name="norm\n\r\t" + "x" * 500, size=3)])
    refuse("gather_outside", [node("Shape", "x", "s"), node("Gather", "s i", "t", name="pick"), node("Reshape", "x t")],
           {"i": np.array([9], np.int64)})

    # Weights.
    for name, bad in (("nan", np.nan), ("infinite", -np.inf)):
        kernel = KERNEL.copy()
        kernel[1, 1, 1, 1] = bad
        refuse(f"{name}_weights", [conv], {"w": kernel, "b": BIAS})
    refuse("double_beyond_float", [conv], {"w": KERNEL.astype(np.float64) * 1e300, "b": BIAS})
    refuse("nan_constant", [node("Constant", "", "c", name="konst", value_float=float("nan")), node("Add", "x c")])
    refuse("division_by_zero", [node("Div", "x z", name="ratio")], {"z": np.float32(0)})
    refuse("negative_variance", [node("BatchNormalization", "x s s s v", name="norm")],
           {"s": np.ones(2, np.float32), "v": np.float32([1, -1])})
    refuse("quantised_weights", [conv], {"w": KERNEL.astype(np.int8), "b": BIAS})
    refuse("half_weights", [conv], {"w": KERNEL.astype(np.float16), "b": BIAS})

    # Shapes.
    refuse("conv_channels", [conv], {"w": np.ones((4, 3, 3, 3), np.float32), "b": BIAS})
    refuse("conv_groups", [node("Conv", "x w b", name="stem", group=3)], weights)
    refuse("conv_bias", [conv], {"w": KERNEL, "b": np.ones(5, np.float32)})
    refuse("conv_kernel_shape", [node("Conv", "x w b", name="stem", kernel_shape=[5, 5])], weights)
    refuse("conv_1d", [conv], {"w": np.ones((4, 2, 3), np.float32), "b": BIAS})
    refuse("conv_too_large", [conv], {"w": np.ones((4, 2, 7, 7), np.float32), "b": BIAS})
    refuse("conv_huge_stride", [node("Conv", "x w b", name="stem", strides=[2**62, 1])], weights)
    refuse("conv_huge_pads", [node("Conv", "x w b", name="stem", pads=[2**62, 0, 2**62, 0])], weights)
    refuse("conv_same_and_pads", [node("Conv", "x w b", name="stem", pads=[1, 1, 1, 1], auto_pad="SAME_UPPER")],
           weights)
    refuse("gemm_size", [node("Flatten", "x", "f"), node("Gemm", "f w", name="fc")],
           {"w": np.ones((71, 5), np.float32)})
    refuse("gemm_unflattened", [node("Gemm", "x w", name="fc")], {"w": np.ones((72, 5), np.float32)})
    refuse("gemm_bias", [node("Flatten", "x", "f"), node("Gemm", "f w b", name="fc")],
           {"w": np.ones((72, 5), np.float32), "b": BIAS})
    refuse("matmul_rows", [node("MatMul", "x w", name="attention")], {"w": np.ones((6, 6), np.float32)})
    refuse("add_shapes", [node("Conv", "x w b", "c"), node("Add", "x c", name="sum")], weights)
    refuse("add_constant", [node("Add", "x w", name="sum")], {"w": np.ones((3, 1, 1), np.float32)})
    refuse("add_enlarges", [node("GlobalAveragePool", "x", "g"), node("Add", "g w", name="sum")],
           {"w": np.ones((2, 4, 4), np.float32)})
    refuse("add_batch", [node("Add", "x w", name="sum")], {"w": np.ones((3, 2, 6, 6), np.float32)}, batch=3)
    refuse("norm_size", [node("BatchNormalization", "x s s s s", name="norm")], {"s": np.ones(3, np.float32)})
    refuse("reshape_size", [node("Reshape", "x s", name="view")], {"s": np.array([1, 71], np.int64)})
    refuse("reshape_batch", [node("Reshape", "x s", name="view")], {"s": np.array([2, 36], np.int64)})
    refuse("reshape_rank5", [node("Reshape", "x s", name="view")], {"s": np.array([1, 2, 6, 3, 2], np.int64)})
    refuse("rank5_read", [node("Reshape", "x s", "z", name="view"),
                          node("BatchNormalization", "z v v v v", name="norm")],
           {"s": np.array([1, 2, 6, 3, 2], np.int64), "v": np.ones(2, np.float32)})
    refuse("batch_moved", [node("Transpose", "x", "z", perm=[1, 0, 2, 3], name="swap"),
                           node("Conv", "z w", name="stem")],
           {"w": np.ones((4, 3, 3, 3), np.float32)}, batch=3)
    for batch in (1, 3):
        refuse(f"batch_moved_and_added_{batch}", [node("Transpose", "x", "z", perm=[2, 0, 1, 3], name="swap"),
                                                  node("Add", "z w", name="sum")],
               {"w": np.ones((1, 2, 6), np.float32)}, batch=batch)
    refuse("batch_moved_unseen", [node("Transpose", "x", "z", perm=[1, 0, 2, 3], name="swap"),
                                  node("Add", "z w", "a", name="sum"), node("Flatten", "a")],
           {"w": np.ones((1, 6, 6), np.float32)}, shape=(3, 6, 6), batch=3)
    refuse("zero_kernel", [conv], {"w": np.ones((4, 2, 0, 3), np.float32), "b": BIAS})
    refuse("zero_outputs", [conv], {"w": np.ones((0, 2, 3, 3), np.float32), "b": np.ones(0, np.float32)})
    refuse("zero_features", [node("Flatten", "x", "f"), node("MatMul", "f w", name="fc")],
           {"w": np.ones((72, 0), np.float32)})
    refuse("zero_reshape", [node("Reshape", "x s", name="view", allowzero=1)], {"s": np.array([1, 0, 6], np.int64)},
           opset=14)
    refuse("pool_padding", [node("AveragePool", "x", name="pool", kernel_shape=[2, 2], pads=[2, 2, 2, 2])])
    refuse("max_pool_outside", [node("MaxPool", "x", name="down", kernel_shape=[2, 2], pads=[2, 2, 2, 2])])
    refuse("max_pool_dilated_outside", [node("MaxPool", "x", name="down", kernel_shape=[2, 2], strides=[1, 1],
                                             pads=[0, 7, 0, 7], dilations=[1, 8])])
    refuse("pool_1d", [node("AveragePool", "x", name="pool", kernel_shape=[2])])
    refuse("constants_grow", [node("ConstantOfShape", "s", "a", name="blow"), node("Add", "x a")],
           {"s": np.array([2**20, 2**20], np.int64)})
    many = [node("ConstantOfShape", "s", f"a{i}") for i in range(6)]
    joined = node("Concat", " ".join(f"a{i}" for i in range(6)), "c", axis=0)
    refuse("constants_add_up", many + [joined, node("Add", "x c")], {"s": np.array([2**13, 2**13], np.int64)})

    # Operators.
    refuse("max_pool_indices", [node("MaxPool", "x", "y places", name="down", kernel_shape=[2, 2]),
                                node("Cast", "places", "z", to=floats)], outputs=("z",))
    refuse("conv_transpose", [node("ConvTranspose", "x w", name="up")], {"w": np.ones((2, 4, 3, 3), np.float32)})
    refuse("conv_transpose_1d", [node("ConvTranspose", "x w", name="up")], {"w": np.ones((2, 4, 3), np.float32)},
           shape=(2, 6))
    refuse("clip_by_channel", [node("Clip", "x low high", name="relu6")],
           {"low": np.float32(0), "high": np.float32([6, 7])})
    refuse("clip_by_image", [node("ReduceMean", "x", "m", axes=[2, 3]), node("Clip", "x m", name="floor")])
    refuse("max_of_two", [node("Conv", "x w b", "c", pads=[1, 1, 1, 1]), node("Max", "c x", name="maxout")],
           {"w": np.ones((2, 2, 3, 3), np.float32), "b": np.ones(2, np.float32)})
    refuse("prelu_by_channel", [node("PRelu", "x s", name="act")], {"s": np.float32([0.1, 0.2]).reshape(2, 1, 1)})
    branch = helper.make_graph([node("Relu", "x", "z")], "branch", [], [value("z", floats, None)])
    refuse("control_flow_if", [node("If", "c", name="choose", then_branch=branch, else_branch=branch)],
           {"c": np.array(True)})
    body = helper.make_graph([node("Identity", "c", "d")], "body", [value("i", TensorProto.INT64, []),
                                                                     value("c", TensorProto.BOOL, [])],
                             [value("d", TensorProto.BOOL, [])])
    refuse("control_flow_loop", [node("Loop", "n c x", name="repeat", body=body)],
           {"c": np.array(True), "n": np.array(3)})
    refuse("root_of_image", [node("Sqrt", "x", name="root")])
    refuse("root_of_integers", [node("Sqrt", "i", "r", name="root"), node("Add", "x r")],
           {"i": np.array([4], np.int64)})
    refuse("sliced_image", [node("Slice", "x one two", name="crop")],
           {"one": np.array([1], np.int64), "two": np.array([2], np.int64)})
    refuse("split", [node("Split", "x", "y z", name="halves", axis=1)])
    refuse("unknown_operator", [relu, node("Frobnicate", "x", "z", name="odd"), node("Add", "y z", "out")],
           outputs=("out",))
    custom = node("Conv", "x w b", name="stem")
    custom.domain = "com.example"
    refuse("custom_domain", [custom], weights)
    refuse("unnamed", [node("Relu", "x", "z"), node("Softsign", "z")])
    refuse("softmax_inside", [node("Flatten", "x", "f"), node("Softmax", "f", "p", name="prob"),
                              node("Gemm", "p w", name="fc")], {"w": np.ones((72, 5), np.float32)})
    refuse("arg_max_inside", [node("Flatten", "x", "f"), node("ArgMax", "f", "i", name="top", axis=1),
                              node("Cast", "i", "c", name="cast", to=floats), node("Relu", "c", name="act")])
    refuse("arg_max_spatial", [node("ArgMax", "x", name="top", axis=1)])
    refuse("arg_max_last", [node("Flatten", "x", "f"), node("ArgMax", "f", name="top", axis=1, select_last_index=1)])
    refuse("arg_max_twice", [node("Flatten", "x", "f"), node("ArgMax", "f", "i", axis=1),
                             node("ArgMax", "i", name="top")])
    refuse("softmax_spatial", [node("Softmax", "x", name="prob", axis=1)])
    refuse("computed_weights", [node("Conv", "x x", name="stem")], shape=(1, 6, 6))
    refuse("divide_activations", [node("Div", "x x", name="ratio")])
    refuse("fifth_power", [node("Pow", "x five", name="power")], {"five": np.float32(5)})
    refuse("concat_constant", [node("Concat", "x w", name="join", axis=1)], {"w": np.ones((1, 2, 6, 6), np.float32)})
    refuse("concat_batch", [node("Concat", "x x", name="join", axis=0)])
    refuse("concat_sizes", [node("AveragePool", "x", "p", kernel_shape=[2, 2]),
                            node("Concat", "x p", name="join", axis=1)])
    refuse("concat_ranks", [node("Flatten", "x", "f"), node("Concat", "x f", name="join", axis=1)])
    refuse("concat_axis", [node("Concat", "x x", name="join", axis=4)])
    refuse("concat_no_axis", [node("Concat", "x x", name="join")])
    refuse("transpose_axes", [node("Transpose", "x", name="nhwc", perm=[0, 2, 3, 3])])
    refuse("mask_used", [node("Dropout", "x", "d mask", name="drop"), node("Cast", "mask", "m", to=floats),
                         node("Mul", "d m")], opset=11)
    refuse("dropout_training", [node("Dropout", "x r t", name="drop")], {"r": np.float32(0.5), "t": np.array(True)})
    refuse("norm_training", [node("BatchNormalization", "x s s s s", name="norm", training_mode=1)],
           {"s": np.ones(2, np.float32)}, opset=15)
    refuse("ceil_mode", [node("AveragePool", "x", name="pool", kernel_shape=[4, 4], strides=[3, 3], ceil_mode=1,
                                     pads=[1, 1, 1, 1], count_include_pad=1)])
    refuse("trans_a", [node("Flatten", "x", "f"), node("Gemm", "f w", name="fc", transA=1)],
           {"w": np.ones((1, 5), np.float32)})
    refuse("unknown_attribute", [node("Relu", "x", name="act", sharpness=2)])
    refuse("reflecting_pad", [node("Pad", "x p", name="edge", mode="reflect")],
           {"p": np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64)})
    refuse("pad_with_one", [node("Pad", "x p v", name="edge")],
           {"p": np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64), "v": np.float32(1)})
    refuse("pad_batch", [node("Pad", "x p", name="edge")], {"p": np.array([0, 1, 0, 0, 1, 0, 0, 0], np.int64)})
    refuse("cast_to_int", [node("Cast", "x", name="round", to=TensorProto.INT32)])
    refuse("mean_over_channels", [node("ReduceMean", "x", name="mean", axes=[1])])
