#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The bench itself: that its workloads run, and have the same results in a guest as on the host."""
import json
import os
import subprocess

import harness
from harness import check, test


@test(20, engine=False)
def few_workloads():
    names = ["integer", "quicksort", "virtual", "matrix", "avx2", "memcpy", "fork", "exec", "rewrite", "atomic", "ash"]
    figures = os.path.join(harness.workspace(), "figures.json")
    picture = os.path.join(harness.workspace(), "picture.svg")
    done = subprocess.run([os.path.join(harness.ROOT, "bench/run"), "--trapeze", harness.TRAPEZE, "--engine",
                           "interp,native", "--only", ",".join(names), "--scale", "0.002", "--json", figures, "--picture",
                           picture], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, check=False)
    check(done.returncode == 0, done.stdout)
    with open(figures) as file:
        results = json.load(file)["results"]
    for name in names:
        ours = results["interp"][name]
        check(ours.get("seconds", 0) > 0, f"{name} did not run: {ours}\n{done.stdout}")
        native = results["native"].get(name, {})  # the host may forbid both chroot and user namespaces
        check(native.get("result") in (None, ours["result"]), f"{name}: {ours['result']} in the guest, "
                                                              f"{native.get('result')} on the host")
    with open(picture) as file:
        check(file.read().startswith("<svg"), "no picture")


if __name__ == "__main__":
    harness.main()
