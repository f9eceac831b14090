"""Values of the formulas of an input file, for exact solutions in figures."""
import re

import numpy as np
from scipy import special

FUNCTIONS = {
    "sin": np.sin, "cos": np.cos, "tan": np.tan, "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan, "atan2": np.arctan2,
    "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh, "exp": np.exp, "log": np.log, "log10": np.log10, "sqrt": np.sqrt,
    "cbrt": np.cbrt, "abs": np.abs, "sign": np.sign, "floor": np.floor, "ceil": np.ceil, "pow": np.power, "hypot": np.hypot,
    "erf": special.erf, "step": lambda v: np.where(np.asarray(v) < 0, 0.0, 1.0),
    "min": lambda *v: np.minimum.reduce(np.broadcast_arrays(*v)), "max": lambda *v: np.maximum.reduce(np.broadcast_arrays(*v)),
    "pi": np.pi, "e": np.e,
}
TOKEN = re.compile(r"\s*(?:(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[A-Za-z_]\w*|[-+*/^(),])")


def evaluate(text, **variables):
    """The value of a formula, or None for what is more than arithmetic and functions (conditions, other words)."""
    text = str(text).strip()
    at = 0
    while at < len(text):
        token = TOKEN.match(text, at)
        if not token:
            return None
        word = token.group().strip()
        if re.match(r"[A-Za-z_]", word) and word not in FUNCTIONS and word not in variables:
            return None
        at = token.end()
    return eval(text.replace("^", "**"), {"__builtins__": {}}, {**FUNCTIONS, **variables})  # only words of the two tables are left


def hopf_lax(hamiltonian, initial, x, t):
    """Viscosity solution in 1D, min over a of phi0(x - t a) + t L(a), by sampling; None where L is not known."""
    speeds = np.linspace(-8, 8, 6401)
    legendre = {"burgers": speeds**2 / 2 - speeds, "quadratic": speeds**2 / 2, "eikonal": np.where(np.abs(speeds) <= 1, 0.0, np.inf)}
    if hamiltonian not in legendre or evaluate(initial, x=x, t=0.0) is None:
        return None
    return np.array([np.min(evaluate(initial, x=p - t * speeds, t=0.0) + t * legendre[hamiltonian]) for p in x])
