"""Whole runs: the main job's rate, a small game from start to end, two ranks against one, memory stated and measured.

Times that are compared come from runs in turns, and the median of their ratios counts: what else the machine does then
disturbs both. Rates of single runs are processor time, user and system, so that they do not include the turns of others.
"""
import json
import os
import resource
import statistics
import subprocess
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
REPEATS = 5
HJ = """model: hj
grid: {dim: 3, cells: "128,128,128", lower: "-3,-3,-3", upper: "3,3,3", boundary: periodic}
time: {end: 0.01, steps: 10}
hj: {hamiltonian: burgers, initial: "-cos(pi*(x+y+z)/3)"}
output: {count: 1}
"""
GAME_1D = """model: mfg
grid: {dim: 1, cells: "100", lower: "0", upper: "1", boundary: reflecting}
time: {end: 1, steps: 50}
mfg: {sigma: 0.3, running_cost: "0.5*m", terminal_cost: "(x-0.5)^2", initial_density: "exp(-50*(x-0.5)^2)",
  coupling: anderson, tolerance: 1e-8}
output: {count: 1}
"""
GAME_2D = """model: mfg
grid: {dim: 2, cells: "160,160", lower: "0,0", upper: "12,12", boundary: reflecting}
time: {end: 4, steps: 20}
mfg: {sigma: 0.5, running_cost: "0.3 + 4*m", terminal_cost: "0.2*(x-10)^2", normalise: false,
  initial_density: "0.1*exp(-(x-3)^2/2)*(1 + 0.2*cos(pi*y/3))", coupling: picard, tolerance: 1e-3}
output: {count: 1}
"""


class Runs:
    """Starts runs in a folder of its own; a text is an input, a name is one of inputs/."""

    def __init__(self, folder):
        self.folder, self.count = folder, 0
        self.environment = dict(os.environ, OMP_NUM_THREADS="1", OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")

    def start(self, source, ranks=1, **options):
        self.count += 1
        directory = os.path.join(self.folder, f"run{self.count}")
        path = os.path.join(ROOT, "inputs", source)
        if "\n" in source:
            path = directory + ".yaml"
            with open(path, "w") as f:
                f.write(source)
        command = ["mpirun", "-q", "-n", str(ranks), "--oversubscribe", "--bind-to", "none"] if ranks > 1 else []
        command += [os.environ["HALOCLINE"], path, "-run_dir", directory, "-run_progress", "off"]
        for key, value in options.items():
            command += ["-" + key, str(value)]
        process = subprocess.Popen(command, env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        return process, directory

    def finish(self, started):
        process, directory = started
        error = process.communicate(timeout=600)[1]
        if process.returncode not in (0, 3):  # 3: stopped after max_iterations, as asked
            raise RuntimeError(f"{' '.join(process.args)}: exit code {process.returncode}: {error.strip()[-200:]}")
        with open(os.path.join(directory, "summary.json")) as f:
            return json.load(f)

    def run(self, source, ranks=1, **options):
        """The summary of a run, with its processor seconds."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        summary = self.finish(self.start(source, ranks, **options))
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        summary["cpu"] = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return summary


def work(summary):
    """Wall seconds of everything but set-up and files."""
    seconds = summary["performance"]["seconds"]
    return seconds["compute"] + seconds["exchange"] + seconds["solve"]


def row(name, value, unit, limit, target=None):
    return {"name": name, "value": value, "unit": unit, "limit": limit, "target": target}


def main_job(runs):
    """The difference of a run of four iterations and one of two leaves start-up out."""
    each, share, shape = [], [], 256 * 160 * 160
    for _ in range(3):
        short = runs.run("mfg/evacuation.yaml", mfg_max_iterations=2, output_count=1)
        long = runs.run("mfg/evacuation.yaml", mfg_max_iterations=4, output_count=1)
        each.append((long["cpu"] - short["cpu"]) / 2 / shape)
        share.append(100 * long["performance"]["seconds"]["solve"] / work(long))
    yield row("run_evacuation_implicit_2d", 1e6 * statistics.median(each), "us",
              f"per cell, step and iteration; linear solves are {statistics.median(share):.0f} % of it", 5)


def small_game(runs):
    summaries = [runs.run(GAME_1D) for _ in range(REPEATS)]
    yield row("run_1d_100x50_solve", 1e3 * statistics.median(work(s) for s in summaries), "ms",
              f"wall time from set-up done to results, {summaries[0]['results']['iterations']} iterations", 30)
    yield row("run_1d_100x50_process", 1e3 * statistics.median(s["cpu"] for s in summaries), "ms",
              "processor time of the whole process: starting MPI and loading libraries is nearly all of it")


def two_ranks(runs):
    """Efficiencies in percent. Weak: the pair of single-rank runs has the same memory traffic and clock as the two ranks."""
    if (os.cpu_count() or 1) < 2:
        return
    # twice the box at the same cell size, so that a rank meets the same systems
    cases = {"hj_3d": (HJ, {"grid_cells": "96,96,96"}, {"grid_cells": "96,96,192", "grid_upper": "3,3,9"}, {}),
             "mfg_implicit_2d": (GAME_2D, {}, {"grid_cells": "160,320", "grid_upper": "12,24"}, {"mfg_max_iterations": 4})}
    for name, (source, one, two, limit) in cases.items():
        pairs = []
        for _ in range(REPEATS):
            side_by_side = [runs.start(source, **one, **limit) for _ in range(2)]
            alone = statistics.mean(work(runs.finish(started)) for started in side_by_side)
            pairs.append((alone, work(runs.run(source, 2, **two, **limit))))
        yield efficiency(f"weak_2_ranks_{name}", pairs, "against two single-rank runs side by side", 95)
    pairs = [(work(runs.run(HJ)) / 2, work(runs.run(HJ, 2))) for _ in range(REPEATS)]
    yield efficiency("strong_2_ranks_hj_128^3", pairs, "against one rank alone, which has all the bandwidth", 90)


def efficiency(name, pairs, what, target):
    """Median of the ratios of times. The ratio of the least times is what a machine without other work would show."""
    median = 100 * statistics.median(a / b for a, b in pairs)
    least = 100 * min(a for a, _ in pairs) / min(b for _, b in pairs)
    return row(name, median, "%", f"{what}; of the least times {least:.0f} %", target)


def memory(runs):
    for name, source, ranks, options in (
            ("hj_128^3_1_rank", HJ, 1, {"time_steps": 2}), ("hj_128^3_2_ranks", HJ, 2, {"time_steps": 2}),
            ("mfg_swarm_1_rank", "mfg/swarm.yaml", 1, {"output_count": 1}), ("mfg_swarm_2_ranks", "mfg/swarm.yaml", 2, {"output_count": 1})):
        summary = runs.run(source, ranks, **options)
        peak, stated = summary["memory_peak_mb_per_rank"], summary["memory_expected_mb_per_rank"]
        yield row(f"memory_{name}", 100 * abs(stated / peak - 1), "%off", f"{stated:.0f} MB a rank stated, {peak:.0f} MB at the peak", 10)


def rows():
    with tempfile.TemporaryDirectory() as folder:
        runs = Runs(folder)
        for part in (main_job, small_game, two_ranks, memory):
            yield from part(runs)
