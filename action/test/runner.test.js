import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Problem } from "../src/problem.js";
import { exportVariable, say, step, warn } from "../src/runner.js";

// What is written to standard output meanwhile.
const printed = async (work) => {
  const write = process.stdout.write;
  let text = "";
  process.stdout.write = (part) => ((text += part), true);
  try {
    await work();
  } finally {
    process.stdout.write = write;
  }
  return text;
};

test("a value cannot look like another one", () => {
  const directory = mkdtempSync(join(tmpdir(), "runner-"));
  process.env.GITHUB_ENV = join(directory, "env");
  exportVariable("PGSERVICEFILE", "a\nPATH<<b\n/evil\nb");
  const lines = readFileSync(process.env.GITHUB_ENV, "utf8").split("\n");
  const end = /^PGSERVICEFILE<<(end-[0-9a-f-]{36})$/.exec(lines[0])[1];
  assert.deepEqual(lines.slice(1), ["a", "PATH<<b", "/evil", "b", end, ""]);
  delete process.env.GITHUB_ENV;
  assert.throws(() => exportVariable("A", "b"), /`GITHUB_ENV` is not set/);
  rmSync(directory, { recursive: true });
});

test("nothing that is shown is a command but what is meant as one", async () => {
  assert.equal(await printed(() => say("x ::set-output name=a::b")), "x : :set-output name=a: :b\n");
  assert.equal(await printed(() => warn("50%\n::error::x")), "::warning title=Writ::50%25%0A::error::x\n");
});

test("a step that fails says what and what to do, and fails", async () => {
  const text = await printed(() => step(() => Promise.reject(new Problem("it is so", "do this"))));
  assert.equal(text, "::error title=Writ::it is so%0Ahelp: do this\n");
  assert.equal(process.exitCode, 1);
  process.exitCode = 0;
});
