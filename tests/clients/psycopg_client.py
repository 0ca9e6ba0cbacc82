"""psycopg 3 through the gateway: text and binary, pipeline mode, COPY, notices, errors, its pool."""
import json
import os
import sys

import psycopg
from psycopg_pool import ConnectionPool

CONNINFO = "sslmode=verify-full application_name=psycopg-client connect_timeout=10"


def held(check, **facts):
    print(json.dumps({"check": check, **facts}), flush=True)


def connect(**options):
    return psycopg.connect(CONNINFO, **options)


def parameters(connection, binary):
    row = connection.execute(
        "select %s::int4, %s::text, %s::text, %s::bytea, %s::numeric, %s::text[]",
        (7, None, "NULL", b"\x00\xff", "12.50", ["a", None]),
        binary=binary,
    ).fetchone()
    assert row[0] == 7 and row[1] is None and row[2] == "NULL" and bytes(row[3]) == b"\x00\xff", row
    assert str(row[4]) == "12.50" and row[5] == ["a", None], row
    held("parameters", binary=binary)


def prepared(connection):
    for number in range(20):
        row = connection.execute("select %s::int8 * 2", (number,), prepare=True).fetchone()
        assert row == (number * 2,), row
    held("prepared")


def pipeline(connection):
    with connection.pipeline():
        cursors = [connection.execute("select %s::int4", (number,)) for number in range(50)]
    assert [cursor.fetchone()[0] for cursor in cursors] == list(range(50))
    connection.rollback()
    held("pipeline")


def pipeline_error(connection):
    connection.autocommit = True
    outcomes = []
    try:
        with connection.pipeline() as pipe:
            first = connection.execute("select 1")
            second = connection.execute("select 1/0")
            third = connection.execute("select 3")
            pipe.sync()
            fourth = connection.execute("select 4")
    except psycopg.Error as error:
        outcomes.append(error.sqlstate)
    assert outcomes and outcomes[0] in ("22012", None), outcomes
    assert connection.execute("select 5").fetchone() == (5,)
    connection.autocommit = False
    held("pipeline_error", sqlstate=outcomes[0])


def copy(connection):
    connection.execute("create temp table copied (id int4, note text)")
    with connection.cursor().copy("copy copied from stdin") as sink:
        for number in range(1000):
            sink.write_row((number, None if number % 10 == 0 else f"row {number}\twith tab"))
    with connection.cursor().copy("copy copied to stdout (format binary)") as source:
        data = b"".join(bytes(block) for block in source)
    assert data.startswith(b"PGCOPY\n\xff\r\n\x00"), data[:16]
    assert connection.execute("select count(*), count(note) from copied").fetchone() == (1000, 900)
    try:
        with connection.cursor().copy("copy copied from stdin") as sink:
            sink.write("not a number\tx\n")
    except psycopg.Error as error:
        assert error.sqlstate == "22P02", error
    connection.rollback()
    held("copy", bytes=len(data))


def notices(connection):
    seen = []
    connection.add_notice_handler(lambda notice: seen.append(notice.message_primary))
    connection.execute("do $$ begin raise notice 'seen'; end $$")
    assert seen == ["seen"], seen
    connection.rollback()
    held("notices")


def notify(connection):
    connection.autocommit = True
    connection.execute("listen writ_test")
    connection.execute("select pg_notify('writ_test', 'payload')")
    for notification in connection.notifies(timeout=10, stop_after=1):
        assert notification.payload == "payload", notification
        held("notify")
    connection.autocommit = False


def errors(connection):
    try:
        connection.execute("select * from no_such_table")
        raise AssertionError("no error came")
    except psycopg.errors.UndefinedTable as error:
        assert error.sqlstate == "42P01"
    connection.rollback()
    held("errors")


def server_side_cursor(connection):
    with connection.cursor("c1") as cursor:
        cursor.itersize = 100
        cursor.execute("select generate_series(1, 1000)")
        assert sum(row[0] for row in cursor) == 500500
    connection.rollback()
    held("server_side_cursor")


def big(connection):
    text = "x" * (3 * 1024 * 1024)
    assert connection.execute("select length(%s::text)", (text,)).fetchone() == (len(text),)
    assert len(connection.execute("select repeat('y', 5000000)").fetchone()[0]) == 5000000
    connection.rollback()
    held("big")


def cancel(connection):
    import threading

    timer = threading.Timer(0.5, connection.cancel_safe)
    timer.start()
    try:
        connection.execute("select pg_sleep(60)")
        raise AssertionError("it was not cancelled")
    except psycopg.errors.QueryCanceled:
        held("cancel")
    timer.join()
    connection.rollback()


def pool():
    with ConnectionPool(CONNINFO, min_size=4, max_size=4, timeout=30) as connections:
        for number in range(40):
            with connections.connection() as connection:
                assert connection.execute("select %s::int4", (number,)).fetchone() == (number,)
    held("pool")


def main():
    with connect() as connection:
        for binary in (False, True):
            parameters(connection, binary)
        for check in (prepared, pipeline, pipeline_error, copy, notices, notify, errors, server_side_cursor, big, cancel):
            check(connection)
    if os.environ.get("WRIT_POOL"):
        pool()


if __name__ == "__main__":
    sys.exit(main())
