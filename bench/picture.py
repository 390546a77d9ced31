#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A bar chart of a report as SVG: time over native, for each workload, TCG beside an engine of ours.

    bench/picture.py JSON SVG [ENGINE]      from the figures that bench/run --json wrote
"""
import json
import math
import sys

import report as reports
import workloads

LEFT, RIGHT, ROW, BAR, TOP = 206, 110, 26, 10, 76
WIDTH = 860
COLOURS = {"tcg": "#c9ced6", "ours": "#2f6f4f"}


def bars(report, engine):
    """[(title, TCG over native, ours over native)]; where there is no native figure, nothing. The means come last."""
    rows = []
    for name in report.timed():
        pair = report.ratio("tcg", "native", name), report.ratio(engine, "native", name)
        if all(pair):
            rows.append((report.titles[name], *pair))
    timed = report.timed()
    compute = [name for name in timed if name in report.compute]
    for title, names in (("geometric mean, compute", compute), ("geometric mean, all", timed)):
        rows.append((title, report.mean("tcg", "native", names)[0], report.mean(engine, "native", names)[0]))
    return [row for row in rows if row[1] and row[2]]


def text(x, y, words, size=12, anchor="start", weight="normal", colour="#1f2328"):
    words = words.replace("&", "&amp;").replace("<", "&lt;")
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" font-weight="{weight}" '
            f'fill="{colour}">{words}</text>')


def draw(report, engine, about):
    rows = bars(report, engine)
    most = max((max(row[1:]) for row in rows), default=10)
    least = min((min(row[1:]) for row in rows), default=1)
    low, high = math.floor(math.log10(min(least, 1)) * 2) / 2, math.ceil(math.log10(max(most, 10)))
    span = WIDTH - LEFT - RIGHT

    def place(value):
        return LEFT + (math.log10(value) - low) / (high - low) * span

    height = TOP + ROW * len(rows) + 58
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
           'font-family="system-ui, sans-serif">',
           f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
           text(16, 26, "Time over native, logarithmic; shorter is better", 16, weight="bold"),
           text(16, 44, f"{about['machine']}, {about['date']}; "
              f"{'processor time' if report.clock == 'cpu' else 'wall clock'}, best of {about['repeat']}", 11, colour="#59636e")]
    for x, colour, words in ((LEFT, COLOURS["tcg"], "QEMU, -accel tcg"),
                             (LEFT + 150, COLOURS["ours"], f"Trapeze, -accel {engine}")):
        out.append(f'<rect x="{x}" y="{TOP - 24}" width="12" height="12" fill="{colour}"/>')
        out.append(text(x + 18, TOP - 14, words))
    bottom = TOP + ROW * len(rows)
    for power in range(math.ceil(low), high + 1):
        x = place(10 ** power)
        colour, width = ("#1f2328", 1.2) if power == 0 else ("#e3e6ea", 1)
        out.append(f'<line x1="{x:.1f}" y1="{TOP - 4}" x2="{x:.1f}" y2="{bottom}" stroke="{colour}" '
                   f'stroke-width="{width}"/>')
        label = "native" if power == 0 else f"{10 ** power:g} x"
        out.append(text(x, bottom + 16, label, 11, "middle", colour="#59636e"))
    for number, (title, tcg, ours) in enumerate(rows):
        y = TOP + number * ROW
        mean = title.startswith("geometric")
        if mean:
            out.append(f'<rect x="8" y="{y}" width="{WIDTH - 16}" height="{ROW}" fill="#f3f5f7"/>')
        out.append(text(LEFT - 10, y + 17, title, 12, "end", "bold" if mean else "normal"))
        for offset, value, colour in ((2, tcg, COLOURS["tcg"]), (3 + BAR, ours, COLOURS["ours"])):
            start, end = sorted((place(1), place(value)))
            out.append(f'<rect x="{start:.1f}" y="{y + offset}" width="{max(1.5, end - start):.1f}" height="{BAR}" '
                       f'fill="{colour}"/>')
        right = max(place(tcg), place(ours), place(1)) + 6
        out.append(text(right, y + 17, f"{reports.ratio_text(tcg)} / {reports.ratio_text(ours)}", 11,
                        weight="bold" if mean else "normal", colour="#59636e"))
    # What has no native figure.
    boot, memory = report.ratio("tcg", engine, workloads.BOOT), report.figure(engine, workloads.MEMORY)
    extra = []
    if boot:
        extra.append(f"Boot to shell: QEMU {report.figure('tcg', workloads.BOOT):.1f} s, "
                     f"Trapeze {report.figure(engine, workloads.BOOT):.1f} s")
    if memory and report.figure("tcg", workloads.MEMORY):
        extra.append(f"memory beyond the guest's RAM: QEMU {report.figure('tcg', workloads.MEMORY) / reports.MIB:.0f} MiB, "
                     f"Trapeze {memory / reports.MIB:.0f} MiB")
    if extra:
        out.append(text(16, height - 16, "; ".join(extra), 12))
    return "\n".join([*out, "</svg>", ""])


def write(path, report, engine, about):
    with open(path, "w") as file:
        file.write(draw(report, engine, about))


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    with open(sys.argv[1]) as file:
        figures = json.load(file)
    report = reports.Report(figures["results"], figures["clock"])
    write(sys.argv[2], report, sys.argv[3] if len(sys.argv) == 4 else report.ours[0], figures)


if __name__ == "__main__":
    main()
