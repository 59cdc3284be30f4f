# SPDX-License-Identifier: Apache-2.0
"""Networks as PyTorch exports them."""
import torch
from torch import nn
from torch.nn import functional as F


class Lambda(nn.Module):
    """A module from a function of (its layers, x)."""

    def __init__(self, function, **layers):
        super().__init__()
        self.function = function
        for name, layer in layers.items():
            if isinstance(layer, torch.Tensor):
                self.register_buffer(name, layer)
            else:
                setattr(self, name, layer)

    def forward(self, x):
        return self.function(self, x)


class Square(nn.Module):
    def forward(self, x):
        return x * x


class Residual(nn.Module):
    def __init__(self, inputs, outputs, stride, activation):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.activation = activation
        self.shortcut = nn.Identity()
        if inputs != outputs or stride != 1:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = self.norm2(self.conv2(self.activation(self.norm1(self.conv1(x)))))
        return self.activation(y + self.shortcut(x))


def lenet(activation=nn.Tanh):
    return nn.Sequential(nn.Conv2d(1, 6, 5, padding=2), activation(), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5),
                         nn.BatchNorm2d(16), activation(), nn.AvgPool2d(2, 2, count_include_pad=False),
                         nn.Dropout(0.5), nn.Flatten(), nn.Linear(16 * 3 * 3, 40), nn.BatchNorm1d(40), activation(),
                         nn.Linear(40, 10), nn.LogSoftmax(1))


def resnet():
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
                         Residual(8, 8, 1, nn.ReLU()), Residual(8, 12, 2, nn.SiLU()), nn.AdaptiveAvgPool2d(1),
                         nn.Flatten(), nn.Linear(12, 5))


def mobile():
    return nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.SiLU(),
                         nn.Conv2d(8, 8, 3, 1, 1, groups=8, bias=False), nn.BatchNorm2d(8), nn.SiLU(),
                         nn.Conv2d(8, 16, 1), nn.LeakyReLU(0.1), Lambda(lambda m, x: x.mean([2, 3])), nn.Linear(16, 4))


def signal_network():
    return nn.Sequential(nn.Conv1d(2, 6, 5, stride=2, padding=2, bias=False), nn.BatchNorm1d(6), nn.ReLU(),
                         nn.AvgPool1d(2, 1, 1), nn.Conv1d(6, 8, 3, dilation=2, groups=2), nn.SiLU(),
                         nn.MaxPool1d(3, 2, 1), nn.Dropout(0.2), nn.Conv1d(8, 4, 1), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(4, 3))


def activations():
    """One of each whose export differs between operator sets."""
    functions = [nn.ReLU6(), nn.Hardswish(), nn.Hardsigmoid(), nn.GELU(), nn.Hardtanh(-0.5, 1.5), nn.ELU(0.7),
                 nn.SELU(), nn.Softplus(), nn.Mish(), nn.PReLU(init=0.3), Lambda(lambda m, x: F.gelu(x, approximate="tanh")),
                 Lambda(lambda m, x: x.clamp(min=-0.5)), Lambda(lambda m, x: x.clamp(max=0.75))]
    return nn.Sequential(*functions)


def dense_block():
    """Concatenations as DenseNet has them."""
    def forward(m, x):
        for layer in (m.first, m.second):
            x = torch.cat([x, layer(x)], 1)
        return m.third(x)
    return Lambda(forward, first=nn.Sequential(nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 4, 3, padding=1)),
                  second=nn.Sequential(nn.BatchNorm2d(7), nn.ReLU(), nn.Conv2d(7, 4, 3, padding=1)),
                  third=nn.Conv2d(11, 2, 1))


def inception():
    """Branches of different kinds, joined."""
    return Lambda(lambda m, x: torch.cat([m.a(x), m.b(x), F.avg_pool2d(x, 3, 1, 1)], 1),
                  a=nn.Conv2d(3, 2, 1), b=nn.Sequential(nn.Conv2d(3, 2, 1), nn.Tanh(), nn.Conv2d(2, 5, 3, padding=1)))


def shuffle(x, groups):
    """ShuffleNet's: the channels of the groups take turns."""
    n, c, h, w = x.shape
    return x.reshape(n, groups, c // groups, h, w).transpose(1, 2).reshape(n, c, h, w)


ONE_DIMENSION = {
    "conv1d": (lambda: nn.Conv1d(3, 5, 3), (3, 9)),
    "conv1d_all": (lambda: nn.Conv1d(4, 6, 3, stride=2, padding=3, dilation=2, groups=2), (4, 11)),
    "conv1d_depthwise": (lambda: nn.Conv1d(3, 6, 4, padding=2, groups=3, bias=False), (3, 10)),
    "norm1d": (lambda: nn.Sequential(nn.BatchNorm1d(3), nn.Conv1d(3, 4, 3, padding=1), nn.BatchNorm1d(4)), (3, 8)),
    "pool1d": (lambda: nn.AvgPool1d(3, 2, 1), (2, 9)),
    "pool1d_uncounted": (lambda: nn.AvgPool1d(3, 2, 1, count_include_pad=False), (2, 9)),
    "pool1d_global": (lambda: nn.AdaptiveAvgPool1d(1), (4, 7)),
    "pool1d_mean": (lambda: Lambda(lambda m, x: x.mean(-1)), (4, 7)),
    "max_pool1d": (lambda: nn.MaxPool1d(3, 2, 1), (2, 9)),
    "max_pool1d_global": (lambda: nn.AdaptiveMaxPool1d(1), (4, 7)),
    "pad1d": (lambda: nn.Sequential(nn.ConstantPad1d((2, 1), 0.0), nn.Conv1d(2, 3, 3)), (2, 6)),
    "concat1d": (lambda: Lambda(lambda m, x: torch.cat([m.conv(x), x], 1), conv=nn.Conv1d(2, 3, 3, padding=1)), (2, 6)),
    "signal_into_image": (lambda: Lambda(lambda m, x: m.conv(x.unsqueeze(2)).squeeze(2), conv=nn.Conv2d(2, 3, (1, 3))),
                          (2, 8)),
    "signal_flattened": (lambda: nn.Sequential(nn.Conv1d(2, 3, 3), nn.Tanh(), nn.Flatten(), nn.Linear(18, 4)), (2, 8)),
    "signal_scaled": (lambda: Lambda(lambda m, x: (x - m.shift) * m.scale, shift=torch.randn(8),
                                     scale=torch.rand(2, 1) + 0.5), (2, 8)),
    "vector": (lambda: nn.Sequential(nn.Linear(7, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 3)), (7,)),
}

MAXIMA = {
    "max_pool": (lambda: nn.MaxPool2d(2), (3, 8, 7)),
    "max_pool_padded": (lambda: nn.MaxPool2d(3, 2, 1), (2, 9, 8)),
    "max_pool_negative": (lambda: nn.Sequential(Lambda(lambda m, x: -(x * x) - 1), nn.MaxPool2d(3, 2, 1)), (2, 9, 8)),
    "max_pool_dilated": (lambda: nn.MaxPool2d(2, (2, 1), (0, 1), (3, 2)), (2, 10, 9)),
    "max_pool_ceil": (lambda: nn.MaxPool2d(3, 2, ceil_mode=True), (2, 8, 6)),
    "max_pool_ceil_padded": (lambda: nn.MaxPool2d(2, 3, 1, ceil_mode=True), (2, 9, 7)),
    "max_pool_global": (lambda: nn.AdaptiveMaxPool2d(1), (4, 5, 6)),
    "average_ceil": (lambda: nn.AvgPool2d(3, 2, ceil_mode=True), (2, 8, 6)),
    "average_ceil_uncounted": (lambda: nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False), (2, 8, 6)),
    "average_ceil_no_matter": (lambda: nn.AvgPool2d(2, 2, ceil_mode=True), (2, 8, 6)),
}

FUNCTIONS = {
    "relu6": (lambda: nn.ReLU6(), (2, 5, 5)),
    "hardtanh": (lambda: nn.Hardtanh(-0.5, 1.5), (2, 5, 5)),
    "clamp_low": (lambda: Lambda(lambda m, x: x.clamp(min=-0.5)), (2, 5, 5)),
    "clamp_high": (lambda: Lambda(lambda m, x: x.clamp(max=0.5)), (2, 5, 5)),
    "hard_swish": (lambda: nn.Hardswish(), (2, 5, 5)),
    "hard_swish_by_relu6": (lambda: Lambda(lambda m, x: x * F.relu6(x + 3) / 6), (2, 5, 5)),
    "hard_sigmoid": (lambda: nn.Hardsigmoid(), (2, 5, 5)),
    "gelu": (lambda: nn.GELU(), (2, 5, 5)),
    "gelu_by_erf": (lambda: Lambda(lambda m, x: 0.5 * x * (1 + torch.erf(x * 0.5 ** 0.5))), (2, 5, 5)),
    "gelu_tanh": (lambda: Lambda(lambda m, x: F.gelu(x, approximate="tanh")), (2, 5, 5)),
    "gelu_by_cube": (lambda: Lambda(lambda m, x: 0.5 * x * (1 + torch.tanh(0.7978845608 * (x + 0.044715 * x ** 3)))),
                     (2, 5, 5)),
    "elu": (lambda: nn.ELU(0.7), (2, 5, 5)),
    "selu": (lambda: nn.SELU(), (2, 5, 5)),
    "softplus": (lambda: nn.Softplus(), (2, 5, 5)),
    "mish": (lambda: nn.Mish(), (2, 5, 5)),
    "erf": (lambda: Lambda(lambda m, x: torch.erf(x)), (2, 5, 5)),
    "prelu": (lambda: nn.PReLU(init=0.3), (2, 5, 5)),
    "cube": (lambda: Lambda(lambda m, x: x ** 3), (2, 5, 5)),
    "swish_of_its_own": (lambda: Lambda(lambda m, x: x * torch.sigmoid(1.702 * x)), (2, 5, 5)),
}

REARRANGED = {
    "pad_channels": (lambda: Lambda(lambda m, x: F.pad(m.conv(x), (1, 0, 0, 2, 1, 2)), conv=nn.Conv2d(2, 3, 3)),
                     (2, 6, 5)),
    "pad_channels_alone": (lambda: Lambda(lambda m, x: m.conv(F.pad(x, (0, 0, 0, 0, 2, 1))), conv=nn.Conv2d(5, 3, 3)),
                           (2, 6, 5)),
    "pad_channels1d": (lambda: Lambda(lambda m, x: F.pad(x, (0, 1, 2, 0))), (2, 6)),
    "concat": (lambda: Lambda(lambda m, x: torch.cat([m.conv(x), x, x], 1), conv=nn.Conv2d(2, 3, 3, padding=1)),
               (2, 6, 5)),
    "concat_vectors": (lambda: Lambda(lambda m, x: m.end(torch.cat([m.a(x.flatten(1)), m.b(x.flatten(1))], 1)),
                                      a=nn.Linear(18, 3), b=nn.Linear(18, 4), end=nn.Linear(7, 2)), (2, 3, 3)),
    "concat_rows": (lambda: Lambda(lambda m, x: torch.cat([m.conv(x), x], 2), conv=nn.Conv2d(2, 2, 3, padding=1)),
                    (2, 4, 5)),
    "dense_block": (dense_block, (3, 6, 6)),
    "inception": (inception, (3, 6, 7)),
    "channel_shuffle": (lambda: Lambda(lambda m, x: m.b(shuffle(m.a(x), 3)), a=nn.Conv2d(2, 6, 3, groups=2),
                                       b=nn.Conv2d(6, 4, 1, groups=2)), (2, 6, 6)),
    "transposed_image": (lambda: Lambda(lambda m, x: m.conv(x.transpose(2, 3)), conv=nn.Conv2d(2, 3, (3, 2))),
                         (2, 5, 7)),
    "transposed_into_linear": (lambda: Lambda(lambda m, x: m.fc(torch.relu(x.permute(0, 2, 3, 1)).flatten(1)),
                                              fc=nn.Linear(30, 4)), (2, 3, 5)),
    "transposed_output": (lambda: Lambda(lambda m, x: m.conv(x).permute(0, 2, 3, 1), conv=nn.Conv2d(2, 3, 3)),
                          (2, 5, 6)),
    "layers_last": (lambda: Lambda(lambda m, x: (m.conv(x).permute(0, 2, 3, 1) * m.scale + m.shift).permute(0, 3, 1, 2),
                                   conv=nn.Conv2d(2, 3, 3), scale=torch.rand(3) + 0.5, shift=torch.randn(4, 1)),
                    (2, 5, 6)),
    "arg_max": (lambda: nn.Sequential(nn.Flatten(), nn.Linear(30, 7), Lambda(lambda m, x: x.argmax(1))), (2, 3, 5)),
    "arg_max_of_softmax": (lambda: nn.Sequential(nn.Flatten(), nn.Linear(30, 7), nn.Softmax(1),
                                                 Lambda(lambda m, x: x.argmax(1, keepdim=True))), (2, 3, 5)),
}


def write(writer):
    conv = nn.Conv2d
    singles = {
        "conv": (lambda: conv(3, 5, 3), (3, 8, 9)),
        "conv_padded": (lambda: conv(3, 16, 3, padding=1), (3, 8, 8)),
        "conv_strided": (lambda: conv(2, 9, 5, stride=2, padding=2), (2, 11, 14)),
        "conv_oblong": (lambda: conv(3, 7, (3, 5), stride=(2, 1), padding=(1, 2)), (3, 9, 12)),
        "conv_dilated": (lambda: conv(3, 4, 3, padding=2, dilation=(2, 3)), (3, 10, 12)),
        "conv_grouped": (lambda: conv(6, 9, 3, stride=2, padding=1, groups=3), (6, 9, 8)),
        "conv_depthwise": (lambda: conv(5, 10, 3, padding=1, groups=5, bias=False), (5, 7, 7)),
        "conv_pointwise": (lambda: conv(8, 3, 1), (8, 4, 5)),
        "conv_whole_image": (lambda: conv(2, 6, (4, 5)), (2, 4, 5)),
        "norm_before_padded_conv": (lambda: nn.Sequential(nn.BatchNorm2d(3), conv(3, 4, 3, padding=1)), (3, 6, 6)),
        "norm_before_conv": (lambda: nn.Sequential(nn.BatchNorm2d(3), conv(3, 4, 3)), (3, 6, 6)),
        "norm_before_grouped_conv": (lambda: nn.Sequential(nn.BatchNorm2d(4), conv(4, 6, 3, groups=2)), (4, 6, 6)),
        "norm_after_relu": (lambda: nn.Sequential(conv(3, 4, 3), nn.ReLU(), nn.BatchNorm2d(4)), (3, 6, 6)),
        "norm_after_pool": (lambda: nn.Sequential(conv(3, 4, 3), nn.AvgPool2d(3, 2, 1, count_include_pad=False),
                                                  nn.BatchNorm2d(4), Square()), (3, 8, 8)),
        "norm_before_pool": (lambda: nn.Sequential(Square(), nn.BatchNorm2d(3), nn.AvgPool2d(2), nn.Flatten(),
                                                   nn.Linear(48, 5)), (3, 8, 8)),
        "norm_after_counted_pool": (lambda: nn.Sequential(conv(3, 4, 3), nn.AvgPool2d(3, 2, 1), nn.BatchNorm2d(4)),
                                    (3, 8, 8)),
        "pool": (lambda: nn.AvgPool2d(2), (3, 8, 7)),
        "pool_padded": (lambda: nn.AvgPool2d(3, 2, 1), (2, 9, 8)),
        "pool_padded_uncounted": (lambda: nn.AvgPool2d(3, 2, 1, count_include_pad=False), (2, 9, 8)),
        "pool_oblong": (lambda: nn.AvgPool2d((2, 3), (1, 2), (0, 1)), (2, 6, 9)),
        "pool_global": (lambda: nn.AdaptiveAvgPool2d(1), (4, 5, 6)),
        "pool_mean": (lambda: Lambda(lambda m, x: x.mean([2, 3])), (4, 5, 6)),
        "pool_mean_kept": (lambda: Lambda(lambda m, x: x.mean((-1, -2), keepdim=True)), (4, 5, 6)),
        "pad_then_conv": (lambda: nn.Sequential(nn.ZeroPad2d((1, 2, 0, 3)), conv(2, 3, 3)), (2, 5, 6)),
        "pad_alone": (lambda: nn.Sequential(nn.ZeroPad2d((1, 2, 0, 3)), nn.Sigmoid()), (2, 5, 6)),
        "relu": (lambda: nn.ReLU(), (2, 5, 5)),
        "leaky_relu": (lambda: nn.LeakyReLU(0.2), (2, 5, 5)),
        "sigmoid": (lambda: nn.Sigmoid(), (2, 5, 5)),
        "tanh": (lambda: nn.Tanh(), (2, 5, 5)),
        "silu": (lambda: nn.SiLU(), (2, 5, 5)),
        "silu_reversed": (lambda: Lambda(lambda m, x: torch.sigmoid(x) * x), (2, 5, 5)),
        "gated": (lambda: Lambda(lambda m, x: m.a(x) * torch.sigmoid(m.b(x)), a=conv(2, 3, 1), b=conv(2, 3, 1)),
                  (2, 5, 5)),
        "square": (Square, (2, 5, 5)),
        "power": (lambda: Lambda(lambda m, x: x ** 2), (2, 5, 5)),
        "linear": (lambda: nn.Sequential(nn.Flatten(), nn.Linear(30, 7)), (2, 3, 5)),
        "linear_unbiased": (lambda: nn.Sequential(nn.Flatten(), nn.Linear(30, 7, bias=False)), (2, 3, 5)),
        "linear_twice": (lambda: nn.Sequential(nn.Flatten(), nn.Linear(30, 20), nn.Linear(20, 4)), (2, 3, 5)),
        "linear_bottleneck": (lambda: nn.Sequential(nn.Flatten(), nn.Linear(30, 2), nn.Linear(2, 30)), (2, 3, 5)),
        "linear_normed": (lambda: nn.Sequential(nn.Flatten(), nn.Linear(30, 6), nn.BatchNorm1d(6), Square(),
                                                nn.BatchNorm1d(6), nn.Linear(6, 3)), (2, 3, 5)),
        "softmax": (lambda: nn.Sequential(nn.Flatten(), nn.Linear(30, 7), nn.Softmax(1)), (2, 3, 5)),
        "log_softmax": (lambda: nn.Sequential(nn.Flatten(), nn.Linear(30, 7), nn.LogSoftmax(-1)), (2, 3, 5)),
        "residual_same": (lambda: Residual(4, 4, 1, nn.ReLU()), (4, 6, 6)),
        "difference": (lambda: Lambda(lambda m, x: m.conv(x) - torch.tanh(x), conv=conv(3, 3, 3, padding=1)),
                       (3, 5, 5)),
        "doubled": (lambda: Lambda(lambda m, x: (x + x) * 0.5 + 1), (3, 4, 4)),
        "per_channel": (lambda: Lambda(lambda m, x: 1.5 - (x * m.scale - m.shift) / m.divisor,
                                       scale=torch.rand(3, 1, 1) + 0.5, shift=torch.randn(1, 3, 1, 1),
                                       divisor=torch.rand(3, 1, 1) + 0.5), (3, 4, 5)),
        "per_element": (lambda: Lambda(lambda m, x: m.conv((x + m.shift) * m.scale) + m.row, conv=conv(3, 3, 1),
                                       shift=torch.randn(3, 4, 5), scale=torch.rand(4, 1) + 0.5, row=torch.randn(5)),
                        (3, 4, 5)),
        "per_element_into_linear": (lambda: Lambda(lambda m, x: m.fc(torch.flatten(torch.relu(x) + m.shift, 1)),
                                                   fc=nn.Linear(60, 3), shift=torch.randn(3, 4, 5)), (3, 4, 5)),
        "shared_conv_output": (lambda: Lambda(lambda m, x: m.norm(m.conv(x)) + torch.tanh(m.conv(x)),
                                              conv=conv(2, 4, 3), norm=nn.BatchNorm2d(4)), (2, 6, 6)),
        "negated": (lambda: Lambda(lambda m, x: -torch.relu(x)), (2, 3, 4)),
    }
    singles = {**singles, **ONE_DIMENSION, **MAXIMA, **FUNCTIONS, **REARRANGED}
    for name, (make, shape) in singles.items():
        writer.export(name, make, shape)
    # Without the exporter's own folding the batch norms stay nodes of their own.
    for name in ("residual_same", "shared_conv_output", "linear_normed"):
        writer.export(f"{name}_unfolded", singles[name][0], singles[name][1], fold=False)

    for opset in range(9, 18):
        writer.export(f"lenet_opset{opset}", lenet, (1, 20, 20), opset=opset, dynamic=opset % 2 == 0)
        writer.export(f"resnet_opset{opset}", resnet, (3, 12, 12), opset=opset, dynamic=opset % 2 == 1)
        writer.export(f"signal_opset{opset}", signal_network, (2, 40), opset=opset, dynamic=opset % 2 == 0)
        writer.export(f"activations_opset{opset}", activations, (2, 4, 4), opset=opset)
        writer.export(f"inception_opset{opset}", inception, (3, 6, 7), opset=opset, dynamic=opset % 2 == 1)
        for name in ("max_pool_padded", "concat_vectors", "arg_max", "pad1d", "gelu_tanh", "hard_swish", "average_ceil",
                     "transposed_into_linear"):
            writer.export(f"{name}_opset{opset}", *singles[name], opset=opset, dynamic=opset % 2 == 0)
    writer.export("mobile", mobile, (3, 16, 16), dynamic=True)

    # Shapes computed from shapes, as the exporter writes them where the batch is dynamic.
    def flat(function):
        return lambda: Lambda(lambda m, x: m.fc(function(m.conv(x))), conv=nn.Conv2d(2, 3, 3), fc=nn.Linear(48, 4))
    for opset in (9, 11, 13, 16):
        writer.export(f"view_size_opset{opset}", flat(lambda x: x.view(x.size(0), -1)), (2, 6, 6), opset, dynamic=True)
        writer.export(f"view_product_opset{opset}",
                      flat(lambda x: x.view(-1, x.size(1) * x.size(2) * x.size(3))), (2, 6, 6), opset, dynamic=True)
        writer.export(f"squeezed_opset{opset}",
                      lambda: Lambda(lambda m, x: F.adaptive_avg_pool2d(m.conv(x), 1).squeeze(3).squeeze(2),
                                     conv=nn.Conv2d(2, 3, 3)), (2, 6, 6), opset, dynamic=True)
    writer.export("reshaped_image",
                  lambda: Lambda(lambda m, x: m.conv(x.reshape(x.shape[0], 3, 4, -1)), conv=nn.Conv2d(3, 2, 3)),
                  (2, 6, 6), dynamic=True)
