"""psycopg 3 where policy denies: what a denial does to the transaction around it, read off the table afterwards."""
import psycopg

CONNINFO = "sslmode=verify-full connect_timeout=10"
said = []


def connect(**options):
    return psycopg.connect(CONNINFO, **options)


def rows(mark):
    with connect(autocommit=True) as connection:
        return connection.execute("select count(*) from notes where n = %s", (mark,)).fetchone()[0]


def refused(run):
    try:
        run()
    except psycopg.Error as error:
        assert error.sqlstate == "42501", (error.sqlstate, str(error))
        return
    raise AssertionError("it was not refused")


# One text, one transaction: nothing of it happens.
with connect(autocommit=True) as connection:
    refused(lambda: connection.execute("insert into notes values (101); drop table notes"))
assert rows(101) == 0
said.append("implicit")

# A COMMIT after a denial rolls back, as it does after any error.
with connect(autocommit=True) as connection:
    connection.execute("begin")
    connection.execute("insert into notes values (102)")
    refused(lambda: connection.execute("delete from notes"))
    assert connection.info.transaction_status == psycopg.pq.TransactionStatus.INERROR
    try:
        connection.execute("insert into notes values (102)")
    except psycopg.errors.InFailedSqlTransaction:
        pass
    else:
        raise AssertionError("the server's transaction has not failed")
    assert connection.execute("commit").statusmessage == "ROLLBACK"
assert rows(102) == 0
said.append("explicit")

# Back to a savepoint, and on.
with connect(autocommit=True) as connection:
    connection.execute("begin")
    connection.execute("insert into notes values (103)")
    connection.execute("savepoint s")
    refused(lambda: connection.execute("delete from notes where n = %s", (103,)))
    connection.execute("rollback to s")
    connection.execute("insert into notes values (103)")
    assert connection.execute("commit").statusmessage == "COMMIT"
assert rows(103) == 2
said.append("savepoint")

# A pipeline: what stands behind the denial up to the Sync does not happen, and what stood before it neither.
with connect(autocommit=True) as connection:
    def pipelined():
        with connection.pipeline():
            connection.execute("insert into notes values (%s)", (104,))
            connection.execute("update notes set n = %s", (0,))
            connection.execute("insert into notes values (%s)", (104,))
    refused(pipelined)
    assert connection.execute("select 5").fetchone() == (5,)
assert rows(104) == 0
said.append("pipeline")

# A statement that is prepared is judged when it is executed too.
with connect(autocommit=True) as connection:
    for number in range(8):
        connection.execute("insert into notes values (%s)", (105,), prepare=True)
        refused(lambda: connection.execute("select card from orders where id = %s", (number,), prepare=True))
    connection.execute("prepare again as insert into notes values ($1)")
    connection.execute("execute again(105)")
assert rows(105) == 9
said.append("prepared")

with connect(autocommit=True) as connection:
    cursor = connection.cursor()
    with cursor.copy("copy (select n from notes where n = 105) to stdout (format binary)") as copy:
        assert len(list(copy.rows())) == 9
    def copied():
        with cursor.copy("copy orders to stdout") as copy:
            list(copy.rows())
    refused(copied)
said.append("copy")
print(" ".join(said))
