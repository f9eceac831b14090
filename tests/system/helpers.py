"""Run the program and look at what it left.

    r = run(3, "model: hj\\nproblem: burgers2d\\n", "-time_end", 0.1, cwd=tmp_path)
    assert r.code == 0, r.err
    r.dir, r.summary(), r.history(), r.fields()
"""
import csv
import json
import os
import pathlib
import signal
import subprocess
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
EXE = os.environ.get("HALOCLINE", str(TOP / "bin" / "halocline"))
ENV = dict(
    os.environ,
    OMPI_ALLOW_RUN_AS_ROOT="1",
    OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1",
    OMPI_MCA_rmaps_base_oversubscribe="1",
    OMPI_MCA_mpi_yield_when_idle="1",
    OMPI_MCA_btl_vader_single_copy_mechanism="none",
    OMP_NUM_THREADS="1",
)


class Run:
    """A finished run: exit code, what it printed, and its directory."""

    def __init__(self, code, out, err, directory, seconds):
        self.code, self.out, self.err, self.dir, self.seconds = code, out, err, directory, seconds

    @property
    def errors(self):
        """The lines that tell an error."""
        return [line for line in self.err.splitlines() if line.startswith("halocline: error:")]

    def summary(self):
        return json.loads((self.dir / "summary.json").read_text())

    def history(self):
        """The names of the columns, without units, and the rows as numbers."""
        with open(self.dir / "history.csv", newline="") as f:
            rows = list(csv.reader(f))
        return [name.split(" [")[0] for name in rows[0]], [[float(v) for v in row] for row in rows[1:]]

    def fields(self):
        return sorted(self.dir.glob("fields_*.h5"))

    def checkpoints(self):
        return sorted(self.dir.glob("checkpoint_*.h5"))


def command(ranks, source, *args, cwd, wrap=()):
    """The words of the command line. `source` is the name of an input file, or its text (then written to cwd/run.yaml); None: none.
    `wrap`: words in front of the program on each rank."""
    cwd.mkdir(parents=True, exist_ok=True)
    words = ["mpirun", "-q", "-n", str(ranks), "--oversubscribe"] if ranks > 1 or wrap else []
    words += [*wrap, EXE]
    if isinstance(source, bytes) or (isinstance(source, str) and ("\n" in source or not source)):
        data = source if isinstance(source, bytes) else source.encode()
        (cwd / "run.yaml").write_bytes(data)
        source = "run.yaml"
    if source is not None:
        words.append(str(source))
    return words + [str(a) for a in args]


def directory_of(words, cwd):
    """The run directory that a command line leads to, unless the input names another one."""
    if "-run_dir" in words:
        return cwd / words[words.index("-run_dir") + 1]
    names = [w for w in words if w.endswith((".yaml", ".yml"))]
    return cwd / "output" / (pathlib.Path(names[0]).stem if names else "none")


def run(ranks, source, *args, cwd, timeout=120, wrap=()):
    """Run to the end. A run that hangs fails the test."""
    words = command(ranks, source, *args, cwd=cwd, wrap=wrap)
    begin = time.monotonic()
    process = subprocess.Popen(words, cwd=cwd, env=ENV, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise AssertionError(f"still running after {timeout} s: {' '.join(words)}")
    seconds = time.monotonic() - begin
    return Run(process.returncode, out.decode(errors="replace"), err.decode(errors="replace"), directory_of(words, cwd), seconds)


class Started:
    """A run in progress."""

    def __init__(self, ranks, source, *args, cwd):
        self.words = command(ranks, source, *args, cwd=cwd)
        self.cwd, self.dir = cwd, directory_of(self.words, cwd)
        self.process = subprocess.Popen(
            self.words, cwd=cwd, env=ENV, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        )

    def wait_for(self, condition, timeout=60):
        """Wait until condition() holds; the run must not end before."""
        end = time.monotonic() + timeout
        while not condition():
            assert self.process.poll() is None, self.finish().err
            assert time.monotonic() < end, "waited in vain"
            time.sleep(0.02)

    def rows(self):
        path = self.dir / "history.csv"
        return path.read_text().count("\n") - 1 if path.exists() else 0

    def signal_ranks(self, number):
        """To the processes of the program itself, as srun and scancel send."""
        pids = [self.process.pid]
        if self.words[0] == "mpirun":
            pids = [int(p) for p in pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()]
        for pid in pids:
            os.kill(pid, number)

    def kill(self):
        """kill -9 of everything at once."""
        children = [] if self.words[0] != "mpirun" else pathlib.Path(
            f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        ).read_text().split()
        for pid in [*children, self.process.pid]:
            try:
                os.kill(int(pid), signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.communicate()

    def finish(self, timeout=120):
        begin = time.monotonic()
        try:
            out, err = self.process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.communicate()
            raise AssertionError(f"still running after {timeout} s: {' '.join(self.words)}")
        return Run(
            self.process.returncode,
            out.decode(errors="replace"),
            err.decode(errors="replace"),
            self.dir,
            time.monotonic() - begin,
        )
