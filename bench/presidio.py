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

# Presidio's counterparts of our detectors, as far as it has them as patterns.
CARDS = ["CreditCardRecognizer"]
ALL = CARDS + [
    "IbanRecognizer", "UsSsnRecognizer", "NhsRecognizer", "UkNinoRecognizer", "InAadhaarRecognizer", "EsNifRecognizer",
    "ItFiscalCodeRecognizer", "EmailRecognizer", "IpRecognizer", "CryptoRecognizer",
]
ROUNDS = 5


def recognizers(names):
    made = [getattr(predefined, name)() for name in names if hasattr(predefined, name)]
    return [one for one in made if isinstance(one, PatternRecognizer)]


def theirs(rows, found_by):
    """Bytes for each second of processor time, and how often something was found."""
    begin, found = time.process_time(), 0
    for row in rows:
        for one in found_by:
            found += len(one.analyze(row, one.supported_entities, None) or [])
    return sum(len(row.encode()) for row in rows) / (time.process_time() - begin), found


def ours(bench, path, which):
    done = subprocess.run([bench, "scan", path, which], capture_output=True, text=True, check=True)
    rate, found = done.stdout.split()
    return float(rate), int(found)


def main(bench, results):
    text = subprocess.run([bench, "rows", "1500"], capture_output=True, text=True, check=True).stdout
    path = f"{results}/mask-rows.txt"
    with open(path, "w") as file:
        file.write(text)
    rows, figures = text.splitlines(), []
    for which, names in (("card", CARDS), ("all", ALL)):
        found_by, pairs = recognizers(names), []
        theirs(rows[:100], found_by)
        for _ in range(ROUNDS):
            (fast, masked), (slow, found) = ours(bench, path, which), theirs(rows, found_by)
            pairs.append((fast, slow, fast / slow))
        fast, slow, ratio = (statistics.median(column) for column in zip(*pairs))
        names = ", ".join(type(one).__name__ for one in found_by)
        print(f"{which}: ours {fast / 1e9:.2f} GB/s ({masked} masked), Presidio {slow / 1e3:.1f} KB/s ({found} found): {ratio:,.0f} x")
        print(f"  {len(rows)} rows, {len(text.encode())} bytes; Presidio's {names}")
        figures.append({"name": f"mask, {which}", "value": round(ratio), "unit": "ratio", "compared_with": "presidio"})
    with open(f"{results}/presidio.json", "w") as file:
        json.dump(figures, file, indent=1)


if __name__ == "__main__":
    main(*sys.argv[1:])
