# SPDX-License-Identifier: Apache-2.0
"""Images for the demo and the end-to-end tests, with nothing but the standard library."""
import gzip
import struct
import zlib

FASHION_MNIST = "/usr/share/datasets/fashion-mnist"
RAMP = " .:-=+*#%@"


def read_idx(path):
    """The dimensions and the bytes of a gzip-compressed IDX file of unsigned bytes; ValueError for anything else."""
    with gzip.open(path) as file:
        raw = file.read()
    if raw[:3] != b"\0\0\x08":
        raise ValueError(f"{path} is not an IDX file of unsigned bytes")
    count = raw[3]
    dimensions = struct.unpack_from(f">{count}I", raw, 4)
    return dimensions, raw[4 + 4 * count:]


def fashion_mnist_test():
    """A list of (28*28 grey pixels, label number): the 10,000 test images of Debian's data set."""
    (count, height, width), pixels = read_idx(f"{FASHION_MNIST}/t10k-images-idx3-ubyte.gz")
    _, labels = read_idx(f"{FASHION_MNIST}/t10k-labels-idx1-ubyte.gz")
    size = height * width
    return [(pixels[i * size:(i + 1) * size], labels[i]) for i in range(count)]


def png(pixels, width, height, channels=1):
    """The bytes of an 8-bit grey (1 channel) or RGB (3) PNG file with these pixels, row by row."""
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    stride = width * channels
    rows = b"".join(b"\0" + bytes(pixels[y * stride:(y + 1) * stride]) for y in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, {1: 0, 3: 2}[channels], 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def half_blocks(pixels, width, height):
    """A grey image as lines of text for a terminal with 256 colours: each character shows two pixels, one above the
    other, in its foreground and background."""
    def grey(value):
        return 232 + value * 23 // 255

    lines = []
    for y in range(0, height, 2):
        line = ""
        for x in range(width):
            below = pixels[(y + 1) * width + x] if y + 1 < height else 0
            line += f"\x1b[38;5;{grey(pixels[y * width + x])};48;5;{grey(below)}m\u2580"
        lines.append(line + "\x1b[0m")
    return lines


def ascii_art(pixels, width, height):
    """A grey image as lines of plain text, each character the mean of two pixels, one above the other."""
    lines = []
    for y in range(0, height - 1, 2):
        pairs = zip(pixels[y * width:(y + 1) * width], pixels[(y + 1) * width:(y + 2) * width])
        lines.append("".join(RAMP[(a + b) * (len(RAMP) - 1) // 510] for a, b in pairs))
    return lines
