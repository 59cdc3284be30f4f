# SPDX-License-Identifier: Apache-2.0
"""The command line of every train.py."""
import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from .data import load_idx
from .loop import Augmentation, accuracy, train
from .onnx_file import evaluate, export


@dataclass
class Recipe:
    """A bundled network and how it is trained; the numbers are defaults of options."""
    folder: Path  # of train.py; its preprocessing.json is read, FOLDER/FOLDER.onnx is written
    network: Callable[[], nn.Module]
    dataset: Path | None = None  # where the data usually is
    load: Callable = load_idx  # (dataset folder, "train" or "test", description) -> images, labels
    flip: bool = False  # left-right, in training
    mirror_border: bool = False  # what a shift brings in: the mirrored image, else a pixel of 0
    prepare: Callable | None = None  # (network, training images), before training
    validation_images: int = 10_000
    epochs: int = 30
    batch: int = 128
    rate: float = 0.01
    warm_up: float = 0.15
    decay: float = 0.05
    decay_all: bool = False
    smoothing: float = 0.05
    shift: int = 1


def parse(recipe, text, model):
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=recipe.epochs)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=recipe.batch, help="images for each step")
    parser.add_argument("--rate", type=float, default=recipe.rate, help="largest learning rate")
    parser.add_argument("--warm-up", type=float, default=recipe.warm_up, help="share of the steps up to that rate")
    parser.add_argument("--decay", type=float, default=recipe.decay, help="weight decay")
    parser.add_argument("--decay-all", action=argparse.BooleanOptionalAction, default=recipe.decay_all,
                        help="biases and batch norms decay too")
    parser.add_argument("--smoothing", type=float, default=recipe.smoothing, help="label smoothing")
    parser.add_argument("--shift", type=int, default=recipe.shift, help="largest shift of a training image, pixels")
    parser.add_argument("--dataset", type=Path, default=recipe.dataset, required=recipe.dataset is None,
                        help="folder of the data set's files")
    parser.add_argument("--model", type=Path, default=model, help="the ONNX file")
    parser.add_argument("--checkpoint", type=Path, help="file to save to after each epoch and to go on from")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--validate", action="store_true",
                      help=f"measure on {recipe.validation_images:,} held-out training images")
    mode.add_argument("--evaluate", action="store_true", help="measure the ONNX file, train nothing")
    options = parser.parse_args()
    if options.epochs < 1 or options.threads < 1 or options.batch < 1 or options.shift < 0:
        parser.error("--epochs, --threads and --batch must be at least 1, --shift at least 0")
    if not options.dataset.is_dir():
        parser.error(f"{options.dataset} is not a folder: the card says where the data comes from")
    return options


def run(recipe, text):
    """Trains, exports and measures, as the command line says; one JSON object on standard output."""
    options = parse(recipe, text, recipe.folder / f"{recipe.folder.name}.onnx")
    description = json.loads((recipe.folder / "preprocessing.json").read_text())
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    torch.use_deterministic_algorithms(True)
    if not options.evaluate:
        images, labels = recipe.load(options.dataset, "train", description)
        held_out = None
        if options.validate:
            order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
            inside, outside = order[recipe.validation_images:], order[:recipe.validation_images]
            held_out = images[outside], labels[outside]
            images, labels = images[inside], labels[inside]
        network = recipe.network()
        if recipe.prepare:
            recipe.prepare(network, images)
        fill = None if recipe.mirror_border else -description["mean"][0] / description["std"][0]
        network = train(network, images, labels, options, Augmentation(options.shift, recipe.flip, fill), held_out)
        if options.validate:
            print(json.dumps({"count": recipe.validation_images,
                              "validation_accuracy": accuracy(network, *held_out)}))
            return
        export(network, options.model, images.shape[1:])
    test = recipe.load(options.dataset, "test", description)
    print(json.dumps(evaluate(options.model, *test, description["labels"])))
