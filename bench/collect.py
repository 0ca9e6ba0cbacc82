#!/usr/bin/env python3
"""Puts the matrix and what the crates' benches printed (`name value unit`) together: results.json, and a table."""

import json
import sys

from rows import figure

# Name: (target, whether it is a ceiling, what it is compared with).
TARGETS = {
    "ledger_entries_per_second": (200_000, False),
    "ledger_verify_million": (5, True),
    "open_sessions_per_second": (5_000, False),
    "open_steady_p99": (5, True),
    "verify_es256_to_bare": (1.2, True),
    "verify_rs256_to_bare": (1.2, True),
    "issuer_es256_per_second": (10_000, False),
    "rds_tokens_per_second": (20_000, False),
    "mint_aws_overhead_p99": (1, True),
    "mint_azure_overhead_p99": (1, True),
    "mint_kubernetes_overhead_p99": (1, True),
    "mint_openbao_overhead_p99": (1, True),
    "mint_gcp_overhead_p99": (1, True),
    "mint_github_overhead_p99": (1, True),
    "mint_mysql_overhead_p99": (1, True),
    "ssh_certificates_per_second": (10_000, False),
    "held_statement": (16, True),
    "verdict_remembered_short_p99": (2, True),
    "verdict_remembered_report_p99": (2, True),
    "verdict_judged_short_p99": (100, True),
    "verdict_judged_report_p99": (100, True),
    "verdict_parsed_short_p99": (100, True),
    "verdict_parsed_report_p99": (100, True),
}


def main(results, printed):
    with open(f"{results}/matrix.json") as file:
        figures = json.load(file)
    with open(printed) as file:
        lines = [line.split() for line in file]
    for name, value, unit in (line for line in lines if len(line) == 3):
        target, most = TARGETS.get(name, (None, False))
        try:
            figures.append(figure(name, float(value), unit, None, target, most))
        except ValueError:
            continue
    with open(f"{results}/results.json", "w") as file:
        json.dump(figures, file, indent=1)
    for row in figures:
        met = {True: "met", False: "MISSED", None: ""}[row["met"]]
        value = "-" if row["value"] is None else f"{row['value']:,}"
        against = f" x {row['compared_with']}" if row["compared_with"] else ""
        target = "" if row["target"] is None else f"target {row['target']:,}"
        print(f"{row['name']:<52} {value:>12} {row['unit']}{against:<18} {target:<16} {met}")


if __name__ == "__main__":
    main(*sys.argv[1:])
