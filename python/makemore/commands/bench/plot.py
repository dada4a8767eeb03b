"""The picture of a bench: throughput against batch size. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from makemore.commands.bench.result import Throughput


def throughput_plot(rows: Sequence[Throughput], title: str) -> Figure:
    """Medians, a line a thread count, with bars from the least to the most."""
    figure = Figure(figsize=(8, 5), dpi=120, layout="constrained")  # not pyplot's: no display
    axes = figure.add_subplot(xlabel="batch size", ylabel="names/s")
    axes.set_title(title, parse_math=False)
    for threads in sorted({row.threads for row in rows}):
        line = sorted((row for row in rows if row.threads == threads), key=lambda r: r.batch_size)
        rates = [row.names_per_second for row in line]
        axes.errorbar(
            [row.batch_size for row in line],
            [rate.median for rate in rates],
            yerr=(
                [rate.median - rate.min for rate in rates],
                [rate.max - rate.median for rate in rates],
            ),
            marker="o",
            capsize=3,
            label=f"{threads} thread{'s' if threads > 1 else ''}",
        )
    sizes = sorted({row.batch_size for row in rows})
    axes.set_xscale("log", base=2)
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.grid(alpha=0.3)
    axes.legend()
    return figure
