#!/usr/bin/env python3
"""Draws the floor plans of the example inputs.

Usage: make_plans.py [FOLDER]     (default: the folder of this script)

A plan is a PNG: black = wall, white = free, green = exit. One pixel is one cell of the default grid. Rooms are given in
metres with y upwards, as the solver sees them; the picture's first row is the highest y.
"""
import pathlib
import sys

import numpy as np
from PIL import Image

WALL, FREE, EXIT = (0, 0, 0), (255, 255, 255), (0, 160, 0)


class Plan:
    """A building under construction: solid at first, then rooms are cut out and furniture is put in."""

    def __init__(self, width, height, pixel):
        self.pixel = pixel
        self.image = np.zeros((round(height / pixel), round(width / pixel), 3), dtype=np.uint8)

    def box(self, colour, x0, x1, y0, y1):
        ix0, ix1, iy0, iy1 = (round(v / self.pixel) for v in (x0, x1, y0, y1))
        self.image[iy0:iy1, ix0:ix1] = colour

    def disc(self, colour, x, y, radius):
        ny, nx = self.image.shape[:2]
        cx, cy = (np.arange(nx) + 0.5) * self.pixel, (np.arange(ny) + 0.5) * self.pixel
        self.image[np.hypot(cx[None, :] - x, cy[:, None] - y) < radius] = colour

    def room(self, x0, x1, y0, y1):
        self.box(FREE, x0, x1, y0, y1)

    def save(self, path):
        Image.fromarray(self.image[::-1]).save(path, optimize=True)


def evacuation():
    """A small faculty building, 38.4 m x 24 m: offices, two seminar rooms, a lecture hall, a canteen, a lobby."""
    p = Plan(38.4, 24.0, 0.15)

    # corridor and lobby
    p.room(0.3, 27.3, 10.8, 13.2)
    p.room(27.3, 38.1, 0.3, 13.2)
    # north: front office with an archive behind it, two seminar rooms, lecture hall
    p.room(0.3, 6.3, 13.5, 18.0)
    p.room(0.3, 6.3, 18.3, 23.7)
    p.room(6.6, 14.1, 13.5, 23.7)
    p.room(14.4, 20.7, 13.5, 23.7)
    p.room(21.0, 38.1, 13.5, 23.7)
    # south: two offices, kitchen, canteen, meeting room, store
    p.room(0.3, 4.2, 6.3, 10.5)
    p.room(4.5, 8.7, 6.3, 10.5)
    p.room(0.3, 8.7, 0.3, 6.0)
    p.room(9.0, 20.7, 0.3, 10.5)
    p.room(21.0, 27.0, 5.1, 10.5)
    p.room(21.0, 27.0, 0.3, 4.8)

    # doors to the corridor, north side
    p.room(4.2, 5.25, 13.2, 13.5)
    p.room(12.3, 13.5, 13.2, 13.5)
    p.room(15.0, 16.2, 13.2, 13.5)
    p.room(22.2, 23.7, 13.2, 13.5)  # lecture hall to the corridor
    p.room(34.8, 36.6, 13.2, 13.5)  # lecture hall to the lobby
    # south side
    p.room(2.7, 3.75, 10.5, 10.8)
    p.room(6.0, 7.05, 10.5, 10.8)
    p.room(18.0, 19.5, 10.5, 10.8)
    p.room(22.5, 23.7, 10.5, 10.8)
    # between rooms
    p.room(1.2, 2.25, 18.0, 18.3)   # archive to front office
    p.room(8.7, 9.0, 3.0, 4.2)      # kitchen to canteen
    p.room(27.0, 27.3, 1.8, 2.85)   # store to lobby

    # seminar rooms: tables
    for y in (16.2, 18.3, 20.4):
        p.box(WALL, 7.8, 12.6, y, y + 0.6)
    p.box(WALL, 16.5, 18.9, 16.5, 21.0)
    # lecture hall: rows of desks with a side aisle at either end and one in the middle, off centre
    for y in (15.75, 17.1, 18.45, 19.8, 21.15):
        p.box(WALL, 24.3, 28.8, y, y + 0.45)
        p.box(WALL, 30.3, 36.6, y, y + 0.45)
    # canteen: pillars and a counter
    for x in (12.0, 16.5):
        for y in (3.6, 7.2):
            p.disc(WALL, x, y, 0.45)
    p.box(WALL, 10.2, 10.8, 0.3, 2.4)
    p.box(WALL, 13.5, 15.0, 1.5, 2.25)
    p.box(WALL, 13.5, 15.0, 5.1, 5.85)
    # kitchen island, meeting table, shelves of the archive and the store
    p.box(WALL, 2.4, 6.0, 2.7, 3.6)
    p.box(WALL, 22.8, 25.5, 7.2, 8.4)
    p.box(WALL, 3.6, 5.4, 20.1, 20.7)
    p.box(WALL, 22.2, 25.8, 2.4, 3.0)
    # lobby: reception desk and pillars
    p.box(WALL, 29.4, 31.8, 8.4, 9.15)
    p.disc(WALL, 30.6, 5.1, 0.45)
    p.disc(WALL, 35.1, 5.1, 0.45)
    p.disc(WALL, 35.1, 9.6, 0.45)

    # exits at the facade: the narrow west door of the corridor, the main entrance of the lobby
    p.box(EXIT, 0.0, 0.3, 11.4, 12.6)
    p.box(EXIT, 31.8, 34.2, 0.0, 0.3)
    return p


def distance():
    """One room, 2 m x 1 m, a door in the west and a wall from the south that must be walked around."""
    p = Plan(2.0, 1.0, 0.025)
    p.room(0.025, 2.0, 0.0, 1.0)
    p.box(EXIT, 0.0, 0.025, 0.0, 0.2)
    p.box(WALL, 1.0, 1.05, 0.0, 0.6)
    return p


def main():
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parent
    for draw in (evacuation, distance):
        draw().save(folder / (draw.__name__ + ".png"))


if __name__ == "__main__":
    main()
