"""Rounds into figures: medians, and medians of ratios that are paired within a round."""

import statistics

TARGET = {"least": 0.85, "goal": 1.0}


def figure(name, value, unit, against, target, most=False, note=None):
    """One row of results.json. `target` is a floor, or a ceiling where `most` is set."""
    met = None if value is None or target is None else (value <= target if most else value >= target)
    row = {"name": name, "value": None if value is None else round(value, 3), "unit": unit, "compared_with": against,
           "target": target, "met": False if value is None and target is not None else met}
    return {**row, "note": note} if note else row


def select(measured, work, way, key):
    return {row["round"]: row[key] for row in measured if row["work"] == work and row["way"] == way and key in row}


def median(measured, work, way, key):
    values = select(measured, work, way, key).values()
    return statistics.median(values) if values else None


def ratio(measured, work, way, base, key="tps"):
    """The median over the rounds of `way` to `base` in the same round."""
    ours, theirs = select(measured, work, way, key), select(measured, work, base, key)
    pairs = [ours[number] / theirs[number] for number in ours if number in theirs]
    return statistics.median(pairs) if pairs else None


def names(measured, key):
    return list(dict.fromkeys(row[key] for row in measured))


def summary(measured):
    """The figures that have targets, and the ratios to direct that have none."""
    figures = []
    add = lambda *row, **more: figures.append(figure(*row, **more))
    for work in names(measured, "work"):
        for way in (way for way in names(measured, "way") if way.startswith("writ")):
            if median(measured, work, way, "tps") is None and way.startswith(("writ full", "writ cards")):
                continue
            tls = "+tls" in way
            bouncer, direct = ("pgbouncer+tls", "direct+tls") if tls else ("pgbouncer", "direct")
            label = f"{work}, {way}"
            if work.startswith("connect"):
                add(f"{label}: sessions opened", median(measured, work, way, "tps"), "1/s", None, 200 if tls else None)
                continue
            if way.startswith("writ full"):
                add(f"{label}: throughput", ratio(measured, work, way, "direct"), "ratio", "direct", 0.33)
                continue
            if way.startswith("writ cards"):
                add(f"{label}: throughput", ratio(measured, work, way, "direct"), "ratio", "direct", None)
                add(f"{label}: throughput", ratio(measured, work, way, "pgbouncer"), "ratio", "pgbouncer", 1.0)
                continue
            add(f"{label}: throughput", ratio(measured, work, way, direct), "ratio", direct, None)
            add(f"{label}: throughput", ratio(measured, work, way, bouncer), "ratio", bouncer, TARGET["least"])
            add(f"{label}: p99", ratio(measured, work, way, bouncer, "p99"), "ratio", bouncer, 1.0, most=True)
            if work.startswith("wide") and not tls:
                add(f"{label}: bytes", ratio(measured, work, way, "haproxy"), "ratio", "haproxy", 0.90)
    return figures


def table(measured):
    """Every way of every workload: median rate, ratio to direct, latencies."""
    lines = ["| workload | way | per second | to direct | p50 us | p99 us |", "|---|---|---|---|---|---|"]
    for work in names(measured, "work"):
        for way in sorted(way for way in names(measured, "way")):
            rate = median(measured, work, way, "tps")
            if rate is None:
                continue
            to = ratio(measured, work, way, "direct")
            p50, p99 = (median(measured, work, way, key) for key in ("p50", "p99"))
            lines.append(f"| {work} | {way} | {rate:.0f} | {'' if to is None else f'{to:.2f}'} | {p50:.0f} | {p99:.0f} |")
    return "\n".join(lines)
