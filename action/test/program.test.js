import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
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

test("it is found in PATH, or where it is said to be", async () => {
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
