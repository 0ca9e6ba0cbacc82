import assert from "node:assert/strict";
import { test } from "node:test";
import { read } from "../src/inputs.js";

const least = { INPUT_GATEWAY: "gateway.example:5432", INPUT_TARGETS: "payments" };
const refused = (more, words) =>
  assert.throws(() => read({ ...least, ...more }), (error) => {
    assert.ok(error.message.includes(words), error.message);
    assert.ok(error.help, "it says what to do");
    assert.ok(!/[.!]$/.test(error.message), error.message);
    return true;
  });

test("the least that is asked for is a gateway and a target", () => {
  assert.deepEqual(read(least), {
    gateway: "gateway.example:5432",
    targets: [{ name: "payments", port: undefined }],
    audience: "writ",
    authority: "",
    life: "",
    reason: "",
    broker: "",
    program: "",
    url: "",
    digest: "",
  });
});

test("inputs come as the runner gives them", () => {
  const digest = "AB".repeat(32);
  const inputs = read({
    ...least,
    INPUT_TARGETS: "\n  payments\n payments/app\nledger=15432\r\nreports = 0\n\n",
    INPUT_AUDIENCE: " gateways ",
    "INPUT_CA-CERT": "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n",
    INPUT_TTL: "1h30m",
    INPUT_REASON: "migrate 42",
    "INPUT_CLI-PATH": "./writ",
    "INPUT_CLI-SHA256": `sha256:${digest}`,
  });
  const ports = inputs.targets.map(({ name, port }) => [name, port]);
  assert.deepEqual(ports, [["payments", undefined], ["payments/app", undefined], ["ledger", 15432], ["reports", 0]]);
  assert.equal(inputs.audience, "gateways");
  assert.ok(inputs.authority.startsWith("-----BEGIN") && inputs.authority.endsWith("-----"));
  assert.equal(inputs.life, "1h30m");
  assert.equal(inputs.reason, "migrate 42");
  assert.equal(inputs.digest, digest.toLowerCase());
});

test("a broker is named by its https address", () => {
  for (const [address, origin] of [["https://b.example:8443", "https://b.example:8443"], ["https://b.example/", "https://b.example"]]) {
    assert.equal(read({ ...least, INPUT_BROKER: address }).broker, origin);
  }
  for (const wrong of ["b.example:8443", "http://b.example", "https://b.example/v1", "https://u:p@b.example", "https://b.example/?a"]) {
    refused({ INPUT_BROKER: wrong }, "is no broker's address");
  }
});

test("a gateway is a host and a port", () => {
  for (const address of ["gateway.example:5432", "localhost:1", "127.0.0.1:65535", "[::1]:5432", "g:5432"]) {
    assert.equal(read({ ...least, INPUT_GATEWAY: address }).gateway, address);
  }
  refused({ INPUT_GATEWAY: "" }, "`gateway` is not given");
  for (const wrong of ["gateway", "gateway:", ":5432", "gateway:0", "gateway:65536", "gate way:5432", "https://gateway:5432", "-x:5432", "--config:1", "a:1\nb:2"]) {
    refused({ INPUT_GATEWAY: wrong }, "is no address");
  }
});

test("what names no target is refused", () => {
  refused({ INPUT_TARGETS: " \n " }, "`targets` names none");
  for (const wrong of ["Payments", "pay ments", "-payments", "--config", "payments/", "payments/a/b", "payments/a b", "=1", "a".repeat(64), "payments/$(id)"]) {
    refused({ INPUT_TARGETS: wrong }, "names no target");
  }
  for (const wrong of ["payments=", "payments=x", "payments=-1", "payments=65536", "payments=1=2", "payments=0x10"]) {
    refused({ INPUT_TARGETS: wrong }, "names no port");
  }
  refused({ INPUT_TARGETS: "payments\npayments=1" }, "names `payments` twice");
  refused({ INPUT_TARGETS: "payments=7\nledger=7" }, "wants port 7 for two");
  assert.equal(read({ ...least, INPUT_TARGETS: "payments=0\nledger=0" }).targets.length, 2);
});

test("the rest is held to its form", () => {
  refused({ INPUT_AUDIENCE: "a b" }, "`audience` has white space");
  for (const wrong of ["1", "0h", "h", "1m1h", "-1h", "1.5h", "1 h", "forever"]) refused({ INPUT_TTL: wrong }, "is no duration");
  refused({ INPUT_REASON: "x".repeat(257) }, "`reason` is longer");
  refused({ INPUT_REASON: "é".repeat(129) }, "`reason` is longer");
  const ranges = [[0xad], [0x34f], [0x115f, 0x1160], [0x180e], [0x206a, 0x206f], [0x2800], [0x3164], [0xfe00, 0xfe0f], [0xfff9, 0xfffb], [0xe0000, 0xe007f], [0xe0100, 0xe01ef]];
  for (const [first, last = first] of ranges) {
    for (let code = first; code <= last; code++) refused({ INPUT_REASON: `a${String.fromCodePoint(code)}b` }, "not seen");
  }
  for (let code = 0; code <= 0x10ffff; code++) {
    const letter = String.fromCodePoint(code);
    if (/\p{Default_Ignorable_Code_Point}/u.test(letter)) refused({ INPUT_REASON: `a${letter}b` }, "not seen");
  }
  for (const unseen of ["a\nb", "a\u001b[2J", "a\u202eb", "a\u200bb", "a\u2028b"]) refused({ INPUT_REASON: unseen }, "not seen");
  refused({ "INPUT_CLI-SHA256": "abc" }, "`cli-sha256` is no SHA-256");
  refused({ "INPUT_CLI-URL": "https://example.test/writ" }, "`cli-url` is given without `cli-sha256`");
  refused({ "INPUT_CLI-URL": "http://example.test/writ", "INPUT_CLI-SHA256": "0".repeat(64) }, "is no https address");
  refused({ "INPUT_CLI-URL": "https://example.test/writ", "INPUT_CLI-SHA256": "0".repeat(64), "INPUT_CLI-PATH": "writ" }, "both say where the program is");
});
