"""boto3, asked line by line: an ordinary client that says what it heard.

Each line of standard input is one JSON object:
    {"service": "sts", "call": "get_caller_identity", "arguments": {...}, "keys": {"access_key", "secret", "token"} or null}
and each line of standard output the answer: {"answer": ...}, or {"code", "status", "message"} where the service refused.
`AWS_ENDPOINT_URL` and `AWS_CA_BUNDLE` count as always. Arguments are not checked here, so that the service has to.
"""

import json
import sys

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

session = boto3.session.Session(region_name="us-east-1")


def client(service, keys):
    options = {"retries": {"total_max_attempts": 1}, "parameter_validation": False, "s3": {"addressing_style": "path"}}
    if keys is None:
        return session.client(service, config=Config(signature_version=UNSIGNED, **options))
    return session.client(
        service,
        aws_access_key_id=keys["access_key"],
        aws_secret_access_key=keys["secret"],
        aws_session_token=keys.get("token"),
        config=Config(**options),
    )


for line in sys.stdin:
    asked = json.loads(line)
    try:
        answer = getattr(client(asked["service"], asked["keys"]), asked["call"])(**asked["arguments"])
        if isinstance(answer, dict) and hasattr(answer.get("Body"), "read"):
            answer["Body"] = answer["Body"].read().decode()
        said = {"answer": answer}
    except ClientError as error:
        refusal, status = error.response["Error"], error.response["ResponseMetadata"]["HTTPStatusCode"]
        said = {"code": refusal["Code"], "status": status, "message": refusal.get("Message", "")}
    except Exception as error:
        said = {"code": type(error).__name__, "status": 0, "message": str(error)}
    print(json.dumps(said, default=str), flush=True)
