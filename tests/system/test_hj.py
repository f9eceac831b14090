"""Hamilton-Jacobi equations: orders of convergence, viscosity solutions, boundaries, viscosity, ranks, restarts."""
import math

import h5py
import numpy as np
import pytest

from helpers import run

SMOOTH = 0.5 / math.pi**2  # before any kink of cases 1 to 3
KINKED = 1.5 / math.pi**2


def solve(tmp_path, ranks=1, problem=None, **keys):
    keys.setdefault("run_dir", f"r{len(list(tmp_path.iterdir()))}")
    text = "model: hj\n" + (f"problem: {problem}\n" if problem else "") + "run: {progress: 'off'}\n"
    args = [word for key, value in keys.items() for word in (f"-{key}", value)]
    r = run(ranks, text, *args, cwd=tmp_path, timeout=900)
    assert r.code == 0, r.err
    return r


def final(r):
    """The last phi and its cell centres."""
    with h5py.File(r.fields()[-1]) as f:
        return f["fields/phi"][...], [f[f"grid/{c}"][...] for c in "xyz" if c in f["grid"]]


def cells(n, ratios):
    return ",".join(str(round(n * q)) for q in ratios)


def time_steps(n):
    """Steps whose error of order 4 falls faster than h^5."""
    return max(6, int(2 * (n / 20) ** 1.26))


def order(tmp_path, coarse, fine, ratios, more=1, **keys):
    keys["time_scheme"] = "ssprk54"
    e = [
        solve(tmp_path, grid_cells=cells(n, ratios), time_steps=more * time_steps(n), **keys).summary()["results"]["error_l1"]
        for n in (coarse, fine)
    ]
    return math.log(e[0] / e[1]) / math.log(fine / coarse)


WEIGHTS = ["js", "z", "m"]


@pytest.mark.parametrize("weights", WEIGHTS)
def test_order_in_1d(tmp_path, weights):
    assert order(tmp_path, 160, 320, [1], problem="burgers1d", time_end=SMOOTH, hj_weights=weights) >= 4.8


# the classical weights lose more than the others where the second derivative vanishes and need finer grids
@pytest.mark.parametrize("weights,coarse", [("js", 160), ("z", 80), ("m", 80)])
def test_order_in_2d(tmp_path, weights, coarse):
    assert order(tmp_path, coarse, 2 * coarse, [1, 1.25], problem="burgers2d", time_end=SMOOTH, hj_weights=weights) >= 4.8


LONG = pytest.mark.long


@pytest.mark.parametrize("weights,coarse", [("z", 64), pytest.param("m", 80, marks=LONG), pytest.param("js", 120, marks=LONG)])
def test_order_in_3d(tmp_path, weights, coarse):
    keys = dict(problem="burgers3d", time_end=SMOOTH, hj_weights=weights, ranks=2)
    assert order(tmp_path, coarse, 2 * coarse, [1, 0.9, 1.1], **keys) >= 4.8


FORMULAS = [
    ([1], 160, "-cos(px+1) + 0.1*px^3/(1+px^2)", "-cos(pi*x)/3", 0.05),
    ([1, 1.25], 80, "sqrt(1+px^2+2*py^2) + sin(px-py)/3 + px*py/5", "0.1*sin(pi*x+0.5)*cos(pi*y) + 0.1*cos(pi*(x+y))", 0.05),
    ([1, 1.25, 1.125], 32, "sqrt(1+px^2+2*py^2+pz^2) + sin(px-py+pz)/3", "0.1*sin(pi*x+0.5)*cos(pi*y) + 0.1*cos(pi*(x+z))", 0.1),
]


@pytest.mark.parametrize("ratios,coarse,hamiltonian,initial,end", FORMULAS)
def test_order_of_any_formula(tmp_path, ratios, coarse, hamiltonian, initial, end):
    keys = dict(hj_hamiltonian=hamiltonian, hj_initial=initial, hj_exact="characteristics", hj_weights="z", time_end=end)
    keys.update(grid_lower=-1, grid_boundary="periodic", ranks=len(ratios) // 2 + 1)
    assert order(tmp_path, coarse, 2 * coarse, ratios, **keys) >= 4.8


def test_built_in_and_formula_agree(tmp_path):
    a, _ = final(solve(tmp_path, problem="burgers2d", grid_cells="30,24"))
    b, _ = final(solve(tmp_path, problem="burgers2d", grid_cells="30,24", hj_hamiltonian="(px+py+1)^2/2", hj_exact="none"))
    assert np.abs(a - b).max() < 1e-12


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("flux", ["local_lax_friedrichs", "global_lax_friedrichs", "godunov"])
def test_kink_without_overshoot(tmp_path, weights, flux):
    n, t = 160, KINKED
    phi, (x,) = final(solve(tmp_path, problem="burgers1d", grid_cells=n, hj_weights=weights, hj_flux=flux))
    a = np.linspace(-6, 8, 4001)
    exact = (-np.cos(np.pi * (x[:, None] - t * a)) + t * (a * a / 2 - a)).min(axis=1)
    h = x[1] - x[0]
    p, q = (np.diff(v, append=v[0]) / h for v in (phi, exact))
    jump = q.max() - q.min()
    assert p.max() - q.max() < 1e-3 * jump and q.min() - p.min() < 1e-3 * jump
    # away from the kink the scheme keeps its order: errors of the order of h^5
    away = np.abs(np.arange(n) - exact.argmax()) > 12
    assert np.abs(phi - exact)[away].max() < 1e-5


def test_characteristics_that_have_met_are_no_reference(tmp_path):
    r = solve(tmp_path, problem="burgers1d", grid_cells=80, hj_exact="characteristics")
    assert r.summary()["results"]["error_l1"] is None and "characteristics have met" in r.err


def godunov_1d(hamiltonian, initial, n, t):
    """A monotone scheme of first order for -cos(p+1) with the exact extrema over [p-, p+]: independent of the program."""
    h = 2 / n
    phi = initial(-1 + (np.arange(n) + 0.5) * h)
    steps = math.ceil(t / (0.8 * h))
    extrema = np.pi * np.arange(-5, 6) - 1  # where sin(p+1) = 0
    for _ in range(steps):
        m, p = (phi - np.roll(phi, 1)) / h, (np.roll(phi, -1) - phi) / h
        lo, hi = np.minimum(m, p), np.maximum(m, p)
        v = np.stack([m, p] + [np.clip(e, lo, hi) for e in extrema])
        v = hamiltonian(v)
        phi = phi - t / steps * np.where(m <= p, v.min(axis=0), v.max(axis=0))
    return phi


def test_nonconvex_after_the_kink(tmp_path):
    def H(p):
        return -np.cos(p + 1)

    def start(x):
        return -np.cos(np.pi * x)

    coarse, fine = (godunov_1d(H, start, n, KINKED) for n in (1600, 3200))
    fine = fine.reshape(1600, 2).mean(axis=1)
    guess = np.abs(fine - coarse).mean()  # of first order: the finer one's own error
    reference = fine.reshape(160, 10)[:, 4:6].mean(axis=1)
    for flux in ("local_lax_friedrichs", "global_lax_friedrichs"):
        phi, _ = final(solve(tmp_path, problem="nonconvex1d", grid_cells=160, hj_flux=flux))
        assert np.abs(phi - reference).mean() < 2 * guess + 0.1 * (2 / 160) ** 1


def test_riemann_problem_lies_between_its_bounds(tmp_path):
    """Bardi & Osher, SIAM J. Math. Anal. 22 (1991) 344: for data convex in y and concave in x, the viscosity solution lies
    between max_q min_p and min_p max_q of p x + q y - t H(p,q)."""
    n, t = 80, 1.0
    phi, (x, y) = final(solve(tmp_path, problem="riemann2d", grid_cells=f"{n},{n}"))
    s = np.linspace(-np.pi, np.pi, 161)
    P, Q = np.meshgrid(s, s, indexing="ij")
    outside = 0
    tight = []
    for j in range(0, n, 5):
        for i in range(0, n, 5):
            F = P * x[i] + Q * y[j] - t * np.sin(P + Q)
            low, high = F.min(axis=0).max(), F.max(axis=1).min()
            outside = max(outside, low - phi[j, i], phi[j, i] - high)
            if high - low < 1e-3:
                tight.append(abs(phi[j, i] - low))
    # the kinks of the data are known to half a cell in each direction: pi h in phi
    assert outside < np.pi * 2 / n
    assert len(tight) > 100 and max(tight) < np.pi * 2 / n


def control_reference(n, t):
    """Upwind differences of first order for case 5; H is a sum of convex functions of single derivatives."""
    h = 2 * np.pi / n
    s = -np.pi + (np.arange(n) + 0.5) * h
    X, Y = np.meshgrid(s, s)
    phi = np.zeros((n, n))
    steps = math.ceil(t / (0.8 * h / 3))
    a, c = np.sin(Y), np.sin(X)
    source = np.sin(Y) ** 2 / 2 + 1 - np.cos(X)
    for _ in range(steps):
        xm, xp = (phi - np.roll(phi, 1, 1)) / h, (np.roll(phi, -1, 1) - phi) / h
        ym, yp = (phi - np.roll(phi, 1, 0)) / h, (np.roll(phi, -1, 0) - phi) / h
        convex = [c * q + abs(q) for q in (np.maximum(ym, 0), np.minimum(yp, 0))]  # minimum of c q + |q| at q = 0
        phi = phi - t / steps * (np.where(a > 0, a * xm, a * xp) + np.maximum(*convex) - source)
    return phi


@pytest.mark.parametrize("flux", ["local_lax_friedrichs", "global_lax_friedrichs", "godunov"])
def test_control_problem(tmp_path, flux):
    coarse, fine = control_reference(160, 1), control_reference(320, 1)
    fine = fine.reshape(160, 2, 160, 2).mean(axis=(1, 3))
    guess = np.abs(fine - coarse).mean()
    better = 2 * fine - coarse  # Richardson for order 1
    phi, _ = final(solve(tmp_path, problem="control2d", grid_cells="80,80", hj_flux=flux))
    better = better.reshape(80, 2, 80, 2).mean(axis=(1, 3))
    assert np.abs(phi - better).mean() < guess


def test_eikonal_fronts(tmp_path):
    """First order at kinks: the error falls with h in 2D and in 3D, for every flux."""
    for problem, ratios, coarse, flux in [
        ("eikonal2d", [1.2, 1], 40, "local_lax_friedrichs"),
        ("eikonal2d", [1.2, 1], 40, "global_lax_friedrichs"),
        ("eikonal2d", [1.2, 1], 40, "godunov"),
        ("eikonal3d", [1.2, 1, 0.9], 24, "local_lax_friedrichs"),
    ]:
        e = [
            solve(tmp_path, problem=problem, grid_cells=cells(n, ratios), hj_flux=flux).summary()["results"]["error_l1"]
            for n in (coarse, 2 * coarse)
        ]
        assert math.log2(e[0] / e[1]) > 0.9, (problem, flux)


def test_monotone_scheme_makes_no_new_minimum(tmp_path):
    r = solve(tmp_path, problem="eikonal2d", grid_cells="60,50", hj_flux="godunov", hj_scheme="upwind1", time_end=1)
    assert min(row[r.history()[0].index("min")] for row in r.history()[1]) >= r.history()[1][0][3] - 1e-14


def test_front_with_a_speed_of_either_sign(tmp_path):
    """F = -1 turns the front around: -phi solves the problem of F = 1 from -phi0."""
    keys = dict(hj_hamiltonian="eikonal", grid_cells="40,30", grid_boundary="reflecting", time_end=0.2)
    for flux in ("godunov", "local_lax_friedrichs"):
        a, _ = final(solve(tmp_path, hj_initial="hypot(x-0.5,y-0.4)-0.2", hj_flux=flux, **keys))
        b, _ = final(solve(tmp_path, hj_initial="0.2-hypot(x-0.5,y-0.4)", hj_speed="-1", hj_flux=flux, **keys))
        assert np.abs(a + b).max() < 1e-12


def test_outflow_keeps_the_order(tmp_path):
    keys = dict(hj_hamiltonian="quadratic", hj_initial="x^2+0.3*cos(2*x+0.3)", hj_exact="characteristics", time_end=0.3)
    keys.update(grid_lower=-1, grid_boundary="outflow", hj_weights="z")
    assert order(tmp_path, 40, 80, [1], more=8, **keys) >= 4.8


def test_waves_that_enter_through_outflow_faces_stay_bounded(tmp_path):
    keys = dict(hj_hamiltonian="quadratic", hj_initial="cos(3*x+1)*sin(2*y)", grid_cells="50,40", grid_lower=-1, grid_boundary="outflow")
    results = solve(tmp_path, time_end=1, **keys).summary()["results"]
    # linear extrapolation brings in no slope steeper than those at the faces: |grad phi| <= 3.7, phi_t >= -3.7^2/2
    assert results["min"] > -1 - 3.7**2 / 2 and results["max"] <= 1


def test_mirror_faces_are_half_of_a_symmetric_domain(tmp_path):
    keys = dict(hj_hamiltonian="quadratic", hj_initial="cos(pi*x)*(1+0.3*cos(pi*y))", time_end=0.3)
    whole, _ = final(solve(tmp_path, grid_cells="48,20", grid_lower="-1,0", grid_boundary="periodic,periodic,reflecting,symmetry", **keys))
    half, _ = final(solve(tmp_path, grid_cells="24,20", grid_boundary="symmetry,reflecting,symmetry,reflecting", **keys))
    assert np.abs(whole[:, 24:] - half).max() < 1e-12


@pytest.mark.parametrize("scheme", ["ssprk54", "imex"])
def test_viscous_solution_with_given_boundaries(tmp_path, scheme):
    keys = dict(problem="viscous2d", grid_lower="0.3,0.2", grid_upper="3.1,2.7", grid_boundary="given", time_end=0.3, time_scheme=scheme, hj_weights="z")
    e = [solve(tmp_path, grid_cells=f"{n},{n * 5 // 4}", **keys).summary()["results"]["error_l1"] for n in (16, 32)]
    assert math.log2(e[0] / e[1]) > 4  # boundary values at the stages' times cost part of the fifth order


VISCOUS = [
    ("-0.4*log(2+exp(-0.2*t)*sin(x))", [1], 32),
    ("-0.4*log(3+exp(-0.4*t)*cos(x-y)+exp(-t)*sin(2*y+x))", [1, 1.25], 48),
    ("-0.4*log(3+exp(-0.4*t)*sin(x-y)+exp(-0.4*t)*cos(z+y))", [1, 1.25, 0.75], 24),
]


@pytest.mark.parametrize("exact,ratios,coarse", VISCOUS)
def test_explicit_viscosity(tmp_path, exact, ratios, coarse):
    keys = dict(hj_hamiltonian="quadratic", hj_viscosity=0.2, hj_exact=exact, hj_initial=exact.replace("*t", "*0"), hj_weights="z", ranks=2)
    keys.update(grid_upper="2*pi", grid_boundary="periodic", time_end=0.5, time_scheme="ssprk54", time_cfl=0.5)
    e = [solve(tmp_path, grid_cells=cells(n, ratios), **keys).summary()["results"]["error_l1"] for n in (coarse, 2 * coarse)]
    assert math.log2(e[0] / e[1]) > 4.4  # dt falls with h from the Hamiltonian's limit to h^2 of the diffusion limit


def test_implicit_viscosity_has_order_three_in_time(tmp_path):
    w = "-2*log(3 + exp(-2*{0})*cos(x-y) + exp(-5*{0})*sin(2*y+x))"
    keys = dict(problem="viscous2d", grid_cells="64,60", hj_weights="z", hj_viscosity=1, hj_exact=w.format("t"), hj_initial=w.format("0"), ranks=2)
    e = {n: solve(tmp_path, time_scheme="imex", time_steps=n, **keys).summary()["results"]["error_l1"] for n in (10, 20)}
    assert math.log2(e[10] / e[20]) > 2.7
    explicit = solve(tmp_path, time_scheme="ssprk3", **keys).summary()
    assert explicit["steps"] > 400 and explicit["results"]["error_l1"] < e[20]


def test_first_step_from_a_flat_state(tmp_path):
    """All speeds are 0 at first: the step is limited by the speeds it creates."""
    keys = dict(hj_hamiltonian="px^2/2 - 20*cos(x)", hj_initial="0", grid_cells=60, grid_upper="2*pi", grid_boundary="periodic", time_end=0.3)
    a, _ = final(solve(tmp_path, **keys))
    b, _ = final(solve(tmp_path, time_steps=2000, **keys))
    assert np.abs(a - b).max() < 1e-3


CASES = [
    dict(problem="burgers1d", grid_cells="77", time_scheme="ssprk54"),
    dict(problem="burgers3d", grid_cells="21,17,19", hj_weights="m"),
    dict(problem="control2d", grid_cells="37,29", hj_flux="global_lax_friedrichs"),
    dict(problem="eikonal3d", grid_cells="26,21,20", hj_flux="godunov", hj_speed="1+0.3*sin(x+2*y)", hj_exact="none", hj_viscosity=0.01),
    dict(
        grid_cells="300,23",
        grid_lower=-1,
        grid_boundary="outflow,given,reflecting,symmetry",
        hj_boundary="x+t*y",
        hj_hamiltonian="sqrt(px^2+2*py^2+0.1)*(2+sin(x*y+t))+cos(px-y)",
        hj_initial="sin(3*x)*y",
        time_end=0.2,
    ),
]


@pytest.mark.parametrize("case", CASES)
def test_same_bits_on_any_number_of_ranks(tmp_path, case):
    runs = [solve(tmp_path, ranks, **case) for ranks in (1, 2, 3, 4)]
    phi = [final(r)[0] for r in runs]
    text = [(r.dir / "history.csv").read_text() for r in runs]
    assert all(np.array_equal(phi[0], p) for p in phi[1:])
    assert all(t == text[0] for t in text[1:])
    assert all(r.summary()["results"] == runs[0].summary()["results"] for r in runs[1:])


def test_same_bits_over_a_restart_on_other_ranks(tmp_path):
    case = CASES[4] | dict(output_checkpoint_interval="7 steps", output_keep=0, output_count=3)
    whole = solve(tmp_path, 2, **case)
    checkpoint = whole.checkpoints()[1]
    again = solve(tmp_path, 3, restart=checkpoint, run_dir="again", **case)
    assert np.array_equal(final(whole)[0], final(again)[0])
    assert whole.history()[1][-1] == again.history()[1][-1]


@pytest.mark.parametrize(
    "keys,words",
    [
        (dict(problem="burgers2d", hj_flux="godunov"), ["hj_flux", "neither a sum of convex functions"]),
        (dict(problem="nonconvex1d", hj_flux="godunov"), ["hj_flux", "convex"]),
        (dict(problem="burgers2d", hj_flux="godunov", hj_hamiltonian="px*py", hj_exact="none"), ["hj_flux", "dH/dpx depends on py"]),
        (dict(problem="burgers1d", hj_flux="godunov", hj_hamiltonian="-abs(px)", hj_exact="none"), ["hj_flux", "convex in px"]),
        (dict(problem="burgers1d", hj_hamiltonian="py^2", hj_exact="none"), ["hj_hamiltonian", "'py'", "1 dimension"]),
        (dict(problem="burgers1d", hj_hamiltonian="px^", hj_exact="none"), ["hj_hamiltonian", "column"]),
        (dict(problem="burgers1d", hj_hamiltonian="riemann2d"), ["hj_hamiltonian", "1 dimension"]),
        (dict(problem="burgers1d", hj_speed="2"), ["hj_speed", "not used"]),
        (dict(problem="burgers1d", time_scheme="imex"), ["time_scheme", "viscosity"]),
        (dict(problem="burgers1d", time_steps=10, time_cfl=0.5), ["time_cfl", "either"]),
        (dict(problem="burgers1d", grid_boundary="given"), ["hj_boundary", "given"]),
        (dict(problem="control2d", hj_exact="hopf_lax"), ["hj_exact", "hopf_lax"]),
        (dict(problem="control2d", hj_exact="characteristics"), ["hj_exact", "characteristics"]),
        (dict(problem="burgers1d", hj_initial="log(x)", hj_exact="none"), ["hj_initial", "finite"]),
        (dict(problem="viscous2d", hj_diffusion_order=3), ["hj_diffusion_order", "2, 4 or 6"]),
    ],
)
def test_wrong_input(tmp_path, keys, words):
    text = "model: hj\nproblem: %s\n" % keys["problem"]
    args = [word for key, value in keys.items() if key != "problem" for word in (f"-{key}", value)]
    r = run(1, text, *args, cwd=tmp_path)
    assert r.code == 2 and len(r.errors) == 1, (r.code, r.err)
    assert all(word in r.errors[0] for word in words), r.errors[0]


def test_godunov_for_formulas(tmp_path):
    """A formula that is found to be convex, or increasing in |p|, gives what the built-in Hamiltonian gives."""
    for problem, formula, size in [("burgers1d", "(px+1)^2/2", "50"), ("eikonal2d", "sqrt(px^2+py^2)", "36,30")]:
        a, _ = final(solve(tmp_path, problem=problem, grid_cells=size, hj_flux="godunov"))
        b, _ = final(solve(tmp_path, problem=problem, grid_cells=size, hj_flux="godunov", hj_hamiltonian=formula, hj_exact="none"))
        assert np.abs(a - b).max() < 1e-10


@pytest.mark.parametrize("flux", ["local_lax_friedrichs", "global_lax_friedrichs"])
def test_memory_is_as_planned(tmp_path, flux):
    s = solve(tmp_path, problem="burgers3d", grid_cells="140,140,140", time_steps=2, time_end=0.01, hj_flux=flux, hj_exact="none").summary()
    assert abs(s["memory_peak_mb_per_rank"] / s["memory_expected_mb_per_rank"] - 1) < 0.1
