# SPDX-License-Identifier: GPL-2.0-or-later
"""What a processor can get wrong, as seen from Python: prints the same on every processor that is right."""
import array
import base64
import cmath
import collections
import hashlib
import heapq
import itertools
import math
import random
import re
import struct
import unicodedata
import zlib


def floats():
    rng = random.Random(1)
    total = 0.0
    for number in range(20000):
        x = rng.uniform(-50, 50)
        total += math.sin(x) * math.exp(-abs(x) / 9) + math.atan2(x, 3) ** 3 - math.fmod(x, 0.7)
        if number % 1000 == 0:
            print("%.17g %s %.3e" % (total, x.hex(), math.lgamma(abs(x) + 0.5)))
    for x in (5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 0.1, -0.0, math.inf, math.nan):
        print(repr(x), repr(x * 0.5), repr(x + 1), math.frexp(x), repr(round(x, 2)), repr(-x // 3) if x == x else "")
    print(math.fsum(rng.random() for _ in range(9999)), cmath.sqrt(-3 + 4j), cmath.exp(1j), math.hypot(3, 4, 5))


def integers():
    a, b = 3 ** 4000 + 7, 7 ** 1900 - 11
    print(hashlib.sha256(str(a * b).encode()).hexdigest(), a % b % 10 ** 20, (a // b).bit_length(), math.gcd(a * 91, b * 91))
    print(pow(3, a, b) % 10 ** 30, math.isqrt(a) % 10 ** 30, math.factorial(300) % (10 ** 50 + 1))
    value = 1
    for number in range(30000):
        value = (value * 6364136223846793005 + number) & (1 << 64) - 1
        value ^= value >> 29
        value = (value << 13 | value >> 51) & (1 << 64) - 1
    print(value, [value >> shift & 255 for shift in range(0, 64, 5)], divmod(-value, 1000003))


def sorting():
    rng = random.Random(2)
    numbers = [rng.randrange(10 ** 9) for _ in range(20000)]
    print(zlib.crc32(struct.pack("<20000I", *sorted(numbers))), heapq.nsmallest(5, numbers), sorted(numbers, key=str)[:5])
    shuffled = array.array("d", (rng.gauss(0, 1) for _ in range(5000)))
    print(hashlib.md5(array.array("d", sorted(shuffled)).tobytes()).hexdigest())
    print(sum(p[0] * p[-1] for p in itertools.permutations(range(8))), collections.Counter(str(n)[0] for n in numbers))


def strings():
    words = [f"{chr(97 + n * 7 % 26)}{n * n % 977:x}" for n in range(6000)]
    text = " ".join(words)
    print(len(re.findall(r"\b([a-m])[0-9a-f]*\1?\b", text)), re.sub(r"(\w)(\w)(\w+)", r"\3\1\2", text)[:80])
    print(zlib.adler32(text.upper().encode("utf-16")), text.count("a1"), text.find("zz"), text[::-97].translate({97: "ä"})[:40])
    print(unicodedata.normalize("NFD", "Ärger über ñ").encode(), "ß".upper(), "İ".lower().encode(), "%08.3f|%-9s|%+d" % (2 / 3, "x", 7))
    packed = zlib.compress(text.encode() * 5, 9)
    print(len(packed), zlib.decompress(packed) == text.encode() * 5, base64.b85encode(packed)[:60])


def hashes():
    data = bytes(number * number % 251 for number in range(200000))
    for name in ("md5", "sha1", "sha256", "sha512", "sha3_256", "blake2b", "blake2s"):
        print(name, hashlib.new(name, data, usedforsecurity=False).hexdigest())


for part in (floats, integers, sorting, strings, hashes):
    print(f"-- {part.__name__}")
    part()
