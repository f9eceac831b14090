"""The documents say what is there: links, keys, options, inputs."""
import os
import pathlib
import re
import subprocess
import sys

import pytest
import yaml

TOP = pathlib.Path(__file__).resolve().parents[2]
EXE = os.environ.get("HALOCLINE", str(TOP / "bin" / "halocline"))
DOCS = sorted([TOP / "README.md", *TOP.glob("docs/**/*.md")])
INPUTS = sorted([*TOP.glob("inputs/**/*.yaml"), *TOP.glob("run/scaling/*.yaml")])
MODELS = ["hj", "mfg", "density"]

sys.path.insert(0, str(TOP / "postprocess"))
from rundir import flatten  # noqa: E402


def halocline(*arguments):
    env = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    return subprocess.run([EXE, *map(str, arguments)], capture_output=True, text=True, env=env, timeout=120)


@pytest.fixture(scope="module")
def keys():
    found = set()
    for model in MODELS:
        result = halocline("-model", model, "-help", "markdown")
        assert result.returncode == 0, result.stderr
        found |= set(re.findall(r"^\| `(\w+)` \|", result.stdout, re.M))
    assert {"grid_cells", "mfg_sigma", "hj_hamiltonian"} <= found
    return found


@pytest.mark.parametrize("path", DOCS, ids=lambda p: str(p.relative_to(TOP)))
def test_links(path):
    text = path.read_text()
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
        if not target.startswith("http"):
            assert (path.parent / target).exists(), target


@pytest.mark.parametrize("path", DOCS, ids=lambda p: str(p.relative_to(TOP)))
def test_files_named_exist(path):
    """Every path into the repository that a document names in code quotes."""
    for name in re.findall(r"`((?:inputs|run|docs|postprocess|src|include|tests)/[\w./-]+)`", path.read_text()):
        if any(word in name for word in ("NAME", "MODEL")):
            continue
        assert (TOP / name).exists(), name


@pytest.mark.parametrize("path", DOCS, ids=lambda p: str(p.relative_to(TOP)))
def test_options_named_exist(path, keys):
    """Options on example command lines, and `section: key` in the text."""
    text = path.read_text()
    for key in re.findall(r"\s-((?:grid|time|output|run|mfg|hj|density)_\w+)", text):
        assert key in keys, key
    for section, key in re.findall(r"`(grid|time|output|run|mfg|hj|density): (\w+)`", text):
        assert f"{section}_{key}" in keys, f"{section}: {key}"


def test_inputs_in_documents(keys):
    """Indented YAML examples use keys that exist."""
    for path in DOCS:
        for block in re.findall(r"(?:^    .*\n|^\n)+", path.read_text(), re.M):
            body = re.sub(r"^    ", "", block, flags=re.M)
            if not re.match(r"\s*(model|grid|time|mfg|hj|density|output|run):", body):
                continue
            for key in flatten(yaml.safe_load(body)):
                assert key in keys, f"{path.name}: {key}"


def test_reference_is_up_to_date():
    result = subprocess.run([sys.executable, str(TOP / "docs" / "generate.py"), "--exe", EXE, "--check"], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("path", INPUTS, ids=lambda p: str(p.relative_to(TOP)))
def test_inputs_pass_a_dry_run(path, tmp_path):
    result = halocline(path, "-dry_run", "-run_dir", tmp_path / "run")
    assert result.returncode == 0, result.stderr or result.stdout
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("path", sorted(TOP.glob("run/slurm/*.sbatch")), ids=lambda p: p.name)
def test_batch_scripts_are_sound(path, keys):
    assert subprocess.run(["bash", "-n", str(path)]).returncode == 0
    text = path.read_text()
    for option in re.findall(r"\s-((?:run|output|restart|dry)_\w+)", text):
        assert option in keys, option


def test_no_empty_promises():
    for path in DOCS:
        assert not re.search(r"\b(TODO|TBD|FIXME|XXX|coming soon)\b", path.read_text()), path
