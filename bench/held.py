#!/usr/bin/env python3
"""What a held statement costs its session: MANY sessions at once, each with a statement that waits for an approval.

So many servers' processes are more than a machine has: the server here is a fake that logs anybody in and answers what a gateway
asks of it. No statement of a client reaches it. Usage: held.py BINARY; prints lines of `name value unit`."""

import asyncio
import os
import resource
import struct
import sys
import tempfile

import parts
from writ import Writ, issuer

MANY = int(os.environ.get("HELD", "10000"))
# What each session takes in one process: its client's socket and its server's.
SOCKETS = 2
AT_ONCE = 64
POLICY = """
@id("bench") @ttl("11h") @uses("1000000") @record("commands")
permit (principal is Writ::Workload, action in Writ::Action::"use", resource is Writ::Target);
@id("delete") @hold("1h")
permit (principal is Writ::Workload, action in [Writ::Action::"sql:delete", Writ::Action::"sql:select"], resource in Writ::Target::"held")
when { context.kinds.contains("delete") };
@id("select")
permit (principal is Writ::Workload, action == Writ::Action::"sql:select", resource in Writ::Target::"held");
"""


def message(tag, *body):
    body = b"".join(body)
    return tag + struct.pack("!I", len(body) + 4) + body


def row(*values):
    fields = b"".join(struct.pack("!I", len(value)) + value for value in values)
    return message(b"D", struct.pack("!H", len(values)), fields)


def columns(count):
    return message(b"T", struct.pack("!H", count), b"c\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0" * count)


FACTS = row(b'"$user", public', b"f", b"bench", b"on", b"UTF8", b"UTF8")
READY = message(b"Z", b"I")


async def serve(reader, writer):
    """The fake server: no password, the parameters that a gateway needs, its questions, and `select 1`."""
    try:
        length, = struct.unpack("!I", await reader.readexactly(4))
        await reader.readexactly(length - 4)
        settings = {"server_version": "15.0", "client_encoding": "UTF8", "server_encoding": "UTF8", "standard_conforming_strings": "on"}
        parameters = (message(b"S", name.encode(), b"\0", value.encode(), b"\0") for name, value in settings.items())
        writer.write(message(b"R", bytes(4)) + b"".join(parameters) + message(b"K", bytes(8)) + READY)
        while True:
            tag, length = struct.unpack("!cI", await reader.readexactly(5))
            text = await reader.readexactly(length - 4)
            if tag != b"Q":
                return
            complete = message(b"C", b"SELECT 1\0")
            if b"pg_proc" in text:
                writer.write(columns(6) + FACTS + complete + columns(3) + message(b"C", b"SELECT 0\0") + READY)
            elif text == b"select 1\0":
                writer.write(columns(1) + row(b"1") + complete + READY)
            else:
                raise SystemExit(f"bench: the fake server got {text[:80]}")
    except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
        pass
    finally:
        writer.close()


class Held(Writ):
    """A `writ serve` in front of the fake server."""

    def configuration(self, server, workers):
        parts.write(f"{self.home}/policies/bench.cedar", POLICY)
        text = super().configuration(server, workers).split("[[broker.target]]")[0]
        text = text.replace("[gateway]\n", f"[gateway]\nmax_sessions = {2 * MANY}\nmax_pending = {MANY}\n")
        text = text.replace("[[broker.issuer]]", "[broker.rates]\nsessions = 1000000\n[[broker.issuer]]")
        return text + f"""[[broker.target]]
name = "held"
host = "127.0.0.1"
port = {server}
tls = "disable"
[broker.target.provider.static]
user = "bench"
password_file = "{self.home}/password"
"""


async def until(reader, wanted):
    """Reads up to a message with this tag."""
    while True:
        tag, length = struct.unpack("!cI", await reader.readexactly(5))
        body = await reader.readexactly(length - 4)
        if tag == b"E":
            raise SystemExit(f"bench: refused: {body}")
        if tag == wanted:
            return body


async def session(port, token):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = b"\0\x03\0\0user\0held\0database\0bench\0\0"
    writer.write(struct.pack("!I", len(body) + 4) + body)
    await until(reader, b"R")
    writer.write(message(b"p", token.encode(), b"\0"))
    await until(reader, b"Z")
    writer.write(message(b"Q", b"select 1\0"))
    await until(reader, b"Z")
    return reader, writer


async def hold(number, connection):
    reader, writer = connection
    writer.write(message(b"Q", f"delete from orders where id = {number} and state = 'open'\0".encode()))
    await until(reader, b"N")


async def all_of(steps):
    """Carries them out, so many at once."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(step):
        async with gate:
            return await step

    return await asyncio.gather(*(one(step) for step in steps))


async def measure(binary, directory, many):
    processes = parts.Processes(directory)
    try:
        issuer(directory)
        server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=1024)
        writ = await asyncio.to_thread(Held, processes, directory, binary, server.sockets[0].getsockname()[1], 2)
        token = await asyncio.to_thread(writ.token, "held")
        connections = await all_of(session(writ.port, token) for _ in range(many))
        before = writ.resident()
        await all_of(hold(number, connection) for number, connection in enumerate(connections))
        after = writ.resident()
        print(f"held_at_once {many} sessions")
        print(f"held_statement {(after - before) / many / 1024:.1f} KiB")
        for _, writer in connections:
            writer.close()
    finally:
        processes.stop()


def room():
    """How many sessions one process may have, by its limit of open files; as root the limit is raised."""
    wanted = SOCKETS * MANY + 1000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limit in ((max(soft, wanted), max(hard, wanted)), (min(wanted, hard), hard)):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, limit)
            break
        except (ValueError, OSError):
            continue
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return min(MANY, (soft - 1000) // SOCKETS)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="writ-held-") as state:
        asyncio.run(measure(sys.argv[1], state, room()))
