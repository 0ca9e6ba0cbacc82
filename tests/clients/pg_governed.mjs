// node-postgres where policy masks, holds and denies: text and binary, named statements, several statements, cursors, a queue of commands.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(process.env.WRIT_NODE_MODULES ?? import.meta.url);
const pg = require("pg");
const Cursor = require("pg-cursor");

const said = [];
const ssl = { ca: readFileSync(process.env.PGSSLROOTCERT), rejectUnauthorized: true, servername: process.env.PGHOST };
const PLANTED = ["4111111111111111", "5555555555554444", "Ada Lovelace", "Grace Hopper"];
const check = (value) => {
  const seen = JSON.stringify(value) + (Buffer.isBuffer(value) ? value.toString("latin1") : "");
  for (const planted of PLANTED) assert(!seen.includes(planted), seen);
  return value;
};
const denied = (why) => (error) => error.code === "42501" && error.message.includes(why);

const client = new pg.Client({ ssl, connectionTimeoutMillis: 60_000 });
const notices = [];
client.on("notice", (notice) => notices.push(notice.message));
await client.connect();
for (const binary of [false, true]) {
  for (let run = 0; run < 6; run++) {
    const query = { name: `people-${binary}`, text: "select id, name, card, number from people where id >= $1 order by id", values: [0], binary };
    const { rows } = check(await client.query(query));
    assert.equal(rows.length, 2);
    assert.equal(rows[0].name, "REDACTED");
    assert.equal(rows[0].card, "411111******1111");
    assert.equal(rows[0].number, null);
    if (run === 3 && !binary) {
      // What stands behind what is held waits with it.
      const [held, behind] = await Promise.all([
        client.query({ name: "delete", text: "delete from notes where n = $1", values: [31] }),
        client.query("select count(*)::int4 as n from notes where n = 31"),
      ]);
      assert.equal(held.rowCount, 1);
      assert.equal(behind.rows[0].n, 0);
    }
  }
}
assert(notices.some((notice) => notice.includes("waits for an approval")), JSON.stringify(notices));
said.push("held");

await assert.rejects(client.query({ name: "delete", text: "delete from notes where n = $1", values: [32] }), denied("an approver denied it"));
await client.query("begin");
await client.query("insert into notes values ($1)", [130]);
await assert.rejects(client.query("update notes set n = $1", [0]), denied("policy"));
await client.query("commit");
assert.equal((await client.query("select count(*)::int4 as n from notes where n = 130")).rows[0].n, 0);
await assert.rejects(client.query("insert into notes values (131); update notes set n = 0; insert into notes values (131)"), denied("policy"));
assert.equal((await client.query("select count(*)::int4 as n from notes where n = 131")).rows[0].n, 0);
said.push("denied");

const cursor = client.query(new Cursor("select name, card from people order by id"));
for (let rows = check(await cursor.read(1)); rows.length > 0; rows = check(await cursor.read(1))) assert.equal(rows[0].name, "REDACTED");
await cursor.close();
said.push("cursor");
await client.end();
console.log(said.join(" "));
