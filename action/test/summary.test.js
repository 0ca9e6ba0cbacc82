import assert from "node:assert/strict";
import { test } from "node:test";
import { markdown } from "../src/summary.js";

const ready = { event: "ready", at: "2026-11-30T10:00:00Z", until: null, targets: [{ name: "payments" }, { name: "ledger" }] };
const of = (events, more = {}) => markdown({ gateway: "gateway.example:5432", reason: "", events: [ready, ...events], how: "gone", ...more });

test("the job's sessions are found by their key", () => {
  const key = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";
  const told = (of) => markdown({ gateway: "g:1", reason: "", events: [{ ...ready, key: of }], how: "gone" });
  assert.ok(told(key).includes(`\`writ sessions ls --key=${key}\` lists`));
  for (const none of [null, undefined, "", `${key}\n# forged`]) assert.ok(!told(none).includes("sessions ls"));
});

test("sessions and refusals are counted by their target", () => {
  const text = of([
    { event: "opened", target: "payments", connection: 1, writ: "writ-1" },
    { event: "opened", target: "payments", connection: 2, writ: null },
    { event: "closed", target: "payments", connection: 1 },
    { event: "refused", target: "ledger", connection: 1, code: "28000", words: "no way" },
    { event: "ended", at: "2026-11-30T11:00:00Z", why: "a signal" },
  ]);
  assert.match(text, /^\| payments \| 2 \| 0 \| writ-1 \|$/m);
  assert.match(text, /^\| ledger \| 0 \| 1 \|  \|$/m);
  assert.match(text, /^- ledger: no way \(28000\)$/m);
  assert.match(text, /closed at 2026-11-30T11&#58;00&#58;00Z: the job ended\./);
});

test("an end that was not asked for is said", () => {
  assert.match(of([]), /kept them open was gone before the job/);
  assert.match(of([], { how: "killed" }), /had to be killed/);
  assert.match(of([{ event: "ended", at: "x", why: "its time is over" }]), /closed at x: its time is over/);
});

test("without ways there is nothing to say", () => {
  assert.equal(markdown({ gateway: "g:1", reason: "", events: [], how: "gone" }), "");
});

test("text from outside is no markup", () => {
  const evil = "a|b\n\n## c <img src=x onerror=y> [d](http://e) `f` ![g](h) $$i$$ @team \u202e";
  const text = of([{ event: "refused", target: "payments", code: evil, words: evil }], { reason: evil, gateway: evil });
  for (const mark of ["<img", "[d]", "](", "`f`", "## c", "@team", "\u202e", "$$"]) assert.ok(!text.includes(mark), `${mark} in ${text}`);
  assert.equal(text.split("\n").filter((line) => line.startsWith("|")).length, 4);
});

test("long lists are cut, and say so", () => {
  const many = Array.from({ length: 60 }, (_, at) => ({ event: "opened", target: "payments", writ: `w${at}` }));
  assert.match(of(many), /w49, and 10 more \|$/m);
});
