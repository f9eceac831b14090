"""Model `mfg`: kill -9, signals and the wall time, and restarts on another number of ranks."""
import signal

import numpy as np
import pytest

from helpers import Started, run
from mfg_cases import check_conservation, field

GAME = """model: mfg
grid: {dim: 2, cells: "36,31", upper: "1.2,1", boundary: "reflecting,exit,reflecting,reflecting"}
time: {end: 0.8, steps: 40}
mfg:
  sigma: 0.4
  obstacle: "min(0.03 - abs(x-0.6), y-0.5)"
  running_cost: "0.5*m + 0.3*sin(3*x+2*y)"
  terminal_cost: "(x-0.9)^2 + (y-0.3)^2"
  initial_density: "x < 0.5 ? exp(-12*((x-0.3)^2+(y-0.6)^2)) : 0"
  max_iterations: 5000
  %s
output: {count: 2, checkpoint_interval: 1, keep: 3}
run: {progress: 'off'}
"""
# Iterations are many and short, so that there is something to interrupt.
WAYS = {
    "explicit_picard": "time_stepping: explicit\n  tolerance: 1e-6\n  damping: 0.12",
    "explicit_picard_auto": "time_stepping: explicit\n  tolerance: 1e-11",
    "implicit_picard": "tolerance: 1e-6\n  damping: 0.25",
    "implicit_anderson": "coupling: anderson\n  tolerance: 1e-10\n  depth: 3",
}


def continued(r):
    """The history has every iteration once."""
    _, rows = r.history()
    assert [row[0] for row in rows] == list(range(1, len(rows) + 1))
    assert r.summary()["iterations"] == len(rows) == len(r.summary()["results"]["residual_history"])


def compare(whole, again, bits, tolerance):
    """The same bits; or the same fixed point: both are within their residual of it (a factor of ten is for the norm)."""
    continued(again)
    for k in range(3):
        for name in ("u", "m"):
            a, b = field(whole, name, k), field(again, name, k)
            if bits:
                assert np.array_equal(a, b), (name, k)
            else:
                volume = 1.2 / a.size if name == "m" else 1 / a.size
                assert np.abs(a - b).sum() * volume <= 10 * tolerance, (name, k)
    if bits:
        assert (whole.dir / "history.csv").read_text() == (again.dir / "history.csv").read_text()
        assert whole.summary()["results"] == again.summary()["results"]


def finished(r):
    assert r.code == 0, r.err
    r.results = r.summary()["results"]
    check_conservation(r, exits=1)
    return r


# More ranks than cores make iterations slow: of the many-rank pairs one is enough by default.
MANY = [pytest.param(way, 3, 4, marks=[] if way == "explicit_picard_auto" else pytest.mark.long) for way in WAYS]


@pytest.mark.parametrize("way, before, after", [*((way, 1, 2) for way in WAYS), *((way, 2, 1) for way in WAYS), *MANY])
def test_kill_9_and_restart(tmp_path, way, before, after):
    text = GAME % WAYS[way]
    bits, tolerance = way.startswith("explicit"), float(WAYS[way].split("tolerance: ")[1].split("\n")[0])
    whole = finished(run(1, text, cwd=tmp_path / "whole"))
    last = whole.summary()["iterations"]
    assert last > 8
    started = Started(before, text, cwd=tmp_path / "killed")
    started.wait_for(lambda: started.rows() >= min(last // 2, 12))
    started.kill()
    assert not (started.dir / "summary.json").exists()
    again = finished(run(after, text, "-restart", cwd=tmp_path / "killed"))
    assert "iteration" in again.out
    compare(whole, again, bits, tolerance)


@pytest.mark.parametrize("ranks", [1, 3])
def test_every_checkpoint_leads_to_the_same_end(tmp_path, ranks):
    """Also one written before the damping has settled."""
    text = (GAME % WAYS["explicit_picard_auto"]).replace("keep: 3", "keep: 0")
    whole = finished(run(2, text, cwd=tmp_path / "whole"))
    checkpoints = whole.checkpoints()
    for path in (checkpoints[0], checkpoints[1], checkpoints[len(checkpoints) // 2], checkpoints[-2]):
        again = finished(run(ranks, text, "-restart", path, "-run_dir", path.stem, cwd=tmp_path / "again"))
        compare(whole, again, True, 0)


def test_sigusr1_to_mpirun_and_restart(tmp_path):
    text = GAME % WAYS["explicit_picard"].replace("damping: 0.12", "damping: 0.06")  # some 200 iterations
    whole = finished(run(1, text, cwd=tmp_path / "whole"))
    started = Started(2, text, cwd=tmp_path / "stopped")
    started.wait_for(lambda: started.rows() >= 10)
    started.process.send_signal(signal.SIGUSR1)
    r = started.finish(timeout=30)
    assert r.code == 75, r.err
    s = r.summary()
    assert s["status"] == "stopped" and s["results"]["converged"] is False
    assert s["iterations"] < whole.summary()["iterations"]
    again = finished(run(3, text, "-restart", cwd=tmp_path / "stopped"))
    compare(whole, again, True, 0)


def test_walltime_and_restart_auto(tmp_path):
    text = GAME.replace("36,31", "96,81") % WAYS["explicit_picard"].replace("damping: 0.12", "damping: 0.004")
    first = run(2, text, "-restart_auto", "-run_walltime", 4, cwd=tmp_path)
    assert first.code == 75, first.err
    done = first.summary()["iterations"]
    second = run(1, text, "-restart_auto", "-run_walltime", 4, cwd=tmp_path)
    assert second.code == 75, second.err
    continued(second)
    assert second.summary()["iterations"] > done


def test_restart_with_other_time_steps_is_refused(tmp_path):
    text = GAME % WAYS["explicit_picard_auto"]
    finished(run(1, text, cwd=tmp_path))
    for ranks in (1, 3):
        r = run(ranks, text, "-restart", "-time_steps", 41, cwd=tmp_path, timeout=30)
        assert r.code == 2 and len(r.errors) == 1, r.err
        assert "time_steps" in r.errors[0] and "41" in r.errors[0] and "40" in r.errors[0]
