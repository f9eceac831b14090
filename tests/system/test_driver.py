"""The driver: output times, checkpoints, restarts, signals, walltime, failures, full disks."""
import os
import re
import signal
import subprocess

import h5py
import numpy as np
import pytest

from helpers import Started, run

MARCH = "model: hj\nproblem: burgers2d\ngrid: {cells: '24,20'}\noutput: {count: 3}\n"
# long enough to be interrupted, though steps are short
LONG = "model: hj\nproblem: burgers1d\ngrid: {cells: 4000}\ntime: {end: 1000}\nrun: {progress: 'off'}\n"
GAME = """model: mfg
grid: {cells: 40, boundary: reflecting}
time: {end: 1, steps: 40}
mfg: {running_cost: '0.5*m', terminal_cost: '(x-0.5)^2', initial_density: 'exp(-50*(x-0.5)^2)', coupling: picard, damping: 0.3}
"""


def times(r):
    out = []
    for path in r.fields():
        with h5py.File(path) as f:
            out.append((float(np.ravel(f.attrs["time"])[0]), int(np.ravel(f.attrs["step"])[0])))
    return out


def same_results(a, b):
    """The last fields and the histories of two runs, bit for bit."""
    with h5py.File(a.fields()[-1]) as f, h5py.File(b.fields()[-1]) as g:
        for name in f["fields"]:
            assert np.array_equal(f["fields"][name][...], g["fields"][name][...]), name
    assert (a.dir / "history.csv").read_text() == (b.dir / "history.csv").read_text()


def test_outputs_land_on_their_times(tmp_path):
    end = 0.05
    count = run(1, MARCH, "-time_end", end, cwd=tmp_path / "count")
    assert [t for t, _ in times(count)] == [end * k / 3 for k in range(3)] + [end]
    interval = run(2, "model: hj\nproblem: burgers1d\n", "-time_end", end, "-output_interval", 0.02, cwd=tmp_path / "interval")
    assert [t for t, _ in times(interval)] == [0.0, 0.02, 0.04, end]
    # an interval that divides the run but for rounding makes no sliver of a step
    divides = run(1, "model: hj\nproblem: burgers1d\n", "-time_end", 0.3, "-output_interval", 0.1, cwd=tmp_path / "divides")
    assert len(divides.fields()) == 4
    _, rows = divides.history()
    assert min(row[2] for row in rows[1:]) > 1e-9


def test_history_has_every_step_once(tmp_path):
    r = run(3, MARCH, cwd=tmp_path)
    names, rows = r.history()
    assert (r.dir / "history.csv").read_text().startswith("step [1],time [1],dt [1],")
    assert [row[0] for row in rows] == list(range(len(rows)))
    assert all(b[1] > a[1] for a, b in zip(rows, rows[1:]))
    assert r.summary()["steps"] == len(rows) - 1


def test_iterations_in_the_history(tmp_path):
    r = run(2, GAME, "-output_count", 2, cwd=tmp_path)
    assert r.code == 0, r.err
    names, rows = r.history()
    assert names[0] == "iteration" and [row[0] for row in rows] == list(range(1, len(rows) + 1))
    assert r.summary()["iterations"] == len(rows)
    assert [t for t, _ in times(r)] == [0.0, 0.5, 1.0]


@pytest.mark.parametrize("ranks", [1, 3])
def test_restart_is_bit_for_bit(tmp_path, ranks):
    whole = run(1, MARCH, cwd=tmp_path / "whole")
    steps = whole.summary()["steps"]
    part = run(2, MARCH, "-output_checkpoint_interval", steps // 2 + 1, "-output_keep", 0, cwd=tmp_path / "part")
    last = part.checkpoints()[-1]
    # as if killed after the checkpoint: everything later is there but for the summary
    (part.dir / "summary.json").unlink()
    again = run(ranks, MARCH, "-restart", cwd=tmp_path / "part")
    assert again.code == 0, again.err
    assert last.name in again.out
    same_results(whole, again)
    assert times(again) == times(whole)
    assert again.summary()["results"] == whole.summary()["results"]


def test_restart_in_another_directory(tmp_path):
    whole = run(1, MARCH, cwd=tmp_path / "whole")
    part = run(1, MARCH, "-output_checkpoint_interval", 10, cwd=tmp_path / "part")
    other = run(1, MARCH, "-restart", part.checkpoints()[-1], cwd=tmp_path / "other")
    assert other.code == 0, other.err
    assert (other.dir / "history.csv").read_text() == (whole.dir / "history.csv").read_text()
    with h5py.File(whole.fields()[-1]) as f, h5py.File(other.fields()[-1]) as g:
        assert np.array_equal(f["fields/phi"][...], g["fields/phi"][...])


def test_a_finished_run_can_be_extended(tmp_path):
    longer = run(1, MARCH, "-time_steps", 40, cwd=tmp_path / "longer")
    assert longer.code == 0, longer.err
    first = run(1, MARCH, "-output_checkpoint_interval", 7, cwd=tmp_path / "first")
    end = 2 * float(np.ravel(first.history()[1][-1])[1])
    extended = run(1, MARCH, "-restart", "-time_end", end, "-output_count", 6, cwd=tmp_path / "first")
    assert extended.code == 0, extended.err
    _, rows = extended.history()
    assert rows[-1][1] == end
    assert [row[0] for row in rows] == list(range(len(rows)))


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_signal_to_the_ranks_stops_with_a_checkpoint(tmp_path, ranks, number):
    started = Started(ranks, LONG, cwd=tmp_path)
    started.wait_for(lambda: started.rows() > 50)
    started.signal_ranks(number)
    r = started.finish(timeout=20)
    assert r.code == 75, r.err
    assert not r.errors
    assert r.summary()["status"] == "stopped" and r.summary()["exit_code"] == 75
    assert len(r.checkpoints()) == 1
    assert r.history()[1][-1][0] == r.summary()["steps"]


def test_sigusr1_to_mpirun(tmp_path):
    started = Started(2, LONG, cwd=tmp_path)
    started.wait_for(lambda: started.rows() > 50)
    started.process.send_signal(signal.SIGUSR1)
    r = started.finish(timeout=20)
    assert r.code == 75, r.err
    assert r.summary()["status"] == "stopped"


def test_walltime_then_requeue(tmp_path):
    limit = 3
    first = run(2, LONG, "-run_walltime", limit, "-restart_auto", cwd=tmp_path)
    assert first.code == 75, first.err
    assert first.summary()["performance"]["wall_seconds"] < limit
    steps = first.summary()["steps"]
    second = run(1, LONG, "-run_walltime", limit, "-restart_auto", cwd=tmp_path)
    assert second.code == 75, second.err
    _, rows = second.history()
    assert [row[0] for row in rows] == list(range(second.summary()["steps"] + 1))
    assert second.summary()["steps"] > steps


def test_walltime_stops_iterations(tmp_path):
    text = GAME.replace("cells: 40", "cells: 200").replace("steps: 40", "steps: 200")
    r = run(2, text, "-mfg_damping", 0.002, "-mfg_max_iterations", 100000, "-run_walltime", 3, cwd=tmp_path)
    assert r.code == 75, r.err
    assert r.summary()["status"] == "stopped" and len(r.checkpoints()) == 1
    done = r.summary()["iterations"]
    again = run(1, text, "-mfg_damping", 0.3, "-mfg_max_iterations", 100000, "-restart", cwd=tmp_path)
    assert again.code == 0, again.err
    _, rows = again.history()
    assert [row[0] for row in rows] == list(range(1, len(rows) + 1)) and len(rows) > done


def test_kill_9_and_restart(tmp_path):
    text = LONG.replace("end: 1000", "end: 1") + "output: {checkpoint_interval: 500}\n"
    whole = run(1, text, cwd=tmp_path / "whole")
    started = Started(2, text, cwd=tmp_path / "killed")
    started.wait_for(lambda: len(list(started.dir.glob("checkpoint_*.h5"))) >= 2)
    started.kill()
    assert not (started.dir / "summary.json").exists()
    # the kill may have cut a row short
    with open(started.dir / "history.csv", "a") as f:
        f.write("99999999,0.1")
    again = run(3, text, "-restart", cwd=tmp_path / "killed")
    assert again.code == 0, again.err
    same_results(whole, again)


def test_restart_auto_starts_where_there_is_nothing(tmp_path):
    r = run(1, MARCH, "-restart_auto", cwd=tmp_path)
    assert r.code == 0
    # killed before the first checkpoint: it starts again
    (r.dir / "summary.json").unlink()
    again = run(1, MARCH, "-restart_auto", cwd=tmp_path)
    assert again.code == 0, again.err
    assert again.history() == r.history()


def damage(path, how):
    data = bytearray(path.read_bytes())
    if how == "truncated":
        data = data[: len(data) // 2]
    else:
        data[len(data) // 2] ^= 0x10
    path.write_bytes(data)


@pytest.mark.parametrize("ranks", [1, 3])
@pytest.mark.parametrize("how", ["truncated", "flipped"])
def test_damaged_checkpoint(tmp_path, ranks, how):
    first = run(1, MARCH, "-output_checkpoint_interval", 5, cwd=tmp_path)
    before, last = first.checkpoints()
    history = (first.dir / "history.csv").read_bytes()
    damage(last, how)
    refused = run(ranks, MARCH, "-restart", cwd=tmp_path, timeout=30)
    assert refused.code == 4 and len(refused.errors) == 1, refused.err
    assert last.name in refused.errors[0] and f"-restart {before.relative_to(tmp_path)}" in refused.errors[0]
    assert (first.dir / "history.csv").read_bytes() == history
    offered = run(ranks, MARCH, "-restart", before.relative_to(tmp_path), cwd=tmp_path)
    assert offered.code == 0, offered.err
    assert (first.dir / "history.csv").read_bytes() == history


def test_restart_auto_falls_back_to_the_one_before(tmp_path):
    first = run(1, MARCH, "-output_checkpoint_interval", 5, cwd=tmp_path)
    before, last = first.checkpoints()
    damage(last, "flipped")
    r = run(2, MARCH, "-restart_auto", cwd=tmp_path)
    assert r.code == 0, r.err
    assert "warning" in r.err and last.name in r.err
    assert any(last.name in w for w in r.summary()["warnings"])


def test_checkpoint_of_another_model_or_grid(tmp_path):
    first = run(1, MARCH, "-output_checkpoint_interval", 5, cwd=tmp_path)
    file = first.checkpoints()[-1]
    for text, args in ((GAME, ()), (MARCH, ("-grid_cells", "20,24"))):
        r = run(2, text, *args, "-restart", file, "-run_dir", "other", cwd=tmp_path, timeout=30)
        assert r.code in (2, 4) and len(r.errors) == 1, r.err
        assert file.name in r.errors[0]
        assert not (tmp_path / "other").exists()


def test_not_a_number_is_exit_3_with_column_and_step(tmp_path):
    text = "model: hj\ngrid: {cells: 40, lower: -1, boundary: periodic}\ntime: {end: 1, steps: 200}\n"
    text += "hj: {hamiltonian: '(px+1)^2/2 + sqrt(0.2-t)', initial: '-cos(pi*x)'}\n"
    r = run(2, text, cwd=tmp_path)
    assert r.code == 3 and len(r.errors) == 1, r.err
    assert re.search(r"(min|max|speed).*step \d+", r.errors[0])
    assert "fields_000000.h5" in r.errors[0]
    assert r.summary()["status"] == "failed" and r.summary()["exit_code"] == 3
    assert r.fields()


def test_no_convergence_is_exit_3_and_can_go_on(tmp_path):
    r = run(2, GAME, "-mfg_max_iterations", 3, cwd=tmp_path)
    assert r.code == 3 and len(r.errors) == 1, r.err
    assert r.summary()["status"] == "failed"
    assert len(r.checkpoints()) == 1 and r.checkpoints()[0].name in r.errors[0]
    again = run(2, GAME, "-restart", cwd=tmp_path)
    assert again.code == 0, again.err
    assert again.history()[1][2][0] == 3


@pytest.mark.parametrize("ranks", [1, 3])
def test_files_that_cannot_grow(tmp_path, ranks):
    """A write that fails part of the way, on every rank's own terms: exit 4, one line, no hang, and the input is still there."""
    limit = ("sh", "-c", "trap '' XFSZ; ulimit -f 24; exec \"$@\"", "sh")
    r = run(ranks, MARCH, "-grid_cells", "60,50", cwd=tmp_path, wrap=limit, timeout=30)
    assert r.code == 4 and len(r.errors) == 1, r.err
    assert "fields_000000.h5" in r.errors[0]
    assert r.summary()["status"] == "io_error"
    assert not list(r.dir.glob("*.tmp")) and not r.fields()


@pytest.fixture
def small_disk(tmp_path):
    where = tmp_path / "disk"
    where.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", where], capture_output=True).returncode:
        pytest.skip("mounting a small disk needs privileges")
    yield where
    subprocess.run(["umount", where], check=True)


@pytest.mark.parametrize("ranks", [1, 3])
def test_full_disk(tmp_path, small_disk, ranks):
    r = run(ranks, MARCH, "-output_count", 40, "-run_dir", small_disk / "out", cwd=tmp_path, timeout=30)
    assert r.code == 4 and len(r.errors) == 1, r.err
    assert "No space left" in r.errors[0]
    assert len(r.fields()) > 1
    for path in r.fields():
        with h5py.File(path) as f:
            assert np.isfinite(f["fields/phi"][...]).all()


def test_full_disk_stops_the_history(tmp_path, small_disk):
    r = run(2, LONG, "-run_dir", small_disk / "out", cwd=tmp_path, timeout=60)
    assert r.code == 4 and len(r.errors) == 1, r.err
    assert "history.csv" in r.errors[0] and "No space left" in r.errors[0]


@pytest.mark.parametrize("ranks", [1, 3])
def test_directory_that_cannot_be_made(tmp_path, ranks):
    for where in ("/proc/halocline/out", "file/out"):
        (tmp_path / "file").write_text("")
        r = run(ranks, MARCH, "-run_dir", where, cwd=tmp_path, timeout=30)
        assert r.code == 4 and len(r.errors) == 1 and where in r.errors[0], r.err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_directory_without_permission(tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    r = run(2, MARCH, "-run_dir", "locked", cwd=tmp_path, timeout=30)
    assert r.code == 4 and len(r.errors) == 1 and "ermission" in r.errors[0], r.err


def test_keep(tmp_path):
    r = run(1, MARCH, "-output_checkpoint_interval", 3, "-output_keep", 3, cwd=tmp_path)
    steps = r.summary()["steps"]
    assert [p.name for p in r.checkpoints()] == [f"checkpoint_{s:06d}.h5" for s in range(3, steps + 1, 3)][-3:]


def test_restart_auto_leaves_a_finished_run_alone(tmp_path):
    source = GAME
    first = run(1, source, "-restart_auto", cwd=tmp_path)
    assert first.code == 0 and not list(first.dir.glob("checkpoint_*"))
    before = {p.name: p.read_bytes() for p in first.dir.iterdir()}
    for ranks in (1, 3):
        again = run(ranks, source, "-restart_auto", cwd=tmp_path)
        assert again.code == 2 and len(again.errors) == 1 and "finished run" in again.errors[0], again.err
        assert {p.name: p.read_bytes() for p in first.dir.iterdir()} == before
    assert run(1, source, "-run_overwrite", cwd=tmp_path).code == 0


def test_a_checkpoint_beyond_the_end(tmp_path):
    source = MARCH
    assert run(1, source, "-output_checkpoint_interval", "5", cwd=tmp_path).code == 0
    r = run(2, source, "-restart", "-time_end", "1e-3", cwd=tmp_path)
    assert r.code == 2 and len(r.errors) == 1 and "time_end" in r.errors[0] and "checkpoint_" in r.errors[0], r.err


@pytest.mark.parametrize("key", ["running_cost", "terminal_cost"])
def test_a_cost_that_is_not_a_number_is_named(tmp_path, key):
    for ranks in (1, 3):
        r = run(ranks, GAME, f"-mfg_{key}", "sqrt(x-0.5)", "-run_dir", f"out{ranks}", cwd=tmp_path)
        assert r.code == 3 and len(r.errors) == 1, r.err
        assert f"the {key.replace('_', ' ')} is not a number at time" in r.errors[0]


@pytest.mark.parametrize("option", [("-output_count", "2000000"), ("-output_interval", "1e-9")])
def test_more_files_than_can_be_numbered(tmp_path, option):
    for source in (MARCH, GAME):
        r = run(2, source, *option, cwd=tmp_path)
        assert r.code == 2 and len(r.errors) == 1 and option[0][1:] in r.errors[0], r.err
        assert not (tmp_path / "output").exists()


def test_memory_that_is_not_there(tmp_path):
    r = run(2, MARCH, "-grid_cells", "40000,40000", cwd=tmp_path, timeout=30)
    assert r.code == 2 and len(r.errors) == 1, r.err
    assert len(re.findall(r"\d+ MB", r.errors[0])) >= 2
    assert not (tmp_path / "output").exists()
    dry = run(2, MARCH, "-grid_cells", "40000,40000", "-dry_run", cwd=tmp_path, timeout=30)
    assert dry.code == 2 and len(dry.errors) == 1, dry.err
    assert "# memory" in dry.out and "# output" in dry.out and "is good" not in dry.out
    assert not (tmp_path / "output").exists()
