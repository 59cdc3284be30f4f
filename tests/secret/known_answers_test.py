#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The digests of known_answers.txt made again from protocol/bytes.md and the definitions of the operations.

    tests/secret/known_answers_test.py           fails where a line differs
    tests/secret/known_answers_test.py --print   prints what the file should hold

Nothing here knows the C++ sources: integers of any size, polynomials by their coefficients. known_answers_test.cpp
describes what is computed, step by step, and compares the system itself with the same file.
"""
import sys
from hashlib import blake2b
from math import prod
from pathlib import Path
from struct import pack

import numpy as np

LOG_N = 12
N = 1 << LOG_N
SLOTS = N // 2
SCALE = 2.0**14
RADIX = 1 << 52
# Primes, special primes, primes in a digit. Of the words that give residues modulo the prime of 50 bits, 15 % are rejected.
SETS = {
    "one": ([68719403009, 1032193], [957014920814593], 1),
    "two": ([1032193, 974849, 925697], [4169729, 4120577], 2),
}


# --- randomness ------------------------------------------------------------------------------------------------------


def keystream(key, blocks):
    """ChaCha20 (Bernstein 2008) with nonce 0, all blocks at once."""
    words = [np.full(blocks, w, np.uint32) for w in np.frombuffer(b"expand 32-byte k" + key, "<u4")]
    counter = np.arange(blocks, dtype=np.uint32)
    start = words + [counter] + [np.zeros(blocks, np.uint32)] * 3
    x = [w.copy() for w in start]

    def quarter(a, b, c, d):
        for into, other, turned, left in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            x[into] = x[into] + x[other]
            mixed = x[turned] ^ x[into]
            x[turned] = mixed << np.uint32(left) | mixed >> np.uint32(32 - left)

    for _ in range(10):
        for column in range(4):
            quarter(column, 4 + column, 8 + column, 12 + column)
        for column in range(4):
            quarter(column, 4 + (column + 1) % 4, 8 + (column + 2) % 4, 12 + (column + 3) % 4)
    return np.stack([a + b for a, b in zip(x, start)], 1).astype("<u4").tobytes()


def stream(seed, label, *indices, size):
    """The first `size` bytes of a stream; a multiple of 64."""
    message = b"tacit/v1/" + label + b"".join(pack("<Q", i) for i in indices)
    return keystream(blake2b(message, key=seed, digest_size=32).digest(), size // 64)


def uniform(seed, label, *indices):
    """Modulo the last index."""
    q = indices[-1]
    words = np.frombuffer(stream(seed, label, *indices, size=10 * N), "<u8")
    products = [(int(w) % RADIX) * q for w in words]
    return array([p // RADIX for p in products if p % RADIX >= RADIX % q][:N])


def ternary(seed):
    """The coefficients of the secret key."""
    data = stream(seed, b"secret-key", LOG_N, size=N)
    pairs = [byte >> shift & 3 for byte in data for shift in (0, 2, 4, 6)]
    return array([p - 1 for p in pairs if p != 3][:N])


def error(seed):
    words = np.frombuffer(stream(seed, b"error", size=8 * N), "<u8")
    weight = lambda w: bin(w % (1 << 21)).count("1")
    return array([weight(int(w)) - weight(int(w) >> 21) for w in words])


# --- polynomials -----------------------------------------------------------------------------------------------------


def array(values):
    return np.array(values, dtype=object)


def reversed_order():
    return [int(format(j, f"0{LOG_N}b")[::-1], 2) for j in range(N)]


ORDER = reversed_order()
ROOTS = {}


def root(q):
    """The smallest primitive 2N-th root of unity."""
    if q not in ROOTS:
        x = 2
        while pow(x, (q - 1) // 2, q) != q - 1:
            x += 1
        any_root = pow(x, (q - 1) // (2 * N), q)
        ROOTS[q] = min(pow(any_root, k, q) for k in range(1, 2 * N, 2))
    return ROOTS[q]


def powers(x, q):
    out = [1]
    for _ in range(N - 1):
        out.append(out[-1] * x % q)
    return array(out)


def fourier(a, omega, q):
    """sum_i a_i omega^(i k) at the position that is k with its bits reversed (Gentleman and Sande 1966)."""
    blocks, w = a.reshape(1, N), powers(omega, q)
    while blocks.shape[1] > 1:
        half = blocks.shape[1] // 2
        x, y = blocks[:, :half], blocks[:, half:]
        twiddles = w[:: N // (2 * half)][:half]
        blocks = np.stack([(x + y) % q, (x - y) * twiddles % q], 1).reshape(-1, half)
    return blocks.reshape(N)


def to_values(a, q):
    psi = root(q)
    return fourier(a * powers(psi, q) % q, psi * psi % q, q)


def to_coefficients(values, q):
    psi = pow(root(q), -1, q)
    return fourier(values[ORDER], psi * psi % q, q)[ORDER] * powers(psi, q) * pow(N, -1, q) % q


def image(a, g):
    """a(X^g)"""
    out = array([0] * N)
    for i in range(N):
        exponent = i * g % (2 * N)
        out[exponent % N] = a[i] if exponent < N else -a[i]
    return out


class Poly:
    """A polynomial modulo some primes, as values."""

    def __init__(self, primes, limbs):
        self.primes, self.limbs = primes, limbs

    @staticmethod
    def of(coefficients, primes):
        return Poly(primes, [to_values(coefficients % q, q) for q in primes])

    def __add__(self, other):
        return self._with(other, lambda a, b: a + b)

    def __sub__(self, other):
        return self._with(other, lambda a, b: a - b)

    def __mul__(self, other):
        return self._with(other, lambda a, b: a * b)

    def _with(self, other, operation):
        return Poly(self.primes, [operation(a, b) % q for a, b, q in zip(self.limbs, other.limbs, self.primes)])

    def coefficients(self, primes):
        return [to_coefficients(self.limbs[self.primes.index(q)], q) for q in primes]

    def image(self, g):
        return Poly(self.primes, [to_values(image(to_coefficients(a, q), g) % q, q)
                                  for a, q in zip(self.limbs, self.primes)])

    def lifted(self, primes):
        """sum_i y_i M / m_i with y_i = x (M / m_i)^-1 modulo m_i: x and a small multiple of M, the product of `primes`."""
        m = prod(primes)
        return sum(x * pow(m // q, -1, q) % q * (m // q) for x, q in zip(self.coefficients(primes), primes))

    def divided(self, primes):
        """round(x / M) modulo the primes that are left."""
        m = prod(primes)
        centred = (self.lifted(primes) + m // 2) % m - m // 2
        left = [q for q in self.primes if q not in primes]
        rest = Poly.of(centred, left)
        return Poly(left, [(self.limbs[self.primes.index(q)] - r) * pow(m, -1, q) % q
                           for q, r in zip(left, rest.limbs)])

    def words(self):
        return b"".join(pack(f"<{N}Q", *limb) for limb in self.limbs)

    def packed(self):
        out = b""
        for q, limb in zip(self.primes, self.limbs):
            bits = (q - 1).bit_length()
            stream_of_bits = "".join(format(x, f"0{bits}b") for x in limb[::-1])
            out += int(stream_of_bits, 2).to_bytes(N * bits // 8, "little")
        return out


# --- the scheme ------------------------------------------------------------------------------------------------------


def message(step, modulus, primes):
    """Slot i is (step i mod modulus) / modulus - 1/2, at a root of unity to the 3^i; rounded half away from zero."""
    slots = np.array([step * i % modulus / modulus - 0.5 for i in range(SLOTS)])
    cosines = np.cos(np.arange(2 * N) * (np.pi / N))
    exponents = np.array([pow(3, i, 2 * N) for i in range(SLOTS)])
    real = np.array([slots @ cosines[exponents * k % (2 * N)] for k in range(N)]) * (2 / N) * SCALE
    assert np.min(np.abs(real - np.floor(real) - 0.5)) > 1e-7, "too close to call for doubles"
    return Poly.of(array([int(x) for x in np.rint(real)]), primes)


class Scheme:
    def __init__(self, primes, special, digit_size):
        self.primes, self.special, self.digit_size = primes, special, digit_size
        self.extended = primes + special
        self.seed = bytes([0xA5] * 32)
        self.secret = ternary(self.seed)
        self.drawn = 0

    def draw(self):
        """The seeds that the system draws, one after the other."""
        self.drawn += 1
        return bytes([self.drawn] * 32)

    def header(self, kind, level, shape, element, scale):
        basis = [N, level + 1] + self.primes[: level + 1] + self.special[: shape[1]]
        tag = blake2b(b"tacit/v1/key-tag", key=blake2b(self.seed, digest_size=32).digest(), digest_size=32).digest()
        return (b"TACT" + bytes([kind, 1, 0, 0]) + tag[:16] + bytes([LOG_N, level, *shape])
                + pack("<Id", element, scale) + blake2b(pack(f"<{len(basis)}Q", *basis), digest_size=32).digest())

    def encrypt(self, m):
        """The ciphertext and its bytes."""
        seed = self.draw()
        c1 = Poly(self.primes, [uniform(seed, b"ciphertext", q) for q in self.primes])
        c0 = m + Poly.of(error(self.draw()), self.primes) - c1 * Poly.of(self.secret, self.primes)
        return (c0, c1), self.header(1, len(self.primes) - 1, (0, 0), 0, SCALE) + seed + c0.packed()

    def ciphertext_bytes(self, parts, scale):
        return self.header(2, len(parts[0].primes) - 1, (0, 0), 0, scale) + parts[0].packed() + parts[1].packed()

    def digits(self):
        return [self.primes[i : i + self.digit_size] for i in range(0, len(self.primes), self.digit_size)]

    def make_key(self, element):
        """Its digits (b_j, a_j) and its bytes."""
        seed = self.draw()
        s = Poly.of(self.secret, self.extended)
        target = s * s if element == 1 else s.image(element)
        shape = (self.digit_size, len(self.special))
        key, data = [], self.header(3, len(self.primes) - 1, shape, element, 0.0) + seed
        for j, own in enumerate(self.digits()):
            stored = [uniform(seed, b"switching-key", j, q) for q in self.extended]
            a = Poly(self.extended, [x * pow(RADIX, -1, q) % q for x, q in zip(stored, self.extended)])
            gadget = Poly(self.extended, [t * (prod(self.special) if q in own else 0) % q
                                          for t, q in zip(target.limbs, self.extended)])
            b = Poly.of(error(self.draw()), self.extended) + gadget - a * s
            data += Poly(self.extended, [x * RADIX % q for x, q in zip(b.limbs, self.extended)]).packed()
            key.append((b, a))
        return key, data

    def switch(self, digits, key):
        """sum_j d_j (b_j, a_j) modulo QP, for digits as integers."""
        lifted = [Poly.of(d, self.extended) for d in digits]
        sums = []
        for half in (0, 1):
            products = [d * pair[half] for d, pair in zip(lifted, key)]
            sums.append(sum(products[1:], products[0]))
        return sums

    def raised(self, c):
        """P c modulo QP."""
        factor = prod(self.special)
        zero = array([0] * N)
        return Poly(self.extended, [x * factor % q for x, q in zip(c.limbs, self.primes)] + [zero] * len(self.special))

    def rotate(self, c, g, key, hoisted):
        source = c[1] if hoisted else c[1].image(g)
        digits = [source.lifted(own) for own in self.digits()]
        if hoisted:
            digits = [image(d, g) for d in digits]
        d0, d1 = (x.divided(self.special) for x in self.switch(digits, key))
        return c[0].image(g) + d0, d1

    def relinearise(self, c, key, rescale):
        sums = self.switch([c[2].lifted(own) for own in self.digits()], key)
        if rescale:
            return [(x + self.raised(part)).divided(self.special + self.primes[-1:]) for x, part in zip(sums, c)]
        return [x.divided(self.special) + part for x, part in zip(sums, c)]


def answers(name):
    scheme = Scheme(*SETS[name])
    yield "secret-key", bytes(int(x) % 256 for x in scheme.secret)
    yield "uniform", Poly(scheme.primes, [uniform(scheme.seed, b"ciphertext", q) for q in scheme.primes]).words()
    x, y = message(37, 101, scheme.primes), message(53, 97, scheme.primes)
    yield "plaintext", x.words()
    a, data = scheme.encrypt(x)
    yield "seeded-ciphertext", data
    b, _ = scheme.encrypt(y)
    rotation, data = scheme.make_key(3)
    yield "rotation-key", data
    relinearisation, data = scheme.make_key(1)
    yield "relinearisation-key", data
    yield "rotated", scheme.ciphertext_bytes(scheme.rotate(a, 3, rotation, False), SCALE)
    yield "rotated-hoisted", scheme.ciphertext_bytes(scheme.rotate(a, 3, rotation, True), SCALE)
    last = scheme.primes[-1]
    yield "rescaled", scheme.ciphertext_bytes([part.divided([last]) for part in a], SCALE / last)
    product = (a[0] * b[0], a[0] * b[1] + a[1] * b[0], a[1] * b[1])
    yield "product", scheme.ciphertext_bytes(scheme.relinearise(product, relinearisation, False), SCALE * SCALE)
    yield "product-rescaled", scheme.ciphertext_bytes(
        scheme.relinearise(product, relinearisation, True), SCALE * SCALE / last)


def main():
    lines = [f"{name}.{what} {blake2b(data, digest_size=32).hexdigest()}"
             for name in SETS for what, data in answers(name)]
    if "--print" in sys.argv:
        print("\n".join(lines))
        return 0
    text = (Path(__file__).parent / "known_answers.txt").read_text(encoding="utf-8")
    stored = [line for line in text.splitlines() if not line.startswith("#")]
    wrong = [f"{line}\n  is in the file where there should be\n{made}"
             for line, made in zip(stored, lines) if line != made]
    if len(stored) != len(lines):
        wrong.append(f"the file has {len(stored)} answers, there should be {len(lines)}")
    print("\n".join(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
