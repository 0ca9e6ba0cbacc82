#!/usr/bin/env python3
"""Our mask beside Presidio's pattern recognisers, on the same rows, in turn. Not part of `scripts/bench`: it needs a Python that has
`presidio-analyzer`. `scripts/bench-presidio` makes one.

Of Presidio only recognisers run that are patterns with checks, each by its own `analyze`: no language model, no engine, no NLP artefacts,
and nothing is replaced. Ours masks whole frames of the protocol. Both by processor time on one core.
"""

import json
import statistics
import subprocess
import sys
import time

import presidio_analyzer.predefined_recognizers as predefined
from presidio_analyzer import PatternRecognizer

CARDS = ["CreditCardRecognizer"]
# Presidio's counterparts of our detectors, as far as it has them as patterns.
SAME = CARDS + [
    "IbanRecognizer", "UsSsnRecognizer", "UkNinoRecognizer", "InAadhaarRecognizer", "EsNifRecognizer", "ItFiscalCodeRecognizer",
    "EmailRecognizer", "IpRecognizer",
]
ROUNDS = 3


def recognizers(names):
    """Those of these names; all that Presidio ships, where there are none. Some need arguments or a service: not those."""
    made = []
    for name in names or sorted(dir(predefined)):
        kind = getattr(predefined, name, None)
        if isinstance(kind, type) and issubclass(kind, PatternRecognizer):
            try:
                made.append(kind())
            except (TypeError, ValueError, ImportError):
                continue
    return made


def theirs(values, found_by):
    """Bytes for each second of processor time, and how often something was found."""
    begin, found = time.process_time(), 0
    for value in values:
        for one in found_by:
            found += len(one.analyze(value, one.supported_entities, None) or [])
    return sum(len(value.encode()) for value in values) / (time.process_time() - begin), found


def ours(bench, path, which):
    done = subprocess.run([bench, "scan", path, which], capture_output=True, text=True, check=True)
    rate, found = done.stdout.split()
    return float(rate), int(found)


def compare(bench, path, which, found_by):
    with open(path) as file:
        values = [value for line in file.read().splitlines() for value in line.split("\t")]
    theirs(values[:100], found_by)
    pairs = []
    for _ in range(ROUNDS):
        (fast, masked), (slow, found) = ours(bench, path, which), theirs(values, found_by)
        pairs.append((fast, slow, fast / slow))
    fast, slow, ratio = (statistics.median(column) for column in zip(*pairs))
    print(f"  ours {fast / 1e9:.2f} GB/s ({masked} masked), Presidio {slow / 1e3:,.1f} KB/s ({found} found): {ratio:,.0f} x", flush=True)
    return round(ratio)


def main(bench, results):
    text = subprocess.run([bench, "rows", "1500"], capture_output=True, text=True, check=True).stdout
    figures = []
    for shape, text in (("one value in each column", text), ("one text in each row", text.replace("\t", " "))):
        path = f"{results}/mask-rows.txt"
        with open(path, "w") as file:
            file.write(text)
        for which, names, against in (
            ("card", CARDS, "its recogniser of cards"), ("all", SAME, "its counterparts"), ("all", [], "all its patterns"),
        ):
            found_by = recognizers(names)
            print(f"{shape}, {which}, {against} ({len(found_by)}), {len(text.encode())} bytes:")
            ratio = compare(bench, path, which, found_by)
            figures.append({"name": f"mask, {which}, {shape}", "value": ratio, "unit": "ratio", "compared_with": against})
    with open(f"{results}/presidio.json", "w") as file:
        json.dump(figures, file, indent=1)


if __name__ == "__main__":
    main(*sys.argv[1:])
