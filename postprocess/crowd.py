"""Figures of mean field games: density, value function with optimal paths, mass left, film."""
import matplotlib.colors as colours
import matplotlib.pyplot as plt
import numpy as np
from scipy import ndimage

import style
from film import Film
from rundir import EXIT, FREE, RunError


def density_label(people, dim):
    """Of the pictures in the x-y plane, where a density in 3D is shown integrated over z."""
    if dim == 3:
        return "people per m², all heights" if people else "density integrated over z (1/m²)"
    return "people per m²" if people else "density m (1/m²)"


def plane(run, name, index):
    """A field as a picture: itself in 2D; in 3D the integral over z (density) or the middle slice (others)."""
    values = run.masked(name, index)
    if run.dim == 2:
        return values
    if name == "m":
        return values.filled(0.0).sum(axis=0) * run.h[2]
    return values[values.shape[0] // 2]


def plane_region(run):
    """The floor plan to draw: itself in 2D; in 3D wall only where the whole column is wall, so that gaps show."""
    if run.dim == 2:
        return run.region
    region = run.region
    return np.where((region == FREE).any(axis=0), FREE, region[region.shape[0] // 2])


def density_scale(run, people):
    """Colour scale common to all times: up to the 99.9th percentile of occupied cells, square-root spacing."""
    scale = people or 1.0
    peaks = []
    for i in np.unique(np.linspace(0, len(run.times) - 1, 16).astype(int)):
        values = np.ma.asarray(plane(run, "m", i)).compressed() * scale
        occupied = values[values > 1e-3 * values.max()] if values.max() > 0 else values
        peaks.append(np.quantile(occupied, 0.995))
    return colours.PowerNorm(0.5, vmin=0.0, vmax=max(peaks))


def panel_times(run, count):
    """Times that show the motion: equally spaced until 97 % of the mass has left (or the end)."""
    last = run.times[-1]
    masses = [mass_inside(run, i) for i in range(len(run.times))]
    left = np.nonzero(np.array(masses) < 0.03 * masses[0])[0]
    if len(left):
        last = run.times[left[0]]
    return np.linspace(run.times[0], last, count)


def mass_inside(run, index):
    m = run.field("m", index)
    return float(np.where(run.region == FREE, m, 0.0).sum() * np.prod(run.h))


def density(run, out, people=None, times=None):
    if run.dim == 1:
        return density_lines(run, out, "m")
    times = panel_times(run, 6) if times is None else times
    columns = min(3, len(times))
    rows = -(-len(times) // columns)
    width = 13.0
    aspect = (run.upper[1] - run.lower[1]) / (run.upper[0] - run.lower[0])
    figure, grid = plt.subplots(rows, columns, figsize=(width, rows * (width - 1.6) / columns * aspect + 0.45 * rows + 0.5),
                                squeeze=False, sharex=True, sharey=True)
    norm = density_scale(run, people)
    region = plane_region(run)
    for k, axis in enumerate(grid.flat):
        if k >= len(times):
            axis.set_visible(False)
            continue
        i = run.nearest(times[k])
        image = axis.imshow(plane(run, "m", i) * (people or 1.0), origin="lower", extent=run.extent, norm=norm, cmap=style.DENSITY_MAP,
                            interpolation="nearest")
        style.draw_plan(axis, run, region)
        style.plane_axes(axis, run, xlabel=k // columns == rows - 1, ylabel=k % columns == 0)
        axis.set_title(f"t = {run.times[i]:.3g} s,  {100 * mass_inside(run, i) / mass_inside(run, 0):.0f} % inside"
                       if has_exits(run) else f"t = {run.times[i]:.3g} s")
    figure.colorbar(image, ax=grid, label=density_label(people, run.dim), extend="max", shrink=0.9, aspect=30, pad=0.015)
    style.save(figure, out)


def density_lines(run, out, name):
    """1D: lines of one field at several times, in colours of time."""
    labels = {"m": "density m (1/m)", "u": "value u"}
    figure, axis = plt.subplots(figsize=(7, 4.4))
    picks = np.unique(np.linspace(0, len(run.times) - 1, 6).astype(int))
    for k, i in enumerate(picks):
        axis.plot(run.axes[0], run.field(name, i), color=plt.get_cmap("viridis")(0.92 * k / max(1, len(picks) - 1)),
                  label=f"t = {run.times[i]:.3g} s")
    axis.set_xlabel("x (m)")
    axis.set_ylabel(labels[name])
    axis.set_xlim(run.lower[0], run.upper[0])
    axis.grid(alpha=0.25)
    axis.legend()
    style.save(figure, out)


def has_exits(run):
    return bool((run.region == EXIT).any()) or "exit" in run.boundary()[: 2 * run.dim]


# ---- optimal paths ---------------------------------------------------------------------------------------------------


class Drift:
    """The optimal drift, linear in time between outputs and (bi)linear in space over free cells only."""

    def __init__(self, run):
        self.run = run
        self.cache = {}
        self.free = (plane_region(run) == FREE).astype(float)

    def level(self, i):
        if i not in self.cache:
            if len(self.cache) > 4:
                self.cache.pop(min(self.cache))
            self.cache[i] = [np.ma.asarray(plane(self.run, c, i)).filled(0.0) for c in ("drift_x", "drift_y")]
        return self.cache[i]

    def __call__(self, t, xy):
        run = self.run
        i = int(np.clip(np.searchsorted(run.times, t, side="right") - 1, 0, len(run.times) - 1))
        j = min(i + 1, len(run.times) - 1)
        w = 0.0 if j == i else (t - run.times[i]) / (run.times[j] - run.times[i])
        px = (xy[:, 0] - run.axes[0][0]) / run.h[0]
        py = (xy[:, 1] - run.axes[1][0]) / run.h[1]
        weight = ndimage.map_coordinates(self.free, [py, px], order=1, mode="nearest")
        velocity = np.zeros_like(xy)
        for d in range(2):
            v = (1 - w) * self.level(i)[d] + w * self.level(j)[d]
            velocity[:, d] = ndimage.map_coordinates(v * self.free, [py, px], order=1, mode="nearest")
        return velocity / np.maximum(weight, 1e-3)[:, None]


def starts(run, count):
    """Start points spread over where people are at t = 0: farthest-point sampling of the occupied free cells."""
    m = np.ma.asarray(plane(run, "m", 0)).filled(0.0)
    inner = ndimage.binary_erosion(plane_region(run) == FREE, iterations=2, border_value=0)
    occupied = np.argwhere(inner & (m > 0.05 * m.max()))
    if not len(occupied):
        occupied = np.argwhere(inner)
    points = occupied[:, ::-1] * np.array(run.h[:2]) + np.array([run.axes[0][0], run.axes[1][0]])
    chosen = [int(np.argmin(points.sum(axis=1)))]
    distance = np.full(len(points), np.inf)
    while len(chosen) < min(count, len(points)):
        distance = np.minimum(distance, np.hypot(*(points - points[chosen[-1]]).T))
        chosen.append(int(np.argmax(distance)))
    return points[chosen]


def paths(run, count):
    """Paths of agents who follow the optimal drift without noise from t = 0: arrays [step][2], ended where an exit is reached or nobody
    moves any more."""
    drift = Drift(run)
    region = plane_region(run)
    xy = starts(run, count)
    tracks = [[p.copy()] for p in xy]
    alive = np.ones(len(xy), dtype=bool)
    t, end = run.times[0], run.times[-1]
    while t < end and alive.any():
        v = drift(t, xy)
        fastest = max(1e-9, np.hypot(*v[alive].T).max())
        dt = min(0.5 * min(run.h[:2]) / fastest, end - t, (end - run.times[0]) / 200)
        middle = drift(t + dt / 2, xy + 0.5 * dt * v)
        for p in np.nonzero(alive)[0]:
            step = dt * middle[p]
            for move in (step, step * [1, 0], step * [0, 1]):  # along the wall where the step would end in it
                kind, new = place(run, region, xy[p] + move)
                if kind != "wall":
                    break
            if kind == "wall":
                continue
            xy[p] = new
            tracks[p].append(new.copy())
            if kind == "exit":
                alive[p] = False
        t += dt
    return [np.array(track) for track in tracks]


def place(run, region, point):
    """What is at a point: free, wall or exit; periodic directions wrap."""
    boundary = run.boundary()
    point = point.copy()
    for d in range(2):
        if boundary[2 * d] == "periodic":
            point[d] = run.lower[d] + (point[d] - run.lower[d]) % (run.upper[d] - run.lower[d])
        elif not run.lower[d] <= point[d] < run.upper[d]:
            return ("exit" if boundary[2 * d + (point[d] >= run.upper[d])] == "exit" else "wall"), point
    i = int((point[0] - run.lower[0]) / run.h[0])
    j = int((point[1] - run.lower[1]) / run.h[1])
    kind = region[min(j, region.shape[0] - 1), min(i, region.shape[1] - 1)]
    return {FREE: "free", EXIT: "exit"}.get(int(kind), "wall"), point


def value(run, out, count=40):
    if run.dim == 1:
        return density_lines(run, out, "u")
    u = plane(run, "u", 0)
    aspect = (run.upper[1] - run.lower[1]) / (run.upper[0] - run.lower[0])
    figure, axis = plt.subplots(figsize=(11, 9.2 * aspect + 0.9))
    image = axis.imshow(u, origin="lower", extent=run.extent, cmap=style.VALUE_MAP, interpolation="nearest")
    x, y = run.axes[0], run.axes[1]
    lines = axis.contour(x, y, u, levels=14, colors="white", linewidths=0.7, linestyles="solid", alpha=0.75, zorder=2)
    axis.clabel(lines, lines.levels[1::2], fontsize=8, fmt="%g")
    style.draw_plan(axis, run, plane_region(run))
    if "drift_x" in run.names:
        tracks = paths(run, count)
        jump = 0.5 * min(run.upper[d] - run.lower[d] for d in range(2))
        for track in tracks:
            # a wrap around a periodic edge is not a line across the picture
            breaks = np.nonzero(np.hypot(*np.diff(track, axis=0).T) > jump)[0] + 1
            for piece in np.split(track, breaks):
                axis.plot(*piece.T, color="#ff9e4a", linewidth=1.4, zorder=4)
        axis.plot(*np.array([track[0] for track in tracks]).T, "o", color="#ff9e4a", markeredgecolor="black", markersize=4.5,
                  markeredgewidth=0.6, zorder=5, linestyle="none", label="start at t = 0 and optimal path")
        axis.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), frameon=False, borderaxespad=0.2)
    style.plane_axes(axis, run)
    where = f", z = {run.axes[2][len(run.axes[2]) // 2]:.3g} m" if run.dim == 3 else ""
    figure.colorbar(image, ax=axis, label=f"value u at t = {run.times[0]:.3g} s{where} (expected cost to go)", shrink=0.9, aspect=30, pad=0.015)
    style.save(figure, out)


# ---- mass left -------------------------------------------------------------------------------------------------------


def exit_faces(run):
    """Exits as connected groups: a list of [name, [(free-cell index tuple, direction, sign)]]."""
    region = run.region
    labels, count = ndimage.label(region == EXIT)
    groups = {}
    boundary = run.boundary()
    for d in range(run.dim):
        axis = run.dim - 1 - d
        for sign in (-1, 1):
            neighbour = np.roll(labels, -sign, axis=axis)
            edge = [slice(None)] * run.dim
            edge[axis] = -1 if sign > 0 else 0
            edge = tuple(edge)
            periodic = boundary[2 * d] == "periodic"
            if not periodic:
                neighbour[edge] = 0
            for k in range(1, count + 1):
                cells = np.argwhere((region == FREE) & (neighbour == k))
                groups.setdefault(k, []).extend((tuple(c), d, sign) for c in cells)
            if not periodic and boundary[2 * d + (sign > 0)] == "exit":
                mask = np.zeros(region.shape, dtype=bool)
                mask[edge] = region[edge] == FREE
                groups[f"{'xyz'[d]}{'+' if sign > 0 else '-'} edge"] = [(tuple(c), d, sign) for c in np.argwhere(mask)]
    result = []
    for k, faces in groups.items():
        if faces:
            result.append([exit_name(run, faces, edge=isinstance(k, str)), faces])
    names = [name for name, _ in result]
    for item in result:
        if names.count(item[0]) > 1:
            item[0] += " at (" + ", ".join(f"{v:.3g}" for v in centre(run, item[1])) + ")"
    return result


def centre(run, faces):
    return np.mean([[run.axes[d][c[run.dim - 1 - d]] for d in range(run.dim)] for c, _, _ in faces], axis=0)


def exit_name(run, faces, edge):
    """The side of the box that an exit is nearest to, and in 2D its width."""
    middle = centre(run, faces)
    sides = [("west", middle[0] - run.lower[0]), ("east", run.upper[0] - middle[0])]
    if run.dim > 1:
        sides += [("south", middle[1] - run.lower[1]), ("north", run.upper[1] - middle[1])]
    if run.dim > 2:
        sides += [("lower", middle[2] - run.lower[2]), ("upper", run.upper[2] - middle[2])]
    name = min(sides, key=lambda s: s[1])[0] + (" edge" if edge else " exit")
    if run.dim == 2:
        name += f", {sum(run.h[1 - d] for _, d, _ in faces):.3g} m wide"
    return name


def exit_shares(run):
    """(names of exits, times, mass inside, mass taken by each exit so far [time][exit]).

    The run's own accounts at every time level where summary.json has them; else from the fields, see estimated_shares."""
    exits = exit_faces(run)
    names = [name for name, _ in exits]
    results = run.summary.get("results", {})
    if "series_mass" in results and "series_exit_1" in results:
        taken = []
        while f"series_exit_{len(taken) + 1}" in results:
            taken.append(results[f"series_exit_{len(taken) + 1}"])
        if len(taken) != len(names):
            names = [f"exit {k + 1}" for k in range(len(taken))]
        return names, np.array(results["series_time"]), np.array(results["series_mass"]), np.array(taken).T
    inside, taken = estimated_shares(run, exits)
    return names, run.times, inside, taken


def estimated_shares(run, exits):
    """The total that left between two outputs is the difference of the masses. It is split over the exits in proportion to
    the fluxes m (max(drift, 0) + 2 nu / h) through their faces (trapezoidal in time), the flux of the upwind scheme."""
    nu = 0.5 * run.real("mfg_sigma", 0.0) ** 2
    inside = np.array([mass_inside(run, i) for i in range(len(run.times))])
    rate = np.zeros((len(run.times), len(exits)))
    for i in range(len(run.times)):
        m = run.field("m", i)
        drift = [run.field("drift_" + "xyz"[d], i) for d in range(run.dim)]
        for k, (_, faces) in enumerate(exits):
            for cell, d, sign in faces:
                area = np.prod(run.h) / run.h[d]
                rate[i, k] += area * m[cell] * (max(sign * drift[d][cell], 0.0) + 2 * nu / run.h[d])
    taken = np.zeros_like(rate)
    for i in range(1, len(run.times)):
        part = rate[i - 1] + rate[i]
        total = part.sum()
        part = part / total if total > 0 else np.full(len(exits), 1.0 / max(1, len(exits)))
        taken[i] = taken[i - 1] + (inside[i - 1] - inside[i]) * part
    return inside, taken


def percent(share):
    return f"{100 * share:.1f} %" if share >= 5e-4 else "below 0.05 %"


def mass(run, out, people=None):
    if not has_exits(run):
        raise RunError(f"{run.folder}: has no exits, so no mass leaves")
    names, times, inside, taken = exit_shares(run)
    total = inside[0]
    figure, axis = plt.subplots(figsize=(8.5, 4.8))
    axis.stackplot(times, *(100 * taken / total).T, labels=[f"{name}: {100 * taken[-1, k] / total:.1f} %" for k, name in enumerate(names)],
                   colors=style.EXIT_COLOURS[: len(names)], alpha=0.6, linewidth=0)
    axis.plot(times, 100 * inside / total, color="black", linewidth=2.2, label=f"still inside, at the end {percent(inside[-1] / total)}")
    if inside[-1] < 0.5 * total:
        half = np.interp(-50.0, -100 * inside / total, times)
        axis.plot([half, half], [0, 50], color="black", linewidth=0.8, linestyle=":")
        axis.annotate(f"half are out at {half:.1f} s", (half, 50), xytext=(8, 2), textcoords="offset points", fontsize=10)
    axis.set_xlim(times[0], times[-1])
    axis.set_ylim(0, 100)
    axis.set_xlabel("time (s)")
    axis.set_ylabel("share of the people (%)" + (f", 100 % = {people:g}" if people else ""))
    axis.grid(alpha=0.25)
    axis.legend(loc="center right")
    style.save(figure, out)


# ---- film ------------------------------------------------------------------------------------------------------------


def film(run, out, people=None, fps=12):
    """An mp4 or gif of the density with a clock and the mass left."""
    reel = Film(run, run.times, bar=True)
    scale = people or 1.0
    image = reel.box.imshow(plane(run, "m", 0) * scale, origin="lower", extent=run.extent, norm=density_scale(run, people),
                            cmap=style.DENSITY_MAP, interpolation="nearest")
    style.draw_plan(reel.box, run, plane_region(run))
    reel.figure.colorbar(image, cax=reel.bar, label=density_label(people, run.dim), extend="max")
    inside = np.array([mass_inside(run, i) for i in range(len(run.times))])

    def draw(i):
        image.set_data(plane(run, "m", i) * scale)
        return inside_text(inside[i] / inside[0], people) if has_exits(run) else ""

    reel.write(out, fps, draw)


def inside_text(share, people):
    return f"   inside {100 * share:5.1f} %" + (f" = {people * share:4.0f} people" if people else "")
