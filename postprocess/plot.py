#!/usr/bin/env python3
"""Figures of Halocline runs.

  plot.py all RUN              every figure that suits the run, into RUN/figures
  plot.py density RUN          density at several times           plot.py value RUN      value function, optimal paths
  plot.py mass RUN             mass left, share of each exit      plot.py film RUN       mp4 (or --out x.gif)
  plot.py hj RUN               Hamilton-Jacobi solution           plot.py residual RUN   convergence of the coupling
  plot.py agents RUN           agents over the plan: figure, mp4  (--out x.png, x.mp4 or x.gif: only that one)
  plot.py convergence RUN...   errors of several runs             plot.py scaling FILE   result of run/scaling/scaling.py

--people N shows densities as people per square metre when N people are in the building.
"""
import argparse
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import agents  # noqa: E402
import cloud  # noqa: E402
import crowd  # noqa: E402
import hj  # noqa: E402
import studies  # noqa: E402
from rundir import Run, RunError  # noqa: E402


def arguments(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figure", choices=["all", "density", "value", "mass", "film", "agents", "hj", "residual", "convergence", "scaling"])
    parser.add_argument("source", nargs="+", help="run directory (convergence: several; scaling: the JSON file)")
    parser.add_argument("--out", type=pathlib.Path, help="file to write (default: RUN/figures/FIGURE.png)")
    parser.add_argument("--people", type=float, help="number of people that mass 1 stands for")
    parser.add_argument("--times", help="density: comma-separated times")
    parser.add_argument("--paths", type=int, default=40, help="value, agents: number of paths (default 40)")
    parser.add_argument("--dots", type=int, default=2000, help="agents: at most so many are drawn (default 2000)")
    parser.add_argument("--fps", type=int, default=10, help="film: pictures a second (default 10)")
    return parser.parse_args(argv)


def single(figure, run, out, options):
    if figure == "density" and run.model == "density":
        cloud.picture(run, out)
    elif figure == "density":
        times = [float(t) for t in options.times.split(",")] if options.times else None
        crowd.density(run, out, options.people, times)
    elif figure == "value":
        crowd.value(run, out, options.paths)
    elif figure == "mass":
        crowd.mass(run, out, options.people)
    elif figure == "film":
        crowd.film(run, out, options.people, options.fps)
    elif figure == "agents":
        walk = agents.Agents(run, options.dots)
        films = (".mp4", ".gif")
        if out.suffix not in films:
            agents.picture(walk, out, options.paths)
        if out.suffix in films or not (options.out and options.figure == figure) and agents.suits_film(walk):
            agents.film(walk, out if out.suffix in films else out.with_suffix(".mp4"), options.paths, options.people, options.fps)
    elif figure == "hj":
        hj.picture(run, out)
    elif figure == "residual":
        studies.residual(run, out)


def suitable(run):
    """The figures that make sense for a run."""
    if run.model == "hj":
        return ["hj"]
    if run.model == "density":
        return ["density"]
    figures = ["density", "value", "residual"]
    if crowd.has_exits(run):
        figures.append("mass")
    if run.dim > 1 and len(run.times) > 8:
        figures.append("film")
    if agents.files(run):
        figures.append("agents")
    return figures


def main(argv=None):
    options = arguments(argv)
    if options.figure == "scaling":
        folder = options.out or pathlib.Path(options.source[0]).resolve().parent
        studies.scaling(options.source[0], folder)
        return
    if options.figure == "convergence":
        studies.convergence([Run(s) for s in options.source], options.out or pathlib.Path("convergence.png"))
        return
    for source in options.source:
        run = Run(source)
        for figure in suitable(run) if options.figure == "all" else [options.figure]:
            name = figure + (".mp4" if figure == "film" else ".png")
            single(figure, run, options.out if options.out and options.figure != "all" else run.folder / "figures" / name, options)


if __name__ == "__main__":
    try:
        main()
    except (RunError, OSError, ValueError, KeyError) as error:
        sys.exit(f"plot.py: {error}")
