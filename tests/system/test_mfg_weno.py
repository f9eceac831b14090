"""Scheme `weno` of the model `mfg`: orders of convergence, exact cases, conservation, positivity, independence of the ranks."""
import itertools
import math

import h5py
import numpy as np
import pytest

import helpers

INPUTS = helpers.TOP / "inputs" / "mfg"


def run(source, cwd, ranks=1, **keys):
    """Run an input (its text, or a file's name) with more keys."""
    words = [word for key, value in keys.items() for word in (f"-{key}", value)]
    r = helpers.run(ranks, source, "-run_dir", "out", *words, cwd=cwd, timeout=600)
    assert r.code == 0, r.out + r.err
    return r


def results(*args, **keys):
    return run(*args, **keys).summary()["results"]


def field(r, name, index=-1):
    with h5py.File(r.fields()[index]) as f:
        return f["fields/" + name][...]


def grid(r):
    with h5py.File(r.fields()[0]) as f:
        return f["grid/x"][...]


class Wave:
    """Sum of terms c(t) sin(k.x + phase), as (amplitude, omega, k, phase) with c = amplitude cos(omega t + 0.3), plus a constant
    and slope*x."""

    def __init__(self, constant, terms, slope=0.0):
        self.constant, self.terms, self.slope = constant, terms, slope

    def text(self, time=0, order=(0, 0, 0)):
        """Formula of the derivative of order `time` (0, 1) in t and `order` in x, y, z."""
        out = []
        for amplitude, omega, k, phase in self.terms:
            factor = amplitude * (1 if time == 0 else -omega)
            clock = "cos" if time == 0 else "sin"
            for d in range(3):
                factor *= k[d] ** order[d]
            name, sign = [("sin", 1), ("cos", 1), ("sin", -1), ("cos", -1)][sum(order) % 4]
            space = "+".join(f"{k[d]!r}*{'xyz'[d]}" for d in range(3) if k[d]) + f"+{phase!r}"
            if factor:
                out.append(f"({sign * factor!r})*{clock}({omega!r}*t+0.3)*{name}({space})")
        if not time and not sum(order):
            out.append(f"{self.constant!r}+{self.slope!r}*x")
        if not time and order == (1, 0, 0):
            out.append(repr(self.slope))
        return "(" + (" + ".join(out) or "0") + ")"


def manufactured(dim, gamma, nu, end, extent, omega=1.0, lam=1.0, low=2.0, slope=0.0, boundary="periodic", coupling=None):
    """Input of a game on a periodic box, or between reflecting or given boundaries (a slope of u needs the latter), whose exact solution is two sums of waves; H = |p|^2/(2 lam) if gamma is None, else |p|^gamma/gamma. The
    running cost contains coupling*log m (nu log m by default), so that the equations are coupled both ways, and Picard iterations converge."""
    half = boundary == "reflecting"  # then all waves are even about the walls
    K = [(1 if half else 2) * math.pi / extent[d] if d < dim else 0.0 for d in range(3)]

    def wave(amplitude, rate, a, b, c, phase):
        k = tuple(float(n) * q for n, q in zip((a, b, c), K))
        if not half:
            return [(amplitude, rate, k, phase)]
        signs = [q for q in itertools.product((1, -1), repeat=3) if all(s == 1 or k[d] for d, s in enumerate(q))]
        return [(amplitude / len(signs), rate, tuple(s * x for s, x in zip(q, k)), math.pi / 2) for q in signs]

    u_terms = wave(0.11, omega, 1, 0, 0, 0.4)
    m_terms = wave(0.5, 1.3 * omega, 1, 0, 0, 1.1)
    if dim > 1:
        u_terms += wave(0.07, 0.8 * omega, 0, 1, 0, 0.9) + wave(0.03, omega, 1, 1, 0, 0.2)
        m_terms += wave(0.35, 0.7 * omega, 1, -1, 0, 0.1)
    if dim > 2:
        u_terms += wave(0.05, 1.2 * omega, 0, 0, 1, 1.7)
        m_terms += wave(0.3, 0.9 * omega, 0, 1, 1, 0.6)
    u, m = Wave(0.2, u_terms, slope), Wave(low, m_terms)
    axes = range(dim)

    def one(d):
        return tuple(int(e == d) for e in range(3))

    def two(d, e):
        return tuple(int(c == d) + int(c == e) for c in range(3))

    p = [u.text(order=one(d)) for d in axes]
    dm = [m.text(order=one(d)) for d in axes]
    square = "(" + " + ".join(f"{q}^2" for q in p) + ")"
    lap_u = "(" + " + ".join(u.text(order=two(d, d)) for d in axes) + ")"
    lap_m = "(" + " + ".join(m.text(order=two(d, d)) for d in axes) + ")"
    slope = "(" + " + ".join(f"{a}*{b}" for a, b in zip(dm, p)) + ")"
    if gamma is None:
        hamiltonian, H = f"hamiltonian: quadratic\n  control_cost: {lam}", f"{square}/(2*{lam})"
        transport = f"({slope} + {m.text()}*{lap_u})/{lam}"
    else:
        bend = "(" + " + ".join(f"{p[d]}*{p[e]}*{u.text(order=two(d, e))}" for d, e in itertools.product(axes, axes)) + ")"
        hamiltonian, H = f"hamiltonian: power\n  exponent: {gamma}", f"{square}^({gamma}/2)/{gamma}"
        transport = f"{square}^({gamma}/2-1)*({slope} + {m.text()}*{lap_u}) + {gamma - 2}*{square}^({gamma}/2-2)*{m.text()}*{bend}"
    strength = nu if coupling is None else coupling
    cost = (f"{strength}*(log(m) - log({m.text()}))" if strength else "0") + f" - {u.text(time=1)} - {nu}*{lap_u} + {H}"
    source = f"{m.text(time=1)} - {nu}*{lap_m} - ({transport})"
    
    def fix(formula, t):
        return f"({formula})".replace("*t+", f"*({t!r})+")

    given = f'  boundary_u: "{u.text()}"\n  boundary_m: "{m.text()}"\n' if boundary == "given" else ""
    return f"""model: mfg
grid: {{dim: {dim}, lower: "{','.join(['0'] * dim)}", upper: "{','.join(map(repr, extent[:dim]))}", boundary: {boundary}}}
time: {{end: {end}}}
mfg:
  sigma: {math.sqrt(2 * nu)!r}
  {hamiltonian}
  running_cost: "{cost}"
  terminal_cost: "{fix(u.text(), end)}"
  initial_density: "{fix(m.text(), 0.0)}"
  normalise: false
  density_source: "{source}"
  exact_u: "{u.text()}"
  exact_m: "{m.text()}"
{given}  scheme: weno
  coupling: picard
  tolerance: 1e-13
output: {{count: 1}}
"""


def errors(text, folder, cells, steps, **keys):
    """Rows u L2, u Linf, m L1, m Linf; a column a grid."""
    table = []
    for c, n in zip(cells, steps):
        r = results(text, folder / f"{c}_{n}".replace(",", "_"), grid_cells=c, time_steps=n, **keys)
        table.append([r["error_u_l2"], r["error_u_linf"], r["error_m_l1"], r["error_m_linf"]])
    return np.array(table).T


def orders(table, refinement=2):
    """Between the two finest grids."""
    return np.log(table[:, -2] / table[:, -1]) / math.log(refinement)


EXTENT = [1.0, 1.3, 0.9]


# Levels grow with cells^(5/3), so that errors in time, O(dt^3), fall as fast as those in space. 0.2 is left for the finest pair
# not being the limit.
@pytest.mark.parametrize("weights", ["js", "z", "m"])
def test_order_five_in_1d(weights, tmp_path):
    text = manufactured(1, None, 1e-3, 0.2, EXTENT)
    assert orders(errors(text, tmp_path, [40, 80], [12, 40], mfg_weights=weights)).min() > 4.8


def test_order_five_in_2d(tmp_path):
    text = manufactured(2, None, 2e-3, 0.1, EXTENT, lam=1.5)
    assert orders(errors(text, tmp_path, ["32,40", "64,80"], [9, 30])).min() > 4.8


def test_order_five_in_3d(tmp_path):
    text = manufactured(3, None, 2e-3, 0.1, EXTENT)
    assert orders(errors(text, tmp_path, ["12,15,9", "24,30,18"], [3, 9]))[:3].min() > 4.8


@pytest.mark.long
def test_order_five_in_3d_pointwise(tmp_path):
    text = manufactured(3, None, 2e-3, 0.1, EXTENT)
    assert orders(errors(text, tmp_path, ["24,30,18", "48,60,36"], [9, 30])).min() > 4.8


@pytest.mark.parametrize("order", [4, 6])
def test_order_of_the_diffusion(order, tmp_path):
    """With much noise the diffusion's order shows: 4, or 5 where the rest limits it."""
    text = manufactured(1, None, 0.2, 0.1, EXTENT)
    measured = orders(errors(text, tmp_path, [32, 64], [20, 63], mfg_diffusion_order=order))[[0, 1]]
    assert measured.min() > min(order, 5) - 0.2
    if order == 4:
        assert measured.max() < 4.5


def test_order_three_in_time(tmp_path):
    """Data that change fast in time, on a grid fine enough that errors in space do not show; one substep a level."""
    text = manufactured(1, None, 0.01, 0.1, EXTENT, omega=40)
    table = errors(text, tmp_path, [80, 80, 80], [40, 80, 160])
    assert orders(table[:, :2])[[0, 2]].min() > 2.8
    assert orders(table)[[2, 3]].min() > 2.8


def test_order_five_between_reflecting_walls(tmp_path):
    text = manufactured(2, None, 5e-3, 0.1, EXTENT, boundary="reflecting")
    assert orders(errors(text, tmp_path, ["20,25", "40,50"], [12, 40])).min() > 4.8


@pytest.mark.parametrize("gamma", [1.5, 3])
def test_power_hamiltonian_and_given_boundaries(gamma, tmp_path):
    """A slope keeps the gradient away from zero, where |p|^gamma is not smooth. Boundary values change in time; the stages of the
    Runge-Kutta method see them so that the order holds up to the boundary."""
    text = manufactured(2, gamma, 5e-3, 0.1, EXTENT, slope=1.2, boundary="given")
    assert orders(errors(text, tmp_path, ["24,30", "48,60"], [9, 30]))[:3].min() > 4.8


def test_power_two_is_quadratic(tmp_path):
    quadratic = results(manufactured(1, None, 5e-3, 0.1, EXTENT), tmp_path / "a", grid_cells=40, time_steps=12)
    power = results(manufactured(1, 2, 5e-3, 0.1, EXTENT), tmp_path / "b", grid_cells=40, time_steps=12)
    for key in ("error_u_l2", "error_m_l1"):
        assert power[key] == pytest.approx(quadratic[key], rel=1e-6)


@pytest.mark.parametrize("case", ["lq", "lq2d", "lq_log"])
def test_exact_linear_quadratic_games(case, tmp_path):
    """Order five as the levels grow with cells^(5/3), down to 1e-7, what the Gaussians' normalisation within the box changes."""
    cells = {"lq": ["50", "100"], "lq2d": ["40,36", "80,72"], "lq_log": ["50", "100"]}[case]
    table = errors(INPUTS / f"{case}.yaml", tmp_path, cells, [20, 63], mfg_scheme="weno", mfg_tolerance=1e-10)
    for row, order in zip(table, orders(table)):
        assert order > 4.5 or row[-1] < 1e-7


def test_order_three_in_time_at_given_boundaries(tmp_path):
    """u is quadratic in x, so its error is one of time alone; little noise leaves the substeps to the levels."""
    u = "tanh(1-t)*x^2/2 + 0.005*log(cosh(1-t))"
    keys = dict(mfg_scheme="weno", mfg_sigma=0.1, mfg_boundary_u=u, mfg_exact_u=u)
    table = errors(INPUTS / "lq.yaml", tmp_path, [50, 50], [40, 80], **keys)
    assert orders(table)[:2].min() > 2.8


def interpolated(x, v, at):
    """Quintic interpolation between cell centres."""
    near = np.argsort(abs(x - at))[:6]
    return np.polyfit(x[near] - at, v[near], 5)[-1]


def test_known_figures_of_a_gathering_crowd(tmp_path):
    r = run(INPUTS / "reference1d.yaml", tmp_path, mfg_scheme="weno", grid_cells=100, time_steps=50)
    x, u, m = grid(r), field(r, "u", 0), field(r, "m")
    assert abs(interpolated(x, u, 0.4) - 0.6613) < 0.0006
    assert abs(interpolated(x, u, 0.5) - 0.7055) < 0.001
    assert abs(interpolated(x, m, 0.4) - 1.4232) < 0.002
    assert abs(interpolated(x, m, 0.5) - 1.4888) < 0.002


def test_known_figures_of_the_towel(tmp_path):
    """An odd number of cells, so that the kink of |x - 5| lies on a centre."""
    r = run(INPUTS / "towel.yaml", tmp_path, mfg_scheme="weno", grid_cells=301, time_steps=150, mfg_tolerance=1e-6)
    x, m = grid(r), field(r, "m")
    assert abs(m[np.argmin(abs(x - 5))] - 0.4328) < 0.0012
    assert abs(np.interp(4, x, m) - 0.1854) < 0.0005


ROOM = """model: mfg
grid: {cells: "47,39", lower: "0,0", upper: "4.7,3.7", boundary: "reflecting,exit,periodic,periodic"}
time: {end: 3, steps: 20}
mfg:
  sigma: 0.2
  obstacle: "(abs(x-2.03) < 0.03 && abs(y-1.8) > 0.35 || hypot(x-3.2,y-1.2)<0.3) ? 1 : -1"
  running_cost: "0.5 + 0.3*m"
  terminal_cost: "3"
  initial_density: "x < 1.8 ? exp(-3*((x-0.9)^2+(y-2.4)^2)) : 0"
  scheme: weno
  coupling: picard
  damping: 0.2
  tolerance: 2e-2
output: {count: 3}
"""

BLOCK = """model: mfg
grid: {cells: "17,13,14", lower: "0,0,0", upper: "1.7,1.4,1.2", boundary: "reflecting,given,periodic,periodic,exit,symmetry"}
time: {end: 0.5, steps: 6}
mfg:
  sigma: 0.3
  hamiltonian: power
  exponent: 1.5
  obstacle: "0.25 - hypot(x-0.8, y-0.7, z-0.5)"
  running_cost: "1 + 0.2*m"
  terminal_cost: "x+0.3*z"
  initial_density: "1 + 0.5*cos(pi*x)"
  boundary_u: "x+0.3*z"
  boundary_m: "0.2"
  scheme: weno
  coupling: picard
  damping: 0.7
  tolerance: 1e-2
output: {count: 2}
"""


@pytest.mark.parametrize("text", [ROOM, BLOCK], ids=["2d", "3d"])
def test_mass_positivity_and_the_same_bits_on_any_number_of_ranks(text, tmp_path):
    runs = [run(text, tmp_path / str(n), ranks=n) for n in (1, 2, 3, 4)]
    first = runs[0].summary()["results"]
    assert first["mass_error_max"] < 1e-13
    assert first["density_min"] >= 0 and first["clipped"] == 0
    assert first["limited_stages"] > 0 or text is BLOCK
    assert first["exited_mass"] > 0.01
    for r in runs[1:]:
        assert r.history() == runs[0].history()
        for index in range(len(r.fields())):
            for name in ("u", "m", "drift_x", "drift_y"):
                assert np.array_equal(field(r, name, index), field(runs[0], name, index)), (name, index)


def test_nothing_leaks_through_a_wall_of_one_cell(tmp_path):
    text = ROOM.replace("reflecting,exit,periodic,periodic", "reflecting").replace("hypot(x-3.2,y-1.2)<0.3", "abs(x-2.03) < 0.06")
    r = run(text, tmp_path)
    m, x = field(r, "m"), grid(r)
    assert m[:, x > 2.03].max() == 0
    assert abs(m.sum() * 0.1 * 3.7 / 39 - 1) < 1e-13


def test_the_limiter_leaves_smooth_positive_densities_alone(tmp_path):
    """Two rooms without a door. An edge of the density in the right one makes the limiter run; in the left one, whose density is
    smooth and positive, the result is the same to rounding as when nothing is limited."""
    text = """model: mfg
grid: {{cells: "81", lower: "0", upper: "2.025", boundary: reflecting}}
time: {{end: 0.2, steps: 40}}
mfg:
  sigma: 0.1
  obstacle: "abs(x-1.0125) < 0.01 ? 1 : -1"
  running_cost: "0"
  terminal_cost: "0.2*cos(2*pi*x)"
  initial_density: "x < 1 ? 1 + 0.8*cos(3*pi*x) : {right}"
  normalise: false
  scheme: weno
  coupling: picard
"""
    edge = run(text.format(right="x < 1.5 ? 1 : 0"), tmp_path / "edge")
    even = run(text.format(right="1"), tmp_path / "even")
    assert edge.summary()["results"]["limited_stages"] > 0
    assert even.summary()["results"]["limited_stages"] == 0
    left = grid(edge) < 1
    a, b = field(edge, "m"), field(even, "m")
    assert np.abs(a[left] - b[left]).max() < 1e-13 * b.max()
    assert edge.summary()["results"]["density_min"] >= 0


def test_agrees_with_the_upwind_scheme_as_the_grid_is_refined(tmp_path):
    """Leaving a corridor on the left; upwind is of first order, weno's error is below it: the difference tends to half
    as h is halved."""
    text = """model: mfg
grid: {lower: "0", upper: "2", boundary: "exit,reflecting"}
time: {end: 1}
mfg:
  sigma: 0.4
  running_cost: "0.5 + 0.5*m"
  terminal_cost: "0.5*x"
  initial_density: "exp(-8*(x-1.2)^2)"
  coupling: anderson
  tolerance: 1e-7
"""
    gaps = []
    for n in (50, 100, 200):
        exited = [results(text, tmp_path / f"{s}{n}", grid_cells=n, time_steps=2 * n, mfg_scheme=s)["exited_mass"] for s in ("weno", "upwind")]
        gaps.append(abs(exited[0] - exited[1]))
    assert gaps[0] / gaps[1] > 1.5 and gaps[1] / gaps[2] > 1.7, gaps


def test_value_is_the_walking_distance(tmp_path):
    """Error of first order in h: halving h halves it, up to the noise of sigma."""
    error = [
        results(INPUTS / "distance.yaml", tmp_path / c, mfg_scheme="weno", grid_cells=c, time_steps=100)["error_u_linf"]
        for c in ("40,20", "80,40")
    ]
    assert error[1] < 3 * 2 / 80 and error[0] / error[1] > 1.5


def test_few_levels_with_many_substeps(tmp_path):
    """One to three levels: interpolation of lower degree, substeps from the speeds that arise."""
    for steps in (1, 2, 3):
        r = results(INPUTS / "distance.yaml", tmp_path / str(steps), mfg_scheme="weno", grid_cells="40,20", time_steps=steps)
        assert r["mass_error_max"] < 1e-13 and r["density_min"] >= 0


def test_restart_continues_with_the_same_bits(tmp_path):
    whole = run(ROOM, tmp_path / "whole", output_checkpoint_interval=4, output_keep=0)
    rest = run(ROOM, tmp_path / "rest", ranks=2, restart=whole.dir / "checkpoint_000004.h5")
    assert rest.history()[1][-1] == whole.history()[1][-1]
    for name in ("u", "m"):
        assert np.array_equal(field(rest, name), field(whole, name))


def test_a_cost_that_is_not_a_number_is_told(tmp_path):
    r = helpers.run(2, ROOM, "-run_dir", "out", "-mfg_running_cost", "sqrt(t-1)+m", cwd=tmp_path)
    assert r.code == 3 and "running cost is not a number" in r.err
