"""Model `mfg`: walls do not leak, exits count everybody, and with little noise the value is the walking distance."""
import numpy as np
import pytest
from PIL import Image

from mfg_cases import axes, check_conservation, field, game, orders

long = pytest.mark.long
WALL, FREE, EXIT = (0, 0, 0), (255, 255, 255), (0, 160, 0)


def plan(path, width, height, *parts):
    """A PNG of free pixels with parts (colour, x0, x1, y0, y1) in pixels, y upwards."""
    image = np.full((height, width, 3), 255, np.uint8)
    for colour, x0, x1, y0, y1 in parts:
        image[y0:y1, x0:x1] = colour
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image[::-1]).save(path)


def free_cells(r):
    """Walls thinner than a cell leave no cell in the field `region`; without walls and exits there is none."""
    try:
        return field(r, "region") == 1
    except KeyError:
        return np.full(field(r, "u").shape, True)


# ---- leaks -------------------------------------------------------------------------------------------------------------

SEALED = """model: mfg
grid: {dim: %d, cells: "%s", upper: "%s", boundary: reflecting}
time: {end: 0.6, steps: 10}
mfg:
  sigma: 0.6
  running_cost: "0.3*m + x"
  terminal_cost: "-2*x - y"
  initial_density: "%s"
  %s
output: {count: 5}
"""
SIZE = {2: ("20,16", "1,0.8"), 3: ("20,10,9", "1,0.8,0.6")}


def sealed(tmp_path, dim, wall, beyond, ranks, stepping, tolerance=1e-6):
    """Agents on one side of a wall whose costs draw them to the other: there the density is exactly 0, and u is the same whatever they
    do, to the tolerance of the solves (bit for bit where there are none). `beyond(x, y, z)` is positive behind the wall."""
    cells, upper = SIZE[dim]
    runs = []
    for name, density in (("a", f"({beyond}) < 0"), ("b", f"({beyond}) < 0 ? 1 + sin(7*x+5*y) : 0")):
        text = SEALED % (dim, cells, upper, density, wall)
        if name == "b":
            text = text.replace("0.3*m + x", f"({beyond}) < 0 ? 0.3*m + 3*x : x")
        folder = tmp_path / f"{name}_{ranks}_{stepping}"
        if "floor_plan" in wall:
            (folder / "plan.png").parent.mkdir(parents=True, exist_ok=True)
            (folder / "plan.png").write_bytes((tmp_path / "plan.png").read_bytes())
        # explicit: levels so short that one substep is enough, since the largest rate anywhere sets the substeps everywhere
        steps = 10 if stepping == "implicit" else 600
        runs.append(game(ranks, text, folder, mfg_time_stepping=stepping, mfg_tolerance=tolerance, time_steps=steps))
        if stepping == "explicit":
            names, rows = runs[-1].history()
            assert rows[-1][names.index("substeps_per_step")] == 1
    x = axes(runs[0])
    names = dict(zip("xyz", x), abs=np.abs, min=np.minimum)
    behind = np.broadcast_to(eval(beyond, names) > 0, field(runs[0], "m").shape)
    free = free_cells(runs[0])
    assert (behind & free).sum() > 20 and (~behind & free).sum() > 20
    for r in runs:
        check_conservation(r)
        for k in range(len(r.fields())):
            assert not field(r, "m", k)[behind].any(), (ranks, stepping, k)
    for k in range(len(runs[0].fields())):
        u = [field(r, "u", k)[behind & free] for r in runs]
        if stepping == "explicit":
            assert np.array_equal(*u)
        else:
            assert np.abs(u[0] - u[1]).max() <= tolerance
    front = ~behind & free
    assert np.abs(field(runs[0], "u", 0) - field(runs[1], "u", 0))[front].max() > 1e-2


@pytest.mark.parametrize("ranks", [1, pytest.param(2, marks=long), 3, pytest.param(4, marks=long)])
@pytest.mark.parametrize("stepping", ["implicit", "explicit"])
@pytest.mark.parametrize("dim", [2, 3])
def test_wall_of_one_cell(tmp_path, dim, stepping, ranks):
    """The twelfth of 20 cells."""
    sealed(tmp_path, dim, 'obstacle: "x > 0.55 && x < 0.6"', "x - 0.575", ranks, stepping)


@pytest.mark.parametrize("ranks", [1, pytest.param(3, marks=long)])
@pytest.mark.parametrize("stepping", ["implicit", "explicit"])
@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("shape", ["straight", "diagonal", "steps"])
def test_wall_thinner_than_a_cell(tmp_path, shape, dim, stepping, ranks):
    """A picture finer than the grid: lines one pixel wide, a fifth of a cell; the diagonals' pixels touch at corners only."""
    n = 100, 80
    image = np.full((n[1], n[0], 3), 255, np.uint8)
    for q in range(n[1]):
        at = {"straight": 52, "diagonal": 12 + q, "steps": 30 + q // 2}[shape]
        image[q, at] = 0
    Image.fromarray(image[::-1]).save(tmp_path / "plan.png")
    beyond = {"straight": "x - 0.525", "diagonal": "x - 0.125 - y", "steps": "x - 0.305 - 0.5*y"}[shape]
    sealed(tmp_path, dim, "floor_plan: plan.png", beyond, ranks, stepping)


@pytest.mark.parametrize("stepping", ["implicit", "explicit"])
def test_obstacle_thinner_than_a_cell(tmp_path, stepping):
    """A formula's wall of a quarter of a cell, between centres and slanted."""
    sealed(tmp_path, 2, 'obstacle: "0.007 - abs(x - 0.3 - 0.4*y)"', "x - 0.3 - 0.4*y", 2, stepping)


def test_sealed_room_inside_the_multigrid_aggregates(tmp_path):
    """Two rooms behind walls of one cell, at positions that no coarser grid shares, with long time steps: the coarse levels are in use."""
    text = """model: mfg
grid: {dim: 2, cells: "61,53", boundary: reflecting}
time: {end: 40, steps: 4}
mfg:
  sigma: 1
  running_cost: "x"
  terminal_cost: "y"
  obstacle: "0.5/61 - abs(x - 23.5/61)"
  initial_density: "x < 0.3"
output: {count: 2}
"""
    for ranks in (1, 3):
        r = game(ranks, text, tmp_path / str(ranks))
        check_conservation(r)
        (x, _) = axes(r)
        for k in range(3):
            m = field(r, "m", k)
            assert not m[:, x[0] > 23.4 / 61].any()
        assert np.ptp(m[:, x[0] < 22.9 / 61]) > 1e-4


# ---- exits ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ranks", [1, 3])
@pytest.mark.parametrize("stepping", ["implicit", "explicit"])
@pytest.mark.parametrize("dim", [2, 3])
def test_everybody_is_inside_or_has_left(tmp_path, dim, stepping, ranks):
    """Case d: two doors in the picture and an exit face, an inner wall, strong coupling; each exit counts its own."""
    plan(
        tmp_path / "plan.png",
        40,
        32,
        (WALL, 0, 1, 0, 32),
        (EXIT, 0, 1, 4, 9),
        (WALL, 0, 40, 31, 32),
        (EXIT, 30, 34, 31, 32),
        (WALL, 19, 21, 6, 31),
    )
    boundary = "reflecting,reflecting,exit,reflecting" + (",reflecting,reflecting" if dim == 3 else "")
    text = f"""model: mfg
grid: {{dim: {dim}, cells: "{'40,32' if dim == 2 else '20,16,5'}", upper: "{'4,3.2' if dim == 2 else '4,3.2,1'}", boundary: '{boundary}'}}
time: {{end: 6, steps: 24}}
mfg:
  floor_plan: plan.png
  sigma: 0.5
  running_cost: "0.5 + m"
  terminal_cost: "10"
  initial_density: "y > 1 ? 1 + x : 0"
output: {{count: 3}}
"""
    r = game(ranks, text, tmp_path, mfg_time_stepping=stepping, mfg_tolerance=1e-4, mfg_coupling="anderson")
    check_conservation(r, exits=3)
    s = r.results
    assert 0.9 < s["exited_mass"] < 1
    assert min(s[f"series_exit_{e}"][-1] for e in (1, 2, 3)) > 0.01
    region = field(r, "region")
    for k in range(4):
        assert not field(r, "m", k)[region != 1].any()
        assert (field(r, "u", k)[region == 2] == 0).all()


# ---- the walking distance ------------------------------------------------------------------------------------------------

DISTANCE = """model: mfg
grid: {dim: %d, upper: "%s", boundary: "%s"}
time: {end: %g}
mfg:
  sigma: %g
  running_cost: "0.5"
  initial_density: "1"
  %s
output: {count: 1}
"""


def distance_error(folder, grids, distance, dim, upper, boundary, end, extra="", sigma=0.003, ranks=1, **keys):
    """Largest and mean error of u(0) against the distance, on each grid. Agents walk at speed 1 where time costs 1/2, so that whoever is at a
    distance below end/2 has time to leave: `end` is more than twice the largest distance, by a margin for what backward Euler smears."""
    errors = []
    for cells, steps in grids:
        text = DISTANCE % (dim, upper, boundary, end, sigma, extra)
        r = game(ranks, text, folder / cells.replace(",", "_"), grid_cells=cells, time_steps=steps, mfg_tolerance=1e-6, **keys)
        u = field(r, "u", 0)
        free = free_cells(r)
        error = np.abs(u - distance(*axes(r)))[free]
        errors.append([error.max(), error.mean()])
    return np.array(errors).T


@pytest.mark.parametrize("dim, boundary", [(1, "exit,reflecting"), (2, "reflecting,reflecting,exit,reflecting"), (3, "reflecting,reflecting,reflecting,reflecting,reflecting,exit")])
def test_distance_to_an_exit_face(tmp_path, dim, boundary):
    """A straight way: linear u has no truncation error in space, so only the smearing in time is left. Backward Euler makes of the time left
    T a gamma variable of standard deviation sqrt(T dt); at T = 4 against 2 that is 5 of them away and the error below 1e-5."""
    upper, cells = {1: ("1", "30"), 2: ("1,0.9", "7,28"), 3: ("0.6,0.7,1", "5,4,26")}[dim]
    along = {1: lambda x: x, 2: lambda x, y: y, 3: lambda x, y, z: 1 - z}[dim]
    error = distance_error(tmp_path, [(cells, 200)], along, dim, upper, boundary, 4)
    assert error[0, 0] <= 1e-5


def test_distance_to_the_nearest_of_two_exit_faces(tmp_path):
    """Ways are straight but for the ridge between the two, where the error is of first order in h."""
    near = lambda x, y: np.minimum(x, 0.8 - y)
    error = distance_error(
        tmp_path, [("40,32", 160), ("80,64", 320), ("160,128", 640)], near, 2, "1,0.8", "exit,reflecting,reflecting,exit", 4, mfg_time_stepping="implicit"
    )
    assert orders(error).min() >= 0.9, error
    assert error[0, -1] <= 1 / 160


# A point source's first-order distance errs by O(h log(1/h)), because ways fan out from it (an end of a door, a corner of a
# wall): the observed order between h and h/2 is then 1 - log2(1 + log 2/log(L/h)), L the length of the way; 0.8 at L/h = 100.
def fan_order(length, h):
    return 1 - np.log2(1 + np.log(2) / np.log(length / h))


@pytest.mark.parametrize("ranks", [1, pytest.param(3, marks=long)])
def test_distance_to_a_door(tmp_path, ranks):
    """A door in the wall x < 0.05 at 0.4 < y < 0.6: its middle is reached straight, its ends along rays."""
    grids = [("40,40", 100), ("80,80", 200)]
    for cells, _ in grids:
        plan(tmp_path / cells.replace(",", "_") / "plan.png", 40, 40, (WALL, 0, 2, 0, 40), (EXIT, 0, 2, 16, 24))
    exact = lambda x, y: np.hypot(x - 0.05, np.maximum(np.abs(y - 0.5) - 0.1, 0))
    error = distance_error(tmp_path, grids, exact, 2, "1,1", "reflecting", 3, "floor_plan: plan.png", ranks=ranks)
    assert orders(error)[:, -1].min() >= fan_order(1, 1 / 40), error
    assert error[0, -1] <= 2 / 80 * np.log(80)


@pytest.mark.parametrize("dim", [2, 3])
def test_distance_around_the_end_of_a_wall(tmp_path, dim):
    """An L: the exit face is x = 0; a thin wall stands at x = 0.5, y < 0.5. Behind it, the way is to the wall's end and from there straight
    across. In 3D the same in x and z, uniform in y, with the wall as a formula."""
    half = 1 / 40

    def exact(x, *rest):
        y = rest[-1]
        if dim == 3:
            x = x + 0 * rest[0]
        behind = (x > 0.5) & (y < 0.5)
        past = np.hypot(np.maximum(x - (0.5 + half), 0), 0.5 - y) + 0.5 + half
        return np.where(behind, past, x + 0 * y)

    if dim == 2:
        grids = [("40,40", 100), ("80,80", 200)]
        for cells, _ in grids:
            plan(tmp_path / cells.replace(",", "_") / "plan.png", 40, 40, (WALL, 20, 21, 0, 20))
        error = distance_error(tmp_path, grids, exact, 2, "1,1", "exit,reflecting,reflecting,reflecting", 3.6, "floor_plan: plan.png")
    else:
        grids = [("30,2,30", 90), ("60,4,60", 180)]
        wall = 'obstacle: "min(min(x - 0.5, 0.525 - x), 0.5 - z)"'
        face = "exit,reflecting,reflecting,reflecting,reflecting,reflecting"
        error = distance_error(tmp_path, grids, exact, 3, "1,0.3,1", face, 3.6, wall, mfg_time_stepping="explicit")
    assert error[0, -1] < error[0, 0] and orders(error)[1, -1] >= fan_order(0.5, 1 / (40 if dim == 2 else 30)), error


@long
def test_distance_input(tmp_path):
    """The example of the repository."""
    error = []
    for cells, steps in (("80,40", 200), ("160,80", 400), ("320,160", 800)):
        r = game(1, "distance", tmp_path / cells.replace(",", "_"), grid_cells=cells, time_steps=steps)
        error.append([r.results["error_u_linf"], r.results["error_u_l2"]])
    assert orders(np.array(error).T)[:, -1].min() >= fan_order(1, 1 / 80), error


@pytest.mark.parametrize("exponent", [1.5, 2, 3])
def test_explicit_cost_where_the_value_jumps_at_an_exit(tmp_path, exponent):
    """At the horizon u jumps from the terminal to the exit cost: within a level the policy changes much, and what it costs is
    summed over the substeps. A policy that is late by less than a level, dt, costs at most dt max f more than the best."""
    text = """model: mfg
grid: {dim: 2, cells: "40,12", lower: "-4,-1", upper: "4,1", boundary: "reflecting,exit,reflecting,reflecting"}
time: {end: 2, steps: 10}
mfg: {sigma: 0.2, hamiltonian: power, exponent: %g, running_cost: "1+0.1*t", terminal_cost: "3", initial_density: "exp(-(x-1)^2)"}
""" % exponent
    gain = {}
    for steps in (10, 40):
        r = game(1, text, tmp_path / str(steps), mfg_time_stepping="explicit", mfg_tolerance=1e-8, time_steps=steps)
        names, rows = r.history()
        assert rows[-1][names.index("substeps_per_step")] > 1
        gain[steps] = r.results["exploitability"]
        assert abs(gain[steps]) <= 2 / steps * 1.2
        # without coupling the cost is the mean of u, but for the same delay
        mean = float((field(r, "u", 0) * field(r, "m", 0)).sum() * 0.2 / 6)
        assert r.results["cost"] == pytest.approx(mean, abs=2 / steps * 1.2)
    assert abs(gain[40]) <= 0.5 * abs(gain[10])
