"""Figures of Hamilton-Jacobi runs: lines in 1D, surface and contours in 2D, slices in 3D."""
import matplotlib.pyplot as plt
import numpy as np

import style
from formula import evaluate, hopf_lax


def picture(run, out):
    (lines, surface, slices)[run.dim - 1](run, out)


def title(run):
    return str(run.input.get("problem") or run.input.get("hj_hamiltonian") or run.name)


def exact(run, x, t):
    """The exact solution in 1D from the input's hj_exact, or None."""
    text = run.input.get("hj_exact", "")
    if text == "hopf_lax" or text == "characteristics":
        return hopf_lax(run.input.get("hj_hamiltonian"), run.input.get("hj_initial", ""), x, t)
    return evaluate(text, x=x, t=t) if text else None


def lines(run, out):
    """phi at the first and the last output, and the exact solution where it is known."""
    figure, axis = plt.subplots(figsize=(7, 4.6))
    x = run.axes[0]
    axis.plot(x, run.field("phi", 0), color="0.65", label=f"t = {run.times[0]:.4g}")
    fine = np.linspace(run.lower[0], run.upper[0], 801)
    known = exact(run, fine, run.times[-1])
    if known is not None:
        axis.plot(fine, known, color="black", linewidth=1.2, label=f"exact, t = {run.times[-1]:.4g}")
    few = len(x) <= 200
    axis.plot(x, run.field("phi", -1), color="#c0392b", marker="o" if few else None, markersize=3.5, markerfacecolor="none",
              linewidth=0 if few and known is not None else 1.6, label=f"computed, t = {run.times[-1]:.4g}, {len(x)} cells")
    axis.set_xlim(run.lower[0], run.upper[0])
    axis.set_xlabel("x")
    axis.set_ylabel("φ")
    axis.set_title(title(run), loc="left")
    axis.grid(alpha=0.25)
    axis.legend()
    style.save(figure, out)


def surface(run, out):
    """phi at the last output as a surface and as filled contours."""
    x, y = run.axes
    phi = run.field("phi", -1)
    figure = plt.figure(figsize=(12.5, 5.2))
    left = figure.add_subplot(1, 2, 1, projection="3d")
    step = [max(1, len(a) // 80) for a in (y, x)]
    X, Y = np.meshgrid(x, y)
    left.plot_surface(X, Y, phi, cmap=style.VALUE_MAP, rstride=step[0], cstride=step[1], linewidth=0.15, edgecolor=(0, 0, 0, 0.25), antialiased=True)
    left.set_xlabel("x")
    left.set_ylabel("y")
    left.set_zlabel("φ")
    left.locator_params(nbins=5)
    left.tick_params(labelsize=9, pad=1)
    left.view_init(elev=32, azim=-58)
    left.set_title(title(run), loc="left")
    right = figure.add_subplot(1, 2, 2)
    image = right.contourf(x, y, phi, levels=24, cmap=style.VALUE_MAP)
    right.contour(x, y, phi, levels=image.levels[::2], colors="white", linewidths=0.5, linestyles="solid", alpha=0.7)
    right.set_aspect("equal")
    right.set_xlabel("x")
    right.set_ylabel("y")
    right.set_title(f"t = {run.times[-1]:.4g}, {len(x)} x {len(y)} cells", loc="left")
    figure.colorbar(image, ax=right, label="φ", shrink=0.9)
    style.save(figure, out)


def slices(run, out):
    """phi at the last output on the three middle planes."""
    phi = run.field("phi", -1)
    figure, grid = plt.subplots(1, 3, figsize=(14, 4.6))
    vmin, vmax = phi.min(), phi.max()
    for axis, fixed in zip(grid, (2, 1, 0)):
        a, b = [d for d in range(3) if d != fixed]
        index = [slice(None)] * 3
        index[2 - fixed] = phi.shape[2 - fixed] // 2
        extent = [run.lower[a], run.upper[a], run.lower[b], run.upper[b]]
        values = phi[tuple(index)]
        image = axis.imshow(values, origin="lower", extent=extent, cmap=style.VALUE_MAP, vmin=vmin, vmax=vmax)
        if values.max() > values.min():
            axis.contour(run.axes[a], run.axes[b], values, levels=10, colors="white", linewidths=0.5, linestyles="solid", alpha=0.7)
        axis.set_xlabel("xyz"[a])
        axis.set_ylabel("xyz"[b])
        axis.set_title(f"{'xyz'[fixed]} = {run.axes[fixed][phi.shape[2 - fixed] // 2]:.3g}", loc="left")
    figure.suptitle(f"{title(run)}, t = {run.times[-1]:.4g}", x=0.01, ha="left", fontsize=11)
    figure.colorbar(image, ax=grid, label="φ", shrink=0.85)
    style.save(figure, out)
