# SPDX-License-Identifier: Apache-2.0
"""Data sets as tensors, preprocessed as a model's preprocessing.json says."""
import gzip
import io
import zipfile

import numpy as np
import torch


def preprocess(pixels, description):
    """Float32 tensor [n,channels,height,width] of unsigned bytes of the same shape, computed in float32."""
    if pixels.shape[1:] != (description["channels"], description["height"], description["width"]):
        raise ValueError(f"images of shape {pixels.shape[1:]} are not those of the model")
    mean, std = (np.reshape(description[key], (-1, 1, 1)).astype(np.float32) for key in ("mean", "std"))
    return torch.from_numpy((pixels.astype(np.float32) / description["scale"] - mean) / std)


def read_idx(path):
    """An IDX file (gzip) of unsigned bytes as a NumPy array; raises ValueError when it is something else."""
    raw = gzip.decompress(path.read_bytes())
    if raw[:3] != b"\x00\x00\x08":
        raise ValueError(f"{path} is not an IDX file of unsigned bytes")
    dimensions = np.frombuffer(raw, ">u4", raw[3], 4).astype(int)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(dimensions)


def load_idx(folder, split, description):
    """Images and labels [n] int64 of the usual four IDX files; split is "train" or "test"."""
    name = {"train": "train", "test": "t10k"}[split]
    pixels = read_idx(folder / f"{name}-images-idx3-ubyte.gz")[:, None]
    labels = read_idx(folder / f"{name}-labels-idx1-ubyte.gz").astype(np.int64)
    return preprocess(pixels, description), torch.from_numpy(labels)


def read_jpeg_zip(path, labels):
    """Pixels [n,3,height,width] and labels [n] of a zip that holds LABEL/NAME.jpg, in the order of the names;
    raises ValueError where a folder is not one of `labels` or there is no image."""
    from PIL import Image
    pixels, numbers = [], []
    with zipfile.ZipFile(path) as archive:
        for name in sorted(n for n in archive.namelist() if n.endswith(".jpg")):
            label = name.split("/")[-2] if "/" in name else ""
            if label not in labels:
                raise ValueError(f"{path}: {name} is in no folder of a label")
            image = Image.open(io.BytesIO(archive.read(name))).convert("RGB")
            pixels.append(np.asarray(image).transpose(2, 0, 1))
            numbers.append(labels.index(label))
    if not pixels:
        raise ValueError(f"{path} holds no LABEL/NAME.jpg")
    return np.stack(pixels), np.array(numbers, np.int64)


def load_jpeg_zips(folder, split, description):
    """Images and labels of the one zip file in `folder` that has `split` ("train" or "test") in its name."""
    found = sorted(folder.glob(f"*{split}*.zip"))
    if len(found) != 1:
        raise ValueError(f"{folder} has {len(found)} files *{split}*.zip where one is expected")
    pixels, labels = read_jpeg_zip(found[0], description["labels"])
    return preprocess(pixels, description), torch.from_numpy(labels)
