"""psycopg 3 where policy holds: parameters wait with their statement, what stands behind waits too, transactions are not held."""
import psycopg

CONNINFO = "sslmode=verify-full connect_timeout=10"
said = []
notices = []

with psycopg.connect(CONNINFO, autocommit=True) as connection:
    connection.add_notice_handler(lambda notice: notices.append(notice.message_primary))
    assert connection.execute("delete from notes where n = %s", (1,), prepare=True).rowcount == 1
    assert any("waits for an approval" in notice for notice in notices), notices
    said.append("held")
    try:
        connection.execute("delete from notes where n = %s", (2,), prepare=True)
    except psycopg.errors.InsufficientPrivilege as error:
        assert "an approver denied it" in str(error)
        said.append("denied")
    # It would keep its locks while it waits.
    connection.execute("begin")
    connection.execute("insert into notes values (100)")
    try:
        connection.execute("delete from notes where n = %s", (100,))
    except psycopg.errors.InsufficientPrivilege as error:
        assert "within a transaction" in str(error), str(error)
    connection.execute("rollback")
    said.append("transaction")
    # What stands behind a held statement is answered behind it.
    with connection.pipeline():
        held = connection.execute("delete from notes where n = %s", (3,), prepare=False)
        behind = connection.execute("select count(*) from notes where n = 3")
    assert held.rowcount == 1 and behind.fetchone() == (0,)
    said.append("pipeline")
print(" ".join(said))
