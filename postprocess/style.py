"""One look for all figures: fonts, colours, walls and exits, axes with units."""
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from rundir import EXIT, WALL

WALL_COLOUR = (0.45, 0.47, 0.50, 1.0)
EXIT_COLOUR = (0.10, 0.75, 0.35, 1.0)
EXIT_COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"]  # Okabe & Ito: safe for colour-blind readers
DENSITY_MAP, VALUE_MAP = "magma", "viridis"

plt.rcParams.update({
    "figure.dpi": 100,
    "savefig.dpi": 160,
    "font.size": 11,
    "axes.titlesize": 11,
    "axes.labelsize": 11,
    "legend.fontsize": 10,
    "legend.framealpha": 0.9,
    "axes.grid": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "lines.linewidth": 1.8,
    "figure.constrained_layout.use": True,
})


def draw_plan(axis, run, region=None):
    """Walls in grey and exits in green over the picture, cell by cell; exits that are faces of the box as lines along them."""
    region = run.region if region is None else region
    left, right, bottom, top = run.extent
    ends = (((left, left), (bottom, top)), ((right, right), (bottom, top)), ((left, right), (bottom, bottom)), ((left, right), (top, top)))
    for word, (x, y) in zip(run.boundary(), ends):
        if word == "exit":
            axis.plot(x, y, color=EXIT_COLOUR, linewidth=4, solid_capstyle="butt", clip_on=False, zorder=4, scalex=False, scaley=False)
    if not ((region == WALL).any() or (region == EXIT).any()):
        return
    overlay = np.zeros(region.shape + (4,))
    overlay[region == WALL] = WALL_COLOUR
    overlay[region == EXIT] = EXIT_COLOUR
    axis.imshow(overlay, origin="lower", extent=run.extent, interpolation="nearest", zorder=3)


def plane_axes(axis, run, xlabel=True, ylabel=True):
    axis.set_aspect("equal")
    axis.set_xlim(run.extent[0], run.extent[1])
    axis.set_ylim(run.extent[2], run.extent[3])
    axis.spines["top"].set_visible(True)
    axis.spines["right"].set_visible(True)
    unit = " (m)" if run.model == "mfg" else ""
    if xlabel:
        axis.set_xlabel("x" + unit)
    if ylabel:
        axis.set_ylabel("y" + unit)


def save(figure, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, bbox_inches="tight", pad_inches=0.12)
    plt.close(figure)
    print(path)
