"""Figure of the model density: a line, a picture, or the projections of a cloud in space."""
import matplotlib.pyplot as plt
import numpy as np
from matplotlib import colors

import style


def picture(run, out):
    density = run.field("density", len(run.times) - 1)
    [in_1d, in_2d, in_3d][run.dim - 1](run, density, out)


def in_1d(run, density, out):
    figure, axis = plt.subplots(figsize=(7, 4.4))
    axis.fill_between(run.axes[0], density, alpha=0.25)
    axis.plot(run.axes[0], density)
    axis.set_xlabel("x")
    axis.set_ylabel("density")
    axis.set_xlim(run.lower[0], run.upper[0])
    axis.set_ylim(0)
    axis.grid(alpha=0.25)
    style.save(figure, out)


def in_2d(run, density, out):
    figure, axis = plt.subplots(figsize=(7, 6))
    image = axis.imshow(density, origin="lower", extent=run.extent, cmap=style.DENSITY_MAP, norm=colors.PowerNorm(0.5, vmin=0))
    style.plane_axes(axis, run)
    figure.colorbar(image, ax=axis, label="density", shrink=0.9)
    style.save(figure, out)


def in_3d(run, density, out):
    """Integrals along z, y and x, on a logarithmic scale down to a thousandth of the maximum."""
    planes = [density.sum(axis=a) * run.h[2 - a] for a in range(3)]
    highest = max(p.max() for p in planes)
    figure, axes = plt.subplots(1, 3, figsize=(14, 4.6))
    for axis, values, (right, up) in zip(axes, planes, ((0, 1), (0, 2), (1, 2))):
        box = [run.lower[right], run.upper[right], run.lower[up], run.upper[up]]
        image = axis.imshow(np.maximum(values, 1e-3 * highest), origin="lower", extent=box, cmap=style.DENSITY_MAP,
                            norm=colors.LogNorm(1e-3 * highest, highest))
        axis.set_xlabel("xyz"[right])
        axis.set_ylabel("xyz"[up])
    figure.colorbar(image, ax=axes, label="density integrated along the line of sight", shrink=0.9)
    style.save(figure, out)
