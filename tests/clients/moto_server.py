"""moto's server on a free port of loopback, with its own checks of signatures and policies on after three calls.

Prints its port on one line, and ends when standard input does, however the process at its other end ended.
"""

import os
import sys
import threading

# The three that make the first key: CreateUser, CreateAccessKey, PutUserPolicy.
os.environ["INITIAL_NO_AUTH_ACTION_COUNT"] = "3"

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

server = make_server(
    "127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), threaded=True, request_handler=MotoRequestHandler
)
os.environ["MOTO_PORT"] = str(server.port)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.port, flush=True)
sys.stdin.buffer.read()
