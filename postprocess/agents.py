"""Figure and film of walking agents: dots over the plan, the ways of some of them as thin lines."""
import h5py
import matplotlib.pyplot as plt
import numpy as np
from matplotlib import collections, lines
from scipy import spatial

import crowd
import style
from film import Film
from rundir import RunError

ALONE = "#0072b2"  # all agents, where there are no exits to tell them apart
STAYED = "#555555"


def files(run):
    return sorted(run.folder.glob("particles_*.h5"))


class Agents:
    """The ways of at most `count` agents, evenly chosen by id from the first file: way[time][agent][direction], NaN once gone.

    Files may hold all agents in any order, or a sample. One file is read at a time."""

    def __init__(self, run, count):
        self.run = run
        if not files(run):
            raise RunError(f"{run.folder}: holds no particles_*.h5 (fokker_planck: particles with output: {{particles: true}} writes them)")
        series = []
        self.id = None
        for path in files(run):
            with h5py.File(path, "r") as f:
                time, ids, position = float(f.attrs["time"]), np.asarray(f["particles/id"]), np.asarray(f["particles/position"])
            if self.id is None:
                self.id = np.sort(ids)
                if len(ids) > count:
                    self.id = self.id[np.linspace(0, len(ids) - 1, max(1, count)).astype(int)]
                if not len(self.id):
                    raise RunError(f"{path}: holds no agents")
            way = np.full((len(self.id), run.dim), np.nan)
            here = np.isin(ids, self.id)
            way[np.searchsorted(self.id, ids[here])] = position[here]
            series.append((time, way))
        self.times = np.array([time for time, _ in series])
        self.way = np.array([way for _, way in series])
        self.inside = np.isfinite(self.way[..., 0])
        self.names, self.exit = self._exits()

    def _exits(self):
        """Names of the exits, and the one each agent used: the nearest to where it was last seen; -1 if it is still inside."""
        faces = crowd.exit_faces(self.run) if crowd.has_exits(self.run) else []
        used = np.full(len(self.id), -1)
        gone = ~self.inside[-1]
        if faces and gone.any():
            last = self.inside.shape[0] - 1 - np.argmax(self.inside[::-1], axis=0)
            seen = self.way[last, np.arange(len(self.id))][gone]
            distance = []
            for _, items in faces:
                centres = np.array([[self.run.axes[d][c[self.run.dim - 1 - d]] for d in range(self.run.dim)] for c, _, _ in items])
                distance.append(spatial.cKDTree(centres).query(seen)[0])
            used[gone] = np.argmin(distance, axis=0)
        return [name for name, _ in faces], used

    def colours(self):
        if not self.names:
            return np.full(len(self.id), ALONE)
        return np.array([STAYED if e < 0 else style.EXIT_COLOURS[e % len(style.EXIT_COLOURS)] for e in self.exit])

    def legend(self):
        """A dot and a name for each exit that somebody used, and for those still inside."""
        dots = [(style.EXIT_COLOURS[k % len(style.EXIT_COLOURS)], name) for k, name in enumerate(self.names) if (self.exit == k).any()]
        if self.names and (self.exit < 0).any():
            dots.append((STAYED, "inside at the end"))
        return [lines.Line2D([], [], marker="o", linestyle="", markersize=5, color=colour, label=name) for colour, name in dots]

    def chosen(self, count):
        """Agents whose ways are drawn: evenly by id, and ids follow the cells of the start."""
        n = len(self.id)
        return np.unique(np.linspace(0, n - 1, min(max(count, 0), n)).astype(int))

    def pieces(self, agent, until):
        """The way of an agent up to an output, cut where it wraps around a periodic edge."""
        way = self.way[: until + 1, agent]
        way = way[self.inside[: until + 1, agent]]
        half = 0.5 * (np.array(self.run.upper) - np.array(self.run.lower))
        return np.split(way, np.nonzero((np.abs(np.diff(way, axis=0)) > half).any(axis=1))[0] + 1)

    def share(self, k):
        return self.inside[k].sum() / self.inside[0].sum()


def suits_film(agents):
    return agents.run.dim > 1 and len(agents.times) > 8


def panel_outputs(agents, count):
    """Outputs equally spaced until 97 % have left, or to the end."""
    empty = np.nonzero(agents.inside.sum(axis=1) < 0.03 * agents.inside[0].sum())[0]
    end = agents.times[empty[0]] if len(empty) else agents.times[-1]
    times = np.linspace(agents.times[0], end, count)
    return np.unique([int(np.argmin(np.abs(agents.times - t))) for t in times])


class Drawing:
    """Dots and ways on one axis; `show(k)` moves them to output k."""

    def __init__(self, agents, axis, paths, size):
        self.agents, self.chosen, self.colour = agents, agents.chosen(paths), agents.colours()
        style.draw_plan(axis, agents.run, crowd.plane_region(agents.run))
        self.ways = axis.add_collection(collections.LineCollection([], linewidths=0.7, alpha=0.6, zorder=2), autolim=False)
        self.dots = axis.scatter([], [], s=size, linewidths=0, zorder=4)

    def show(self, k):
        here = self.agents.inside[k]
        self.dots.set_offsets(self.agents.way[k][here][:, :2])
        self.dots.set_facecolors(self.colour[here])
        pieces = [(piece[:, :2], self.colour[a]) for a in self.chosen for piece in self.agents.pieces(a, k)]
        self.ways.set_segments([piece for piece, _ in pieces])
        self.ways.set_colors([colour for _, colour in pieces])


def dot_size(agents, scale):
    return scale * float(np.clip(6000 / len(agents.id), 2, 12))


def picture(agents, out, paths=40):
    run = agents.run
    if run.dim == 1:
        return lines_in_time(agents, out, paths)
    outputs = panel_outputs(agents, 6)
    columns = min(3, len(outputs))
    rows = -(-len(outputs) // columns)
    width = 13.0
    aspect = (run.upper[1] - run.lower[1]) / (run.upper[0] - run.lower[0])
    figure, grid = plt.subplots(rows, columns, figsize=(width, rows * (width - 1.2) / columns * aspect + 0.35 * rows + 0.4),
                                squeeze=False, sharex=True, sharey=True)
    for k, axis in enumerate(grid.flat):
        if k >= len(outputs):
            axis.set_visible(False)
            continue
        Drawing(agents, axis, paths, dot_size(agents, 1.0)).show(outputs[k])
        style.plane_axes(axis, run, xlabel=k // columns == rows - 1, ylabel=k % columns == 0)
        axis.set_title(f"t = {agents.times[outputs[k]]:.3g} s"
                       + (f",  {100 * agents.share(outputs[k]):.0f} % inside" if agents.names else ""))
    if agents.legend():
        figure.legend(handles=agents.legend(), loc="upper center", bbox_to_anchor=(0.5, 0), ncols=4, frameon=False)
    style.save(figure, out)


def lines_in_time(agents, out, paths):
    """1D: position over time."""
    figure, axis = plt.subplots(figsize=(7, 4.4))
    colour = agents.colours()
    for a in agents.chosen(paths):
        x = agents.way[:, a, 0].copy()
        jump = np.abs(np.diff(x)) > 0.5 * (agents.run.upper[0] - agents.run.lower[0])
        axis.plot(np.insert(agents.times, np.nonzero(jump)[0] + 1, np.nan), np.insert(x, np.nonzero(jump)[0] + 1, np.nan),
                  color=colour[a], linewidth=0.8, alpha=0.7)
    axis.set_xlabel("time (s)")
    axis.set_ylabel("x (m)")
    axis.set_ylim(agents.run.lower[0], agents.run.upper[0])
    axis.grid(alpha=0.25)
    if agents.legend():
        axis.legend(handles=agents.legend())
    style.save(figure, out)


def film(agents, out, paths=40, people=None, fps=10):
    reel = Film(agents.run, agents.times, bar=False)
    drawing = Drawing(agents, reel.box, paths, dot_size(agents, 2.0))
    if 0 < len(agents.legend()) <= 3:
        reel.box.legend(handles=agents.legend(), loc="lower right", bbox_to_anchor=(1, 1), ncols=3, frameon=False, borderaxespad=0)

    def draw(k):
        drawing.show(k)
        return crowd.inside_text(agents.share(k), people) if agents.names else ""

    reel.write(out, fps, draw)
