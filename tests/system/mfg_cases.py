"""Games with known solutions, and what their tests share: formulas that can be differentiated, runs, fields, orders."""
import math
import re

import h5py
import numpy as np

from helpers import TOP, run


def game(ranks, source, cwd, code=0, timeout=300, **keys):
    """Run an input (text, or name of a file in inputs/mfg) with more keys; `None` is a flag without a value."""
    if "\n" not in source:
        source = TOP / "inputs" / "mfg" / f"{source}.yaml"
    words = [w for key, value in keys.items() for w in ([f"-{key}"] if value is None else [f"-{key}", value])]
    r = run(ranks, source, "-run_dir", cwd / "out", *words, cwd=cwd, timeout=timeout)
    assert r.code == code, r.out + r.err
    r.dir = cwd / "out"
    r.results = r.summary()["results"] if (r.dir / "summary.json").exists() else None
    return r


def field(r, name, index=-1):
    with h5py.File(r.fields()[index]) as f:
        return f["fields/" + name][...]


def axes(r):
    """Cell centres, each shaped so that they broadcast to a field [z][y][x]."""
    with h5py.File(r.fields()[0]) as f:
        x = {a: f["grid/" + a][...] for a in "xyz" if "grid/" + a in f}
    dim = len(x)
    return [x[a].reshape([-1 if e == dim - 1 - d else 1 for e in range(dim)]) for d, a in enumerate("xyz"[:dim])]


def check_conservation(r, exits=0, closed=True):
    """Mass is exact, the density is not negative beyond rounding and nothing was clipped; inside + exited = 1 at every level.
    Rounding: a level's mass is a sum of at most 1e4 products, 1e-12 is far above it and below any leak."""
    s = r.results
    assert s["mass_error_max"] <= 1e-12 and s["clipped"] == 0
    peak = max(float(np.max(field(r, "m", k))) for k in range(len(r.fields())))
    assert s["density_min"] >= -1e-13 * peak
    if closed:
        inside = np.array(s["series_mass"])
        shares = [np.array(s[f"series_exit_{e + 1}"]) for e in range(exits)]
        assert f"series_exit_{exits + 1}" not in s
        assert np.abs(inside + sum(shares) - 1).max() <= 1e-12
        for share in shares:
            assert share[0] == 0 and np.diff(share).min() >= -1e-15
        assert abs(sum(share[-1] for share in shares) - s["exited_mass"]) <= 1e-12


# ---- formulas ------------------------------------------------------------------------------------------------------


class Formula:
    """A formula of x, y, z and t: arithmetic builds it, d() differentiates it, str() is what the program reads."""

    def __init__(self, op, *args):
        self.op, self.args = op, args

    @staticmethod
    def of(v):
        return v if isinstance(v, Formula) else Formula("number", float(v))

    def __add__(self, other):
        other = Formula.of(other)
        if self.is_number(0):
            return other
        return self if other.is_number(0) else Formula("+", self, other)

    def __mul__(self, other):
        other = Formula.of(other)
        if self.is_number(0) or other.is_number(1):
            return self
        if self.op == other.op == "number":
            return Formula.of(self.args[0] * other.args[0])
        if other.op == "number" and self.op == "*" and self.args[1].op == "number":
            return self.args[0] * (self.args[1] * other)
        return other if self.is_number(1) or other.is_number(0) else Formula("*", self, other)

    def __pow__(self, p):
        return self if p == 1 else Formula.of(1) if p == 0 else Formula("^", self, p)

    __radd__, __rmul__ = __add__, __mul__

    def __sub__(self, other):
        return self + Formula.of(other) * -1

    def is_number(self, v):
        return self.op == "number" and self.args[0] == v

    def d(self, name):
        a = self.args
        if self.op == "number":
            return Formula.of(0)
        if self.op == "name":
            return Formula.of(1 if a[0] == name else 0)
        if self.op == "+":
            return a[0].d(name) + a[1].d(name)
        if self.op == "*":
            return a[0].d(name) * a[1] + a[0] * a[1].d(name)
        if self.op == "^":
            return a[0].d(name) * a[0] ** (a[1] - 1) * a[1]
        outer = {"sin": lambda: Formula("cos", a[0]), "cos": lambda: Formula("sin", a[0]) * -1}[self.op]()
        return a[0].d(name) * outer

    def __str__(self):
        a = self.args
        if self.op == "number":
            text = repr(a[0]).removesuffix(".0")
            return f"({text})" if a[0] < 0 else text
        if self.op == "name":
            return a[0]
        if self.op == "^":
            return f"({a[0]}^{a[1]!r})"
        return f"({a[0]}{self.op}{a[1]})" if self.op in "+*" else f"{self.op}({a[0]})"


X = [Formula("name", n) for n in "xyz"]
T = Formula("name", "t")


def sin(a):
    return Formula("sin", Formula.of(a))


def cos(a):
    return Formula("cos", Formula.of(a))


# ---- games -----------------------------------------------------------------------------------------------------------


def manufactured(dim, nu, hamiltonian, boundary="periodic", slope=0.0, coupling=None, end=0.2, part=1):
    """Case c: both equations sourced so that two sums of waves, different in every direction, solve them.

    hamiltonian: ("quadratic", control_cost) or ("power", exponent). The running cost is coupled by `coupling` log m (nu log m
    by default). `slope` adds slope*x to u: with `given` boundaries grad u then keeps away from 0, where |p|^gamma with gamma < 2
    has no smooth H_p."""
    q = [5, 4, 6]  # wave numbers: periods 2 pi/5, 2 pi/4, 2 pi/6
    u = cos(T + 0.3) * sin(X[0] * q[0] + 0.4) * 0.33 + X[0] * slope + 0.2
    m = cos(T * 1.3 + 0.1) * sin(X[0] * q[0] + 1.1) * 0.5 + 2
    if dim > 1:
        u = u + cos(T * 0.8) * sin(X[1] * q[1] + 0.9) * 0.21
        m = m + cos(T * 0.7) * sin(X[0] * q[0] + X[1] * -q[1] + 0.1) * 0.35
    if dim == 2:
        u = u + cos(T) * sin(X[0] * q[0] + X[1] * q[1] + 0.2) * 0.09
    if dim > 2:
        u = u + cos(T * 1.2) * sin(X[2] * q[2] + X[0] * q[0] + 1.7) * 0.15
        m = m + cos(T * 0.9) * sin(X[1] * q[1] + X[2] * q[2] + 0.6) * 0.3
    names = "xyz"[:dim]
    p = [u.d(n) for n in names]
    square = sum((a * a for a in p[1:]), p[0] * p[0])
    kind, number = hamiltonian
    if kind == "quadratic":
        words, H, slope_p = f"control_cost: {number}", square * (0.5 / number), Formula.of(1 / number)
    else:
        words, H, slope_p = f"exponent: {number}", square ** (number / 2) * (1 / number), square ** (number / 2 - 1)
    laplacian = lambda v: sum((v.d(n).d(n) for n in names[1:]), v.d("x").d("x"))
    flow = sum(((m * slope_p * a).d(n) for a, n in zip(p[1:], names[1:])), (m * slope_p * p[0]).d("x"))
    cost = H - u.d("t") - laplacian(u) * nu
    source = m.d("t") - laplacian(m) * nu - flow
    strength = nu if coupling is None else coupling
    given = f'  boundary_u: "{u}"\n  boundary_m: "{m}"\n' if "given" in boundary else ""
    return f"""model: mfg
grid: {{dim: {dim}, lower: "{','.join(['0'] * dim)}", upper: "{','.join(f"{part}*2*pi/{k}" for k in q[:dim])}", boundary: '{boundary}'}}
time: {{end: {end}}}
mfg:
  sigma: {math.sqrt(2 * nu)!r}
  hamiltonian: {kind}
  {words}
  running_cost: "{strength}*(log(m) - log({m})) + {cost}"
  terminal_cost: "{_at_time(u, end)}"
  initial_density: "{_at_time(m, 0.0)}"
  normalise: false
  density_source: "{source}"
  exact_u: "{u}"
  exact_m: "{m}"
{given}  coupling: picard
output: {{count: 1}}
"""


def _at_time(formula, t):
    return re.sub(r"\bt\b", repr(t), str(formula))


ERRORS = ("error_u_l2", "error_u_linf", "error_m_l1", "error_m_linf")


def errors(text, cwd, grids, ranks=1, check=None, names=ERRORS, **keys):
    """Errors on a sequence of (cells, steps): one row a name, one column a grid."""
    table = []
    for cells, steps in grids:
        r = game(ranks, text, cwd / f"{cells}_{steps}".replace(",", "_"), grid_cells=cells, time_steps=steps, **keys)
        if check:
            check(r)
        table.append([r.results[n] for n in names])
    return np.array(table).T


def orders(table):
    """Observed orders between grids that halve h and dt."""
    return np.log2(table[:, :-1] / table[:, 1:])


def is_first_order(table):
    """Errors are C1 h + C2 h^2 + ..., so an observed order between grids h and h/2 is 1 - r h + ... On the finest pair it must be 0.9, or,
    with three grids, what is missing from 1 must have halved (with a fifth for what is beyond second order)."""
    order = orders(table)
    enough = order[:, -1] >= 0.9
    if order.shape[1] > 1:
        enough |= 1 - order[:, -1] <= 0.6 * (1 - order[:, -2])
    return enough.all()
