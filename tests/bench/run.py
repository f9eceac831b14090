"""Runs the benchmarks, prints one table, keeps the figures of this commit and compares them with the newest earlier ones.

Figures come from every BUILD/bench/bench_* program (lines "BENCH name value unit limit", see bench.h) and from every module
tests/bench/*.py with a function rows() that returns dictionaries with name, value, unit, limit and, if there is one, target.
HALOCLINE in the environment names the executable for the latter.
"""
import argparse
import datetime
import fnmatch
import glob
import importlib.util
import json
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
RESULTS = os.path.join(HERE, "results")
SLOWER = 1.15  # a change below this is within what two runs on a shared machine differ by
TIMEOUT = 600

# At most this many, in the row's own unit.
TARGETS = {
    "weno_indicators": 1.0,
    "weno_weights_*": 2.0,
    "weno_rhs_3d_*": 10.0,
    "hj_rhs_3d*": 10.0,
    "hj_step_3d*": 40.0,
    "mfg_implicit_1d*": 0.3,
    "mfg_implicit_[23]d*": 5.0,
    "mfg_explicit_*": 0.3,
    "mfg_weno_[123]d*": 300.0,
    "mfg_solve_1d_100x50*": 30.0,
    "particles_euler_2d*": 25.0,
    "particles_euler_3d*": 40.0,
    "particles_migration_*": 4.0,
    "particles_memory_3d": 70.4,
    "kde_1d_1e5_on_1000*": 0.5,
    "kde_1d_1e6_on_1000*": 5.0,
    "kde_2d_1e6_on_256*": 20.0,
}
MORE_IS_BETTER = {"GB/s", "GFlop/s", "%", "cells/s"}


def git(*arguments):
    done = subprocess.run(("git", "-C", ROOT) + arguments, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else ""


def machine():
    model = ""
    try:
        with open("/proc/cpuinfo") as f:
            model = next((line.split(":", 1)[1].strip() for line in f if line.startswith("model name")), "")
    except OSError:
        pass
    return {"cpu": model, "cores": len(os.sched_getaffinity(0))}


def target_of(name):
    return next((t for pattern, t in TARGETS.items() if fnmatch.fnmatch(name, pattern)), None)


def parse(text, suffix=""):
    """Rows of the BENCH lines of a program's output."""
    for line in text.splitlines():
        field = line.split(None, 4)
        if len(field) < 4 or field[0] != "BENCH":
            continue
        yield {"name": field[1] + suffix, "value": float(field[2]), "unit": field[3],
               "limit": field[4].strip() if len(field) > 4 else "", "target": target_of(field[1])}


def rank_counts(program):
    """Rank counts named in the first line of a program's source, or [None] for a plain start."""
    try:
        with open(os.path.join(HERE, os.path.basename(program) + ".c")) as f:
            found = re.search(r"ranks:((?: \d+)+)", f.readline())
    except OSError:
        found = None
    return [int(n) for n in found.group(1).split()] if found else [None]


def run_programs(build, failed, only):
    environment = dict(os.environ, OMP_NUM_THREADS="1", OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1",
                       OMPI_MCA_rmaps_base_oversubscribe="1")
    for program in sorted(glob.glob(os.path.join(build, "bench", "bench_*"))):
        name = os.path.basename(program)
        if not os.access(program, os.X_OK) or name.endswith(".d") or not fnmatch.fnmatch(name, f"*{only}*"):
            continue
        for ranks in rank_counts(program):
            command = [program] if ranks is None else ["mpirun", "-q", "-n", str(ranks), program]
            print(f"  {name}" + (f" on {ranks} ranks" if ranks else ""), file=sys.stderr, flush=True)
            try:
                done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, env=environment)
            except subprocess.TimeoutExpired:
                failed.append(f"{name}: stopped after {TIMEOUT} s")
                continue
            if done.returncode:
                failed.append(f"{name}: exit code {done.returncode}: {done.stderr.strip()[-300:]}")
            yield from parse(done.stdout, f"_{ranks}ranks" if ranks and len(rank_counts(program)) > 1 else "")


def run_modules(build, failed, only):
    os.environ.setdefault("HALOCLINE", os.path.abspath(os.path.join(build, "halocline")))
    for path in sorted(glob.glob(os.path.join(HERE, "*.py"))):
        name = os.path.splitext(os.path.basename(path))[0]
        if path == os.path.abspath(__file__) or not fnmatch.fnmatch(name, f"*{only}*"):
            continue
        print(f"  {name}.py", file=sys.stderr, flush=True)
        try:
            spec = importlib.util.spec_from_file_location(name, path)
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            for row in module.rows() if hasattr(module, "rows") else ():
                yield {"limit": "", "target": target_of(row["name"]), **row}
        except Exception as problem:  # one broken module must not lose the figures of the others
            failed.append(f"{name}.py: {type(problem).__name__}: {problem}")


def newest_earlier(commit, here):
    """The last kept results of another commit on the same kind of machine."""
    best = None
    for path in glob.glob(os.path.join(RESULTS, "*.json")):
        try:
            with open(path) as f:
                kept = json.load(f)
            usable = kept["commit"] != commit and kept["machine"]["cpu"] == here["cpu"]
            if usable and (best is None or kept["date"] > best["date"]):
                best = kept
        except (OSError, ValueError, KeyError):
            print(f"{path} is not a file of results; ignored", file=sys.stderr)
    return best


def change(row, before):
    """How many times slower than before: above 1 is worse."""
    if before is None or not before["value"] or not row["value"] or before["unit"] != row["unit"]:
        return None
    ratio = row["value"] / before["value"]
    return 1.0 / ratio if row["unit"] in MORE_IS_BETTER else ratio


def meets(row):
    if row["target"] is None:
        return True
    return row["value"] >= row["target"] if row["unit"] in MORE_IS_BETTER else row["value"] <= row["target"]


def print_table(rows, earlier):
    before = {row["name"]: row for row in earlier["rows"]} if earlier else {}
    width = max(len(row["name"]) for row in rows)
    print(f"{'what':{width}}  {'value':>10} {'unit':8} {'target':>8}  {'change':>7}  limit")
    slower, missed = [], []
    for row in rows:
        times = change(row, before.get(row["name"]))
        target = "" if row["target"] is None else f"{row['target']:g}"
        if not meets(row):
            missed.append(row["name"])
            target += " !"
        mark = ""
        if times is not None:
            mark = f"{100.0 * (times - 1.0):+.0f} %"
            if times > SLOWER and not row["name"].startswith("machine_"):
                slower.append(row["name"])
                mark += " !"
        print(f"{row['name']:{width}}  {row['value']:10.4g} {row['unit']:8} {target:>8}  {mark:>7}  {row['limit']}")
    print("change: time against", earlier["commit"] if earlier else "nothing earlier", "(+ is slower)")
    if missed:
        print("target missed:", ", ".join(missed))
    if slower:
        print(f"slower by more than {100 * (SLOWER - 1):.0f} %:", ", ".join(slower))
    return slower


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default=os.path.join(ROOT, "build", "release"), help="build directory")
    parser.add_argument("--only", default="", help="only programs and modules whose name contains this; results are not kept")
    parser.add_argument("--strict", action="store_true", help="exit 1 when a row is slower than before")
    options = parser.parse_args()
    failed = []
    rows = list(run_programs(options.build, failed, options.only)) + list(run_modules(options.build, failed, options.only))
    commit = git("describe", "--always", "--dirty", "--abbrev=10") or "unknown"
    here = machine()
    slower = []
    if rows:
        slower = print_table(rows, newest_earlier(commit, here))
    else:
        failed.append(f"no figures: is {options.build}/bench built?")
    if rows and not options.only:
        os.makedirs(RESULTS, exist_ok=True)
        path = os.path.join(RESULTS, commit + ".json")
        kept = {"commit": commit, "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
                "machine": here, "rows": rows}
        with open(path, "w") as f:
            json.dump(kept, f, indent=1)
            f.write("\n")
        print("kept in", os.path.relpath(path, ROOT))
    for line in failed:
        print("failed:", line, file=sys.stderr)
    return 1 if failed or (options.strict and slower) else 0


if __name__ == "__main__":
    sys.exit(main())
