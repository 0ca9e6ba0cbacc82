"""What botocore's generate_db_auth_token gives at a time that is told, to be compared byte for byte.

Each line of standard input is one JSON object, and each line of standard output the token for it:
    {"host", "port", "user", "region", "at": "20260102T030405Z", "access_key", "secret", "token": null or text}
Keys come by standard input because arguments are for all to see.
"""

import datetime
import json
import sys

import botocore.auth
import botocore.session
from botocore.credentials import Credentials


def token(asked):
    at = datetime.datetime.strptime(asked["at"], "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc)
    botocore.auth.get_current_datetime = lambda remove_tzinfo=True: at.replace(tzinfo=None) if remove_tzinfo else at
    session = botocore.session.Session()
    session._credentials = Credentials(asked["access_key"], asked["secret"], asked["token"])
    client = session.create_client("rds", region_name=asked["region"])
    given = client.generate_db_auth_token(
        DBHostname=asked["host"], Port=asked["port"], DBUsername=asked["user"], Region=asked["region"]
    )
    stamp = f"X-Amz-Date={asked['at']}&"
    if stamp not in given:
        sys.exit(f"rds_token: botocore's clock was not taken: no `{stamp}` in the token")
    return given


for line in sys.stdin:
    print(token(json.loads(line)), flush=True)
