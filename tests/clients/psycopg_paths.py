"""Changes search_path in pipelines whose end takes that back: nothing of the other schema may come."""

import psycopg


def rows(connection):
    try:
        found = [row[0] for row in connection.execute("select n from notes")]
    except psycopg.errors.InsufficientPrivilege:
        return None
    assert "hidden" not in found, found
    return found


def pipelined(name, *statements):
    with psycopg.connect("", autocommit=True) as connection:
        try:
            with connection.pipeline():
                for statement in statements:
                    connection.execute(statement, prepare=False)
        except psycopg.Error:
            pass
        rows(connection)
        assert rows(connection) is None, name
    print(name, end=" ")


pipelined("failed", "set search_path = own", "select 1/0")
pipelined("rolled-back", "set search_path = own", "rollback")
pipelined("late", "begin", "set search_path = own", "select 1/0", "commit")
pipelined("denied", "set search_path = own", "drop table notes")
