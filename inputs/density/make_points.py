#!/usr/bin/env python3
"""Makes the points of the inputs beside it: points.csv (two crescents and a ring) and galaxy3d.h5 (a clustered cloud).

Usage: make_points.py [--galaxies N] [--folder DIR]

The galaxies follow R. M. Soneira and P. J. E. Peebles, Astron. J. 83 (1978) 845: in a sphere of radius R put eta spheres of radius
R / lambda at random places, in each of these again, and so on; the centres of the last level are galaxies. Their correlation
function is a power law of slope 3 - log(eta)/log(lambda). The box is periodic.
"""
import argparse
import pathlib

import h5py
import numpy as np


def crescents(random, n):
    """Two interleaved half circles and a ring around them, with noise."""
    angle = random.uniform(0, np.pi, n)
    kind = random.choice(3, n, p=[0.35, 0.35, 0.3])
    x = np.where(kind == 0, np.cos(angle), np.where(kind == 1, 1 - np.cos(angle), 0.5 + 2.2 * np.cos(2 * angle)))
    y = np.where(kind == 0, np.sin(angle), np.where(kind == 1, 0.5 - np.sin(angle), 0.25 + 2.2 * np.sin(2 * angle)))
    return np.column_stack([x, y]) + random.normal(0, np.where(kind == 2, 0.12, 0.08)[:, None], (n, 2))


def in_sphere(random, n, radius):
    """n points evenly in a sphere."""
    direction = random.normal(size=(n, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    return radius * random.uniform(size=(n, 1)) ** (1 / 3) * direction


def galaxies(random, n, clusters=9, radius=0.18, eta=3, ratio=1.76, background=0.1):
    """n positions in the unit box: a hierarchy of clusters with a slope of about 1.06 and an even background."""
    centres = random.uniform(size=(clusters, 3))
    while len(centres) < (1 - background) * n:
        centres = np.repeat(centres, eta, axis=0) + in_sphere(random, eta * len(centres), radius)
        radius /= ratio
    clustered = random.permutation(centres)[: int((1 - background) * n)]
    return np.vstack([clustered, random.uniform(size=(n - len(clustered), 3))]) % 1.0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--galaxies", type=int, default=12000)
    parser.add_argument("--folder", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent)
    options = parser.parse_args()
    random = np.random.default_rng(3)
    np.savetxt(options.folder / "points.csv", crescents(random, 2000), fmt="%.4f", delimiter=",", header="x,y", comments="")
    position = galaxies(random, options.galaxies).astype("f4")
    luminosity = np.minimum(random.gamma(0.5, 1.0, options.galaxies) + 0.05, 8).astype("f4")
    with h5py.File(options.folder / "galaxy3d.h5", "w", track_order=True) as f:
        f.create_dataset("position", data=np.minimum(position, np.nextafter(np.float32(1), np.float32(0))), track_times=False)
        f.create_dataset("luminosity", data=luminosity, track_times=False)


if __name__ == "__main__":
    main()
