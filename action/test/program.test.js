import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { promisify } from "node:util";
import { obtain } from "../src/program.js";

const directory = mkdtempSync(join(tmpdir(), "program-"));
after(() => rmSync(directory, { recursive: true }));
const text = "#!/bin/sh\nexit 0\n";
const digest = createHash("sha256").update(text).digest("hex");
const at = join(directory, "tools");
mkdirSync(at);
writeFileSync(join(at, "writ"), text);
chmodSync(join(at, "writ"), 0o755);
writeFileSync(join(at, "no-program"), text);
const ask = (more) => obtain({ program: "", url: "", digest: "", ...more }, directory);

test("it is found in PATH, or where it is said to be", async (context) => {
  const { PATH } = process.env;
  context.after(() => (process.env.PATH = PATH));
  process.env.PATH = `relative:/nonexistent:${at}`;
  process.env.GITHUB_WORKSPACE = directory;
  assert.equal(await ask({}), join(at, "writ"));
  assert.equal(await ask({ program: "./tools/writ" }), join(at, "writ"));
  assert.equal(await ask({ program: join(at, "writ") }), join(at, "writ"));
  await assert.rejects(ask({ program: "./tools/no-program" }), /there is no program/);
  process.env.PATH = "/nonexistent";
  await assert.rejects(ask({}), /there is no `writ` in `PATH`/);
});

test("one that is pinned runs as a copy, if it is that one", async () => {
  const path = await ask({ program: join(at, "writ"), digest });
  assert.equal(path, join(directory, "writ"));
  assert.equal(readFileSync(path, "utf8"), text);
  assert.equal(statSync(path).mode & 0o777, 0o700);
  await assert.rejects(ask({ program: join(at, "writ"), digest: "0".repeat(64) }), new RegExp(`has the SHA-256 ${digest}, and not`));
});

test("what cannot be fetched is said", async () => {
  await assert.rejects(ask({ url: "https://127.0.0.1:1/writ", digest }), /`cli-url` cannot be fetched: /);
});

test("it is fetched by https from a server that is vouched for, and held to its digest", async () => {
  const [key, cert] = ["key.pem", "cert.pem"].map((name) => join(directory, name));
  const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
  execFileSync("openssl", ["req", "-x509", "-newkey", "ed25519", "-nodes", "-keyout", key, "-out", cert, "-days", "1", ...subject], { stdio: "pipe" });
  const server = createServer({ key: readFileSync(key), cert: readFileSync(cert) }, (request, response) => {
    response.writeHead(request.url === "/writ" ? 200 : 404).end(text);
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  // What Node.js trusts is settled at its start.
  const script = `
    import { obtain } from ${JSON.stringify(new URL("../src/program.js", import.meta.url).href)};
    const [url, digest, directory] = process.argv.slice(1);
    console.log(await obtain({ program: "", url, digest }, directory).catch((error) => error.message));`;
  const run = async (path, pinned, trusted) => {
    const words = ["--input-type=module", "-e", script, `https://localhost:${server.address().port}${path}`, pinned, directory];
    const environment = { ...process.env, ...(trusted ? { NODE_EXTRA_CA_CERTS: cert } : {}) };
    return (await promisify(execFile)(process.execPath, words, { env: environment })).stdout.trim();
  };
  assert.equal(await run("/writ", digest, true), join(directory, "writ"));
  assert.match(await run("/writ", "0".repeat(64), true), /has the SHA-256/);
  assert.match(await run("/none", digest, true), /cannot be fetched: status 404/);
  assert.match(await run("/writ", digest, false), /cannot be fetched: self-signed certificate/);
  server.close();
});
