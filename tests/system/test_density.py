"""Model density: against scipy, mass, boundaries, files in and out, wrong input."""
import h5py
import numpy as np
import pytest

from helpers import run

SETTINGS = "model: density\n"


def cloud(n, dim, seed=1):
    return np.random.default_rng(seed).normal(size=(n, dim))


def whitened(n, dim):
    """A sample of mean 0 whose covariance is the unit matrix."""
    x = cloud(n, dim)
    x -= x.mean(axis=0)
    return np.linalg.solve(np.linalg.cholesky(np.cov(x.T).reshape(dim, dim)), x.T).T


def put(folder, **sets):
    folder.mkdir(parents=True, exist_ok=True)
    with h5py.File(folder / "points.h5", "w") as f:
        for name, values in sets.items():
            f[name] = values


def field(r):
    assert r.code == 0, r.err
    with h5py.File(r.fields()[-1]) as f:
        return f["fields/density"][:], [f[f"grid/{a}"][:] for a in "xyz" if f"grid/{a}" in f]


def density(ranks, folder, *args, name="run"):
    return run(ranks, SETTINGS, "-run_dir", folder / name, *args, cwd=folder)


POINTS = ("-density_points", "points.h5:/x")


@pytest.mark.parametrize("dim, rule", [(1, "scott"), (1, "silverman"), (2, "scott"), (2, "silverman")])
@pytest.mark.parametrize("weighted", [False, True])
def test_scipy(tmp_path, dim, rule, weighted):
    """gaussian_kde uses the full covariance: the same kernel where that is diagonal."""
    scipy_stats = pytest.importorskip("scipy.stats")
    n = 10000
    x, w = whitened(n, dim), np.random.default_rng(2).uniform(0.5, 1.5, n)
    if weighted:  # the weighted covariance must be diagonal too
        x -= np.average(x, axis=0, weights=w)
        x = np.linalg.solve(np.linalg.cholesky(np.cov(x.T, aweights=w).reshape(dim, dim)), x.T).T
    put(tmp_path, x=x, w=w)
    args = [*POINTS, *(("-density_weights", "points.h5:/w") if weighted else ())]
    cells = "200" if dim == 1 else "40,32"
    r = density(2, tmp_path, *args, "-density_bandwidth", rule, "-density_method", "direct", "-density_reflect", "false",
                "-grid_cells", cells, "-grid_lower", "-6", "-grid_upper", "6")  # fmt: skip
    v, axes = field(r)
    kde = scipy_stats.gaussian_kde(x.T, bw_method=rule, weights=w if weighted else None)
    where = axes[0][None, :] if dim == 1 else np.array(np.meshgrid(*axes)).reshape(2, -1)
    reference = kde(where).reshape(v.shape)
    assert np.abs(v - reference).max() <= 1e-9 * reference.max()
    assert np.allclose(r.summary()["results"]["bandwidth"], kde.factor, rtol=1e-12)


@pytest.mark.parametrize("method", ["direct", "binned"])
@pytest.mark.parametrize("dim, boundary", [(1, "reflecting"), (2, "periodic"), (2, "outflow"), (3, "reflecting")])
def test_same_bits_on_any_number_of_ranks(tmp_path, method, dim, boundary):
    x = np.random.default_rng(4).uniform(size=(500, dim)) ** 2
    put(tmp_path, x=x, w=np.random.default_rng(5).uniform(size=500))
    runs = [
        density(n, tmp_path, *POINTS, "-density_weights", "points.h5:/w", "-grid_cells", ["37", "29,31", "13,9,11"][dim - 1],
                "-density_method", method, "-grid_lower", 0, "-grid_upper", 1, "-grid_boundary", boundary, name=f"run{n}")  # fmt: skip
        for n in (1, 2, 3, 4)
    ]
    values = [field(r)[0] for r in runs]
    for r, v in zip(runs[1:], values[1:]):
        assert np.array_equal(v, values[0])
        assert r.summary()["results"] == runs[0].summary()["results"]


@pytest.mark.parametrize("method", ["direct", "binned"])
@pytest.mark.parametrize("boundary", ["reflecting", "periodic"])
def test_mass(tmp_path, method, boundary):
    """1 up to 2d exp(-2 pi^2 (b/h)^2); to 1e-12 with renormalisation, also for kernels of half a cell."""
    put(tmp_path, x=np.random.default_rng(6).uniform(size=(3000, 2)))
    for b, renormalise, slack in ((1.0, False, 4 * np.exp(-2 * np.pi**2) + 1e-12), (0.5, True, 1e-12), (30, True, 1e-12), (1.5, False, 1e-12)):
        r = density(3, tmp_path, *POINTS, "-grid_cells", "50,50", "-grid_lower", 0, "-grid_upper", 1, "-grid_boundary", boundary,
                    "-density_bandwidth", b / 50, "-density_method", method, "-density_renormalise", renormalise,
                    "-run_overwrite")  # fmt: skip
        assert r.code == 0, r.err
        assert abs(r.summary()["results"]["mass"] - 1) <= slack


def test_csv_and_hdf5_are_alike(tmp_path):
    x = cloud(777, 2, seed=7)
    np.savetxt(tmp_path / "points.csv", x, fmt="%.17g", delimiter=",", header="x,y", comments="")
    put(tmp_path, x=x)
    a, _ = field(density(3, tmp_path, *POINTS, "-grid_cells", "30,20", name="h5"))
    b, _ = field(density(4, tmp_path, "-density_points", "points.csv", "-grid_cells", "30,20", name="csv"))
    assert np.array_equal(a, b)


def test_points_outside_may_be_dropped(tmp_path):
    """The rest keeps its share: the integral is the fraction inside."""
    x = np.linspace(-0.5, 1.5, 2001)[:, None] + 1e-6
    put(tmp_path, x=x)
    inside = int(((x >= 0) & (x <= 1)).sum())
    r = density(2, tmp_path, *POINTS, "-grid_cells", 100, "-grid_lower", 0, "-grid_upper", 1, "-density_outside", "drop")
    assert r.code == 0, r.err
    results = r.summary()["results"]
    assert results["particles_inside"] == inside
    assert abs(results["mass"] - inside / 2001) < 1e-9


def test_points_are_wrapped_into_a_periodic_box(tmp_path):
    x = np.random.default_rng(8).integers(0, 1024, (300, 1)) / 1024
    put(tmp_path, x=x, far=x + np.random.default_rng(9).integers(-3, 4, (300, 1)))
    box = ("-grid_cells", 64, "-grid_lower", 0, "-grid_upper", 1, "-grid_boundary", "periodic", "-density_bandwidth", 0.05)
    a, _ = field(density(2, tmp_path, *POINTS, *box, name="near"))
    b, _ = field(density(3, tmp_path, "-density_points", "points.h5:/far", *box, name="far"))
    assert np.array_equal(a, b)


def test_box_around_the_points(tmp_path):
    put(tmp_path, x=np.array([[1.0, -4.0], [3.0, 6.0], [2.0, 1.0]]))
    _, (x, y) = field(density(2, tmp_path, *POINTS, "-grid_cells", "12,24"))
    h = (2.4 / 12, 12 / 24)
    assert np.allclose([x[0] - h[0] / 2, x[-1] + h[0] / 2, y[0] - h[1] / 2, y[-1] + h[1] / 2], [0.8, 3.2, -5, 7])


def test_walls_hold_the_mass(tmp_path):
    x = np.random.default_rng(10).uniform([0, 0], [0.4, 1], (400, 2))
    put(tmp_path, x=x)
    v, (gx, _) = field(density(3, tmp_path, *POINTS, "-grid_cells", "40,20", "-grid_lower", 0, "-grid_upper", 1,
                               "-density_obstacle", "0.05-abs(x-0.5)", "-density_bandwidth", 0.2, "-density_renormalise", "true"))  # fmt: skip
    assert np.all(v[:, gx > 0.45] == 0)
    assert abs(v.sum() / 800 - 1) < 1e-12


def test_resolved_input_repeats_the_run(tmp_path):
    put(tmp_path, x=cloud(200, 2))
    a, _ = field(density(1, tmp_path, *POINTS, "-grid_cells", "20,20", "-density_bandwidth", "isj"))
    r = run(2, str(tmp_path / "run" / "input.yaml"), "-run_dir", "again", cwd=tmp_path)
    b, _ = field(r)
    assert np.array_equal(a, b)


WRONG = [
    ("outside", (*POINTS, "-grid_lower", 0, "-grid_upper", 1), ["density_points", "point 3", "y = 1.5"]),
    ("not_a_number", ("-density_points", "points.h5:/nan"), ["density_points", "row", "nan"]),
    ("empty", ("-density_points", "points.h5:/empty"), ["density_points"]),
    ("three_columns", ("-density_points", "points.h5:/three"), ["density_points", "points.h5"]),
    ("no_such_set", ("-density_points", "points.h5:/absent"), ["density_points", "absent"]),
    ("no_such_file", ("-density_points", "absent.csv"), ["density_points", "absent.csv"]),
    ("csv_nan", ("-density_points", "nan.csv"), ["density_points", "nan.csv", "3"]),
    ("csv_short_line", ("-density_points", "short.csv"), ["density_points", "short.csv", "3"]),
    ("csv_empty", ("-density_points", "empty.csv"), ["density_points", "empty.csv"]),
    ("csv_outside", ("-density_points", "good.csv", "-grid_lower", 0, "-grid_upper", 1), ["density_points", "point 3"]),
    ("weights_of_another_number", (*POINTS, "-density_weights", "points.h5:/w"), ["density_weights"]),
    ("bandwidth_zero", (*POINTS, "-density_bandwidth", "0"), ["density_bandwidth", "greater than 0"]),
    ("bandwidth_negative", (*POINTS, "-density_bandwidth", "0.1,-1"), ["density_bandwidth", "greater than 0"]),
    ("bandwidth_three", (*POINTS, "-density_bandwidth", "1,1,1"), ["density_bandwidth", "3 numbers"]),
    ("bandwidth_word", (*POINTS, "-density_bandwidth", "scot"), ["density_bandwidth", "scott"]),
    ("bandwidth_vast", (*POINTS, "-density_bandwidth", "1e30"), ["density_bandwidth", "cells"]),
    ("no_spread", ("-density_points", "points.h5:/same", "-density_bandwidth", "scott"), ["density_bandwidth", "spread"]),
    ("isj_of_three", (*POINTS, "-density_bandwidth", "isj"), ["density_bandwidth"]),
    ("points_missing", (), ["density_points", "missing"]),
    ("cells_missing", (*POINTS, "-grid_cells", ""), ["grid_cells"]),
    ("truncation", (*POINTS, "-density_truncation", 40), ["density_truncation"]),
    ("boundary", (*POINTS, "-grid_boundary", "exit"), ["grid_boundary", "exit"]),
    ("direct_between_walls", (*POINTS, "-density_method", "direct", "-density_obstacle", "x-100"), ["density_method", "walls"]),
    ("in_a_wall", (*POINTS, "-density_obstacle", "0.3-x"), ["density_points", "walls"]),
]


@pytest.mark.parametrize("name, args, words", WRONG, ids=[w[0] for w in WRONG])
def test_wrong_input(tmp_path, name, args, words):
    put(tmp_path, x=np.array([[0.1, 0.2], [0.3, 0.9], [0.5, 1.5]]), nan=np.array([[0.1, 0.2], [np.nan, 0.9], [0.5, 0.5]]),
        empty=np.zeros((0, 2)), three=np.ones((4, 3)), same=np.ones((5, 2)), w=np.ones(2))  # fmt: skip
    (tmp_path / "good.csv").write_text("x,y\n0.1,0.2\n0.3,0.9\n0.5,1.5\n")
    (tmp_path / "nan.csv").write_text("x,y\n0.1,0.2\n0.3,nan\n0.5,1.5\n")
    (tmp_path / "short.csv").write_text("0.1,0.2\n0.3,0.4\n0.3\n0.5,1.5\n")
    (tmp_path / "empty.csv").write_text("x,y\n")
    if "-grid_cells" not in args:
        args = (*args, "-grid_cells", "8,8")
    r = run(3, SETTINGS, *args, cwd=tmp_path)
    assert r.code == 2, r.out + r.err
    assert len(r.errors) == 1, r.err
    for word in words:
        assert word in r.errors[0], r.errors[0]
    assert not (tmp_path / "output").exists()
