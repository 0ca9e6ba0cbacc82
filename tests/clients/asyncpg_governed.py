"""asyncpg where policy masks, holds and denies: cached plans in binary, cursors, COPY, each with a hold or a denial in its middle."""
import asyncio
import io
import os
import ssl

import asyncpg

PLANTED = [b"4111111111111111", b"5555555555554444", b"Ada Lovelace", b"Grace Hopper"]


def check(value):
    seen = value if isinstance(value, bytes) else repr(value).encode()
    assert not any(planted in seen for planted in PLANTED), seen
    return value


async def main():
    context = ssl.create_default_context(cafile=os.environ["PGSSLROOTCERT"])
    connection = await asyncpg.connect(ssl=context, timeout=60)
    notices = []
    connection.add_log_listener(lambda _, message: notices.append(str(message)))
    people = await connection.prepare("select id, name, card, number, array[card] cards from people where id >= $1 order by id")
    delete = await connection.prepare("delete from notes where n = $1")
    for run in range(6):
        rows = check(await people.fetch(0))
        assert [(row["id"], row["name"], row["number"]) for row in rows] == [(0, "REDACTED", None), (1, "REDACTED", None)], rows
        assert rows[0]["card"] == "411111******1111" and rows[0]["cards"] == ["411111******1111"], rows
        if run == 3:
            assert await delete.fetch(1) == [] and delete.get_statusmsg() == "DELETE 1"
    await asyncio.sleep(0)
    assert any("waits for an approval" in notice for notice in notices), notices
    print("held", end=" ")
    try:
        await delete.fetch(2)
        raise AssertionError("it was not denied")
    except asyncpg.InsufficientPrivilegeError as error:
        assert "an approver denied it" in str(error), error
    # What policy denies within a transaction takes all of it along, also where it is committed.
    transaction = connection.transaction()
    await transaction.start()
    async for row in connection.cursor("select name from people", prefetch=1):
        check(row)
    await connection.execute("insert into notes values ($1)", 100)
    try:
        await connection.execute("update notes set n = 0 where n = $1", 100)
        raise AssertionError("it was not denied")
    except asyncpg.InsufficientPrivilegeError:
        await connection.execute("commit")
    assert await connection.fetchval("select count(*) from notes where n = 100") == 0
    print("denied", end=" ")
    for options in ({"format": "text"}, {"format": "csv"}, {"format": "binary"}):
        out = io.BytesIO()
        await connection.copy_from_query("select name, card, number from people", output=out, **options)
        assert check(out.getvalue())
    try:
        await connection.copy_from_table("secrets", output=io.BytesIO())
        raise AssertionError("it was not denied")
    except asyncpg.InsufficientPrivilegeError:
        pass
    await connection.copy_records_to_table("notes", records=[(200,), (201,)])
    assert len(check(await people.fetch(0))) == 2
    print("copy")
    await connection.close()


asyncio.run(main())
