"""asyncpg through the gateway: prepared statements in binary, cursors, COPY, its pool."""
import asyncio
import json
import os
import ssl

import asyncpg


def held(check, **facts):
    print(json.dumps({"check": check, **facts}), flush=True)


def options():
    context = ssl.create_default_context(cafile=os.environ["PGSSLROOTCERT"])
    return {"ssl": context, "timeout": 10, "server_settings": {"application_name": "asyncpg-client"}}


async def single():
    connection = await asyncpg.connect(**options())
    try:
        row = await connection.fetchrow("select $1::int4 a, $2::text b, $3::text c, $4::bytea d, $5::text[] e",
                                        7, None, "NULL", b"\x00\xff", ["a", None])
        assert dict(row) == {"a": 7, "b": None, "c": "NULL", "d": b"\x00\xff", "e": ["a", None]}, row
        held("parameters")
        statement = await connection.prepare("select $1::int8 * 2")
        assert [await statement.fetchval(number) for number in range(20)] == [number * 2 for number in range(20)]
        held("prepared")
        async with connection.transaction():
            total = 0
            async for record in connection.cursor("select generate_series(1, 1000)", prefetch=50):
                total += record[0]
            assert total == 500500
        held("cursor")
        await connection.execute("create temp table copied (id int4, note text)")
        await connection.copy_records_to_table("copied", records=[(number, f"row {number}") for number in range(1000)])
        assert await connection.fetchval("select count(*) from copied") == 1000
        held("copy")
        try:
            await connection.fetch("select 1/0")
            raise AssertionError("no error came")
        except asyncpg.DivisionByZeroError:
            held("errors")
        await connection.executemany("insert into copied values ($1, $2)", [(number, "x") for number in range(100)])
        assert await connection.fetchval("select count(*) from copied") == 1100
        held("executemany")
        try:
            await connection.fetch("select pg_sleep(60)", timeout=0.5)
            raise AssertionError("it was not cancelled")
        except (asyncio.TimeoutError, asyncpg.QueryCanceledError):
            assert await connection.fetchval("select 1") == 1
            held("cancel")
    finally:
        await connection.close()


async def pool():
    async with asyncpg.create_pool(min_size=4, max_size=4, **options()) as connections:
        values = await asyncio.gather(*(connections.fetchval("select $1::int4", number) for number in range(40)))
        assert values == list(range(40))
    held("pool")


async def main():
    await single()
    if os.environ.get("WRIT_POOL"):
        await pool()


asyncio.run(main())
