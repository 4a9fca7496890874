"""Plots of results, as SVG: the same results give the same files."""

from pathlib import Path
from typing import Any

from benchmarks.outcome import Outcome, Plot
from benchmarks.report import plot_name


def write_plots(folder: Path, outcomes: dict[int, Outcome]) -> None:
    """Draw all plots; only this needs Matplotlib."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    mpl.rcParams["svg.hashsalt"] = "messages_extends"
    mpl.rcParams["svg.fonttype"] = "none"
    folder.mkdir(parents=True, exist_ok=True)
    for number, outcome in outcomes.items():
        for index, plot in enumerate(outcome.plots):
            figure: Any = Figure(figsize=(7.2, 4.2), layout="constrained")
            _draw(figure.subplots(), plot)
            figure.savefig(folder / plot_name(number, index), metadata={"Date": None}, facecolor="white")


def _draw(axes: Any, plot: Plot) -> None:
    for (name, points), mark in zip(plot.lines.items(), "osD^vP*Xh<>" * 2, strict=False):
        axes.plot([x for x, _y in points], [y for _x, y in points], marker=mark, label=name)
    axes.set_xscale("symlog" if any(x == 0 for points in plot.lines.values() for x, _y in points) else "log")
    axes.set_yscale("log")
    axes.set(title=plot.title, xlabel=plot.x, ylabel=plot.y)
    axes.grid(visible=True, which="major", alpha=0.3)
    axes.legend(fontsize="small")
