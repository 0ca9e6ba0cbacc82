#!/usr/bin/env python3
"""The matrix of `make bench`: interleaved one-second rounds of pgbench, paired ratios, medians.

ROUNDS (7), ROUND_SECONDS (1), IDLE (2000 sessions), WORK (a regular expression over workloads) shorten a run; what was set is in the
results. Nothing is warmed, tuned or left out for one of the compared.
"""

import glob
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time

import parts
import rows
from writ import Writ, issuer

HERE = os.path.dirname(os.path.abspath(__file__))
ROUNDS, SECONDS = int(os.environ.get("ROUNDS", 7)), int(os.environ.get("ROUND_SECONDS", 1))
IDLE = int(os.environ.get("IDLE", 2000))

WORK = {
    "simple c1": ["-S", "-c", "1"],
    "simple c8": ["-S", "-c", "8"],
    "simple c32": ["-S", "-c", "32"],
    "extended c8": ["-S", "-M", "extended", "-c", "8"],
    "extended c32": ["-S", "-M", "extended", "-c", "32"],
    "prepared c8": ["-S", "-M", "prepared", "-c", "8"],
    "prepared c32": ["-S", "-M", "prepared", "-c", "32"],
    "tpc-b c8": ["-c", "8"],
    "wide c8": ["-f", f"{HERE}/wide.sql", "-c", "8"],
    "connect c4": ["-S", "-C", "-c", "4"],
}
if os.environ.get("WORK"):
    WORK = {name: args for name, args in WORK.items() if re.search(os.environ["WORK"], name)}


class Way:
    """A way to the server: where to connect, as whom, with TLS or not."""

    def __init__(self, port, user="bench", password=lambda: "bench", tls=False, only=None):
        self.port, self.user, self.password, self.tls, self.only = port, user, password, tls, only

    def environment(self):
        return dict(os.environ, PGPASSWORD=self.password(), PGSSLMODE="require" if self.tls else "disable", PGGSSENCMODE="disable")

    def pgbench(self, *args):
        return ["pgbench", "-h", "127.0.0.1", "-p", str(self.port), "-U", self.user, "-n", *args, "bench"]


def measure(way, args):
    """One round: transactions a second and latencies in microseconds, or what went wrong."""
    clients = int(args[args.index("-c") + 1])
    with tempfile.TemporaryDirectory(dir="/dev/shm") as logs:
        command = way.pgbench("-T", str(SECONDS), "-j", str(min(2, clients)), "-l", "--log-prefix", f"{logs}/l", *args)
        try:
            done = subprocess.run(command, capture_output=True, text=True, env=way.environment(), timeout=SECONDS + 30)
        except subprocess.TimeoutExpired:
            return {"error": "timeout"}
        rate = re.search(r"tps = ([\d.]+)", done.stdout)
        took = sorted(int(line.split()[2]) for path in glob.glob(f"{logs}/l*") for line in open(path))
    if done.returncode or not rate or not took:
        return {"error": done.stderr[-300:]}
    return {"tps": float(rate[1]), "p50": took[len(took) // 2], "p99": took[min(len(took) - 1, len(took) * 99 // 100)]}


def rounds(ways, out):
    """Every workload over every way, in an order that is drawn anew for each."""
    measured, dead = [], set()
    for number in range(ROUNDS):
        for work, args in WORK.items():
            order = [name for name, way in ways.items() if way.only is None or re.match(way.only, work)]
            random.shuffle(order)
            for name in order:
                if (work, name) in dead:
                    continue
                row = {"round": number, "work": work, "way": name, **measure(ways[name], args)}
                measured.append(row)
                out.write(json.dumps(row) + "\n")
                out.flush()
                if "error" in row:
                    dead.add((work, name))
                    print(f"bench: {work} over {name} failed: {row['error']}", file=sys.stderr, flush=True)
        print(f"bench: round {number + 1} of {ROUNDS} done", file=sys.stderr, flush=True)
    return measured


def idle_bytes(writ, way, server):
    """Resident bytes for each of IDLE sessions that have run one query and wait."""
    count = ["psql", "-h", "127.0.0.1", "-p", str(server), "-U", "postgres", "-XAtc",
             "select count(*) from pg_stat_activity where datname = 'bench' and state = 'idle' and query = 'SELECT 1;'"]
    before = writ.resident()
    child = subprocess.Popen(way.pgbench("-c", str(IDLE), "-j", "1", "-t", "1", "-f", f"{HERE}/idle.sql"), env=way.environment(),
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end, there = time.monotonic() + 120, 0
    while there < IDLE and time.monotonic() < end and child.poll() is None:
        time.sleep(0.5)
        there = int(parts.run(*count))
    held = writ.resident() - before
    child.terminate()
    child.wait()
    while int(parts.run(*count)) and time.monotonic() < end:
        time.sleep(0.2)
    return (held / there, there) if there == IDLE else (None, there)


def main(binary, directory, results):
    processes = parts.Processes(directory)
    try:
        os.chmod(directory, 0o755)
        parts.certificates(directory)
        issuer(directory)
        server = parts.postgres(processes, directory, IDLE)
        one, two = (Writ(processes, directory, binary, server, workers) for workers in (1, 2))
        ways = {
            "direct": Way(server),
            "direct+tls": Way(server, tls=True),
            "haproxy": Way(parts.haproxy(processes, directory, server)),
            "pgbouncer": Way(parts.pgbouncer(processes, directory, "pgbouncer", server, False)),
            "pgbouncer+tls": Way(parts.pgbouncer(processes, directory, "pgbouncer-tls", server, True), tls=True),
            "writ w1": Way(one.port, "plain", lambda: one.token("plain")),
            "writ w2": Way(two.port, "plain", lambda: two.token("plain")),
            "writ+tls w1": Way(one.port, "tls", lambda: one.token("tls"), tls=True),
            "writ+tls w2": Way(two.port, "tls", lambda: two.token("tls"), tls=True),
            "writ cards w1": Way(one.port, "cards", lambda: one.token("cards"), only="wide"),
            "writ cards w2": Way(two.port, "cards", lambda: two.token("cards"), only="wide"),
            "writ full w2": Way(two.port, "full", lambda: two.token("full"), only="wide"),
        }
        if os.environ.get("HOLD"):
            print(json.dumps({name: [way.port, way.user, way.password()] for name, way in ways.items()}), one.process.pid, two.process.pid, flush=True)
            time.sleep(float(os.environ["HOLD"]))
            return
        with open(f"{results}/rounds.jsonl", "w") as out:
            measured = rounds(ways, out)
        figures = rows.summary(measured)
        if IDLE:
            for name, limit in (("writ w2", 32), ("writ+tls w2", 64)):
                each, there = idle_bytes(two, ways[name], server)
                figures.append(rows.figure(f"idle session, {name}, {IDLE} sessions", each and each / 1024, "KiB", None, limit, most=True,
                                           note=None if each else f"only {there} sessions came up"))
        with open(f"{results}/matrix.json", "w") as out:
            json.dump(figures, out, indent=1)
        print(rows.table(measured))
    finally:
        processes.stop()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="writ-bench-") as state:
        main(sys.argv[1], state, sys.argv[2])
