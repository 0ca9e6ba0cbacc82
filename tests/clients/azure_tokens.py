"""azure-identity for Python: asks for a token by a client assertion, line by line, as a program of anybody's would."""

import json
import os
import sys

from azure.core.exceptions import ClientAuthenticationError
from azure.identity import ClientAssertionCredential


def asked(line):
    credential = ClientAssertionCredential(
        line["tenant"],
        line["client"],
        lambda: line["assertion"],
        authority=os.environ["ENTRA"],
        disable_instance_discovery=True,
        connection_verify=os.environ["ENTRA_CA"],
        retry_total=0,
    )
    try:
        token = credential.get_token(line["scope"])
    except ClientAuthenticationError as error:
        return {"refused": str(error.message)}
    return {"token": token.token, "expires": token.expires_on}


for text in sys.stdin:
    print(json.dumps(asked(json.loads(text))), flush=True)
