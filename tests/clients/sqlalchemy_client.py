"""SQLAlchemy over psycopg through the gateway, with its pool."""
import json
import os

from sqlalchemy import Column, Integer, MetaData, Table, Text, create_engine, select, text


def held(check, **facts):
    print(json.dumps({"check": check, **facts}), flush=True)


def main():
    size = 3 if os.environ.get("WRIT_POOL") else 1
    engine = create_engine("postgresql+psycopg://", pool_size=size, max_overflow=0,
                           connect_args={"sslmode": "verify-full", "connect_timeout": 10})
    metadata = MetaData()
    notes = Table("notes", metadata, Column("id", Integer, primary_key=True), Column("note", Text),
                  prefixes=["TEMPORARY"])
    with engine.begin() as connection:
        metadata.create_all(connection)
        connection.execute(notes.insert(), [{"id": number, "note": f"note {number}"} for number in range(50)])
        assert connection.execute(select(notes.c.note).where(notes.c.id == 7)).scalar_one() == "note 7"
        assert len(connection.execute(select(notes)).all()) == 50
        held("core")
        with connection.begin_nested() as savepoint:
            connection.execute(notes.delete())
            savepoint.rollback()
        assert connection.execute(text("select count(*) from notes")).scalar_one() == 50
        held("savepoint")
    for number in range(20):
        with engine.connect() as connection:
            assert connection.execute(text("select :n + 1"), {"n": number}).scalar_one() == number + 1
    engine.dispose()
    held("pool", size=size)


main()
