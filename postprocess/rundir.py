"""Reading a run directory: fields files, history, summary, resolved input."""
import csv
import json
import pathlib
import re

import h5py
import numpy as np
import yaml

WALL, FREE, EXIT = 0, 1, 2


class RunError(Exception):
    """A run directory does not hold what a figure needs; the message is meant for the user."""


class Run:
    """A run directory. Fields are read on demand, one file at a time, so that long series need little memory."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        if not self.folder.is_dir():
            raise RunError(f"{folder}: no such run directory")
        files = sorted(self.folder.glob("fields_*.h5"))
        if not files:
            raise RunError(f"{folder}: holds no fields_*.h5")
        stamped = []
        for path in files:
            with h5py.File(path, "r") as f:
                stamped.append((float(f.attrs["time"]), path))
        stamped.sort(key=lambda item: item[0])
        self.times = np.array([t for t, _ in stamped])
        self.files = [path for _, path in stamped]
        with h5py.File(self.files[0], "r") as f:
            self.axes = [np.asarray(f["grid"][c]) for c in "xyz" if c in f["grid"]]
            self.names = list(f["fields"])
            shape = f["fields"][self.names[0]].shape
        self.axes = self.axes[: len(shape)]
        self.dim = len(shape)
        self.summary = self._json("summary.json")
        self.input = self._input()
        self.model = self.summary.get("model") or self.input.get("model", "")
        self.h, self.lower, self.upper = self._box()
        self._region = None

    def _json(self, name):
        path = self.folder / name
        return json.loads(path.read_text()) if path.exists() else {}

    def _input(self):
        path = self.folder / "input.yaml"
        return flatten(yaml.safe_load(path.read_text()) or {}) if path.exists() else {}

    def _box(self):
        lower, upper, h = [], [], []
        for d, axis in enumerate(self.axes):
            step = (axis[-1] - axis[0]) / (len(axis) - 1) if len(axis) > 1 else 1.0
            h.append(step)
            lower.append(axis[0] - step / 2)
            upper.append(axis[-1] + step / 2)
        return h, lower, upper

    @property
    def name(self):
        return self.folder.name

    @property
    def region(self):
        """[z][y][x] of 0 wall, 1 free, 2 exit; all free where the run has no walls."""
        if self._region is None:
            with h5py.File(self.files[0], "r") as f:
                if "region" in f["fields"]:
                    self._region = np.rint(np.asarray(f["fields/region"])).astype(int)
                else:
                    self._region = np.full(f["fields"][self.names[0]].shape, FREE)
        return self._region

    @property
    def extent(self):
        """Of the x-y plane, for imshow."""
        return [self.lower[0], self.upper[0], self.lower[1], self.upper[1]]

    def field(self, name, index):
        with h5py.File(self.files[index], "r") as f:
            if name not in f["fields"]:
                raise RunError(f"{self.files[index]}: has no field '{name}' (it has {', '.join(f['fields'])})")
            return np.asarray(f["fields"][name], dtype=float)

    def masked(self, name, index):
        """The field with walls and exits masked."""
        return np.ma.masked_where(self.region != FREE, self.field(name, index))

    def nearest(self, time):
        return int(np.argmin(np.abs(self.times - time)))

    def boundary(self):
        """The six boundary words of the run."""
        words = [w.strip() for w in str(self.input.get("grid_boundary", "reflecting")).split(",")]
        return words * 6 if len(words) == 1 else words + ["reflecting"] * (6 - len(words))

    def real(self, key, default):
        try:
            return float(self.input.get(key, default))
        except (TypeError, ValueError):
            return default

    def history(self):
        """Columns of history.csv by name; units are dropped from the names."""
        path = self.folder / "history.csv"
        if not path.exists():
            raise RunError(f"{self.folder}: has no history.csv")
        with open(path, newline="") as f:
            rows = list(csv.reader(f))
        names = [re.sub(r"\s*\[.*\]\s*$", "", c).strip() for c in rows[0]]
        data = np.array([[number(v) for v in row] for row in rows[1:] if len(row) == len(names)]).reshape(-1, len(names))
        return {n: data[:, i] for i, n in enumerate(names)}


def number(text):
    try:
        return float(text)
    except ValueError:
        return float("nan")


def flatten(tree, prefix=""):
    """{'grid': {'cells': v}} -> {'grid_cells': v}"""
    flat = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat.update(flatten(value, f"{prefix}{key}_"))
        else:
            flat[f"{prefix}{key}"] = value
    return flat
