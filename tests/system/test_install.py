"""make install, and a model of one's own built against what was installed, outside of the source tree."""
import json
import math
import pathlib
import shutil
import subprocess

import pytest

from helpers import ENV, EXE, TOP

INPUT = """\
model: heat
grid: {cells: "40,24", upper: "1,1", boundary: periodic}
time: {end: 0.01}
heat: {initial: "sin(2*pi*x)*cos(4*pi*y)"}
run: {dir: out}
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    prefix = tmp_path_factory.mktemp("prefix")
    build = pathlib.Path(EXE).resolve().parent  # the build under test
    subprocess.run(["make", "-s", "install", f"PREFIX={prefix}", f"B={build}"], cwd=TOP, env=ENV, check=True, timeout=600)
    return prefix


def test_what_is_installed(installed):
    assert (installed / "bin/halocline").exists()
    assert (installed / "lib/libhalocline.a").exists()
    assert (installed / "include/halocline/halocline.h").exists()
    r = subprocess.run([installed / "bin/halocline", "-version"], env=ENV, capture_output=True, text=True, timeout=60)
    assert r.returncode == 0 and "halocline" in r.stdout


def test_own_model_outside_of_the_tree(installed, tmp_path):
    if "san" in pathlib.Path(EXE).resolve().parent.name:
        pytest.skip("a sanitizer build of the library needs its flags in the user's build too")
    shutil.copy(TOP / "docs/examples/heat.c", tmp_path)
    env = dict(ENV, PKG_CONFIG_PATH=str(installed / "lib/pkgconfig"))
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "halocline"], env=env, capture_output=True, text=True, check=True)
    subprocess.run(["gcc", "-Wall", "-Werror", "heat.c", "-o", "heat", *flags.stdout.split()], cwd=tmp_path, check=True, timeout=120)
    (tmp_path / "heat.yaml").write_text(INPUT)
    r = subprocess.run(["mpirun", "-q", "-n", "2", "--oversubscribe", "./heat", "heat.yaml"], cwd=tmp_path, env=ENV, timeout=60,
                       capture_output=True, text=True)
    assert r.returncode == 0, r.stderr
    results = json.loads((tmp_path / "out/summary.json").read_text())["results"]
    # the largest value at a cell centre decays like the eigenmode, up to the second-order error of the Laplacian
    rate = 4 * math.pi**2 * (1 + 4)
    h = 1 / 24
    exact = math.exp(-rate * 0.01)
    assert abs(results["heat"]) < 1e-14  # a sum of 960 terms below 1, exact in the sum
    # relative error of the Laplacian's eigenvalue times the exponent, and the distance of a crest from the nearest centre
    slack = rate * 0.01 * (4 * math.pi * h) ** 2 / 12 + (math.pi / 40) ** 2 / 2 + (2 * math.pi * h) ** 2 / 2
    assert results["max"] == pytest.approx(exact, rel=slack)
