"""psycopg 3 where policy masks: names by column and card numbers wherever they are, on every way back."""
import psycopg
from psycopg.types.json import Jsonb

CONNINFO = "sslmode=verify-full connect_timeout=10"
CARDS = ["4111111111111111", "5555555555554444", "378282246310005"]
NAMES = ["Ada Lovelace", "Grace Hopper", "Mary Shelley"]
said = []


def connect(**options):
    return psycopg.connect(CONNINFO, **options)


def check(values):
    """Nothing that is planted stands in what came."""
    seen = values if isinstance(values, bytes) else repr(values).encode()
    for planted in CARDS + NAMES:
        assert planted.encode() not in seen, (planted, seen[:300])
        assert int(planted).to_bytes(8, "big") not in seen if planted.isdigit() else True, (planted, seen[:300])
    return values


SELECT = "select id, name, card, number, number::numeric, note, array[card] as cards from people order by id"

with connect(autocommit=True) as connection:
    for binary in (False, True):
        for prepare in (False, True):
            for _ in range(7):
                cursor = connection.cursor(binary=binary)
                rows = check(cursor.execute(SELECT, prepare=prepare).fetchall())
                assert [row[0] for row in rows] == [0, 1, 2] and all(row[1] == "REDACTED" for row in rows), rows
                assert rows[0][2] == "411111******1111", rows[0]
    said.append("formats")

    # The same card gives the same token, so that joins still work.
    tokens = [connection.execute("select token from people where id = %s", (which,)).fetchone()[0] for which in (0, 0, 1)]
    assert tokens[0] == tokens[1] != tokens[2] and all(token.startswith("tok_") for token in check(tokens)), tokens
    said.append("tokens")

    with connection.pipeline():
        cursors = [connection.execute("select name, card from people where id = %s", (which,)) for which in (0, 1, 2) * 5]
    assert len(cursors) == 15 and all(check(cursor.fetchone())[0] == "REDACTED" for cursor in cursors)
    said.append("pipeline")

    for options in ("", "(format csv, header)", "(format csv, delimiter ';', force_quote *)", "(format binary)"):
        for what in ("people", f"({SELECT})", "(select card from people)"):
            with connection.cursor().copy(f"copy {what} to stdout {options}") as copy:
                assert check(b"".join(copy)), (what, options)
    said.append("copy")

with connect() as connection:
    with connection.cursor(name="many") as cursor:
        cursor.itersize = 1
        assert [row[1] for row in check(cursor.execute(SELECT).fetchall())] == ["REDACTED"] * 3
    with connection.cursor(name="held", withhold=True, binary=True) as cursor:
        check(cursor.execute(SELECT).fetchmany(2))
        connection.commit()
        check(cursor.fetchall())
    said.append("cursors")

with connect(autocommit=True) as connection:
    heard = []
    connection.add_notice_handler(lambda notice: heard.append((notice.message_primary, notice.message_detail)))
    connection.execute("select tell(0)")
    assert check(heard)
    try:
        connection.execute("insert into people select * from people where id = 1")
    except psycopg.errors.UniqueViolation as error:
        check([str(error), error.diag.message_detail])
    else:
        raise AssertionError("it was not refused")
    try:
        connection.execute("select card::date from people")
    except psycopg.Error as error:
        check(str(error))
    else:
        raise AssertionError("it was not refused")
    said.append("words")

    # What a session makes of masked columns is masked with it.
    connection.execute("create temp table mine as select name as a, id as b from people")
    assert set(check(connection.execute("select a from mine").fetchall())) == {("REDACTED",)}
    check(connection.execute("select shown from names").fetchall())
    said.append("made")

print(" ".join(said))
