#!/usr/bin/env python3
"""Scaling on this machine: weak and strong efficiency on its cores; messages, bytes and memory a rank at 8 to 256 ranks.

  scaling.py --build BUILD_FOLDER [--out FOLDER] [--repeat N] [--max-ranks N] [--skip weak,strong,messages]

Weak: P ranks on P times the cells against P single-rank runs side by side, so that what the cores share (memory bandwidth,
clock) is in both. Strong: P ranks against one rank alone on the same grid. Runs alternate and the median of the ratios
counts, so that a passing load on the machine does less harm. Messages are counted in front of the MPI library
(count_messages.c), not timed: ranks may then outnumber the cores.
"""
import argparse
import json
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent

# A case: its input, cells of one rank (weak and messages), cells in all (strong), and how many steps or iterations count.
CASES = {
    "hj 3D WENO5": {"input": "hj3d.yaml", "weak": (96, 96, 96), "strong": (128, 128, 128), "messages": (8, 8, 8)},
    "mfg 2D implicit": {"input": "mfg2d.yaml", "weak": (128, 128), "strong": (192, 192), "messages": (12, 12)},
}


def environment():
    env = dict(os.environ, OMP_NUM_THREADS="1", OMPI_MCA_btl_base_warn_component_unused="0")
    if os.geteuid() == 0:
        env.update(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    return env


def command(exe, case, ranks, cells, folder, core=None, steps=None):
    launch = ["mpirun", "-n", str(ranks), "--oversubscribe", "--bind-to", "none"]
    if core is not None and shutil.which("taskset"):
        launch = ["taskset", "-c", str(core)] + launch
    options = ["-grid_cells", ",".join(map(str, cells)), "-run_dir", str(folder), "-run_progress", "off", "-run_overwrite"]
    if steps:
        options += ["-time_steps", str(steps)]
    return launch + [str(exe), str(HERE / CASES[case]["input"])] + options


def start(exe, case, ranks, cells, folder, core=None, steps=None):
    env = environment()
    if ranks > (os.cpu_count() or 1):
        env["OMPI_MCA_mpi_yield_when_idle"] = "1"
    return subprocess.Popen(command(exe, case, ranks, cells, folder, core, steps), env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(process, folder, timeout=1200):
    try:
        text, _ = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise SystemExit(f"scaling.py: no end after {timeout} s: {' '.join(process.args)}")
    if process.returncode != 0:
        raise SystemExit(f"scaling.py: exit code {process.returncode} of {' '.join(process.args)}\n{text[-2000:]}")
    return json.loads((pathlib.Path(folder) / "summary.json").read_text())


def rate(summary):
    """Cell updates a second of all ranks of a run."""
    return summary["performance"]["cells_per_second"]


def grow(cells, ranks):
    """The grid of `ranks` blocks of `cells`, factors spread over the directions from the last one."""
    cells, d = list(cells), len(cells) - 1
    while ranks > 1:
        factor = 2 if ranks % 2 == 0 else ranks
        cells[d] *= factor
        ranks //= factor
        d = (d - 1) % len(cells)
    return cells


def rank_counts():
    cores, counts = os.cpu_count() or 1, []
    ranks = 2
    while ranks <= cores:
        counts.append(ranks)
        ranks *= 2
    return counts or [2]


def weak(exe, case, ranks, repeat, scratch):
    cells = CASES[case]["weak"]
    ratios, alone, together = [], [], []
    for _ in range(repeat):
        side = [(start(exe, case, 1, cells, f"{scratch}/side{c}", core=c), f"{scratch}/side{c}") for c in range(ranks)]
        single = sum(rate(finish(p, f)) for p, f in side)
        joint = rate(finish(start(exe, case, ranks, grow(cells, ranks), f"{scratch}/joint"), f"{scratch}/joint"))
        alone.append(single)
        together.append(joint)
        ratios.append(joint / single)
    return {"case": case, "ranks": ranks, "cells_per_rank": list(cells), "cells_per_second": statistics.median(together),
            "side_by_side": statistics.median(alone), "efficiency": statistics.median(ratios), "ratios": ratios}


def strong(exe, case, ranks, repeat, scratch):
    cells = CASES[case]["strong"]
    ratios, rates = [], []
    for _ in range(repeat):
        single = rate(finish(start(exe, case, 1, cells, f"{scratch}/one"), f"{scratch}/one"))
        joint = rate(finish(start(exe, case, ranks, cells, f"{scratch}/many"), f"{scratch}/many"))
        rates.append(joint)
        ratios.append(joint / (ranks * single))
    return {"case": case, "ranks": ranks, "cells": list(cells), "cells_per_second": statistics.median(rates),
            "efficiency": statistics.median(ratios), "ratios": ratios}


def build_counter(scratch):
    """The shared object that counts messages, compiled with the MPI at hand."""
    library = f"{scratch}/count_messages.so"
    build = subprocess.run(["mpicc", "-O2", "-shared", "-fPIC", str(HERE / "count_messages.c"), "-o", library], capture_output=True, text=True)
    if build.returncode != 0:
        raise SystemExit(f"scaling.py: mpicc could not build the message counter:\n{build.stderr}")
    return library


def counted_run(exe, case, ranks, cells, scratch, counter, steps):
    env = environment()
    env["HALOCLINE_COUNT_FILE"] = f"{scratch}/count.json"
    if ranks > (os.cpu_count() or 1):
        env["OMPI_MCA_mpi_yield_when_idle"] = "1"
    words = command(exe, case, ranks, cells, f"{scratch}/count", steps=steps)
    at = words.index(str(exe))
    words[at:at] = ["env", f"LD_PRELOAD={counter}"]
    process = subprocess.Popen(words, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    summary = finish(process, f"{scratch}/count")
    return json.loads(pathlib.Path(f"{scratch}/count.json").read_text()), summary


def messages(exe, case, ranks, scratch, counter):
    """Counts a step. Of a march: the difference between a longer and a shorter run, so without set-up and files. Of a game:
    all of a run over its time steps times coupling iterations."""
    cells = grow(CASES[case]["messages"], ranks)
    count, summary = counted_run(exe, case, ranks, cells, scratch, counter, 12)
    if summary["model"] == "hj":
        before, _ = counted_run(exe, case, ranks, cells, scratch, counter, 4)
        count = {k: count[k] - before[k] for k in count}
        steps = 8
    else:
        steps = 12 * summary["iterations"]
    row = {"case": case, "ranks": ranks, "cells_per_rank": list(CASES[case]["messages"]), "memory_mb_per_rank": summary["memory_peak_mb_per_rank"],
           "messages_per_rank_step": count["messages"] / ranks / steps, "bytes_per_rank_step": count["bytes"] / ranks / steps,
           "reductions_per_step": count["reductions"] / ranks / steps}
    if count["messages"] > 0:
        row["bytes_per_message"] = count["bytes"] / count["messages"]
    return row


def table(title, rows, columns):
    if not rows:
        return
    print(f"\n{title}")
    cells = [[c for c, _ in columns]] + [[f.format(r[c]) if r.get(c) is not None else "-" for c, f in columns] for r in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(columns))]
    for row in cells:
        print("  " + "  ".join(v.rjust(w) for v, w in zip(row, widths)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True, type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path, default=TOP / "output" / "scaling")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--max-ranks", type=int, default=256)
    parser.add_argument("--skip", default="")
    options = parser.parse_args()
    exe = (options.build / "halocline").resolve()
    if not exe.exists():
        raise SystemExit(f"scaling.py: {exe} is not built")
    options.out.mkdir(parents=True, exist_ok=True)
    skip = options.skip.split(",")
    result = {"machine": platform.processor() or platform.machine(), "cores": os.cpu_count(), "weak": [], "strong": [], "messages": []}
    with tempfile.TemporaryDirectory(prefix="halocline-scaling-") as scratch:
        counter = None if "messages" in skip else build_counter(scratch)
        for case in CASES:
            for ranks in rank_counts():
                if "weak" not in skip:
                    result["weak"].append(weak(exe, case, ranks, options.repeat, scratch))
                if "strong" not in skip:
                    result["strong"].append(strong(exe, case, ranks, options.repeat, scratch))
            ranks = 8
            while "messages" not in skip and ranks <= options.max_ranks:
                result["messages"].append(messages(exe, case, ranks, scratch, counter))
                ranks *= 2
    path = options.out / "scaling.json"
    path.write_text(json.dumps(result, indent=1) + "\n")
    table("weak: P ranks against P single-rank runs side by side", result["weak"],
          [("case", "{}"), ("ranks", "{}"), ("cells_per_second", "{:.3g}"), ("side_by_side", "{:.3g}"), ("efficiency", "{:.1%}")])
    table("strong: P ranks against one rank", result["strong"], [("case", "{}"), ("ranks", "{}"), ("cells_per_second", "{:.3g}"), ("efficiency", "{:.1%}")])
    table("counted at many ranks", result["messages"],
          [("case", "{}"), ("ranks", "{}"), ("messages_per_rank_step", "{:.1f}"), ("bytes_per_rank_step", "{:.0f}"), ("bytes_per_message", "{:.0f}"),
           ("reductions_per_step", "{:.1f}"), ("memory_mb_per_rank", "{:.1f}")])
    print(f"\n{path}")
    return subprocess.call([sys.executable, str(TOP / "postprocess" / "plot.py"), "scaling", str(path)])


if __name__ == "__main__":
    sys.exit(main())
