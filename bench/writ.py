"""Writ as the matrix sees it: `writ serve` with broker and gateway, and the session tokens of a workload."""

import base64
import json
import os
import shutil
import ssl
import subprocess
import time
import urllib.parse
import urllib.request

from parts import free_port, run, write

HERE = os.path.dirname(os.path.abspath(__file__))
ISSUER = "https://issuer.bench.example"
TARGETS = {"plain": "disable", "tls": "verify-full", "full": "disable", "cards": "disable"}


def url64(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def issuer(directory):
    """A key of the issuer that the brokers trust, and its public half as a key set."""
    key = f"{directory}/issuer.key"
    run("openssl", "genrsa", "-out", key, "2048")
    modulus = run("openssl", "rsa", "-in", key, "-noout", "-modulus").strip().split("=")[1]
    jwk = {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "bench", "n": url64(bytes.fromhex(modulus)), "e": "AQAB"}
    write(f"{directory}/jwks.json", json.dumps({"keys": [jwk]}))


def workload_token(directory):
    now = int(time.time())
    claims = {"iss": ISSUER, "sub": "bench", "aud": "writ", "iat": now, "nbf": now, "exp": now + 3000, "jti": os.urandom(8).hex()}
    parts = [url64(json.dumps(part).encode()) for part in ({"alg": "RS256", "typ": "JWT", "kid": "bench"}, claims)]
    signed = subprocess.run(["openssl", "dgst", "-sha256", "-sign", f"{directory}/issuer.key"], input=".".join(parts).encode(),
                            capture_output=True, check=True).stdout
    return ".".join([*parts, url64(signed)])


class Writ:
    """One `writ serve`."""

    def __init__(self, processes, directory, binary, server, workers):
        self.directory, self.home = directory, f"{directory}/writ{workers}"
        os.makedirs(f"{self.home}/policies")
        shutil.copy(f"{HERE}/policy.cedar", f"{self.home}/policies/bench.cedar")
        for masks in ("cards", "everything"):
            shutil.copy(f"{HERE}/{masks}.mask.toml", f"{self.home}/policies/{masks}.mask.toml")
        write(f"{self.home}/password", "bench")
        self.broker, self.port, self.tokens = free_port(), free_port(), {}
        write(f"{self.home}/writ.toml", self.configuration(server, workers))
        self.process = processes.start(f"writ{workers}", [binary, "serve", "--config", f"{self.home}/writ.toml"], self.port)

    def configuration(self, server, workers):
        text = f"""[log]
filter = "warn"
[broker]
listen = "127.0.0.1:{self.broker}"
url = "https://127.0.0.1:{self.broker}"
names = ["localhost"]
state = "{self.home}/broker"
policies = "{self.home}/policies"
audience = "writ"
session_token_life = "1h"
[[broker.issuer]]
name = "bench"
issuer = "{ISSUER}"
algorithms = ["RS256"]
jwks_file = "{self.directory}/jwks.json"
[link]
state = "{self.home}/gateway"
[gateway]
workers = {workers}
[[gateway.listeners]]
listen = "127.0.0.1:{self.port}"
allow_plain_loopback = true
"""
        for name, tls in TARGETS.items():
            ca = f'ca_file = "{self.directory}/ca.pem"\n' if tls != "disable" else ""
            text += f"""[[broker.target]]
name = "{name}"
host = "127.0.0.1"
port = {server}
tls = "{tls}"
{ca}[broker.target.provider.database]
user = "writ_broker"
password_file = "{self.home}/password"
database = "bench"
"""
        return text

    def token(self, target):
        """A session token for a target, from a workload's token."""
        if target not in self.tokens:
            trust = ssl.create_default_context(cafile=f"{self.home}/broker/keys/ca.pem")
            form = {"grant_type": "urn:ietf:params:oauth:grant-type:token-exchange", "subject_token": workload_token(self.directory),
                    "subject_token_type": "urn:ietf:params:oauth:token-type:jwt", "audience": target}
            request = urllib.request.Request(f"https://127.0.0.1:{self.broker}/v1/token", urllib.parse.urlencode(form).encode())
            try:
                with urllib.request.urlopen(request, context=trust, timeout=20) as reply:
                    self.tokens[target] = json.load(reply)["access_token"]
            except urllib.error.HTTPError as refused:
                raise SystemExit(f"bench: the broker refuses a session token: {refused.read().decode()}")
        return self.tokens[target]

    def resident(self):
        """The resident memory of the process, in bytes."""
        with open(f"/proc/{self.process.pid}/status") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS"))
