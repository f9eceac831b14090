"""Wrong inputs, each on 1 and on 3 ranks: exit code 2, one line that names the file and the key, nothing written, no hang.

A case is (name, input, command line, what the line must say). The input is the text of run.yaml, bytes, or None for no file at all. To
add one, add a line. All runs are made once, two at a time, before the first check."""
import concurrent.futures
import re

import pytest

from helpers import run

HJ = "model: hj\nproblem: burgers1d\n"
GAME = "model: mfg\ngrid: {cells: '12,10', boundary: reflecting}\n"

CASES = [
    # the file
    ("no_input_file", None, [], ["no input file", "INPUT.yaml"]),
    ("file_missing", None, ["absent.yaml"], ["absent.yaml", "No such file"]),
    ("file_is_a_directory", None, ["files"], ["files", "directory"]),
    ("file_is_a_picture", None, ["files/plan.png"], ["files/plan.png", "not a text file"]),
    ("file_is_endless", None, ["/dev/zero"], ["/dev/zero", "1 MiB"]),
    ("file_empty", "", [], ["run.yaml", "empty"]),
    ("file_of_comments", "# nothing\n# at all\n", [], ["run.yaml", "empty"]),
    ("file_without_keys", "just words\n", [], ["run.yaml:1:1", "key: value"]),
    ("file_is_a_list", "- model\n- hj\n", [], ["run.yaml:1:1", "list"]),
    ("file_in_latin_1", HJ.encode() + b"# \xfcber\nrun: {dir: \xfc}\n", [], ["run.yaml:3:", "UTF-8"]),
    ("second_argument", HJ, ["other.yaml"], ["other.yaml", "one argument too many"]),
    # YAML
    ("yaml_unclosed_bracket", HJ + "grid: {cells: [1, 2\n", [], ["run.yaml:4:1", "malformed"]),
    ("yaml_unclosed_quote", HJ + "hj: {initial: 'x}\n", [], ["run.yaml:", "malformed"]),
    ("yaml_bad_indentation", "model: hj\n  problem: burgers1d\n", [], ["run.yaml:2:", "malformed"]),
    ("yaml_tab", HJ + "grid:\n\tcells: 20\n", [], ["run.yaml:4:1", "tab"]),
    ("yaml_two_documents", HJ + "---\n" + HJ, [], ["run.yaml:3:1", "document"]),
    ("yaml_key_twice", HJ + "grid: {cells: 20}\nmodel: hj\n", [], ["run.yaml:4:", "model", "twice"]),
    ("yaml_key_twice_in_two_forms", HJ + "grid: {cells: 20}\ngrid_cells: 30\n", [], ["run.yaml:4:", "grid_cells", "twice"]),
    ("yaml_null", HJ + "grid: {cells: ~}\n", [], ["run.yaml:3:", "grid_cells", "no value"]),
    ("yaml_value_forgotten", HJ + "grid:\n  cells:\n", [], ["run.yaml:4:", "grid_cells", "no value"]),
    ("yaml_anchor", "model: &m hj\nproblem: burgers1d\n", [], ["run.yaml:1:8", "anchor"]),
    ("yaml_alias", "model: hj\nproblem: *m\n", [], ["run.yaml:2:10", "alias"]),
    ("yaml_list_of_maps", HJ + "grid:\n  - cells: 4\n  - dim: 1\n", [], ["run.yaml:4:", "grid", "plain values"]),
    ("yaml_too_deep", HJ + "a: {b: {c: {d: {e: {f: {g: {h: {i: 1}}}}}}}}\n", [], ["run.yaml:3:", "deep"]),
    # keys
    ("key_misspelt", HJ + "grid:\n  cels: 20\n", [], ["run.yaml:4:9", "grid_cels = '20'", "did you mean 'grid_cells'"]),
    ("key_misspelt_on_command_line", HJ, ["-tiem_end", "1"], ["command line", "tiem_end", "'time_end'"]),
    ("key_unknown_section", HJ + "mesh: {size: 20}\n", [], ["run.yaml:3:", "mesh_size", "unknown key"]),
    ("key_of_another_model", HJ + "mfg: {sigma: 0.1}\n", [], ["run.yaml:3:14", "mfg_sigma", "unknown key", "'hj'"]),
    ("key_is_a_section", HJ + "grid: 20\n", [], ["run.yaml:3:7", "grid", "section"]),
    ("key_is_a_value", HJ + "grid: {cells: {x: 20}}\n", [], ["run.yaml:3:19", "grid_cells", "not a section"]),
    ("key_not_used", HJ + "hj: {scheme: upwind1, weights: z}\n", [], ["run.yaml:3:32", "hj_weights", "not used"]),
    ("key_not_used_by_coupling", GAME + "mfg: {coupling: picard, depth: 3}\n", [], ["run.yaml:3:32", "mfg_depth", "not used"]),
    ("key_for_the_command_line", HJ + "restart: true\n", [], ["run.yaml:3:10", "-restart"]),
    ("key_missing", "model: hj\ngrid: {cells: 20}\ntime: {end: 1}\n", [], ["run.yaml", "hj_initial", "missing"]),
    ("model_missing", "grid: {cells: 20}\n", [], ["run.yaml", "model is missing", "hj|mfg"]),
    ("model_unknown", "model: mgf\n", [], ["run.yaml:1:8", "model = 'mgf'", "'mfg'"]),
    ("problem_unknown", "model: hj\nproblem: burger1d\n", [], ["run.yaml:2:10", "problem", "'burgers1d'"]),
    # types and ranges
    ("type_integer", HJ + "grid: {cells: 4.5}\n", [], ["run.yaml:3:15", "grid_cells = '4.5'", "integer"]),
    ("type_integer_too_long", HJ + "grid: {cells: 99999999999}\n", [], ["run.yaml:3:15", "grid_cells", "32 bits"]),
    ("type_real", HJ + "time: {end: soon}\n", [], ["run.yaml:3:13", "time_end = 'soon'", "number"]),
    ("type_real_not_finite", HJ + "time: {end: inf}\n", [], ["run.yaml:3:13", "time_end", "number"]),
    ("type_bool", GAME + "mfg: {normalise: maybe}\n", [], ["run.yaml:3:18", "mfg_normalise", "true or false"]),
    ("type_word", HJ + "hj: {flux: godunof}\n", [], ["run.yaml:3:12", "hj_flux", "did you mean 'godunov'"]),
    ("type_duration", HJ + "run: {walltime: 1:99:00}\n", [], ["run.yaml:3:17", "run_walltime", "hh:mm:ss"]),
    ("type_interval", HJ + "output: {checkpoint_interval: 5 parsecs}\n", [], ["run.yaml:3:31", "output_checkpoint_interval", "parsecs"]),
    ("type_list_item", HJ + "grid: {lower: '0,x'}\n", [], ["run.yaml:3:15", "grid_lower", "item 2", "'x'"]),
    ("type_list_hole", HJ + "grid: {lower: '0,,1'}\n", [], ["run.yaml:3:15", "grid_lower", "item 2", "empty"]),
    ("value_missing_on_command_line", HJ, ["-grid_cells"], ["command line", "grid_cells", "needs a value"]),
    ("range_time_negative", HJ + "time: {end: -1}\n", [], ["run.yaml:3:13", "time_end", "greater than 0"]),
    ("range_sigma_negative", GAME + "mfg: {sigma: -0.1}\n", [], ["run.yaml:3:14", "mfg_sigma = '-0.1'", "at least 0"]),
    ("range_viscosity_negative", HJ + "hj: {viscosity: -1}\n", [], ["run.yaml:3:17", "hj_viscosity", "at least 0"]),
    ("range_dim", HJ + "grid: {dim: 4}\n", [], ["run.yaml:3:13", "grid_dim", "[1,3]"]),
    ("range_cells_zero", HJ + "grid: {cells: 0}\n", [], ["run.yaml:3:15", "grid_cells", "at least 1"]),
    ("both_interval_and_count", HJ + "output: {interval: 0.1, count: 3}\n", [], ["run.yaml:3:", "output_count", "output_interval"]),
    ("field_unknown", HJ + "output: {fields: 'phi,psi'}\n", [], ["run.yaml:3:18", "output_fields", "'psi'"]),
    ("restart_without_checkpoint", HJ, ["-restart"], ["restart", "no checkpoint", "output/run"]),
    ("restart_file_missing", HJ, ["-restart", "absent.h5"], ["restart", "absent.h5", "No such file"]),
    ("restart_and_overwrite", HJ, ["-restart", "-run_overwrite"], ["run_overwrite", "-restart"]),
    ("directory_is_a_file", HJ + "run: {dir: files/plan.png}\n", [], ["run.yaml:3:12", "run_dir", "is a file"]),
    # PETSc's options
    ("petsc_unknown_prefix", HJ, ["-nosuch_ksp_type", "cg"], ["command line", "nosuch_ksp_type", "unknown key"]),
    ("petsc_not_asked_for", HJ + "diffusion: {ksp_type: cg}\n", [], ["run.yaml:3:23", "diffusion_ksp_type", "no PETSc object"]),
    (
        "petsc_unknown_solver",
        "model: hj\nproblem: viscous2d\ntime: {scheme: imex}\ndiffusion: {ksp_type: cgg}\n",
        [],
        ["run.yaml:4:23", "diffusion_ksp_type = 'cgg'"],
    ),
    # the grid
    ("grid_upside_down", HJ + "grid: {lower: 1, upper: 0}\n", [], ["run.yaml:3:25", "grid_upper", "above grid_lower"]),
    ("grid_too_many_directions", HJ + "grid: {cells: '4,4,4,4'}\n", [], ["run.yaml:3:15", "grid_cells", "directions"]),
    ("grid_corner_of_another_dimension", GAME + "grid_lower: '0,0,0'\n", [], ["run.yaml:3:13", "grid_lower", "2 dimensions"]),
    (
        "boundary_half_periodic",
        "model: mfg\ngrid: {cells: '12,10', boundary: 'reflecting,reflecting,periodic,reflecting'}\n",
        [],
        ["run.yaml:2:34", "grid_boundary", "periodic"],
    ),
    ("boundary_unknown", HJ + "grid: {boundary: mirror}\n", [], ["run.yaml:3:18", "grid_boundary", "mirror"]),
    ("boundary_of_another_model", "model: mfg\ngrid: {cells: 20, boundary: outflow}\n", [], ["run.yaml:2:29", "grid_boundary", "outflow"]),
    # formulas
    ("formula_syntax", HJ + "hj: {hamiltonian: 'px^2 +'}\n", [], ["run.yaml:3:19", "hj_hamiltonian", "column 7"]),
    ("formula_unknown_name", GAME + "mfg: {running_cost: 'x + q'}\n", [], ["run.yaml:3:21", "mfg_running_cost", "column 5", "'q'"]),
    ("formula_variable_not_here", GAME + "mfg: {initial_density: '1 + m'}\n", [], ["run.yaml:3:24", "mfg_initial_density", "'m'"]),
    ("formula_not_finite", HJ + "hj: {initial: 'log(x)', exact: 'x'}\n", [], ["run.yaml:3:15", "hj_initial", "finite"]),
    # files that the input names
    ("plan_missing", GAME + "mfg: {floor_plan: files/absent.png}\n", [], ["run.yaml:3:19", "mfg_floor_plan", "absent.png", "No such file"]),
    ("plan_is_no_png", GAME + "mfg: {floor_plan: run.yaml}\n", [], ["run.yaml:3:19", "mfg_floor_plan", "PNG"]),
    ("plan_truncated", GAME + "mfg: {floor_plan: files/cut.png}\n", [], ["run.yaml:3:19", "mfg_floor_plan", "cut.png"]),
    ("hdf5_missing", GAME + "mfg: {running_cost: 'files/absent.h5:/f'}\n", [], ["run.yaml:3:21", "mfg_running_cost", "absent.h5"]),
    ("hdf5_without_the_path", GAME + "mfg: {running_cost: 'files/data.h5:/g'}\n", [], ["run.yaml:3:21", "mfg_running_cost", "/g"]),
    ("hdf5_of_another_rank", GAME + "mfg: {running_cost: 'files/data.h5:/line'}\n", [], ["run.yaml:3:21", "mfg_running_cost", "/line"]),
    ("hdf5_is_none", GAME + "mfg: {running_cost: 'files/fake.h5:/f'}\n", [], ["run.yaml:3:21", "mfg_running_cost", "fake.h5"]),
    # the problem
    ("density_zero", GAME + "mfg: {initial_density: 0}\n", [], ["run.yaml:3:24", "mfg_initial_density", "zero"]),
    ("density_negative", GAME + "mfg: {initial_density: 'x-0.5'}\n", [], ["run.yaml:3:24", "mfg_initial_density", "negative"]),
    (
        "room_without_a_door",
        "model: mfg\ngrid: {cells: '20,20', boundary: 'exit,reflecting,reflecting,reflecting'}\nmfg: {obstacle: '0.05-abs(x-0.5)'}\n",
        [],
        ["no way out"],
    ),
    ("scheme_without_this_stepping", GAME + "mfg: {scheme: weno, time_stepping: implicit}\n", [], ["run.yaml:3:36", "mfg_time_stepping"]),
    # the game
    ("hamiltonian_unknown", GAME + "mfg: {hamiltonian: cubic}\n", [], ["run.yaml:3:20", "mfg_hamiltonian = 'cubic'", "quadratic"]),
    ("exponent_of_one", GAME + "mfg: {hamiltonian: power, exponent: 1}\n", [], ["run.yaml:3:37", "mfg_exponent = '1'", "greater than 1"]),
    ("exponent_not_used", GAME + "mfg: {hamiltonian: quadratic, exponent: 3}\n", [], ["run.yaml:3:41", "mfg_exponent", "not used"]),
    ("control_cost_not_used", GAME + "mfg: {hamiltonian: power, control_cost: 3}\n", [], ["run.yaml:3:41", "mfg_control_cost", "not used"]),
    ("boundary_m_missing", "model: mfg\ngrid: {cells: 20, boundary: given}\nmfg: {boundary_u: '0'}\n", [], ["mfg_boundary_m", "needed"]),
    ("boundary_u_missing", "model: mfg\ngrid: {cells: 20, boundary: given}\nmfg: {boundary_m: '0'}\n", [], ["mfg_boundary_u", "needed"]),
    ("density_not_a_number", GAME + "mfg: {initial_density: 'log(x-0.5)'}\n", [], ["run.yaml:3:24", "mfg_initial_density", "finite"]),
    ("damping_zero", GAME + "mfg: {damping: 0}\n", [], ["run.yaml:3:16", "mfg_damping = '0'", "(0,1]"]),
    ("depth_zero", GAME + "mfg: {coupling: anderson, depth: 0}\n", [], ["run.yaml:3:34", "mfg_depth = '0'", "[1,50]"]),
    ("tolerance_zero", GAME + "mfg: {tolerance: 0}\n", [], ["run.yaml:3:18", "mfg_tolerance = '0'", "(0,1)"]),
    ("plan_in_1d", "model: mfg\ngrid: {dim: 1, cells: 20}\nmfg: {floor_plan: files/plan.png}\n", [], ["run.yaml:3:19", "mfg_floor_plan", "dimensions"]),
]

# On one rank these are no mistake.
CASES_IN_PARALLEL = [
    ("fewer_cells_than_ranks", HJ + "grid: {cells: 7}\n", [], ["grid_cells = '7'", "3 blocks (one a rank)"]),
    ("game_with_fewer_cells_than_ranks", "model: mfg\ngrid: {dim: 1, cells: 2}\n", [], ["grid_cells = '2'", "3 blocks (one a rank)"]),
]


def make_files(folder):
    import h5py
    import numpy as np
    from PIL import Image

    folder.mkdir(parents=True)
    Image.fromarray(np.full((10, 12, 3), 255, np.uint8)).save(folder / "plan.png")
    noise = np.random.default_rng(0).integers(0, 255, (40, 40, 3), np.uint8)
    Image.fromarray(noise).save(folder / "cut.png")
    (folder / "cut.png").write_bytes((folder / "cut.png").read_bytes()[:2000])
    with h5py.File(folder / "data.h5", "w") as f:
        f["f"] = np.zeros((10, 12))
        f["line"] = np.zeros(12)
    (folder / "fake.h5").write_text("not HDF5\n")


def one(folder, ranks, text, args):
    make_files(folder / "files")
    r = run(ranks, text, *args, cwd=folder, timeout=60)
    r.left = {str(p.relative_to(folder)) for p in folder.rglob("*")} - {"run.yaml"}
    return r


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    top = tmp_path_factory.mktemp("wrong")
    jobs = [(case, ranks) for case in CASES for ranks in (1, 3)] + [(case, 3) for case in CASES_IN_PARALLEL]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        futures = {(name, ranks): pool.submit(one, top / f"{name}_{ranks}", ranks, text, args) for (name, text, args, _), ranks in jobs}
        return {key: future.result() for key, future in futures.items()}


FILES = {"files", *(f"files/{name}" for name in ("plan.png", "cut.png", "data.h5", "fake.h5"))}


def check(r, words):
    assert r.code == 2, r.out + r.err
    assert len(r.errors) == 1, r.err
    for word in words:
        assert word in r.errors[0], r.errors[0]
    assert not re.search(r"PETSC ERROR|HDF5-DIAG|Traceback|Segmentation|MPI_ABORT", r.out + r.err), r.err
    assert r.left == FILES
    assert r.seconds < 20


@pytest.mark.parametrize("ranks", [1, 3])
@pytest.mark.parametrize("name, words", [(c[0], c[3]) for c in CASES], ids=[c[0] for c in CASES])
def test_wrong_input(runs, ranks, name, words):
    check(runs[name, ranks], words)


@pytest.mark.parametrize("name, words", [(c[0], c[3]) for c in CASES_IN_PARALLEL], ids=[c[0] for c in CASES_IN_PARALLEL])
def test_wrong_in_parallel(runs, name, words):
    check(runs[name, 3], words)


def test_same_line_on_any_number_of_ranks(runs):
    for name, *_ in CASES:
        assert runs[name, 1].errors == runs[name, 3].errors, name
