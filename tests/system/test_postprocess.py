"""The figures, from small run directories in the format that runs write; and the floor plans."""
import json
import pathlib
import shutil
import subprocess
import sys

import h5py
import numpy as np
import pytest
from PIL import Image

TOP = pathlib.Path(__file__).resolve().parents[2]
PLOT = TOP / "postprocess" / "plot.py"
sys.path.insert(0, str(PLOT.parent))

import agents  # noqa: E402
import crowd  # noqa: E402
import rundir  # noqa: E402


def write_run(folder, model, axes, series, region=None, results=None, settings=""):
    """series: list of (time, {name: [z][y][x]})."""
    folder.mkdir(parents=True)
    for k, (time, fields) in enumerate(series):
        with h5py.File(folder / f"fields_{k:06d}.h5", "w") as f:
            f.attrs["time"], f.attrs["step"] = time, k
            for c, axis in zip("xyz", axes):
                f[f"grid/{c}"] = axis
            for name, values in fields.items():
                f[f"fields/{name}"] = values
            if region is not None:
                f["fields/region"] = region.astype(float)
    (folder / "summary.json").write_text(json.dumps({"status": "done", "model": model, "results": results or {}}))
    (folder / "input.yaml").write_text(f"model: {model}\n{settings}")
    (folder / "history.csv").write_text("step,time [s],residual [1]\n1,0,0.5\n2,0,0.05\n")
    return folder


def centres(n, lower, upper):
    return lower + (np.arange(n) + 0.5) * (upper - lower) / n


@pytest.fixture
def corridor(tmp_path):
    """A corridor 8 m x 2 m with a door at either end; everybody walks east at 1 m/s, the mass falls linearly."""
    x, y = centres(64, 0, 8), centres(16, 0, 2)
    region = np.ones((16, 64), dtype=int)
    region[[0, -1], :] = 0
    region[:, [0, -1]] = 0
    region[6:10, 0] = region[5:12, -1] = 2
    free = region == 1
    series = []
    for t in np.linspace(0, 4, 11):
        m = np.where(free, np.exp(-((x[None, :] - 2 - t) ** 2)), 0)
        m *= (1 - t / 5) / (m.sum() / 64)
        u = np.where(free, np.abs(8 - x)[None, :] + 0 * y[:, None], 0)
        series.append((t, {"u": u, "m": m, "drift_x": free * 1.0, "drift_y": free * 0.0}))
    return write_run(tmp_path / "corridor", "mfg", [x, y], series, region, settings="mfg:\n  sigma: 0.0\n")


def plot(*arguments):
    return subprocess.run([sys.executable, str(PLOT), *map(str, arguments)], capture_output=True, text=True, timeout=300)


def assert_picture(path):
    pixels = np.asarray(Image.open(path).convert("L"), dtype=float)
    assert pixels.shape[0] > 200 and pixels.shape[1] > 200
    assert pixels.std() > 5, f"{path} is blank"


def test_all_figures_of_a_game(corridor):
    run = plot("all", corridor, "--people", 100)
    assert run.returncode == 0, run.stderr
    for name in ("density", "value", "mass", "residual"):
        assert_picture(corridor / "figures" / f"{name}.png")
    if shutil.which("ffprobe"):
        text = subprocess.run(["ffprobe", "-v", "error", "-count_frames", "-show_entries", "stream=nb_read_frames", "-of", "csv=p=0",
                               str(corridor / "figures" / "film.mp4")], capture_output=True, text=True).stdout
        assert int(text.strip().strip(",")) == 11


def test_gif(corridor):
    if not shutil.which("ffmpeg"):
        pytest.skip("no ffmpeg")
    assert plot("film", corridor, "--out", corridor / "x.gif").returncode == 0
    assert Image.open(corridor / "x.gif").n_frames > 5


def test_paths_end_at_the_exit(corridor):
    run = rundir.Run(corridor)
    for track in crowd.paths(run, 12):
        assert np.all(np.diff(track[:, 0]) >= 0)
        # drift 1 m/s for 4 s, cut off where the exit or the wall begins (one cell before x = 8)
        expected = min(track[0, 0] + 4, 8 - run.h[0])
        assert abs(track[-1, 0] - expected) < run.h[0]


def test_shares_add_up_to_the_mass_that_left(corridor):
    run = rundir.Run(corridor)
    names, times, inside, taken = crowd.exit_shares(run)
    assert len(names) == 2 and names[0].startswith("east") and names[1].startswith("west")
    assert np.allclose(inside + taken.sum(axis=1), inside[0], rtol=0, atol=1e-12)
    assert taken[-1, 0] == pytest.approx(inside[0] - inside[-1], abs=1e-12)  # no noise and all walk east


def test_own_accounts_of_the_run_win(corridor):
    results = {"series_time": [0, 2, 4], "series_mass": [1, 0.6, 0.2], "series_exit_1": [0, 0.3, 0.5], "series_exit_2": [0, 0.1, 0.3]}
    (corridor / "summary.json").write_text(json.dumps({"model": "mfg", "results": results}))
    _, times, inside, taken = crowd.exit_shares(rundir.Run(corridor))
    assert list(times) == [0, 2, 4] and taken[-1].tolist() == [0.5, 0.3] and inside[-1] == 0.2


def test_game_in_1d_and_3d(tmp_path):
    x = centres(40, 0, 1)
    line = write_run(tmp_path / "line", "mfg", [x], [(t, {"u": x * t, "m": np.exp(-x), "drift_x": 0 * x}) for t in (0, 1)])
    assert plot("all", line).returncode == 0
    assert_picture(line / "figures" / "density.png")
    axes = [centres(n, 0, 1) for n in (12, 10, 8)]
    m = np.ones((8, 10, 12))
    region = np.ones(m.shape, dtype=int)
    region[:, :, 6] = 0
    region[3:5, 4:6, 6] = 1
    fields = {"u": m * axes[0], "m": m, "drift_x": -m, "drift_y": 0 * m, "drift_z": 0 * m}
    box = write_run(tmp_path / "box", "mfg", axes, [(0, fields), (1, fields)], region)
    run = plot("all", box)
    assert run.returncode == 0, run.stderr
    assert_picture(box / "figures" / "value.png")


def write_agents(folder, k, time, ids, position):
    with h5py.File(folder / f"particles_{k:06d}.h5", "w") as f:
        f.attrs["time"], f.attrs["step"] = time, k
        f["particles/id"] = np.asarray(ids, dtype=np.uint64)
        f["particles/position"] = position
        f["particles/weight"] = np.full(len(ids), 1 / 20)


@pytest.fixture
def walkers(corridor):
    """Twenty agents with even ids in the corridor. Ids below 30 walk west, the others east, all at 1.1 m/s. Rows are in
    another order in each file."""
    ids = 2 * np.arange(20)
    start = np.stack([np.linspace(1, 7, 20), np.linspace(0.5, 1.5, 20)], axis=1)
    for k, t in enumerate(np.linspace(0, 4, 11)):
        now = start + np.outer(np.where(ids < 30, -1, 1), [1.1 * t, 0])
        rows = np.random.default_rng(k).permutation(np.nonzero((now[:, 0] > 0.125) & (now[:, 0] < 7.875))[0])
        write_agents(corridor, k, t, ids[rows], now[rows])
    return corridor


def test_agents_keep_their_ways(walkers):
    a = agents.Agents(rundir.Run(walkers), 2000)
    assert a.id.tolist() == list(range(0, 40, 2)) and np.allclose(a.times, np.linspace(0, 4, 11))
    step = np.diff(a.way, axis=0)
    assert np.allclose(np.abs(step[np.isfinite(step[..., 0])]), [0.44, 0], rtol=0, atol=1e-12)
    assert [name[:4] for name in a.names] == ["east", "west"]
    # west: those below 30 that start within 4.4 m of the wall; east: the other five, all within 2 m
    start = a.way[0, :, 0]
    expected = np.where(a.id >= 30, 0, np.where(start - 4.4 > 0.125, -1, 1))
    assert a.exit.tolist() == expected.tolist() and set(expected) == {-1, 0, 1}
    few = agents.Agents(rundir.Run(walkers), 7)
    assert len(few.id) == 7 and set(few.id) <= set(a.id)
    assert np.array_equal(few.way, a.way[:, np.isin(a.id, few.id)], equal_nan=True)


def test_agents_wrap_around_without_a_line_across(tmp_path):
    x, y = centres(8, 0, 1), centres(8, 0, 1)
    one = np.ones((8, 8))
    fields = {"u": one, "m": one, "drift_x": one, "drift_y": one}
    folder = write_run(tmp_path / "r", "mfg", [x, y], [(0, fields)], settings="grid: {boundary: periodic}\n")
    for k in range(4):
        write_agents(folder, k, k, [3], [[(0.5 + 0.3 * k) % 1, 0.5]])
    pieces = agents.Agents(rundir.Run(folder), 5).pieces(0, 3)
    assert [np.round(piece[:, 0], 12).tolist() for piece in pieces] == [[0.5, 0.8], [0.1, 0.4]]
    assert plot("agents", folder, "--out", folder / "a.png").returncode == 0
    assert_picture(folder / "a.png")


def test_figure_and_film_of_agents(walkers):
    only = plot("agents", walkers, "--out", walkers / "a.png", "--paths", 3)
    assert only.returncode == 0 and only.stdout.split() == [str(walkers / "a.png")], only.stderr
    assert_picture(walkers / "a.png")
    if not shutil.which("ffmpeg"):
        pytest.skip("no ffmpeg")
    every = plot("all", walkers)
    assert every.returncode == 0, every.stderr
    assert_picture(walkers / "figures" / "agents.png")
    assert (walkers / "figures" / "agents.mp4").stat().st_size > 1000
    assert plot("agents", walkers, "--out", walkers / "a.gif").returncode == 0
    assert Image.open(walkers / "a.gif").n_frames > 5


def test_agents_on_a_line(tmp_path):
    x = centres(10, 0, 1)
    folder = write_run(tmp_path / "r", "mfg", [x], [(0, {"u": x, "m": x, "drift_x": x})])
    refused = plot("agents", folder)
    assert refused.returncode == 1 and "holds no particles" in refused.stderr and refused.stderr.count("\n") == 1
    for k in range(3):
        write_agents(folder, k, k, np.arange(5), np.linspace(0.1, 0.6, 5)[:, None] + 0.1 * k)
    drawn = plot("agents", folder)
    assert drawn.returncode == 0, drawn.stderr
    assert_picture(folder / "figures" / "agents.png")


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_hamilton_jacobi(tmp_path, dim):
    axes = [centres(n, -1, 1) for n in (24, 20, 16)][:dim]
    mesh = np.meshgrid(*axes[::-1], indexing="ij")
    phi = sum(np.sin(np.pi * a) for a in mesh)
    run = write_run(tmp_path / "hj", "hj", axes, [(0, {"phi": phi}), (0.1, {"phi": 0.5 * phi})], settings="hj:\n  hamiltonian: burgers\n")
    result = plot("all", run)
    assert result.returncode == 0, result.stderr
    assert_picture(run / "figures" / "hj.png")


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_cloud_of_points(tmp_path, dim):
    axes = [centres(n, -1, 1) for n in (24, 20, 16)][:dim]
    mesh = np.meshgrid(*axes[::-1], indexing="ij")
    run = write_run(tmp_path / "cloud", "density", axes, [(0, {"density": np.exp(-sum(a**2 for a in mesh))})], settings="density: {}\n")
    result = plot("all", run)
    assert result.returncode == 0, result.stderr
    assert_picture(run / "figures" / "density.png")


def test_convergence_orders(tmp_path):
    runs = []
    for n in (20, 40, 80):
        x = centres(n, 0, 1)
        runs.append(write_run(tmp_path / f"n{n}", "hj", [x], [(0, {"phi": x})], results={"error_l1": 3.0 * n**-2.0}))
    result = plot("convergence", *runs, "--out", tmp_path / "c.png")
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("2.00") == 2
    assert_picture(tmp_path / "c.png")


def test_scaling_figures(tmp_path):
    row = {"case": "hj", "ranks": 2, "efficiency": 0.95}
    counted = [{"case": "hj", "ranks": r, "messages_per_rank_step": 18.0, "bytes_per_message": 1e3, "memory_mb_per_rank": 20.0} for r in (8, 16)]
    (tmp_path / "s.json").write_text(json.dumps({"weak": [row], "strong": [row], "messages": counted}))
    result = plot("scaling", tmp_path / "s.json")
    assert result.returncode == 0, result.stderr
    for name in ("scaling_efficiency.png", "scaling_messages.png"):
        assert_picture(tmp_path / name)


@pytest.mark.parametrize("source, words", [("nothing-here", "no such run directory"), ("", "holds no fields")])
def test_mistakes_are_one_line(tmp_path, source, words):
    result = plot("density", tmp_path / source)
    assert result.returncode == 1
    assert words in result.stderr and result.stderr.count("\n") == 1


def test_no_exits_no_mass_figure(tmp_path):
    x = centres(10, 0, 1)
    run = write_run(tmp_path / "r", "mfg", [x], [(0, {"u": x, "m": x, "drift_x": x})])
    result = plot("mass", run)
    assert result.returncode == 1 and "no exits" in result.stderr


def test_plans_are_what_the_script_draws(tmp_path):
    folder = TOP / "inputs" / "mfg" / "plans"
    subprocess.run([sys.executable, str(folder / "make_plans.py"), str(tmp_path)], check=True)
    for path in folder.glob("*.png"):
        assert np.array_equal(np.asarray(Image.open(path)), np.asarray(Image.open(tmp_path / path.name))), path.name


def test_plan_of_the_main_job_is_closed():
    image = np.asarray(Image.open(TOP / "inputs" / "mfg" / "plans" / "evacuation.png").convert("RGB"))
    white = (image == 255).all(axis=2)
    edge = np.concatenate([white[0], white[-1], white[:, 0], white[:, -1]])
    assert not edge.any()
    green = image[..., 1].astype(int) - image[..., 0] > 100
    from scipy import ndimage
    assert ndimage.label(green)[1] == 2
    assert ndimage.label(white | green)[1] == 1


def test_formulas():
    import formula
    x = np.linspace(0.1, 1, 7)
    assert np.allclose(formula.evaluate("-x^2 + min(x, 2*x, 0.5)*step(x-0.3) + 2^-1", x=x), -(x**2) + np.minimum(x, 0.5) * (x >= 0.3) + 0.5)
    assert formula.evaluate("x > 0 ? 1 : 2", x=x) is None
    assert formula.evaluate("open(x)", x=x) is None
    assert formula.evaluate("x.__class__", x=x) is None
    # smooth at this time: the Hopf-Lax value is that of the characteristic through q, phi0(q) + t (p Hp - H), p = pi sin(pi q)
    q, t = np.linspace(-0.9, 0.9, 11), 0.5 / np.pi**2
    p = np.pi * np.sin(np.pi * q)
    value = formula.hopf_lax("burgers", "-cos(pi*x)", q + t * (p + 1), t)
    # sampled speeds, 0.0025 apart: t da^2 (1 + t pi^2)/8 is 6e-8
    assert np.allclose(value, -np.cos(np.pi * q) + t * (p * (p + 1) - (p + 1) ** 2 / 2), atol=6e-8)
