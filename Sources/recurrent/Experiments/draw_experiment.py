"""Draws the JSON of 'recurrent experiment': draw_experiment.py JSON PICTURE, with - for standard input."""

import json
import sys

import matplotlib

matplotlib.use("Agg")
# The same input gives the same bytes.
matplotlib.rcParams["svg.hashsalt"] = "swift-recurrent"
matplotlib.rcParams["font.size"] = 9
import matplotlib.pyplot as plt

STYLES = {
    "line": {"linewidth": 1.2},
    "dashed": {"linewidth": 1, "linestyle": "--"},
    "points": {"linestyle": "none", "marker": "o", "markersize": 3.5},
    "crosses": {"linestyle": "none", "marker": "x", "markersize": 6},
}


def draw_bars(axes, panel, bars):
    """Groups of bars beside each other, one of each curve at each x."""
    width = 0.8 / len(bars)
    for index, curve in enumerate(bars):
        places = [x + (index - (len(bars) - 1) / 2) * width for x in curve["x"]]
        axes.bar(places, [value or 0 for value in curve["y"]], width, label=curve["name"])


def draw_heat(axes, heat):
    """A table of colors, its first row at the top."""
    axes.imshow(heat["values"], aspect="auto", cmap="Greys", vmin=0)
    axes.set_xticks(range(len(heat["columns"])), heat["columns"])
    axes.set_yticks(range(len(heat["rows"])), heat["rows"])


def draw(axes, panel):
    if panel.get("heat"):
        draw_heat(axes, panel["heat"])
        axes.set_title(panel["title"], fontsize=10)
        axes.set_xlabel(panel["x_label"])
        axes.set_ylabel(panel["y_label"])
        return
    bars = [curve for curve in panel["curves"] if curve["style"] == "bars"]
    if bars:
        draw_bars(axes, panel, bars)
    for curve in panel["curves"]:
        if curve["style"] != "bars":
            y = [float("nan") if value is None else value for value in curve["y"]]
            axes.plot(curve["x"], y, label=curve["name"], **STYLES[curve["style"]])
    if panel["has_logarithmic_x"]:
        axes.set_xscale("log")
    if panel["has_logarithmic_y"]:
        axes.set_yscale("log")
    if panel.get("names"):
        axes.set_xticks(range(len(panel["names"])), panel["names"])
    axes.set_title(panel["title"], fontsize=10)
    axes.set_xlabel(panel["x_label"])
    axes.set_ylabel(panel["y_label"])
    axes.grid(alpha=0.25, linewidth=0.5)
    if len(panel["curves"]) > 1:
        axes.legend(fontsize=8, framealpha=0.7)


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: draw_experiment.py JSON PICTURE")
    with sys.stdin if sys.argv[1] == "-" else open(sys.argv[1], encoding="utf-8") as file:
        experiment = json.load(file)
    panels = experiment.get("panels") or sys.exit(f"{sys.argv[1]}: has no panels to draw")
    figure, all_axes = plt.subplots(
        len(panels), 1, figsize=(7.5, 3.1 * len(panels)), squeeze=False, layout="constrained"
    )
    for axes, panel in zip(all_axes[:, 0], panels):
        draw(axes, panel)
    metadata = {"Date": None} if sys.argv[2].lower().endswith(".svg") else None
    figure.savefig(sys.argv[2], metadata=metadata, dpi=150)


main()
