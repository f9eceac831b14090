"""Scheme `weno` of the model `mfg`: orders of convergence, exact cases, conservation, positivity, independence of the ranks."""
import itertools
import json
import math
import os
import pathlib
import subprocess

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXE = os.environ.get("HALOCLINE", str(ROOT / "bin" / "halocline"))
ENV = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", OMPI_MCA_mpi_yield_when_idle="1", OMP_NUM_THREADS="1")


def command(text_or_file, folder, ranks=1, **keys):
    """Command line of a run of an input (its text, or a file of the repository) with more keys, into a directory of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    source = text_or_file
    if "\n" in str(text_or_file):
        source = folder / "input.yaml"
        source.write_text(text_or_file)
    words = ["mpirun", "-q", "-n", str(ranks), "--oversubscribe"] if ranks > 1 else []
    words += [EXE, str(source), "-run_dir", str(folder / "out")]
    for key, value in keys.items():
        words += [f"-{key}", str(value)]
    return words


def run(text_or_file, folder, ranks=1, code=0, **keys):
    """Run and return the results of summary.json."""
    done = subprocess.run(command(text_or_file, folder, ranks, **keys), env=ENV, capture_output=True, text=True, timeout=600)
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads((folder / "out" / "summary.json").read_text())["results"]


def field(folder, name, index=-1):
    import h5py

    file = sorted((folder / "out").glob("fields_*.h5"))[index]
    with h5py.File(file) as f:
        return f["fields/" + name][...]


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


def manufactured(dim, gamma, nu, end, extent, omega=1.0, lam=1.0, low=2.0, slope=0.0):
    """Input of a periodic game (with slope: of one with given boundaries) whose exact solution is two sums of waves; H = |p|^2/(2 lam) if gamma is None, else |p|^gamma/gamma. The
    running cost contains nu log m, so that the equations are coupled both ways, and Picard iterations converge."""
    K = [2 * math.pi / extent[d] if d < dim else 0.0 for d in range(3)]

    def wave(a, b, c):
        return tuple(float(n) * k for n, k in zip((a, b, c), K))

    u_terms = [(0.11, omega, wave(1, 0, 0), 0.4)]
    m_terms = [(0.5, 1.3 * omega, wave(1, 0, 0), 1.1)]
    if dim > 1:
        u_terms += [(0.07, 0.8 * omega, wave(0, 1, 0), 0.9), (0.03, omega, wave(1, 1, 0), 0.2)]
        m_terms += [(0.35, 0.7 * omega, wave(1, -1, 0), 0.1)]
    if dim > 2:
        u_terms += [(0.05, 1.2 * omega, wave(0, 0, 1), 1.7)]
        m_terms += [(0.3, 0.9 * omega, wave(0, 1, 1), 0.6)]
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
    cost = f"{nu}*(log(m) - log({m.text()})) - {u.text(time=1)} - {nu}*{lap_u} + {H}"
    source = f"{m.text(time=1)} - {nu}*{lap_m} - ({transport})"
    fix = lambda formula, t: f"({formula})".replace("*t+", f"*({t!r})+")
    given = f'  boundary_u: "{u.text()}"\n  boundary_m: "{m.text()}"\n' if slope else ""
    return f"""model: mfg
grid: {{dim: {dim}, lower: "{','.join(['0'] * dim)}", upper: "{','.join(map(repr, extent[:dim]))}", boundary: {'given' if slope else 'periodic'}}}
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


def orders(errors, cells):
    return [math.log(a / b) / math.log(d / c) for a, b, c, d in zip(errors, errors[1:], cells, cells[1:])]


def errors_of(text, folder, cells, steps, **keys):
    out = []
    for c, s in zip(cells, steps):
        name = f"{c}_{s}".replace(",", "_")
        r = run(text, folder / name, grid_cells=c, time_steps=s, **keys)
        out.append([r["error_u_l2"], r["error_u_linf"], r["error_m_l1"], r["error_m_linf"]])
    return np.array(out).T
