"""Model `mfg` with `fokker_planck: particles`: moments and errors against exact solutions, the grid's evacuation, bits on any number of
ranks, restarts, files, wrong input."""
import math

import h5py
import numpy as np
import pytest

from helpers import run
from mfg_cases import axes, check_conservation, field, game

ROOM = """model: mfg
grid: {dim: 2, cells: "40,26", lower: "0,0", upper: "10,6.5", boundary: "reflecting,exit,reflecting,reflecting"}
time: {end: 9, steps: 36}
mfg:
  sigma: 0.8
  obstacle: "max(min(0.3-abs(x-6.1), y-2), min(0.3-abs(x-6.1), 1.2-y))"
  running_cost: "1 + 13*m"
  terminal_cost: "10"
  initial_density: "x < 5 ? 1 + 0.2*y : 0"
  time_stepping: explicit
  tolerance: 2e-3
  max_iterations: 60
output: {count: 3}
"""
AGENTS = {"mfg_fokker_planck": "particles", "mfg_particles_bandwidth": "0.3,0.4"}

WAVES = """model: mfg
grid: {dim: 2, cells: "28,22", upper: "1,0.8", boundary: periodic}
time: {end: 0.5, steps: 12}
mfg:
  sigma: 0.3
  running_cost: "0.3*sin(2*pi*x)*cos(2*pi*y/0.8) + 0.4*m"
  initial_density: "1 + 0.5*cos(2*pi*x)"
  scheme: weno
  tolerance: 1e-9
output: {count: 1}
"""


def agents(r, index=-1):
    """Positions [N][d], numbers and weights of a particles file, in the order of numbers."""
    with h5py.File(sorted(r.dir.glob("particles_*.h5"))[index]) as f:
        p = f["particles"]
        order = np.argsort(p["id"][...])
        return p["position"][...][order], p["id"][...][order], p["weight"][...][order]


# ---- against exact solutions ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme, sde", [("weno", "weak2"), ("upwind", "euler")])
def test_moments(tmp_path, scheme, sde):
    """Mean and variance of the agents at the end. The drift of weno is exact here (u is quadratic); a step of order p in dt = 1/200 is off by
    less than dt^p, since drift, its derivatives and the time are of order one. Differences of the upwind scheme lie h/2 beside the cell on
    either side of the integral over [0,1]: the mean is off by less than h, the variance by less than 2 sqrt(s) h."""
    number, steps, cells = 20000, 200, 310
    r = game(1, "lq_particles", tmp_path, mfg_scheme=scheme, mfg_particles_sde=sde, mfg_particles_number=number, time_steps=steps,
             grid_cells=cells, output_count=1)
    x, ids, weight = agents(r)
    assert len(x) == number and np.array_equal(ids, np.arange(number)) and np.abs(weight * number - 1).max() < 1e-12
    mean = 0.5 / math.cosh(1)
    variance = 0.1 / math.cosh(1) ** 2 + 0.25 * math.tanh(1)
    bias = steps ** (-2 if sde == "weak2" else -1) + (0 if scheme == "weno" else 6.2 / cells)
    assert abs(x.mean() - mean) <= 4 * math.sqrt(variance / number) + bias
    spread = 4 * variance * math.sqrt(2 / number)
    assert abs(x.var() - variance) <= spread + 2 * math.sqrt(variance) * bias
    # m is the agents' density smoothed: the same mean, the variance larger by that of the kernel (and of binning, below h^2)
    m, (centre,) = field(r, "m"), axes(r)
    h = 6.2 / cells
    assert abs((m * centre).sum() * h - x.mean()) < 1e-6
    assert 0 <= (m * centre**2).sum() * h - (m * centre).sum() ** 2 * h * h - x.var() - 0.05**2 < h * h
    check_conservation(r)
    assert r.results["exploitability"] is None and r.results["particles"] == number


def test_error_falls_as_root_of_number(tmp_path):
    """With a kernel so narrow that smoothing (b^2/2 of |m''|, 0.002) does not count. An L1 error is a mean over some ten independent
    places, so it scatters by a fifth; the mean of three seeds by 0.12; a slope through four decades of four by 0.037."""
    numbers, seeds = [1000, 4000, 16000, 64000], [1, 2, 3]
    table, expected = [], []
    for number in numbers:
        found = []
        for seed in seeds:
            r = game(1, "lq_particles", tmp_path / f"{number}_{seed}", mfg_scheme="weno", mfg_particles_number=number, run_seed=seed,
                     mfg_particles_bandwidth=0.03, time_steps=50, grid_cells=206, output_count=0, output_particles="false")
            found.append(r.results["error_m_l1"])
            expected.append(r.results["sampling_error"] / r.results["error_m_l1"])
            assert not list(r.dir.glob("particles_*"))
        table.append(np.mean(found))
    slope = np.polyfit(np.log(numbers), np.log(table), 1)[0]
    assert abs(slope + 0.5) <= 4 * 0.037
    # the estimate is that of the worst level; four times 0.2/sqrt(12)
    assert abs(np.mean(expected) - 1) <= 0.24


def test_same_noise_so_the_coupling_converges(tmp_path):
    """The iteration goes on far below the sampling error, and what it finds is the grid's solution within that error and the kernel's,
    at most b^2/2 times the integral of |m_xx| + |m_yy|."""
    grid = game(1, WAVES, tmp_path / "grid", mfg_tolerance=1e-6)
    r = game(1, WAVES, tmp_path / "agents", mfg_fokker_planck="particles", mfg_particles_bandwidth=0.05, mfg_particles_sde="weak2",
             mfg_particles_number=40000)
    assert r.results["converged"] and r.results["residual"] <= 1e-9 < 1e-4 * r.results["sampling_error"]
    m, exact = field(r, "m"), field(grid, "m")
    volume = 0.8 / m.size
    smoothing = 0.05**2 / 2 * sum(
        np.abs(np.roll(exact, 1, a) + np.roll(exact, -1, a) - 2 * exact).sum() * volume / h**2 for a, h in ((0, 0.8 / 22), (1, 1 / 28)))
    # two standard deviations of the L1 norm over some 200 independent kernels, 2 * 0.75/sqrt(200); a tenth for higher derivatives
    assert np.abs(m - exact).sum() * volume <= 1.15 * r.results["sampling_error"] + 1.1 * smoothing
    assert abs(r.results["cost"] - grid.results["cost"]) <= r.results["sampling_error"]
    check_conservation(r, closed=True)


# ---- evacuation -----------------------------------------------------------------------------------------------------


def left(r, times):
    return np.interp(times, r.results["series_time"], r.results["series_mass"])


def test_room_empties_as_on_the_grid(tmp_path):
    """Through a door in a wall and an exit face. The grid's error is of first order in h and dt: on the fine grid it is what lies between
    the coarse and the fine one. The agents' own scatter is four times sqrt(1/4N)."""
    times = np.linspace(0, 9, 37)
    coarse = game(1, ROOM, tmp_path / "coarse")
    fine = game(1, ROOM, tmp_path / "fine", grid_cells="80,52", time_steps=72)
    r = game(1, ROOM, tmp_path / "agents", grid_cells="80,52", time_steps=72, mfg_particles_number=10000, **AGENTS)
    check_conservation(r, exits=1)
    bound = 0.02 + np.abs(left(coarse, times) - left(fine, times)) + 4 * math.sqrt(0.25 / 10000)
    assert (np.abs(left(r, times) - left(fine, times)) <= bound).all()
    assert left(r, 9.0) < 0.2
    x, _, weight = agents(r)
    assert abs(weight.sum() - r.results["series_mass"][-1]) < 1e-12
    wall = (np.abs(x[:, 0] - 6.1) < 0.2) & ((x[:, 1] > 2.15) | (x[:, 1] < 1.05))
    assert not wall.any() and x.min() >= 0 and (x.max(axis=0) <= [10, 6.5]).all()


@pytest.mark.long
def test_building_empties_as_on_the_grid(tmp_path):
    """Explicit on both sides, where the grid's numerical diffusion is least."""
    keys = dict(mfg_time_stepping="explicit", mfg_tolerance=1e-3, output_count=2, timeout=1200)
    grid = game(2, "evacuation", tmp_path / "grid", grid_cells="128,80", **keys)
    r = game(2, "evacuation_particles", tmp_path / "agents", mfg_particles_number=50000, **keys)
    check_conservation(r, exits=2)
    times = np.array(grid.results["series_time"])
    assert np.abs(left(r, times) - left(grid, times)).max() <= 0.02
    for e in (1, 2):
        assert abs(r.results[f"series_exit_{e}"][-1] - grid.results[f"series_exit_{e}"][-1]) <= 0.02
    assert left(r, 48.0) <= 1e-3


# ---- ranks, restarts, files -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme, sde, many", [("upwind", "euler", (2, 3, 4)), ("weno", "weak2", (3,))])
def test_bits_on_any_number_of_ranks(tmp_path, scheme, sde, many):
    keys = dict(AGENTS, mfg_scheme=scheme, mfg_particles_sde=sde, mfg_particles_number=3000, time_end=3, time_steps=9)
    one = game(1, ROOM, tmp_path / "1", **keys)
    for ranks in many:
        r = game(ranks, ROOM, tmp_path / str(ranks), **keys)
        assert r.results == one.results
        for k in range(len(one.fields())):
            for name in ("u", "m", "drift_x", "drift_y"):
                assert np.array_equal(field(one, name, k), field(r, name, k)), (ranks, k, name)
            for a, b in zip(agents(one, k), agents(r, k)):
                assert np.array_equal(a, b)


@pytest.mark.parametrize("before, after", [(1, 2), (3, 1)])
def test_restart_gives_the_same_bits(tmp_path, before, after):
    keys = dict(AGENTS, mfg_particles_number=2000, time_end=3, time_steps=9)
    whole = game(1, ROOM, tmp_path / "whole", **keys)
    assert whole.results["iterations"] > 4
    game(before, ROOM, tmp_path / "part", code=3, mfg_max_iterations=4, output_checkpoint_interval=1, **keys)
    again = game(after, ROOM, tmp_path / "part", restart=None, **keys)
    assert again.results == whole.results
    for k in range(len(whole.fields())):
        assert np.array_equal(field(whole, "m", k), field(again, "m", k))
        assert all(np.array_equal(a, b) for a, b in zip(agents(whole, k), agents(again, k)))


def test_files_of_a_sample(tmp_path):
    keys = dict(AGENTS, mfg_particles_number=2000, time_end=3, time_steps=9)
    r = game(2, ROOM, tmp_path / "sample", mfg_particles_sample=7, **keys)
    files = sorted(r.dir.glob("particles_*.h5"))
    assert len(files) == len(r.fields()) == 4
    with h5py.File(files[0]) as f:
        assert np.array_equal(f["particles/id"][...], np.arange(0, 2000, 7))
    for k, name in enumerate(files):
        with h5py.File(name) as f, h5py.File(r.fields()[k]) as g:
            assert f.attrs["time"] == g.attrs["time"]
    assert (r.dir / "particles.xmf").exists()
    plain = game(1, ROOM, tmp_path / "none", output_particles="false", **keys)
    assert not list(plain.dir.glob("particles_*"))


def test_tolerance_below_one_agent_is_warned_of(tmp_path):
    r = game(1, ROOM, tmp_path, code=3, mfg_particles_number=100, mfg_tolerance=1e-9, mfg_max_iterations=2, time_steps=9, **AGENTS)
    assert "less than what one agent counts" in r.err


# ---- wrong input ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keys, says", [
    ({"mfg_particles_number": 0}, "mfg_particles_number"),
    ({"mfg_particles_number": "many"}, "mfg_particles_number"),
    ({"mfg_particles_bandwidth": 0}, "must be greater than 0"),
    ({"mfg_particles_bandwidth": "-0.1"}, "must be greater than 0"),
    ({"mfg_particles_bandwidth": "0.1,0"}, "must be greater than 0"),
    ({"mfg_particles_bandwidth": "0.1,0.2,0.3"}, "3 numbers for a grid of 2 dimensions"),
    ({"mfg_particles_bandwidth": "wide"}, "scott, silverman or isj"),
    ({"mfg_particles_bandwidth": "nan"}, "must be greater than 0"),
    ({"mfg_particles_sde": "milstein"}, "mfg_particles_sde"),
    ({"mfg_particles_nmber": 5}, "mfg_particles_number"),
    ({"mfg_density_source": "sin(x)"}, "mfg_density_source"),
    ({"grid_boundary": "given", "mfg_boundary_u": "0", "mfg_boundary_m": "0.1"}, "mfg_boundary_m"),
    ({"mfg_particles_sample": 3, "output_particles": "false"}, "mfg_particles_sample"),
    ({"mfg_particles_number": 10, "mfg_particles_bandwidth": "isj"}, "mfg_particles_bandwidth"),
])
def test_wrong_input(tmp_path, keys, says):
    ranks = 2 if "isj" in keys.values() or "nan" in keys.values() else 1
    r = game(ranks, ROOM, tmp_path, code=2, **{"mfg_fokker_planck": "particles", **keys})
    assert len(r.errors) == 1 and says in r.errors[0]
    assert not (r.dir / "fields_000000.h5").exists() and not (r.dir / "history.csv").exists()


@pytest.mark.parametrize("key, value", [
    ("mfg_particles_number", 10), ("mfg_particles_bandwidth", 0.1), ("mfg_particles_sde", "weak2"), ("mfg_particles_sample", 2),
    ("output_particles", "true")])
def test_keys_of_particles_without_particles(tmp_path, key, value):
    r = game(1, ROOM, tmp_path, code=2, **{key: value})
    assert len(r.errors) == 1 and key in r.errors[0] and "not used" in r.errors[0]


def test_memory_is_stated(tmp_path):
    """More agents, more memory: 40 bytes each in 2D (x, y, id, weight and a tenth on the move), half as many again as an even share."""
    def expected(number):
        r = run(1, ROOM, "-dry_run", "-mfg_fokker_planck", "particles", "-mfg_particles_number", number, cwd=tmp_path)
        assert r.code == 0, r.err
        line = next(line for line in r.out.splitlines() if "expected" in line)
        return float(line.split("(")[1].split()[0]), line
    (few, _), (many, line) = expected(10000), expected(10000000)
    assert "GB" not in line.split("(")[1].split(")")[0]
    assert 40 * 10 <= many - few <= 80 * 10
