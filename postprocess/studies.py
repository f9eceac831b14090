"""Figures over several runs or of the machine: convergence, residual history, scaling."""
import json
import pathlib

import matplotlib.pyplot as plt
import numpy as np

import style
from rundir import RunError

MARKERS = "osD^v<>"
INK = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#444444"]


def residual(run, out):
    """The coupling iteration's residual, from summary.json or history.csv."""
    values = run.summary.get("results", {}).get("residual_history")
    if not values:
        history = run.history()
        if "residual" not in history:
            raise RunError(f"{run.folder}: neither summary.json nor history.csv has residuals")
        values = history["residual"]
    values = np.array([np.nan if v is None else v for v in values], dtype=float)
    figure, axis = plt.subplots(figsize=(7, 4.4))
    axis.semilogy(np.arange(1, len(values) + 1), values, marker="o", markersize=4, color=INK[0], label="sup over time of the L1 change of m")
    tolerance = run.real("mfg_tolerance", 0.0)
    if tolerance > 0:
        axis.axhline(tolerance, color="0.4", linewidth=1, linestyle="--")
        axis.annotate("tolerance", (0.01, tolerance), xycoords=("axes fraction", "data"), xytext=(0, 4), textcoords="offset points", fontsize=9)
    axis.set_xlabel("coupling iteration")
    axis.set_ylabel("residual")
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.grid(alpha=0.25)
    axis.legend()
    style.save(figure, out)


def convergence(runs, out):
    """Errors of several runs of one problem against the cell size, with the orders between neighbours; also printed as a table."""
    keys = sorted({k for run in runs for k in run.summary.get("results", {}) if k.startswith("error_")})
    if not keys:
        raise RunError("none of these runs has error_* results in summary.json")
    rows = sorted(((float(np.max(run.h)), run) for run in runs), key=lambda r: -r[0])
    h = np.array([r[0] for r in rows])
    figure, axis = plt.subplots(figsize=(6.6, 5.2))
    print("h".rjust(12), *(k.rjust(24) for k in keys))
    table = {}
    for n, key in enumerate(keys):
        error = np.array([r[1].summary.get("results", {}).get(key) or np.nan for r in rows], dtype=float)
        order = np.full(len(h), np.nan)
        order[1:] = np.log(error[1:] / error[:-1]) / np.log(h[1:] / h[:-1])
        table[key] = (error, order)
        tail = f", order {order[-1]:.2f}" if len(h) > 1 and np.isfinite(order[-1]) else ""
        axis.loglog(h, error, marker=MARKERS[n % 7], color=INK[n % 7], markersize=5.5, label=key.replace("error_", "").replace("_", " ") + tail)
    for i in range(len(h)):
        print(f"{h[i]:12.5g}", *(f"{table[k][0][i]:14.4e} ({table[k][1][i]:6.2f})".rjust(24) for k in keys))
    reference_slope(axis, h, table)
    axis.set_xticks(h, [f"{v:.3g}" for v in h])
    axis.minorticks_off()
    axis.set_xlabel("cell size h")
    axis.set_ylabel("error")
    axis.grid(alpha=0.25)
    axis.legend()
    style.save(figure, out)


def reference_slope(axis, h, table):
    """A dashed line of the nearest whole order below the lowest curve."""
    lowest = min(table.values(), key=lambda t: np.nan_to_num(t[0][-1], nan=np.inf))
    error, order = lowest
    if len(h) < 2 or not np.isfinite(order[-1]) or order[-1] < 0.5:
        return
    p = round(order[-1])
    line = 0.5 * error[-1] * (h / h[-1]) ** p
    axis.loglog(h, line, color="0.5", linestyle="--", linewidth=1.1, label=f"order {p}")


def scaling(path, folder):
    """Figures of the JSON that run/scaling/scaling.py writes."""
    data = json.loads(pathlib.Path(path).read_text())
    if data.get("weak") or data.get("strong"):
        efficiency(data, folder / "scaling_efficiency.png")
    if data.get("messages"):
        messages(data["messages"], folder / "scaling_messages.png")


def efficiency(data, out):
    kinds = [k for k in ("weak", "strong") if data.get(k)]
    figure, grid = plt.subplots(1, len(kinds), figsize=(5.6 * len(kinds), 4.3), squeeze=False)
    for axis, kind in zip(grid[0], kinds):
        cases = {}
        for row in data[kind]:
            cases.setdefault(row["case"], []).append(row)
        for n, (case, rows) in enumerate(cases.items()):
            rows = sorted(rows, key=lambda r: r["ranks"])
            axis.plot([r["ranks"] for r in rows], [100 * r["efficiency"] for r in rows], marker=MARKERS[n % 7], color=INK[n % 7], label=case)
        axis.axhline(100, color="0.5", linewidth=1, linestyle="--")
        axis.set_ylim(0, 115)
        axis.set_xticks(sorted({r["ranks"] for r in data[kind]}))
        axis.set_xlabel("ranks")
        axis.set_ylabel("efficiency (%)")
        axis.set_title({"weak": "weak: same cells per rank", "strong": "strong: same cells in total"}[kind], loc="left")
        axis.grid(alpha=0.25)
        axis.legend(loc="lower left")
    style.save(figure, out)


def messages(rows, out):
    columns = [("messages_per_rank_step", "messages per rank and step"), ("bytes_per_message", "bytes per message"),
               ("memory_mb_per_rank", "memory per rank (MB)")]
    cases = {}
    for row in rows:
        cases.setdefault(row["case"], []).append(row)
    figure, grid = plt.subplots(1, 3, figsize=(14, 4.2))
    for axis, (key, label) in zip(grid, columns):
        for n, (case, items) in enumerate(cases.items()):
            items = sorted((r for r in items if r.get(key) is not None), key=lambda r: r["ranks"])
            axis.plot([r["ranks"] for r in items], [r[key] for r in items], marker=MARKERS[n % 7], color=INK[n % 7], label=case)
        axis.set_xscale("log", base=2)
        axis.set_xticks(sorted({r["ranks"] for r in rows}))
        axis.xaxis.set_major_formatter("{x:.0f}")
        values = [r[key] for r in rows if r.get(key) is not None]
        axis.set_ylim(0, 1.15 * max(values, default=1.0))
        axis.set_xlabel("ranks")
        axis.set_ylabel(label)
        axis.grid(alpha=0.25)
    grid[0].legend()
    style.save(figure, out)
