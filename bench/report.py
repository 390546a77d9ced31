# SPDX-License-Identifier: GPL-2.0-or-later
"""Figures to tables: ratios, means, and what the figures were to be.

figures: {engine: {workload: {"seconds", "cpu", ...} or {"missing": why}}}; memory has "bytes" instead.
"""
import math

import workloads

MIB = 1 << 20


def geometric_mean(values):
    values = list(values)
    return math.exp(sum(math.log(value) for value in values) / len(values)) if values else None


class Report:
    def __init__(self, figures, clock):
        self.figures = figures
        self.clock = clock
        titles = {workload.name: workload.title for workload in workloads.WORKLOADS}
        titles.update(workloads.EXTRAS)
        ran = {name for results in figures.values() for name in results}
        self.titles = {name: title for name, title in titles.items() if name in ran}
        self.ours = [engine for engine in figures if engine not in ("tcg", "native")]
        self.compute = [workload.name for workload in workloads.WORKLOADS if workload.compute]

    def figure(self, engine, name):
        entry = self.figures.get(engine, {}).get(name, {})
        return entry.get("bytes") or entry.get("seconds" if self.clock == "wall" else "cpu")

    def ratio(self, slower, faster, name):
        one, other = self.figure(slower, name), self.figure(faster, name)
        return one / other if one and other else None

    def timed(self):
        """The workloads the means are made of: not what the host pays for a machine."""
        return [name for name in self.titles if name not in (workloads.START, workloads.MEMORY)]

    def mean(self, slower, faster, names):
        """(geometric mean, of how many)"""
        ratios = [ratio for ratio in (self.ratio(slower, faster, name) for name in names) if ratio]
        return geometric_mean(ratios), len(ratios)

    def table(self):
        """Rows of words; the first is the head."""
        head = ["", *self.figures]
        for engine in [*self.ours, "tcg"]:
            if engine != "tcg" and "tcg" in self.figures:
                head.append(f"tcg/{engine}")
            if engine in self.figures and "native" in self.figures:
                head.append(f"{engine}/native")
        rows = [head]
        for name, title in self.titles.items():
            row = [title]
            for engine in self.figures:
                value = self.figure(engine, name)
                if not value:
                    row.append("-")
                elif name == workloads.MEMORY:
                    row.append(f"{value / MIB:.1f} MiB")
                else:
                    row.append(f"{value:.3f} s")
            rows.append(row + [ratio_text(self.ratio(*column.split("/"), name)) for column in head[len(row):]])
        for title, names in (("geometric mean, all", self.timed()),
                             ("geometric mean, compute", [name for name in self.timed() if name in self.compute])):
            means = [self.mean(*column.split("/"), names) for column in head[1 + len(self.figures):]]
            if any(count > 1 for _, count in means):
                rows.append([title] + [""] * len(self.figures) + [ratio_text(mean) for mean, _ in means])
        return rows

    def aims(self, engine):
        """[(what, figure as text, must as text, met or None, reach as text, reached or None)]"""
        lines = []

        def line(what, value, form, must, reach, good):
            met, reached = (value and good(value, must)), (value and good(value, reach))
            lines.append((what, form % value if value else "not measured", form % must, met, form % reach, reached))

        def at_least(value, bound):
            return value >= bound

        def at_most(value, bound):
            return value <= bound

        timed = self.timed()
        line("geometric mean of all, times TCG's speed", self.mean("tcg", engine, timed)[0], "%.2f", 3.5, 6.0, at_least)
        speeds = {name: self.ratio("tcg", engine, name) for name in timed}
        speeds = {name: speed for name, speed in speeds.items() if speed}
        worst = min(speeds, key=speeds.get) if speeds else None
        line(f"the slowest single workload ({worst}), times TCG's speed", speeds.get(worst), "%.2f", 0.95, 1.0, at_least)
        compute = [name for name in timed if name in self.compute]
        line("geometric mean of compute, times native's time", self.mean(engine, "native", compute)[0], "%.2f", 2.0, 1.3,
             at_most)
        line("boot to shell, times TCG's time", self.ratio(engine, "tcg", workloads.BOOT), "%.2f", 1.0, 0.5, at_most)
        memory = self.figure(engine, workloads.MEMORY)
        line("peak memory beyond guest RAM, MiB", memory and memory / MIB, "%.1f", 64, 24, at_most)
        return lines

    def wrong(self):
        """{workload: {engine: result}} where the results of a workload are not all the same."""
        differing = {}
        for name in self.titles:
            results = {engine: entries[name]["result"] for engine, entries in self.figures.items()
                       if entries.get(name, {}).get("result")}
            if len(set(results.values())) > 1:
                differing[name] = results
        return differing

    def remarks(self):
        """What is missing and why; results that differ; clocks that differ."""
        remarks = []
        for engine, results in self.figures.items():
            reasons = {}
            for name, entry in results.items():
                if "missing" in entry:
                    reasons.setdefault(entry["missing"], []).append(name)
            for reason, names in reasons.items():
                remarks.append(f"{engine}: {reason} ({'all' if len(names) == len(results) else ', '.join(names)})")
        for name, results in self.wrong().items():
            remarks.append(f"WRONG RESULT, {name}: " + ", ".join(f"{engine} {result}" for engine, result
                                                                  in results.items()))
        for engine, results in self.figures.items():
            late = [name for name, entry in results.items() if entry.get("guest_seconds")
                    and abs(entry["guest_seconds"] - entry["seconds"]) > 0.02 + 0.02 * entry["seconds"]]
            if late:
                remarks.append(f"{engine}: the guest's clock and the host's differ by more than 2 % in "
                               + ", ".join(late))
            busy = [name for name, entry in results.items() if entry.get("cpu")
                    and entry["seconds"] > 0.05 + 1.15 * entry["cpu"]]
            if busy and self.clock == "wall":
                remarks.append(f"{engine}: waited for a processor 15 % and more of the time in {', '.join(busy)}: the "
                               "host is busy, --clock cpu is nearer to the truth")
        return remarks

    def print(self):
        rows = self.table()
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        for row in rows:
            print(f"{row[0]:{widths[0]}}" + "".join(f"  {cell:>{width}}" for cell, width in zip(row[1:], widths[1:])))
        for remark in self.remarks():
            print(remark)

    def print_aims(self):
        words = {True: "met", False: "NOT MET", None: "-"}
        for engine in self.ours:
            print(f"\n{engine:52}{'figure':>14}{'must':>8}{'':>9}{'reach for':>11}")
            for what, value, must, met, reach, reached in self.aims(engine):
                print(f"{what:52}{value:>14}{must:>8}{words[met]:>9}{reach:>11}{words[reached]:>9}")


def ratio_text(ratio):
    if not ratio:
        return "-"
    return f"{ratio:.2f}" if ratio < 10 else f"{ratio:.1f}"
