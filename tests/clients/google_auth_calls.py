"""google-auth, asked line by line: an ordinary client that says what it heard.

Each line of standard input is one JSON object:
    {"configuration": {"type": "external_account", ...}, "scopes": [...], "boundary": [...] or null}
and each line of standard output the answer: {"token": ..., "expiry": ...}, or {"error": ...} where Google refused. The boundary's rules
are as STS takes them: the token is then exchanged a second time.
"""

import json
import sys

import google.auth.transport.requests
from google.auth import downscoped, identity_pool
from google.auth.exceptions import GoogleAuthError


def rule(text):
    condition = text.get("availabilityCondition")
    if condition is not None:
        condition = downscoped.AvailabilityCondition(condition["expression"])
    return downscoped.AccessBoundaryRule(
        available_resource=text["availableResource"],
        available_permissions=text["availablePermissions"],
        availability_condition=condition,
    )


class AtOurs(downscoped.Credentials):
    """The library has one address of STS for boundaries: the configuration's stands for it."""

    def __init__(self, source, boundary, url):
        super().__init__(source, boundary)
        self._sts_client = downscoped.sts.Client(url)


for line in sys.stdin:
    asked = json.loads(line)
    try:
        # Not by `google.auth.load_credentials_from_dict`, which goes on to ask for the project's id.
        credentials = identity_pool.Credentials.from_info(asked["configuration"], scopes=asked["scopes"])
        request = google.auth.transport.requests.Request()
        if asked.get("boundary"):
            boundary = downscoped.CredentialAccessBoundary(rules=[rule(text) for text in asked["boundary"]])
            credentials = AtOurs(credentials, boundary, asked["configuration"]["token_url"])
        credentials.refresh(request)
        said = {"token": credentials.token, "expiry": credentials.expiry.isoformat()}
    except GoogleAuthError as error:
        said = {"error": str(error)}
    print(json.dumps(said), flush=True)
