"""`make run`: the main job, small, and its mistakes."""
import json
import os
import pathlib
import subprocess

TOP = pathlib.Path(__file__).resolve().parents[2]
SMALL = ["-grid_cells", "128,80", "-time_steps", "16", "-output_count", "8", "-mfg_tolerance", "0.05"]


def main_job(output, *arguments, **environment):
    env = dict(os.environ, HALOCLINE_OUTPUT=str(output), **environment)
    return subprocess.run([str(TOP / "run" / "main_job"), *arguments], capture_output=True, text=True, env=env, timeout=600)


def test_small_main_job(tmp_path):
    for number in (1, 2):
        result = main_job(tmp_path, "2", *SMALL)
        assert result.returncode == 0, result.stderr
        run = tmp_path / f"evacuation-00{number}"
        for name in ("density.png", "value.png", "mass.png", "residual.png", "film.mp4"):
            assert (run / "figures" / name).stat().st_size > 1000
            assert name in result.stdout
        results = json.loads((run / "summary.json").read_text())["results"]
        assert results["mass_error_max"] < 1e-12 and results["clipped"] == 0
        # both exits are used, and together they took what left
        taken = [results[f"series_exit_{k}"][-1] for k in (1, 2)]
        assert min(taken) > 0.2
        assert abs(sum(taken) + results["series_mass"][-1] - 1) < 1e-12


def test_mistakes(tmp_path):
    for ranks in ("0", "two", "-1"):
        result = main_job(tmp_path, ranks)
        assert result.returncode == 2 and "positive integer" in result.stderr
    result = main_job(tmp_path, "1", HALOCLINE="/nowhere/halocline")
    assert result.returncode == 2 and "not built" in result.stderr


def test_failure_is_passed_on(tmp_path):
    result = main_job(tmp_path, "1", "-mfg_sigma", "-1")
    assert result.returncode == 2
    assert "mfg_sigma" in result.stderr and "exit code 2" in result.stderr
    assert list(tmp_path.iterdir()) == []  # nothing was written
    result = main_job(tmp_path, "1", *SMALL, "-mfg_max_iterations", "1")
    assert result.returncode == 3
    assert "evacuation-001" in result.stderr
