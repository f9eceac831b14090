"""Model `mfg`, scheme `upwind`: exact cases, order of convergence, independent figures, the coupling, ranks, memory.

Errors of the scheme are C1 h + C2 h^2 + ... when h and dt shrink together, so an observed order between grids h and h/2 is
1 - r h + ..., and its distance to 1 halves with each refinement. The cases are smooth enough for r h < 0.1 on their finest pair;
where that would need too fine a grid, the halving itself is checked on three grids."""
import itertools

import numpy as np
import pytest

from helpers import run
from mfg_cases import axes, check_conservation, errors, field, game, is_first_order, manufactured, orders

STEPPINGS = ["implicit", "explicit"]
long = pytest.mark.long


def conserves(r):
    check_conservation(r, closed=False)


# ---- exact cases -----------------------------------------------------------------------------------------------------


TWO_D = {"lq2d": [("48,40", 32), ("96,80", 64), ("192,160", 128)], "lq_log2d": [("40,36", 20), ("80,72", 40), ("160,144", 80)]}


@pytest.mark.parametrize("stepping", STEPPINGS)
@pytest.mark.parametrize("name", ["lq", "lq_log", "lq_log_moving"])
def test_linear_quadratic_1d(tmp_path, name, stepping):
    """Cases a and b of docs/mfg.md."""
    table = errors(name, tmp_path, [(100, 100), (200, 200)], check=conserves, mfg_time_stepping=stepping)
    assert is_first_order(table), table


@pytest.mark.parametrize("name", TWO_D)
@pytest.mark.parametrize("stepping", ["implicit", pytest.param("explicit", marks=long)])
def test_linear_quadratic_2d(tmp_path, name, stepping):
    table = errors(name, tmp_path, TWO_D[name], check=conserves, mfg_time_stepping=stepping, mfg_tolerance=1e-6)
    assert is_first_order(table), table


@pytest.mark.parametrize("stepping", STEPPINGS)
def test_linear_quadratic_3d(tmp_path, stepping):
    """The initial density has 1.2 and 2.3 cells in a standard deviation here, too few for m's order to have settled: 0.9 is asked of u, and
    of m in L1 only 0.8, an empirical bound. What finer grids show is seen in 2D."""
    grids = [("18,16,14", 10), ("36,32,28", 20)]
    table = errors("lq3d", tmp_path, grids, check=conserves, mfg_time_stepping=stepping)
    order = orders(table)[:, 0]
    assert order[:2].min() >= 0.9 and order[2] >= 0.8, table


def congested_gaussian(nu=0.125, c=0.25, q=2.5, P_T=0.3, s0=0.16, end=1.0):
    """Case b with a two-point boundary value problem: P' = P^2 - q + c/s, s' = -2 P s + 2 nu, P(T) = P_T, s(0) = s0, and kappa' = -nu P +
    (c/2) log(2 pi s), kappa(T) = 0. Returns P, s, kappa as polynomials in t, within 1e-9."""
    from scipy.integrate import solve_bvp

    def rhs(t, y):
        P, s, _ = y
        return [P**2 - q + c / s, -2 * P * s + 2 * nu, -nu * P + c / 2 * np.log(2 * np.pi * s)]

    t = np.linspace(0, end, 41)
    guess = [P_T + 0 * t, s0 + 0 * t, 0 * t]
    solution = solve_bvp(rhs, lambda a, b: [a[1] - s0, b[0] - P_T, b[2]], t, guess, tol=1e-11, max_nodes=100000)
    assert solution.status == 0
    nodes = end * (1 - np.cos(np.pi * (np.arange(18) + 0.5) / 18)) / 2
    fits = [np.polynomial.Polynomial.fit(nodes, v, 17).convert() for v in solution.sol(nodes)]
    fine = np.linspace(0, end, 1000)
    assert max(np.abs(p(fine) - v).max() for p, v in zip(fits, solution.sol(fine))) < 1e-9
    return fits


def horner(p):
    text = repr(float(p.coef[-1]))
    for a in p.coef[-2::-1]:
        text = f"({float(a)!r}+t*{text})"
    return text


@pytest.mark.parametrize("stepping", STEPPINGS)
def test_two_point_boundary_value_problem(tmp_path, stepping):
    """The variance and the cost's curvature move, each driven by the other; u and m are compared at all times written."""
    P, s, kappa = congested_gaussian()
    u, m = f"({horner(P)})*x^2/2 + {horner(kappa)}", f"exp(-x^2/(2*{horner(s)}))/sqrt(2*pi*{horner(s)})"
    assert abs(P(0.0) - P(1.0)) > 0.2 and abs(s(0.0) - s(1.0)) > 0.02
    text = f"""model: mfg
grid: {{dim: 1, lower: "-1.7", upper: "1.8", boundary: given}}
time: {{end: 1}}
mfg:
  sigma: 0.5
  running_cost: "0.25*log(m) + 1.25*x^2"
  terminal_cost: "0.15*x^2"
  initial_density: "exp(-x^2/0.32)"
  normalise: false
  boundary_u: "{u}"
  boundary_m: "{m}"
  coupling: anderson
  tolerance: 1e-8
output: {{count: 4}}
"""
    text = text.replace('"exp(-x^2/0.32)"', '"exp(-x^2/0.32)/sqrt(0.32*pi)"')
    worst = []
    for n in (100, 200, 400):
        r = game(1, text, tmp_path / str(n), grid_cells=n, time_steps=n, mfg_time_stepping=stepping)
        check_conservation(r, closed=False)
        (x,) = axes(r)
        error = []
        for k in range(5):
            t = k / 4
            exact_u = P(t) * x**2 / 2 + kappa(t)
            exact_m = np.exp(-(x**2) / (2 * s(t))) / np.sqrt(2 * np.pi * s(t))
            error.append([np.abs(field(r, "u", k) - exact_u).max(), np.abs(field(r, "m", k) - exact_m).sum() * (x[1] - x[0])])
        worst.append(np.max(error, axis=0))
    assert orders(np.array(worst).T)[:, -1].min() >= 0.9, worst


PERIODIC = [("quadratic", 0.7), ("power", 3.0)]
SLOPED = [("power", 1.5), ("power", 3.0)]


@pytest.mark.parametrize("stepping", STEPPINGS)
@pytest.mark.parametrize("hamiltonian, boundary", [*((h, "periodic") for h in PERIODIC), *((h, "given") for h in SLOPED)])
def test_manufactured_1d(tmp_path, hamiltonian, boundary, stepping):
    text = manufactured(1, 0.3, hamiltonian, boundary, slope=1.8 if boundary == "given" else 0.0)
    table = errors(text, tmp_path, [(80, 32), (160, 64), (320, 128)], check=conserves, mfg_time_stepping=stepping, mfg_tolerance=1e-6)
    assert is_first_order(table), table


@pytest.mark.parametrize(
    "hamiltonian, boundary, stepping",
    [
        (("quadratic", 0.7), "periodic", "implicit"),
        (("power", 3.0), "periodic", "implicit"),
        (("power", 1.5), "given", "implicit"),
        (("quadratic", 0.7), "periodic", "explicit"),
        pytest.param(("power", 3.0), "periodic", "explicit", marks=long),
        pytest.param(("power", 1.5), "given", "explicit", marks=long),
    ],
)
def test_manufactured_2d(tmp_path, hamiltonian, boundary, stepping):
    text = manufactured(2, 0.3, hamiltonian, boundary, slope=1.8 if boundary == "given" else 0.0)
    grids = [("32,28", 16), ("64,56", 32)]
    table = errors(text, tmp_path, grids, check=conserves, mfg_time_stepping=stepping, mfg_tolerance=1e-5)
    assert is_first_order(table), table


@pytest.mark.parametrize(
    "hamiltonian, stepping",
    [
        (("quadratic", 0.7), "implicit"),
        (("power", 1.5), "implicit"),
        pytest.param(("power", 3.0), "implicit", marks=long),
        *(pytest.param(h, "explicit", marks=long) for h in [("quadratic", 0.7), ("power", 1.5)]),
    ],
)
def test_manufactured_3d(tmp_path, hamiltonian, stepping):
    """Half a wave in each direction, so that few cells resolve it."""
    text = manufactured(3, 0.3, hamiltonian, "given", slope=1.8, part=0.5)
    grids = [("12,14,10", 6), ("24,28,20", 12)]
    table = errors(text, tmp_path, grids, check=conserves, mfg_time_stepping=stepping, mfg_tolerance=1e-4)
    assert is_first_order(table), table


@pytest.mark.parametrize("stepping", ["implicit", pytest.param("explicit", marks=long)])
def test_manufactured_3d_periodic(tmp_path, stepping):
    """Whole waves, in which these grids are still coarse: the order is seen to tend to 1."""
    text = manufactured(3, 0.3, ("quadratic", 0.7))
    grids = [("8,10,7", 4), ("16,20,14", 8), ("32,40,28", 16)]
    table = errors(text, tmp_path, grids, check=conserves, mfg_time_stepping=stepping, mfg_tolerance=1e-4, names=("error_u_l2", "error_m_l1"))
    assert is_first_order(table), table


# ---- independent figures -----------------------------------------------------------------------------------------------


def at_points(r, name, points, index):
    return np.interp(points, axes(r)[0], field(r, name, index))


def extrapolated(tmp_path, name, cells, wanted, **keys):
    """Values (field, index, points) from grids h and h/2, their first-order errors removed: 2 fine - coarse. Linear interpolation between
    centres adds an error of second order."""
    coarse, fine = [game(1, name, tmp_path / str(n), grid_cells=n, time_steps=n, **keys) for n in (cells, 2 * cells)]
    for r in (coarse, fine):
        check_conservation(r)
        assert -1e-10 <= r.results["exploitability"] <= 1e-6
    return [2 * at_points(fine, *w) - at_points(coarse, *w) for w in wanted]


def test_reference1d(tmp_path):
    u, m = extrapolated(tmp_path, "reference1d", 200, [("u", [0.4, 0.5], 0), ("m", [0.4, 0.5], -1)])
    assert abs(u[0] - 0.6613) <= 0.0006 and abs(u[1] - 0.7055) <= 0.001, u
    assert abs(m[0] - 1.4232) <= 0.002 and abs(m[1] - 1.4888) <= 0.002, m


def test_towel(tmp_path):
    (m,) = extrapolated(tmp_path, "towel", 500, [("m", [5, 4], -1)], mfg_tolerance=1e-6)
    assert abs(m[0] - 0.4328) <= 0.0012 and abs(m[1] - 0.1854) <= 0.0005, m


# ---- the coupling --------------------------------------------------------------------------------------------------------

CROWD = """model: mfg
grid: {dim: 2, cells: "21,17", upper: "1.2,1", boundary: reflecting}
time: {end: 0.8, steps: 20}
mfg:
  sigma: 0.4
  running_cost: "0.5*m + 0.3*sin(3*x+2*y)"
  terminal_cost: "(x-0.9)^2 + (y-0.3)^2"
  initial_density: "exp(-12*((x-0.3)^2+(y-0.6)^2))"
output: {count: 4}
"""


def sup_l1(a, b):
    """The coupling's norm of a difference of densities, over the levels written."""
    x = axes(a)
    volume = np.prod([np.ravel(v)[1] - np.ravel(v)[0] for v in x])
    return max(float(np.abs(field(a, "m", k) - field(b, "m", k)).sum() * volume) for k in range(len(a.fields())))


@pytest.mark.parametrize("stepping", STEPPINGS)
def test_methods_reach_the_same_fixed_point(tmp_path, stepping):
    """The game is monotone: a surplus of density is answered by a lack, so that a residual m - G(m) bounds the distance to the fixed point
    in the mean; a factor of five is for the L1 norm, in which G need not be normal."""
    tolerance = 1e-8
    ways = {
        "picard": {},
        "picard_fixed": {"mfg_damping": 0.3},
        "anderson": {"mfg_coupling": "anderson"},
        "anderson_fixed": {"mfg_coupling": "anderson", "mfg_damping": 0.6},
        "anderson_deep": {"mfg_coupling": "anderson", "mfg_damping": 1, "mfg_depth": 10},
    }
    runs = {
        name: game(1, CROWD, tmp_path / name, mfg_tolerance=tolerance, mfg_time_stepping=stepping, **keys) for name, keys in ways.items()
    }
    for name, r in runs.items():
        check_conservation(r)
        s = r.results
        assert s["converged"] and s["residual"] <= tolerance and len(s["residual_history"]) == s["iterations"]
        assert s["residual_history"][-1] == s["residual"]
        _, rows = r.history()
        assert [row[1] for row in rows] == pytest.approx(s["residual_history"], rel=1e-12)
    for a, b in itertools.combinations(runs, 2):
        assert sup_l1(runs[a], runs[b]) <= 10 * tolerance, (a, b)
    assert runs["anderson"].results["iterations"] < runs["picard_fixed"].results["iterations"]


def test_damping_is_found_where_crowds_repel_strongly(tmp_path):
    """Where an undamped iteration flips between two states, the automatic one converges."""
    strong = CROWD.replace("0.5*m", "8*m")
    failed = game(1, strong, tmp_path / "undamped", code=3, mfg_damping=1, mfg_max_iterations=60)
    assert "no convergence in 60" in failed.errors[0]
    assert failed.results["converged"] is False and "exploitability" not in failed.results
    for coupling in ("picard", "anderson"):
        r = game(1, strong, tmp_path / coupling, mfg_coupling=coupling, mfg_tolerance=1e-7)
        check_conservation(r)


@pytest.mark.parametrize("hamiltonian", ["quadratic", "power"])
@pytest.mark.parametrize("dim", [1, 2, 3])
def test_exploitability(tmp_path, dim, hamiltonian):
    """Nobody gains at the equilibrium, whose gain is of second order in the residual; before it, somebody does. The best response costs
    at most what any policy does: rounding and the tolerance of the time steps' solves (1e-3 of the coupling's) aside, never negative."""
    cells = ["40", "21,17", "11,9,10"][dim - 1]
    keys = {"mfg_exponent": 3} if hamiltonian == "power" else {}
    text = CROWD.replace('dim: 2, cells: "21,17", upper: "1.2,1"', f'dim: {dim}, cells: "{cells}"')
    gain = {}
    for tolerance in (0.9, 0.1, 1e-8):
        r = game(
            1, text, tmp_path / str(tolerance), mfg_tolerance=tolerance, mfg_damping=0.5, mfg_hamiltonian=hamiltonian, time_steps=10, **keys
        )
        gain[tolerance] = r.results["exploitability"]
        slack = 1e-3 * tolerance * abs(r.results["cost"]) + 1e-12
        assert gain[tolerance] >= -slack
    assert gain[1e-8] <= 1e-8
    assert gain[0.9] > 1e-4 and gain[0.9] > gain[0.1]


def test_exploitability_explicit(tmp_path):
    """With one substep a level the explicit scheme has the same duality."""
    r = game(1, CROWD, tmp_path, mfg_time_stepping="explicit", time_steps=300, mfg_tolerance=1e-8)
    names, rows = r.history()
    assert rows[-1][names.index("substeps_per_step")] == 1
    assert -1e-12 <= r.results["exploitability"] <= 1e-8


def test_free_agents_cost_what_the_value_says(tmp_path):
    """Without coupling, the population's cost is the mean of u over the initial density, in a closed box."""
    r = game(1, CROWD.replace("0.5*m + ", ""), tmp_path)
    x, y = axes(r)
    mean = float((field(r, "u", 0) * field(r, "m", 0)).sum() * (1.2 / 21) * (1 / 17))
    assert r.results["cost"] == pytest.approx(mean, abs=1e-6)
    assert r.results["iterations"] <= 3 or r.results["residual"] <= 1e-6


# ---- independence of the ranks ------------------------------------------------------------------------------------------

WALLS = """
  obstacle: "min(0.03 - abs(x-0.6), y-0.5)"
"""
ROOMS = {
    1: CROWD.replace('dim: 2, cells: "21,17", upper: "1.2,1", boundary: reflecting', 'dim: 1, cells: 50, boundary: "exit,reflecting"'),
    2: CROWD.replace("reflecting}", '"reflecting,reflecting,exit,exit"}').replace("\nmfg:", "\nmfg:" + WALLS, 1),
    3: CROWD.replace('dim: 2, cells: "21,17", upper: "1.2,1", boundary: reflecting', 'dim: 3, cells: "13,11,7", upper: "1.2,1,0.7", boundary: '
    '"exit,reflecting,reflecting,reflecting,periodic,periodic"').replace("\nmfg:", "\nmfg:" + WALLS, 1),
}


def same_bits(a, b):
    assert len(a.fields()) == len(b.fields()) == 5
    for k in range(5):
        for name in ("u", "m", "drift_x"):
            assert np.array_equal(field(a, name, k), field(b, name, k)), (name, k)
    assert (a.dir / "history.csv").read_text() == (b.dir / "history.csv").read_text()
    assert a.results == b.results


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_explicit_picard_has_the_same_bits_on_any_number_of_ranks(tmp_path, dim):
    keys = {"mfg_time_stepping": "explicit", "mfg_hamiltonian": "power", "mfg_exponent": 1.7} if dim == 2 else {"mfg_time_stepping": "explicit"}
    keys["mfg_tolerance"] = 1e-4
    runs = [game(n, ROOMS[dim], tmp_path / str(n), **keys) for n in (1, 2, 3, 4)]
    check_conservation(runs[0], exits=[1, 2, 1][dim - 1])
    for r in runs[1:]:
        same_bits(runs[0], r)


@pytest.mark.parametrize("dim, coupling", [(1, "picard"), (2, "anderson"), (3, "picard")])
def test_implicit_agrees_on_any_number_of_ranks(tmp_path, dim, coupling):
    """Each run is within its residual of the fixed point (see test_methods_reach_the_same_fixed_point)."""
    tolerance = 1e-7
    runs = [game(n, ROOMS[dim], tmp_path / str(n), mfg_coupling=coupling, mfg_tolerance=tolerance) for n in (1, 2, 3, 4)]
    for r in runs:
        check_conservation(r, exits=[1, 2, 1][dim - 1])
        assert sup_l1(runs[0], r) <= 10 * tolerance
        assert abs(r.results["exited_mass"] - runs[0].results["exited_mass"]) <= 10 * tolerance
        assert np.abs(field(r, "u", 0) - field(runs[0], "u", 0)).max() <= 100 * tolerance


# ---- memory ---------------------------------------------------------------------------------------------------------------

LARGE = """model: mfg
grid: {dim: %d, cells: "%s", boundary: reflecting}
time: {end: 0.01, steps: %d}
mfg: {time_stepping: %s, running_cost: "0.5*m", terminal_cost: "(x-0.5)^2", initial_density: "1+0.3*cos(pi*x)", tolerance: 1e-14}
output: {count: 1, fields: m}
"""
METHODS = {
    "picard": ["-mfg_max_iterations", 3],
    "picard_fixed": ["-mfg_damping", 0.5, "-mfg_max_iterations", 3],
    "anderson": ["-mfg_coupling", "anderson", "-mfg_max_iterations", 12],
    "anderson_fixed": ["-mfg_coupling", "anderson", "-mfg_damping", 0.5, "-mfg_max_iterations", 9],
}


@pytest.mark.parametrize(
    "dim, cells, steps, stepping, method",
    [
        (1, "1000", 2500, "explicit", "picard"),
        (1, "1000", 2500, "implicit", "picard_fixed"),
        (1, "1000", 1000, "explicit", "anderson"),
        (1, "1000", 1000, "implicit", "anderson_fixed"),
        (2, "300,320", 16, "implicit", "picard"),
        (2, "200,210", 50, "explicit", "picard"),
        (2, "120,110", 60, "implicit", "anderson_fixed"),
        (3, "48,46,44", 16, "implicit", "picard"),
        (3, "48,46,44", 16, "explicit", "picard"),
    ],
)
def test_memory_is_stated_before_the_run(tmp_path, dim, cells, steps, stepping, method):
    r = run(1, LARGE % (dim, cells, steps, stepping), *METHODS[method], cwd=tmp_path, timeout=120)
    assert r.code in (0, 3), r.err  # the iterations are cut short
    s = r.summary()
    assert s["memory_peak_mb_per_rank"] > 150
    assert abs(s["memory_expected_mb_per_rank"] - s["memory_peak_mb_per_rank"]) <= 0.1 * s["memory_peak_mb_per_rank"]


@pytest.mark.parametrize("dim, cells, steps", [(1, "4000", 2600), pytest.param(2, "400,400", 65, marks=long)])
def test_four_ranks_share_the_memory(tmp_path, dim, cells, steps):
    """Each rank of four uses less than 0.35 of the memory of one rank. The arrays must dominate a process's own 50 MB."""
    text = LARGE % (dim, cells, steps, "implicit")
    args = ["-mfg_max_iterations", 2, "-mfg_damping", 0.5]
    peak = {n: run(n, text, *args, cwd=tmp_path / str(n), timeout=200).summary()["memory_peak_mb_per_rank"] for n in (1, 4)}
    assert peak[4] < 0.35 * peak[1], peak
