# SPDX-License-Identifier: Apache-2.0
"""The training loop, and the one activation that costs a ciphertext a single product."""
import sys
import time
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F


def say(text):
    print(text, file=sys.stderr, flush=True)


class Square(nn.Module):
    def forward(self, x):
        return x * x


class Dense(nn.Linear):
    """A dense layer that is trained as a convolution of one pixel: Debian's PyTorch multiplies matrices with the
    reference BLAS, and its convolutions are several times as fast."""

    def forward(self, x):
        if not self.training:
            return super().forward(x)
        return F.conv2d(x[:, :, None, None], self.weight[:, :, None, None], self.bias)[:, :, 0, 0]


def squared(name, layer):
    """A convolution or dense layer, its batch norm and the square, as {name: module}. With the norm's weight w and bias
    b, (w x + b)^2 is w^2 x^2 + 2 w b x + b^2: b / w = 1.4 is near the quadratic that is closest to ReLU for normal x
    (1.25), and training goes about as well as with ReLU. From b = 0, an even function, a deep network does not get
    going."""
    if isinstance(layer, nn.Conv2d):
        norm = nn.BatchNorm2d(layer.out_channels)
    else:
        norm = nn.BatchNorm1d(layer.out_features)
    nn.init.constant_(norm.weight, 0.5)
    nn.init.constant_(norm.bias, 0.7)
    return {name: layer, name + "_norm": norm, name + "_square": Square()}


@dataclass
class Augmentation:
    """Each image is shifted by up to `shift` pixels and, where `flip` is set, half of them are flipped left-right.
    What comes in at the border is `fill`, one number for all, or the mirrored image where that is None."""
    shift: int = 0
    flip: bool = False
    fill: float | None = None

    def __call__(self, images):
        n, channels, height, width = images.shape
        if self.fill is None and self.shift:
            padded = F.pad(images, [self.shift] * 4, mode="reflect")
        else:
            padded = F.pad(images, [self.shift] * 4, value=self.fill or 0.0)
        dy, dx = torch.randint(0, 2 * self.shift + 1, (2, n, 1, 1))
        rows = torch.arange(height)[:, None] + dy[:, None]
        columns = torch.arange(width).repeat(n, 1, 1, 1)
        if self.flip:
            flipped = torch.rand(n) < 0.5
            columns[flipped] = columns[flipped].flip(3)
        image, channel = torch.arange(n)[:, None, None, None], torch.arange(channels)[:, None, None]
        return padded[image, channel, rows, columns + dx[:, None]]


def recalibrate(model, images, augmentation):
    """Recomputes the batch norms' statistics, which averaging the weights has made stale."""
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    model.train()
    with torch.no_grad():
        for batch in torch.randperm(len(images)).split(500):
            model(augmentation(images[batch]))
    model.eval()


def accuracy(model, images, labels):
    model.eval()
    with torch.no_grad():
        predicted = torch.cat([model(batch).argmax(1) for batch in images.split(500)])
    return (predicted == labels).sum().item() / len(labels)


def parameter_groups(model, options):
    """Weights decay; biases and batch norms only with `decay_all`."""
    if options.decay_all:
        return [{"params": list(model.parameters())}]
    return [{"params": [p for p in model.parameters() if p.ndim > 1]},
            {"params": [p for p in model.parameters() if p.ndim <= 1], "weight_decay": 0.0}]


def train(model, images, labels, options, augmentation, held_out=None):
    """AdamW with a one-cycle rate; returns the weights averaged over the last 15 % of the epochs. After each epoch
    everything is written to `options.checkpoint`, from where a later call goes on as if never interrupted."""
    steps = (len(images) + options.batch - 1) // options.batch * options.epochs
    optimiser = torch.optim.AdamW(parameter_groups(model, options), lr=options.rate, weight_decay=options.decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, options.rate, total_steps=steps,
                                                   pct_start=options.warm_up)
    average = torch.optim.swa_utils.AveragedModel(model)
    parts = {"model": model, "optimiser": optimiser, "schedule": schedule, "average": average}
    done = 0
    if options.checkpoint and options.checkpoint.exists():
        saved = torch.load(options.checkpoint)
        for name, part in parts.items():
            part.load_state_dict(saved[name])
        torch.set_rng_state(saved["random"])
        done = saved["epoch"]
        say(f"going on after epoch {done}")
    for epoch in range(done + 1, options.epochs + 1):
        started, total = time.monotonic(), 0.0
        model.train()
        for batch in torch.randperm(len(images)).split(options.batch):
            logits = model(augmentation(images[batch]))
            loss = F.cross_entropy(logits, labels[batch], label_smoothing=options.smoothing)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            total += loss.item() * len(batch)
        if epoch > options.epochs * 0.85 or epoch == options.epochs:
            average.update_parameters(model)
        line = f"epoch {epoch}/{options.epochs}  loss {total / len(images):.4f}  {time.monotonic() - started:.1f} s"
        if held_out and (epoch % 5 == 0 or epoch == options.epochs):
            line += f"  validation {accuracy(model, *held_out):.4f}"
        say(line)
        if options.checkpoint:
            state = {name: part.state_dict() for name, part in parts.items()}
            partial = options.checkpoint.with_suffix(".partial")
            torch.save({**state, "random": torch.get_rng_state(), "epoch": epoch}, partial)
            partial.replace(options.checkpoint)
    recalibrate(average.module, images, augmentation)
    return average.module
