"""The command line: what it prints, what wins, what input.yaml holds."""
import json
import os
import pty
import re
import select
import subprocess
import time

import pytest
import yaml

import helpers
from helpers import run

SMALL = "model: hj\nproblem: burgers1d\ngrid: {cells: 20}\ntime: {end: 0.05}\n"


def flatten(tree, above=""):
    flat = {}
    for key, value in tree.items():
        name = f"{above}_{key}" if above else key
        flat.update(flatten(value, name) if isinstance(value, dict) else {name: value})
    return flat


def test_version(tmp_path):
    r = run(1, None, "-version", cwd=tmp_path)
    assert r.code == 0
    for word in ("halocline", "commit", "compiler", "flags", "MPI", "PETSc", "HDF5"):
        assert re.search(rf"^{word}\b|\({word} ", r.out, re.M), word


def test_list(tmp_path):
    r = run(3, None, "-list", cwd=tmp_path)
    assert r.code == 0
    assert r.out.count("hj: ") == 1
    for word in ("mfg: ", "burgers2d", "weno5", "upwind", "hj_flux", "anderson"):
        assert word in r.out


def test_help_lists_keys_with_unit_default_and_meaning(tmp_path):
    general = run(1, None, "-help", cwd=tmp_path)
    assert general.code == 0
    assert "-grid_cells" in general.out and "-mfg_sigma" not in general.out
    from_name = run(1, None, "-model", "mfg", "-help", cwd=tmp_path)
    from_file = run(1, "model: mfg\n", "-help", cwd=tmp_path)
    for r in (from_name, from_file):
        assert r.code == 0
        assert re.search(r"-mfg_sigma +real \[0,inf\) \[length/sqrt\(time\)\] \(default: 0\.3\)\n +noise", r.out)
        assert "-hj_flux" not in r.out


def test_no_input(tmp_path):
    r = run(1, None, cwd=tmp_path)
    assert r.code == 2
    assert len(r.errors) == 1 and "INPUT.yaml" in r.errors[0]


def test_command_line_wins_and_last_one_counts(tmp_path):
    r = run(1, SMALL, "-grid_lower", "-2", "-grid_upper", "4", "-grid_upper", "2", "-hj_initial", "-cos(pi*x/2)", "-dry_run", cwd=tmp_path)
    assert r.code == 0, r.err
    given = yaml.safe_load(r.out)
    assert given["grid"] == {"dim": 1, "cells": 20, "lower": -2, "upper": 2, "boundary": "periodic"}
    assert given["hj"]["initial"] == "-cos(pi*x/2)"


def test_flags_may_stand_before_the_input(tmp_path):
    (tmp_path / "a.yaml").write_text(SMALL)
    r = run(1, None, "-dry_run", "a.yaml", "-grid_cells", 30, cwd=tmp_path)
    assert r.code == 0, r.err
    assert yaml.safe_load(r.out)["grid"]["cells"] == 30


def test_dry_run_writes_nothing_and_tells_sizes(tmp_path):
    r = run(2, SMALL, "-dry_run", "-output_count", 4, cwd=tmp_path)
    assert r.code == 0, r.err
    assert not (tmp_path / "output").exists()
    assert re.search(r"# cells +20 on 2 ranks", r.out)
    assert re.search(r"# memory +\d+ MB a rank", r.out)
    assert re.search(r"# output +[\d.]+ MB: 5 fields files", r.out)


def test_resolved_input_repeats_the_run(tmp_path):
    first = run(1, SMALL + "output: {count: 3}\n", cwd=tmp_path)
    assert first.code == 0, first.err
    again = run(1, first.dir / "input.yaml", "-run_dir", "again", cwd=tmp_path)
    assert again.code == 0, again.err
    assert (first.dir / "history.csv").read_text() == (again.dir / "history.csv").read_text()
    one, two = (flatten(yaml.safe_load((d / "input.yaml").read_text())) for d in (first.dir, again.dir))
    assert one.pop("run_dir") == "output/run" and two.pop("run_dir") == "again"
    assert one == two


def test_resolved_input_finds_files_from_elsewhere(tmp_path):
    import h5py
    import numpy as np

    (tmp_path / "a").mkdir()
    with h5py.File(tmp_path / "a" / "phi 0.h5", "w") as f:
        f["p"] = np.linspace(0, 1, 20)
    (tmp_path / "a" / "in.yaml").write_text(
        "model: hj\ngrid: {cells: 20, boundary: outflow}\ntime: {end: 0.01}\nhj: {initial: 'phi 0.h5:/p'}\n"
    )
    first = run(1, "a/in.yaml", cwd=tmp_path)
    assert first.code == 0, first.err
    again = run(2, first.dir / "input.yaml", "-run_dir", tmp_path / "b" / "out", cwd=tmp_path / "b")
    assert again.code == 0, again.err


def test_directory_of_an_earlier_run(tmp_path):
    first = run(1, SMALL, "-output_count", 3, cwd=tmp_path)
    assert first.code == 0 and len(first.fields()) == 4
    before = {p.name: p.stat().st_mtime_ns for p in first.dir.iterdir()}
    refused = run(2, SMALL, cwd=tmp_path)
    assert refused.code == 2 and len(refused.errors) == 1
    assert "-restart" in refused.errors[0] and "-run_overwrite" in refused.errors[0]
    assert before == {p.name: p.stat().st_mtime_ns for p in first.dir.iterdir()}
    (first.dir / "notes.txt").write_text("mine")
    products = ["particles_000000.h5", "particles.xmf", "checkpoint_000004.h5", "checkpoint_000009.h5.old", "fields_000007.h5.tmp"]
    for name in products:
        (first.dir / name).write_text("")
    replaced = run(1, SMALL, "-run_overwrite", cwd=tmp_path)
    assert replaced.code == 0 and len(replaced.fields()) == 2
    assert (first.dir / "notes.txt").read_text() == "mine"
    assert not any((first.dir / name).exists() for name in products)


def test_summary(tmp_path):
    r = run(2, SMALL, cwd=tmp_path)
    s = r.summary()
    assert (s["status"], s["exit_code"], s["model"], s["problem"], s["ranks"]) == ("done", 0, "hj", "burgers1d", 2)
    names, rows = r.history()
    assert s["steps"] == len(rows) - 1 == rows[-1][0]
    assert names[:3] == ["step", "time", "dt"]
    assert rows[-1][1] == 0.05
    assert set(s["performance"]["seconds"]) == {"setup", "compute", "exchange", "solve", "io"}
    total = sum(s["performance"]["seconds"].values())
    # the start of MPI and PETSc is nobody's: a few hundredths of a second, more on a busy machine
    assert 0.9 * s["performance"]["wall_seconds"] - 0.2 < total <= 1.001 * s["performance"]["wall_seconds"]
    assert abs(s["memory_expected_mb_per_rank"] / s["memory_peak_mb_per_rank"] - 1) < 0.25
    assert {"min", "max"} <= set(s["results"])


def test_petsc_options_from_file_and_command_line(tmp_path):
    text = "model: hj\nproblem: viscous2d\ngrid: {cells: '16,16'}\ntime: {scheme: imex, end: 0.01}\ndiffusion: {ksp_monitor: true}\n"
    r = run(1, text, "-log_view", ":log.txt", "-diffusion_ksp_type", "gmres", "-diffusion_ksp_view", cwd=tmp_path)
    assert r.code == 0, r.err
    assert "Residual norms" in r.out or "KSP Residual norm" in r.out
    assert "type: gmres" in r.out
    assert "KSPSolve" in (tmp_path / "log.txt").read_text()
    resolved = yaml.safe_load((r.dir / "input.yaml").read_text())
    assert resolved["diffusion_ksp_type"] == "gmres" and resolved["diffusion_ksp_monitor"] is True


def test_petsc_reports_together_with_a_method(tmp_path):
    text = "model: mfg\ngrid: {cells: '12,10', boundary: reflecting}\ntime: {steps: 3}\nmfg: {terminal_cost: x}\n"
    r = run(2, text, "-hjb_ksp_type", "gmres", "-hjb_ksp_converged_reason", "-fp_ksp_type", "gmres", "-fp_ksp_view", cwd=tmp_path)
    assert r.code == 0, r.err
    assert "hjb_ solve converged" in r.out and "type: gmres" in r.out


def test_progress_in_a_file_is_rare_lines(tmp_path):
    r = run(1, "model: hj\nproblem: burgers1d\n", "-time_steps", 20000, cwd=tmp_path)
    assert r.code == 0, r.err
    lines = [line for line in r.out.splitlines() if "cells/s" in line]
    assert "\r" not in r.out and len(lines) <= 1 + r.seconds / 4


@pytest.mark.parametrize("ranks", [1, 2])
def test_progress_on_a_terminal_rewrites_one_line(tmp_path, ranks):
    words = helpers.command(ranks, "model: hj\nproblem: burgers1d\n", "-time_steps", 400000 // ranks**3, cwd=tmp_path)
    master, slave = pty.openpty()
    process = subprocess.Popen(words, cwd=tmp_path, env=helpers.ENV, stdout=slave, stderr=slave, close_fds=True)
    os.close(slave)
    text, end = b"", time.monotonic() + 60
    while time.monotonic() < end:
        if select.select([master], [], [], 0.5)[0]:
            try:
                piece = os.read(master, 65536)
            except OSError:
                break
            if not piece:
                break
            text += piece
        elif process.poll() is not None:
            break
    assert process.wait(timeout=60) == 0
    os.close(master)
    out = text.decode()
    drawn = re.findall(r"\r +[\d.]+ %  step \d+  t \S+  dt \S+  max \S+  \S+ cells/s(?:  \d+:\d\d:\d\d left)?", out)
    assert len(drawn) >= 2, out
    assert "\ndone after" in out.replace("\r\x1b[K", "\n").replace("\r\n", "\n")


def test_progress_off(tmp_path):
    r = run(1, SMALL, "-run_progress", "off", cwd=tmp_path)
    assert r.code == 0 and "cells/s" not in r.out


def test_summary_is_strict_json(tmp_path):
    r = run(1, SMALL, cwd=tmp_path)

    def refuse(name):
        raise AssertionError(name)

    json.loads((r.dir / "summary.json").read_text(), parse_constant=refuse)
