"""Tables and pictures of the benchmark's JSON: report.py FILE [FOLDER]

roofline.svg: GF/s of each case over its arithmetic intensity, under the core's multiply-add peak.
CELL-MODE.svg: our time and each peer's over H, for N = 1, 16 and 64, where the file has the grid and peers.
results.md and index.html: every case, ours, the peers, the best peer's time over ours.
"""

import html
import json
import math
import pathlib
import sys

import matplotlib

matplotlib.use("Agg")
matplotlib.rcParams["svg.fonttype"] = "none"  # text stays text
matplotlib.rcParams["svg.hashsalt"] = "swift-recurrent"  # the same picture of the same file
import matplotlib.pyplot as plt  # noqa: E402

GATES = {"lstm": 4, "gru": 3, "rnn": 1}
MARKS = {"lstm": "o", "gru": "s", "rnn": "^"}


def fail(text):
    sys.exit(f"report: {text}")


def load(path):
    try:
        report = json.loads(pathlib.Path(path).read_text())
        assert report["results"], "it has no results"
        return report
    except (OSError, ValueError, KeyError, AssertionError) as error:
        fail(f"cannot read '{path}' as a report of Benchmarks/run --json: {error}")


def intensity(result):
    """Flops for each byte that a step must move: weights and what goes in and out."""
    gates, n, c, h = GATES[result["cell"]], result["n"], result["c"], result["h"]
    flops = 2 * gates * h * (c + h) * n
    return flops / (4 * (gates * h * (c + h) + n * (c + 2 * h)))


def roofline(report, folder):
    figure, axes = plt.subplots(figsize=(8, 5))
    machine = report["machine"]
    peak = machine["peak_gflops"] * machine["threads"]
    for cell, mark in MARKS.items():
        for mode, filled in (("forward", True), ("training", False)):
            points = [r for r in report["results"] if r["cell"] == cell and r["mode"] == mode]
            if points:
                axes.scatter(
                    [intensity(r) for r in points],
                    [r["gflops"] for r in points],
                    marker=mark,
                    s=28,
                    facecolors="C0" if filled else "none",
                    edgecolors="C0" if filled else "C3",
                    label=f"{cell.upper()} {'forward' if filled else 'forward + backward'}",
                )
    read = machine["read_gbs"] * machine["threads"]
    corners = [0.2, peak / read, 64]
    axes.plot(corners, [min(peak, read * x) for x in corners], color="black", linewidth=1)
    axes.text(60, peak * 1.05, f"multiply-add peak, {peak:.0f} GF/s", ha="right")
    axes.text(0.22, read * 0.25, f"weights from the third cache, {read:.0f} GB/s", rotation=38, rotation_mode="anchor")
    axes.set(xscale="log", yscale="log", xlabel="flops a byte of weights, inputs and outputs", ylabel="GF/s")
    axes.set_title("Share of the peak")
    axes.grid(alpha=0.3)
    if not axes.collections:
        plt.close(figure)
        return []
    axes.legend(fontsize=8)
    save(figure, folder / "roofline.svg")
    return ["roofline.svg"]


def save(figure, path):
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def label(peer):
    scalar = peer.get("scalar", "f32")
    return f"{peer['name']} {peer['version']}" + (f" {scalar}" if scalar != "f32" else "")


def over_sizes(report, folder):
    """Our time and each peer's over H."""
    pictures = []
    for cell in GATES:
        for mode in ("forward", "training"):
            rows = [r for r in report["results"] if r["cell"] == cell and r["mode"] == mode and r.get("peers")]
            batches = [n for n in (1, 16, 64) if sum(r["n"] == n for r in rows) > 2]
            if not batches:
                continue
            figure, all_axes = plt.subplots(1, len(batches), figsize=(4.2 * len(batches), 3.8), squeeze=False)
            for axes, n in zip(all_axes[0], batches):
                line = sorted((r for r in rows if r["n"] == n), key=lambda r: r["h"])
                axes.plot([r["h"] for r in line], [r["p50_us"] / r["t"] for r in line], "o-", color="black", label="ours")
                for name in dict.fromkeys(label(p) for r in line for p in r["peers"]):
                    points = [(r["h"], p["p50_us"] / r["t"]) for r in line for p in r["peers"] if label(p) == name]
                    axes.plot(*zip(*points), "o-", markersize=3, label=name)
                axes.set(xscale="log", yscale="log", xlabel="C = H", title=f"N {n}")
                axes.set_xticks([r["h"] for r in line], [r["h"] for r in line], fontsize=7)
                axes.minorticks_off()
                axes.grid(alpha=0.3)
            all_axes[0][0].set_ylabel("µs a step")
            all_axes[0][0].legend(fontsize=8)
            figure.suptitle(f"{cell.upper()}, {'forward' if mode == 'forward' else 'forward + backward'}")
            save(figure, folder / f"{cell}-{mode}.svg")
            pictures.append(f"{cell}-{mode}.svg")
    return pictures


def time(microseconds):
    return f"{microseconds:.3g} µs" if microseconds < 1000 else f"{microseconds / 1000:.3g} ms"


def summary(results):
    """One line a group: how our times stand to the best peer's."""
    lines = [("cell", "mode", "cases", "geometric mean", "least", "behind")]
    compared = [r for r in results if r.get("ratio")]
    modes = ("forward", "training", "step")
    cells = dict.fromkeys(r["cell"] for r in compared)
    groups = [(cell, mode) for cell in cells for mode in modes] + [("all", "updates of models"), ("all", "all")]
    for cell, mode in groups:
        here = [r for r in compared if cell in ("all", r["cell"])]
        if mode == "updates of models":
            here = [r for r in here if r["mode"] not in modes]
        elif mode != "all":
            here = [r for r in here if r["mode"] == mode]
        ratios = [r["ratio"] for r in here]
        if ratios:
            mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
            behind = sum(ratio < 1 for ratio in ratios)
            lines.append((cell, mode, len(ratios), f"{mean:.2f}", f"{min(ratios):.2f}", behind))
    return lines


def table(results):
    peers = list(dict.fromkeys(label(p) for r in results for p in r.get("peers") or []))
    lines = [("case", "ours", "GF/s", "of peak", *peers, "best peer's time over ours")]
    for r in results:
        times = {label(p): time(p["p50_us"]) for p in r.get("peers") or []}
        ratio = f"{r['ratio']:.2f}" if r.get("ratio") else "–"
        if len(peers) > 1 and r.get("best_peer"):
            ratio += f", {r['best_peer']}"
        lines.append(
            (r["name"], time(r["p50_us"]), f"{r['gflops']:.3g}", f"{100 * r['peak_share']:.0f} %")
            + tuple(times.get(peer, "–") for peer in peers)
            + (ratio,)
        )
    return lines


def markdown(lines):
    rows = [f"| {' | '.join(map(str, line))} |" for line in lines]
    return "\n".join([rows[0], "|" + "---|" * len(lines[0]), *rows[1:]]) + "\n"


def page(lines):
    rows = "".join("<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in line) + "</tr>\n" for line in lines)
    return f"<table>\n{rows}</table>\n"


def main():
    if len(sys.argv) not in (2, 3):
        fail("usage: Benchmarks/report FILE [FOLDER]")
    report, folder = load(sys.argv[1]), pathlib.Path(sys.argv[2] if len(sys.argv) == 3 else "report")
    folder.mkdir(parents=True, exist_ok=True)
    machine, results = report["machine"], report["results"]
    head = (
        f"{machine['cpu']}; {machine['isa']}; BLIS {machine['blis']}, {machine['sub_configuration']}; "
        f"Swift {machine['swift']}; threads: {machine['threads']}; "
        f"multiply-add peak of a core: {machine['peak_gflops']:.0f} GF/s"
    )
    pictures = roofline(report, folder) + over_sizes(report, folder)
    parts = [summary(results), table(results)] if any(r.get("ratio") for r in results) else [table(results)]
    (folder / "results.md").write_text(f"{head}\n\n" + "\n".join(map(markdown, parts)))
    images = "".join(f'<p><img src="{picture}" alt="{picture}"></p>\n' for picture in pictures)
    style = "body{font:14px sans-serif;margin:2em}td{padding:2px 10px;text-align:right}td:first-child{text-align:left}"
    (folder / "index.html").write_text(
        f'<!DOCTYPE html><meta charset="utf-8"><title>swift-recurrent: benchmark</title><style>{style}</style>\n'
        f"<h1>swift-recurrent: benchmark</h1><p>{html.escape(head)}</p>\n{images}" + "".join(map(page, parts))
    )
    print(f"wrote {', '.join(['index.html', 'results.md', *pictures])} to {folder}")


main()
