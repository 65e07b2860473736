"""Random numbers that are known by their place: (seed, name, index). The order of asking does not matter, so every process, a
training that goes on, and fusenet itself draw the same."""

from __future__ import annotations

import numpy as np

MASK = 0xFFFFFFFF
ROTATIONS = (13, 15, 26, 6, 17, 29, 16, 24)


def threefry(key0: int, key1: int, counter0, counter1) -> tuple[np.ndarray, np.ndarray]:
    """Threefry-2x32 with 20 rounds (Salmon et al. 2011): two words of 32 bits for each pair of counters, which may be arrays."""
    keys = [np.uint32(k & MASK) for k in (key0, key1, 0x1BD11BDA ^ key0 ^ key1)]
    c0, c1 = np.broadcast_arrays(np.atleast_1d(counter0), np.atleast_1d(counter1))
    # Arrays, since NumPy warns of overflow for single numbers alone.
    x0 = c0.astype(np.int64).astype(np.uint32) + keys[0]
    x1 = c1.astype(np.int64).astype(np.uint32) + keys[1]
    for turn in range(20):
        by = ROTATIONS[turn % 8]
        x0 = x0 + x1
        x1 = ((x1 << np.uint32(by)) | (x1 >> np.uint32(32 - by))) ^ x0
        if turn % 4 == 3:
            s = (turn + 1) // 4
            x0 = x0 + keys[s % 3]
            x1 = x1 + np.uint32((int(keys[(s + 1) % 3]) + s) & MASK)
    return x0, x1


def hash_name(name: str) -> int:
    """FNV-1a of a name in UTF-8, 32 bits."""
    found = 0x811C9DC5
    for byte in name.encode():
        found = ((found ^ byte) * 0x01000193) & MASK
    return found


class Stream:
    """Numbers known by (seed, name): number i is always the same."""

    def __init__(self, seed: int, name: str):
        self.seed = seed & MASK
        self.key = hash_name(name)

    def uniform(self, i: np.ndarray) -> np.ndarray:
        """In [0, 1), 53 bits."""
        high, low = threefry(self.seed, self.key, i, 0)
        return (high.astype(np.float64) * 0x200000 + (low >> np.uint32(11)).astype(np.float64)) / 2.0**53

    def gaussian(self, i: np.ndarray) -> np.ndarray:
        """Mean 0, deviation 1, by Marsaglia's polar method: a point of the unit disc; one in five is drawn again."""
        i = np.asarray(i)
        found = np.empty(len(i))
        left = np.arange(len(i))
        attempt = 0
        while len(left):
            a, b = threefry(self.seed, self.key, i[left], attempt)
            x = a.astype(np.float64) / 2.0**31 - 1
            y = b.astype(np.float64) / 2.0**31 - 1
            s = x * x + y * y
            good = (s > 0) & (s < 1)
            t = s[good]
            found[left[good]] = x[good] * np.sqrt((-2 * natural_log(t)) / t)
            left = left[~good]
            attempt += 1
        return found


def natural_log(x: np.ndarray) -> np.ndarray:
    """ln x for 0 < x < 1 by arithmetic alone, since mathematical libraries differ in the last bit:
    x = m 2^e with m in [sqrt(1/2), sqrt(2)), ln x = e ln 2 + 2 atanh((m - 1) / (m + 1))."""
    m, e = np.frexp(x)
    small = m < 0.7071067811865476
    m = np.where(small, 2 * m, m)
    e = np.where(small, e - 1, e)
    z = (m - 1) / (m + 1)
    total = np.zeros_like(z)
    for k in range(39, 0, -2):
        total = total * z * z + 1 / k
    return e * 0.6931471805599453 + 2 * z * total


def permutation(length: int, seed: int, epoch: int) -> np.ndarray:
    """0 .. length - 1 in the order of (seed, epoch), by Fisher and Yates."""
    order = list(range(length))
    i = np.arange(1, length)
    choices = np.floor(Stream(seed, f"shuffle {epoch}").uniform(i) * (i + 1)).astype(np.int64).tolist() if length > 1 else []
    for i in range(length - 1, 0, -1):
        j = choices[i - 1]
        order[i], order[j] = order[j], order[i]
    return np.array(order, dtype=np.int64)


def initial_values(name: str, shape: list[int], initializer: dict, seed: int) -> np.ndarray:
    """The first values of a parameter, float32, by the filler that the net's text chose (settings.json has its numbers)."""
    count = int(np.prod(shape, dtype=np.int64))
    kind = initializer["kind"]
    if kind == "constant":
        return np.full(shape, initializer["value"], dtype=np.float32)
    i = np.arange(count)
    if kind == "gaussian":
        values = initializer["mean"] + initializer["deviation"] * Stream(seed, name).gaussian(i)
    elif kind == "uniform":
        low, high = initializer["low"], initializer["high"]
        values = low + (high - low) * Stream(seed, name).uniform(i)
        # Rounding to float32 may reach the excluded end.
        values = np.where(values.astype(np.float32) < high, values, low)
    elif kind == "bilinear":
        # Caffe's BilinearFiller: f = ceil(k / 2), c = (k - 1) / 2f, (1 - |x / f - c|) (1 - |y / f - c|).
        k = shape[-1]
        f = -(-k // 2)
        c = (k - 1) / (2 * f)
        values = (1 - np.abs((i % k) / f - c)) * (1 - np.abs((i // k % k) / f - c))
    else:
        raise ValueError(f"there is no filler {kind}")
    return values.astype(np.float32).reshape(shape)
