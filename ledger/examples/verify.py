#!/usr/bin/env python3
"""Verifies a ledger from its files alone, with nothing of Writ's: Python's standard library, and `openssl` for the signature.

usage: verify.py DIRECTORY KEY

DIRECTORY holds `checkpoint` and `tile/`; KEY is the verifier key, `name+id+base64`. Prints the size and the root, or says
what is wrong and ends with status 1.
"""

import base64
import hashlib
import pathlib
import subprocess
import sys
import tempfile

WIDTH = 256


def sha(data):
    return hashlib.sha256(data).digest()


def check(holds, why):
    if not holds:
        sys.exit(f"not verified: {why}")


def signed_text(note, key):
    """The text of a signed note, once its signature by `key` was checked (C2SP signed-note)."""
    name, identifier, encoded = key.split("+", 2)
    typed = base64.b64decode(encoded, validate=True)
    check(len(typed) == 33 and typed[0] == 1, "the key is not Ed25519")
    expected = sha(name.encode() + b"\n" + typed)[:4]
    check(expected.hex() == identifier, "the key does not match its identifier")
    text, _, lines = note.rpartition("\n\n")
    text += "\n"
    for line in lines.splitlines():
        dash, signer, blob = line.split(" ")
        blob = base64.b64decode(blob, validate=True)
        if dash == "\N{EM DASH}" and signer == name and blob[:4] == expected:
            check(ed25519(typed[1:], text.encode(), blob[4:]), "the checkpoint's signature is wrong")
            return text
    sys.exit("not verified: the checkpoint is not signed by this key")


def ed25519(public, message, signature):
    """Whether `openssl` accepts the signature. The prefix makes a SubjectPublicKeyInfo of the key (RFC 8410)."""
    with tempfile.TemporaryDirectory() as place:
        parts = {"key": bytes.fromhex("302a300506032b6570032100") + public, "message": message, "signature": signature}
        for name, data in parts.items():
            pathlib.Path(place, name).write_bytes(data)
        command = "openssl pkeyutl -verify -rawin -pubin -keyform DER -inkey key -in message -sigfile signature"
        return subprocess.run(command.split(), cwd=place, capture_output=True).returncode == 0


def tile(root, kind, number, width):
    """A tile's bytes (C2SP tlog-tiles): the number in groups of three digits, the width where the tile is partial."""
    groups = [f"{number % 1000:03}"]
    while number := number // 1000:
        groups.insert(0, f"x{number % 1000:03}")
    partial = f".p/{width}" if width < WIDTH else ""
    return pathlib.Path(root, "tile", kind, "/".join(groups) + partial).read_bytes()


def widths(count):
    return [min(WIDTH, count - first) for first in range(0, count, WIDTH)]


def leaves(root, size):
    """The hash of each entry (RFC 6962, 2.1)."""
    for number, width in enumerate(widths(size)):
        data, at = tile(root, "entries", number, width), 0
        for _ in range(width):
            end = at + 2 + int.from_bytes(data[at:at + 2], "big")
            check(end <= len(data), f"tile {number} of entries is cut off")
            yield sha(b"\0" + data[at + 2:end])
            at = end
        check(at == len(data), f"tile {number} of entries holds more than it should")


def tree(hashes):
    """The root over hashes (RFC 6962, 2.1)."""
    if len(hashes) == 1:
        return hashes[0]
    middle = 1 << (len(hashes) - 1).bit_length() - 1
    return sha(b"\1" + tree(hashes[:middle]) + tree(hashes[middle:]))


def main(root, key):
    note = pathlib.Path(root, "checkpoint").read_text(encoding="utf-8")
    origin, size, expected, *_ = signed_text(note, key).split("\n")
    check(origin == key.split("+")[0], "the checkpoint is of another log")
    hashes, level = list(leaves(root, int(size))), 0
    found = tree(hashes) if hashes else sha(b"")
    check(base64.b64encode(found).decode() == expected, "the entries do not lead to the root that was signed")
    while hashes:
        for number, width in enumerate(widths(len(hashes))):
            below = hashes[number * WIDTH:number * WIDTH + width]
            check(tile(root, str(level), number, width) == b"".join(below), f"tile {level}/{number} does not match its entries")
        full = len(hashes) // WIDTH
        hashes, level = [tree(hashes[at * WIDTH:(at + 1) * WIDTH]) for at in range(full)], level + 1
    print(f"verified: {size} entries, root {expected}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
