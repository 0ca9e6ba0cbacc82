"""SQLAlchemy where policy masks, holds and denies: its own transactions around each, over psycopg and over asyncpg."""
import asyncio
import os
import ssl

from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

PEOPLE = text("select id, name, card from people where id = :id")
DELETE = text("delete from notes where n = :n")


def works(connection, base):
    """One connection's work; `base` keeps the rows of two drivers apart."""
    connection = connection.execution_options(isolation_level="AUTOCOMMIT")
    for run in range(8):
        assert connection.execute(PEOPLE, {"id": 1}).one() == (1, "REDACTED", "555555******4444")
        if run == 5:
            assert connection.execute(DELETE, {"n": base + 1}).rowcount == 1
    try:
        connection.execute(DELETE, {"n": base + 2})
        raise AssertionError("it was not denied")
    except DBAPIError as error:
        assert "an approver denied it" in str(error), error


def transaction(connection, base):
    connection.execute(text("insert into notes values (:n)"), {"n": base + 100})
    assert connection.execute(PEOPLE, {"id": 0}).one()[1:] == ("REDACTED", "411111******1111")
    try:
        connection.execute(text("update notes set n = 0"))
        raise AssertionError("it was not denied")
    except DBAPIError as error:
        assert "42501" in str(getattr(error.orig, "sqlstate", "")), error


def gone(connection, base):
    count = connection.execute(text("select count(*) from notes where n = :n"), {"n": base + 100})
    assert count.scalar_one() == 0


engine = create_engine("postgresql+psycopg://", pool_size=1, max_overflow=0,
                       connect_args={"sslmode": "verify-full", "connect_timeout": 60})
with engine.connect() as connection:
    works(connection, 10)
try:
    with engine.begin() as connection:
        transaction(connection, 10)
except DBAPIError:
    pass
with engine.connect() as connection:
    gone(connection, 10)
engine.dispose()
print("psycopg", end=" ")


async def asynchronous():
    context = ssl.create_default_context(cafile=os.environ["PGSSLROOTCERT"])
    engine = create_async_engine("postgresql+asyncpg://", pool_size=1, max_overflow=0, connect_args={"ssl": context, "timeout": 60})
    async with engine.connect() as connection:
        await connection.run_sync(works, 20)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(transaction, 20)
    except DBAPIError:
        pass
    async with engine.connect() as connection:
        await connection.run_sync(gone, 20)
    await engine.dispose()
    print("asyncpg")


asyncio.run(asynchronous())
