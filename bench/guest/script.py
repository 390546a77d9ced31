# SPDX-License-Identifier: GPL-2.0-or-later
"""A bit of everything an interpreter does: words and dictionaries, objects, numbers, strings. script.py ROUNDS"""
import re
import sys


class Account:
    def __init__(self, owner, balance):
        self.owner = owner
        self.balance = balance
        self.history = []

    def move(self, other, amount):
        if self.balance < amount:
            raise ValueError(self.owner)
        self.balance -= amount
        other.balance += amount
        self.history.append((other.owner, amount))


def accounts(seed):
    people = [Account(f"person {number}", 1000) for number in range(50)]
    refused = 0
    for _ in range(2000):
        seed = (seed * 1103515245 + 12345) & 0x7fffffff
        try:
            people[seed % 50].move(people[seed // 50 % 50], seed // 2500 % 300)
        except ValueError:
            refused += 1
    return sum(len(person.history) for person in people) * 1000 + refused


def words(seed):
    counts = {}
    for number in range(4000):
        word = "".join(chr(97 + (seed * number >> shift) % 26) for shift in (0, 5, 9))
        counts[word] = counts.get(word, 0) + 1
    text = " ".join(sorted(counts, key=lambda word: (-counts[word], word)))
    return len(re.findall(r"\b[a-m]\w+[n-z]\b", text)) + len(text)


def primes(limit):
    sieve = bytearray([1]) * limit
    for number in range(2, int(limit ** 0.5) + 1):
        if sieve[number]:
            sieve[number * number::number] = bytes(len(range(number * number, limit, number)))
    return sum(sieve)


def orbit(steps):
    x, y, vx, vy = 1.0, 0.0, 0.0, 1.0
    for _ in range(steps):
        pull = -0.01 / (x * x + y * y) ** 1.5
        vx, vy = vx + pull * x, vy + pull * y
        x, y = x + 0.01 * vx, y + 0.01 * vy
    return f"{x:.9f} {y:.9f}"


for round_number in range(int(sys.argv[1])):
    print(accounts(round_number + 1), words(round_number + 7), primes(20000), orbit(3000))
