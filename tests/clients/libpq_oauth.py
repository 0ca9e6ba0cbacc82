"""libpq 18 itself, by ctypes, with a hook that gives the token (PQsetAuthDataHook): the way that a program takes which has a
token already and needs no browser.

libpq_oauth.py LIBPQ CONNINFO STATEMENT; the token stands in PGPASSWORD, which libpq does not see. Prints one line of JSON: what
the hook was asked, and the rows or what libpq said.
"""

import ctypes
import json
import os
import sys

OAUTH_BEARER_TOKEN = 1  # PGauthData, libpq-fe.h of 18
CONNECTION_OK = 0
TUPLES_OK = 2


class Request(ctypes.Structure):
    """PGoauthBearerRequest: two inputs, then what the hook gives."""

    _fields_ = [
        ("openid_configuration", ctypes.c_char_p),
        ("scope", ctypes.c_char_p),
        ("do_async", ctypes.c_void_p),
        ("cleanup", ctypes.c_void_p),
        ("token", ctypes.c_char_p),
        ("user", ctypes.c_void_p),
    ]


HOOK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)


def main():
    library, conninfo, statement = sys.argv[1:]
    token = os.environ.pop("PGPASSWORD").encode()
    pq = ctypes.CDLL(library)
    for name, result in [
        ("PQconnectdb", ctypes.c_void_p),
        ("PQerrorMessage", ctypes.c_char_p),
        ("PQexec", ctypes.c_void_p),
        ("PQgetvalue", ctypes.c_char_p),
    ]:
        getattr(pq, name).restype = result
    asked = []

    def give(kind, _connection, data):
        if kind != OAUTH_BEARER_TOKEN:
            return 0
        request = ctypes.cast(data, ctypes.POINTER(Request)).contents
        scope = request.scope.decode() if request.scope else None
        asked.append({"discovery": request.openid_configuration.decode(), "scope": scope})
        request.token = token
        return 1

    hook = HOOK(give)
    pq.PQsetAuthDataHook(hook)
    said = {"libpq": pq.PQlibVersion(), "asked": asked}
    connection = ctypes.c_void_p(pq.PQconnectdb(conninfo.encode()))
    if pq.PQstatus(connection) == CONNECTION_OK:
        result = ctypes.c_void_p(pq.PQexec(connection, statement.encode()))
        if pq.PQresultStatus(result) == TUPLES_OK:
            columns = range(pq.PQnfields(result))
            said["rows"] = [
                [pq.PQgetvalue(result, row, column).decode() for column in columns] for row in range(pq.PQntuples(result))
            ]
        pq.PQclear(result)
    if "rows" not in said:
        said["error"] = pq.PQerrorMessage(connection).decode()
    pq.PQfinish(connection)
    print(json.dumps(said))


main()
