"""The report's pictures: the training curve, sizes of codecs, and the score beside text compressors."""

from typing import Any

from pglab_report_figure import LINE, ONE, PAPER, SOFT, TEXT, THREE, TWO, figure


def training_curve(train: list[tuple[float, float]], validation: list[tuple[float, float]], unit: str) -> str:
    """Training loss (nats per token) over `unit`, with the validations as dots. Points are (x, y)."""

    def draw(_: Any, axes: Any, narrow: bool) -> None:
        if train:
            xs, ys = zip(*train, strict=True)
            axes.plot(xs, ys, color=ONE, linewidth=1.3, alpha=0.55, solid_joinstyle="round")
        if validation:
            xs, ys = zip(*validation, strict=True)
            joined = "-" if len(validation) > 4 else ""  # few points: a line would invent what is between
            axes.plot(xs, ys, color=TWO, linewidth=1.4, linestyle=joined, marker="o", markersize=3.2)
        everything = sorted(y for _, y in train + validation)
        high = everything[min(len(everything) - 1, int(len(everything) * (0.97 if len(everything) > 100 else 0.85)))]
        low = everything[0]
        room = (high - low) * 0.06 or 0.1
        axes.set_ylim(low - room, high + room * 2)
        axes.set_xlim(left=0)
        inside = [point for point in train if low - room < point[1] < high + room]
        axes.grid(True, axis="y")
        axes.set_xlabel(unit)
        axes.set_ylabel("nats per token")
        if inside:
            label(axes, inside[len(inside) // 3], "training", ONE, (6, 10))
        if validation:
            label(axes, validation[-1], "validation", TWO, (-4, -14), "right")

    first, last = (validation or train)[0][1], (validation or train)[-1][1]
    what = "validation" if validation else "training"
    told = f"Training curve: {what} loss goes from {first:.3f} to {last:.3f} nats per token."
    return figure(draw, told)


def label(
    axes: Any, point: tuple[float, float], text: str, colour: str, offset: tuple[int, int], side: str = "left"
) -> None:
    """A word beside a curve, in its colour: no legend to look up."""
    word = axes.annotate(text, point, xytext=offset, textcoords="offset points", color=colour, ha=side,
                         bbox={"facecolor": PAPER, "edgecolor": "none", "alpha": 0.8, "pad": 1})  # fmt: skip
    word.set_in_layout(False)  # a word beside a point must not push the axes about


def bars(rows: list[tuple[str, float, str, bool]], axis: str, alt: str, limit: tuple[float, str] | None = None) -> str:
    """Horizontal bars, best first as given: (name, value, text at its end, highlighted). `limit` draws a line."""
    height = 0.42 + 0.29 * len(rows)

    def draw(_: Any, axes: Any, narrow: bool) -> None:
        places = range(len(rows))
        colours = [TWO if mine else ONE for _, _, _, mine in rows]
        drawn = axes.barh(places, [value for _, value, _, _ in rows], color=colours, height=0.62)
        for bar, (_, _, _, mine) in zip(drawn, rows, strict=True):
            bar.set_alpha(1.0 if mine else 0.55)
        axes.set_yticks(list(places), [shorten(name, 24 if narrow else 44) for name, _, _, _ in rows])
        axes.invert_yaxis()
        top = max([value for _, value, _, _ in rows] + ([limit[0]] if limit else []))
        axes.set_xlim(0, top * (1.28 if narrow else 1.14))
        for place, (_, value, text, mine) in zip(places, rows, strict=True):
            axes.annotate(
                text, (value, place), xytext=(5, 0), textcoords="offset points", va="center",
                color=TEXT if mine else SOFT, fontweight="bold" if mine else "normal",
            )  # fmt: skip
        for word in axes.get_yticklabels():
            word.set_color(TEXT)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_color(LINE)
        axes.spines["bottom"].set_visible(False)
        axes.tick_params(axis="x", length=0, labelbottom=False)  # every bar carries its number
        axes.set_title(axis, loc="left", fontsize=9, color=SOFT, pad=8 if not limit else 18)
        if limit:
            axes.axvline(limit[0], color=THREE, linewidth=1, linestyle=(0, (4, 3)))
            axes.annotate(
                limit[1],
                (limit[0], -0.7),
                color=THREE,
                ha="right",
                xytext=(-3, 0),
                textcoords="offset points",
                annotation_clip=False,
            )

    return figure(draw, alt, (8.4, height), (4.0, height + 0.1))


def shorten(text: str, most: int) -> str:
    """A name cut in its middle when it is too long for its axis."""
    if len(text) <= most:
        return text
    half = (most - 1) // 2
    return f"{text[:half]}…{text[-(most - 1 - half) :]}"


def apart(values: list[float], most: int) -> list[float]:
    """Those of sorted values that stand a `most`-th of the axis from the one before, so that a word fits under each."""
    least = (values[-1] - values[0]) / most
    chosen = values[:1]
    for value in values[1:]:
        if value - chosen[-1] >= least:
            chosen.append(value)
    return chosen


def over_time(points: list[tuple[float, float, str, bool]]) -> str:
    """Scores by day: (days since 1970, bits per byte, name, in the ten-minute track). The best so far is a line."""
    from datetime import date, timedelta

    ranked = sorted(point for point in points if point[3])
    best: list[tuple[float, float]] = []
    for day, value, _, _ in ranked:
        if not best or value < best[-1][1]:
            best.append((day, value))

    def word(day: float) -> str:
        then = date(1970, 1, 1) + timedelta(days=round(day))
        return f"{then.day} {then:%b}"

    def draw(_: Any, axes: Any, narrow: bool) -> None:
        for inside, colour in ((False, SOFT), (True, ONE)):
            chosen = [(d, v) for d, v, _, track in points if track is inside]
            if chosen:
                axes.scatter(*zip(*chosen, strict=True), s=14, color=colour, alpha=0.7, linewidths=0)
        if best:
            days, values = zip(*[*best, (max(p[0] for p in points), best[-1][1])], strict=True)
            axes.step(days, values, where="post", color=TWO, linewidth=1.5)
            axes.annotate(f"{best[-1][1]:.4f}", (days[-1], values[-1]), xytext=(0, -13), textcoords="offset points",
                          color=TWO, ha="right")  # fmt: skip
        heights = sorted(p[1] for p in points)
        low, high = heights[0], heights[min(len(heights) - 1, int(len(heights) * 0.9))]
        axes.set_ylim(low - (high - low) * 0.15, high + (high - low) * 0.1)
        ticks = apart(sorted({p[0] for p in points}), 4 if narrow else 9)
        axes.set_xticks(ticks, [word(tick) for tick in ticks])
        axes.set_ylabel("bits per byte")
        axes.grid(True, axis="y")

    told = f"Bits per byte over time, {len(points)} records."
    if best:
        told += f" The best of the ten-minute track goes from {best[0][1]:.4f} to {best[-1][1]:.4f}."
    return figure(draw, told)
