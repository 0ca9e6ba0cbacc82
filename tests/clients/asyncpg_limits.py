"""Fetches a portal in parts, which a limit on rows counts as one statement."""

import asyncio
import os
import ssl

import asyncpg


async def main():
    context = ssl.create_default_context(cafile=os.environ["PGSSLROOTCERT"])
    connection = await asyncpg.connect(ssl=context, timeout=10)
    async with connection.transaction():
        cursor = await connection.cursor("select n from generate_series(1, 10) n")
        rows = await cursor.fetch(4) + await cursor.fetch(4) + await cursor.fetch(4)
        assert [row["n"] for row in rows] == list(range(1, 11)), rows
    print("whole", end=" ")
    for round in range(3):
        async with connection.transaction():
            cursor = await connection.cursor("select n from generate_series(1, $1) n", 8)
            assert len(await cursor.fetch(5)) == 5, round
    print("parts", end=" ")
    try:
        async with connection.transaction():
            cursor = await connection.cursor("select n from generate_series(1, 11) n")
            for _ in range(3):
                await cursor.fetch(4)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, ConnectionError) as error:
        assert "rows" in str(error) or connection.is_closed(), error
        print("over")


asyncio.run(main())
