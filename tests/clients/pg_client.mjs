// node-postgres through the gateway: parameters, prepared statements, cursors, errors, its pool.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(process.env.WRIT_NODE_MODULES ?? import.meta.url);
const pg = require("pg");
const Cursor = require("pg-cursor");

const held = (check) => console.log(JSON.stringify({ check }));
const options = {
  ssl: { ca: readFileSync(process.env.PGSSLROOTCERT), rejectUnauthorized: true, servername: process.env.PGHOST },
  connectionTimeoutMillis: 10_000,
};

const client = new pg.Client(options);
await client.connect();
const row = (await client.query("select $1::int4 a, $2::text b, $3::text c, $4::bytea d", [7, null, "NULL", Buffer.from([0, 255])])).rows[0];
assert.deepEqual({ ...row, d: [...row.d] }, { a: 7, b: null, c: "NULL", d: [0, 255] });
held("parameters");

for (let n = 0; n < 20; n++) {
  const result = await client.query({ name: "twice", text: "select $1::int4 * 2 as n", values: [n] });
  assert.equal(result.rows[0].n, n * 2);
}
held("prepared");

const several = await client.query("select 1 as a; select 2 as b");
assert.equal(several.length, 2);
assert.equal(several[1].rows[0].b, 2);
held("multi-statement");

await assert.rejects(client.query("select 1/0"), { code: "22012" });
assert.equal((await client.query("select 1 as ok")).rows[0].ok, 1);
held("errors");

const cursor = client.query(new Cursor("select generate_series(1, 1000)::int4 as n"));
let total = 0;
for (let rows = await cursor.read(100); rows.length > 0; rows = await cursor.read(100)) {
  for (const { n } of rows) total += n;
}
await cursor.close();
assert.equal(total, 500500);
held("cursor");

const notified = new Promise((resolve) => client.once("notification", (message) => resolve(message.payload)));
await client.query("listen writ_node");
await client.query("select pg_notify('writ_node', 'payload')");
assert.equal(await notified, "payload");
held("notify");
await client.end();

if (process.env.WRIT_POOL) {
  const pool = new pg.Pool({ ...options, max: 4 });
  const values = await Promise.all(Array.from({ length: 40 }, (_, n) => pool.query("select $1::int4 as n", [n])));
  assert.deepEqual(values.map((result) => result.rows[0].n), Array.from({ length: 40 }, (_, n) => n));
  await pool.end();
  held("pool");
}
