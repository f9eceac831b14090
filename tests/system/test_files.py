"""The files of a run as other programs read them: every reference of the index resolves, coordinates and shapes agree, and what
is on the disk is whole at any moment, however a run ends."""
import re
import xml.etree.ElementTree as ET

import h5py
import numpy as np
import pytest
from helpers import Started, run

INPUT = """model: hj
problem: {problem}
output: {{count: 4, checkpoint_interval: 5}}
"""
CASES = [("burgers1d", 1, "40"), ("burgers2d", 2, "24,18"), ("burgers3d", 3, "12,10,14")]


def read_index(directory):
    """What a viewer sees: a list of (time, node coordinates x.., {name: values}). Fails where anything does not fit."""
    text = (directory / "fields.xmf").read_text()
    root = ET.fromstring(text)
    assert root.tag == "Xdmf"
    (collection,) = root.findall("Domain/Grid")
    assert collection.get("GridType") == "Collection" and collection.get("CollectionType") == "Temporal"

    def values(item):
        shape = tuple(int(n) for n in item.get("Dimensions").split())
        if item.get("Format") == "XML":
            data = np.array([float(v) for v in item.text.split()])
        else:
            name, path = item.text.strip().split(":")
            assert "/" not in name, "files are named relative to the index"
            with h5py.File(directory / name, "r") as f:
                assert f[path].dtype == np.float64
                data = f[path][()]
        assert data.size == np.prod(shape)
        return data.reshape(shape)

    steps = []
    for grid in collection.findall("Grid"):
        assert grid.get("GridType") == "Uniform"
        topology, geometry = grid.find("Topology"), grid.find("Geometry")
        nodes = [int(n) for n in topology.get("Dimensions").split()]
        axes = [values(item) for item in geometry.findall("DataItem")]
        assert topology.get("TopologyType") == f"{len(axes)}DRectMesh"
        assert geometry.get("GeometryType") == "VXVYVZ"[: 2 * len(axes)]
        # dimensions stand slowest first, axes x first
        assert [len(a) for a in axes] == nodes[::-1]
        attributes = {}
        for attribute in grid.findall("Attribute"):
            assert attribute.get("Center") == "Cell" and attribute.get("AttributeType") == "Scalar"
            attributes[attribute.get("Name")] = v = values(attribute.find("DataItem"))
            assert list(v.shape) == [n - 1 for n in nodes]
        assert attributes
        steps.append((float(grid.find("Time").get("Value")), axes, attributes))
    assert [s[0] for s in steps] == sorted(s[0] for s in steps)
    return steps


@pytest.mark.parametrize("ranks", [1, 3])
@pytest.mark.parametrize("problem,dim,cells", CASES)
def test_index(tmp_path, ranks, problem, dim, cells):
    r = run(ranks, INPUT.format(problem=problem), "-grid_cells", cells, cwd=tmp_path)
    assert r.code == 0, r.err
    steps = read_index(r.dir)
    assert len(steps) == len(r.fields()) == 5
    for (time, axes, attributes), name in zip(steps, r.fields()):
        with h5py.File(name, "r") as f:
            assert f.attrs["time"] == time and f.attrs["step"] >= 0 and f.attrs["version"]
            assert [int(n) for n in cells.split(",")] == list(f["fields/phi"].shape)[::-1]
            assert {"units", "description"} <= set(f["fields/phi"].attrs)
            for d in range(dim):
                centres = f["grid/" + "xyz"[d]][()]
                assert np.allclose(centres, 0.5 * (axes[d][1:] + axes[d][:-1]), rtol=0, atol=1e-14 * abs(axes[d]).max())
            assert np.array_equal(f["fields/phi"][()].ravel(), attributes["phi"].ravel())


def test_index_after_a_restart(tmp_path):
    source = INPUT.format(problem="burgers2d").replace("5}", "5, keep: 0}")
    r = run(2, source, "-grid_cells", "24,18", cwd=tmp_path)
    assert r.code == 0, r.err
    whole = read_index(r.dir)
    first = r.checkpoints()[0]
    s = run(1, source, "-grid_cells", "24,18", "-restart", first, cwd=tmp_path)
    assert s.code == 0, s.err
    again = read_index(s.dir)
    assert [t for t, _, _ in again] == [t for t, _, _ in whole]
    for (_, _, a), (_, _, b) in zip(whole, again):
        assert np.array_equal(a["phi"], b["phi"])


def test_killed_runs_leave_whole_files(tmp_path):
    """kill -9 at any moment: what has its final name can be read, the index too."""
    source = "model: hj\nproblem: burgers3d\noutput: {count: 200, checkpoint_interval: 1, keep: 3}\n"
    for attempt, ranks in enumerate([1, 2, 2, 3]):
        here = tmp_path / str(attempt)
        started = Started(ranks, source, "-grid_cells", "24,20,28", "-time_cfl", "0.05", cwd=here)
        started.wait_for(lambda: started.rows() >= 2 + 3 * attempt)
        started.kill()
        files = sorted(started.dir.glob("fields_*.h5"))
        for name in files:
            with h5py.File(name, "r") as f:
                assert np.isfinite(f["fields/phi"][()]).all()
        listed = read_index(started.dir)
        assert len(files) - 1 <= len(listed) <= len(files)
        r = run(ranks, source, "-grid_cells", "24,20,28", "-time_cfl", "0.05", "-restart_auto", "-run_walltime", "2", cwd=here)
        assert r.code in (0, 75), r.err
        assert not list(r.dir.glob("*.tmp")), "a finished run leaves no temporary files"
        read_index(r.dir)


def test_checkpoint_every_byte_counts(tmp_path):
    """Flipped bits all over a checkpoint, its HDF5 structure and padding included: refused by name, never a crash."""
    source = INPUT.format(problem="burgers1d")
    r = run(1, source, "-grid_cells", "40", cwd=tmp_path)
    assert r.code == 0, r.err
    newest = r.checkpoints()[-1]
    good = newest.read_bytes()
    for at in np.linspace(0, len(good) - 1, 12).astype(int):
        bad = bytearray(good)
        bad[at] ^= 0x10
        newest.write_bytes(bad)
        s = run(1, source, "-grid_cells", "40", "-restart", newest, "-time_end", "2", cwd=tmp_path)
        assert s.code == 4, (at, s.err)
        assert len(s.errors) == 1 and newest.name in s.errors[0], s.err
        assert re.search("damaged|truncated|not a checkpoint", s.errors[0])
