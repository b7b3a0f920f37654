'use strict'
// node-postgres, its pool, cursors and streams. PGHOST and the others say where the database is.

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { Readable } = require('node:stream')
const { pipeline } = require('node:stream/promises')
const { once } = require('node:events')
const { setTimeout: pause } = require('node:timers/promises')
const { Client, Pool } = require('pg')
const Cursor = require('pg-cursor')
const QueryStream = require('pg-query-stream')
const copy = require('pg-copy-streams')

// scenario is a test that opens its clients with connect; they are ended after it.
function scenario(name, run) {
  test(name, { timeout: 40_000 }, async () => {
    const clients = []
    const connect = async (options = {}) => {
      const client = new Client({ connectionString: process.env.DRIVERS_URL, ...options })
      clients.push(client)
      await client.connect()
      return client
    }
    try {
      await run(connect)
    } finally {
      await Promise.all(clients.map((c) => c.end()))
    }
  })
}

// one is the only value of a query's first row.
const one = async (client, text, ...values) => Object.values((await client.query(text, values)).rows[0])[0]

const code = (sqlstate) => (err) => err.code === sqlstate || assert.fail(`want ${sqlstate}, got ${err.code} ${err.message}`)

scenario('named statements', async (connect) => {
  const clients = await Promise.all([0, 1, 2, 3].map(() => connect()))
  for (let round = 0; round < 4; round++) {
    for (const [i, c] of clients.entries()) {
      for (let s = 0; s < 15; s++) {
        const { rows } = await c.query({ name: `s${s}`, text: `select $1::int + ${100 * i + s} as n`, values: [round * 1000] })
        assert.equal(rows[0].n, round * 1000 + 100 * i + s)
      }
    }
  }
})

scenario('named statements that are dropped by SQL', async (connect) => {
  const client = await connect()
  const ask = () => client.query({ name: 'gone', text: 'select $1::int + 1 as n', values: [1] })
  await ask()
  await client.query('deallocate gone')
  await assert.rejects(ask(), code('26000'))
  await client.query('prepare gone (int) as select $1 + 2 as n')
  assert.equal((await ask()).rows[0].n, 3)
})

scenario('the same text on many clients', async (connect) => {
  const clients = await Promise.all(Array.from({ length: 8 }, () => connect()))
  for (let round = 0; round < 5; round++) {
    const got = await Promise.all(clients.map((c, i) => one(c, 'select $1::int * 10 + $2::int', round, i)))
    assert.deepEqual(got, clients.map((_, i) => round * 10 + i))
  }
})

scenario('transactions and savepoints', async (connect) => {
  const client = await connect()
  await client.query('drop table if exists accounts; create table accounts (id int primary key)')
  await client.query('begin isolation level serializable')
  assert.equal(await one(client, 'show transaction_isolation'), 'serializable')
  await client.query('insert into accounts values (1)')
  await client.query('savepoint s')
  await client.query('insert into accounts values (2)')
  await assert.rejects(client.query('insert into accounts values ($1)', [1]), code('23505'))
  await assert.rejects(client.query('select 1'), code('25P02'))
  await client.query('rollback to s')
  await client.query('insert into accounts values ($1)', [3])
  await client.query('commit')
  assert.equal(await one(client, 'select sum(id)::int from accounts'), 4)
})

scenario('settings', async (connect) => {
  const client = await connect()
  await client.query('drop schema if exists mine cascade; create schema mine; create table mine.here as select 5 as a')
  await client.query("set search_path to mine; set time zone 'Asia/Tokyo'; set work_mem = '5MB'")
  for (let i = 0; i < 5; i++) {
    assert.equal(await one(client, 'select a from here where a > $1', i), i < 5 ? 5 : undefined)
    assert.equal(await one(client, "select '2020-01-02 03:00Z'::timestamptz::text"), '2020-01-02 12:00:00+09')
    assert.equal(await one(client, 'show work_mem'), '5MB')
  }
  await client.query("begin; set work_mem = '6MB'")
  assert.equal(await one(client, 'show work_mem'), '6MB')
  await client.query('rollback')
  assert.equal(await one(client, 'show work_mem'), '5MB')
  await client.query('reset all')
  assert.equal(await one(client, 'show search_path'), '"$user", public')
})

scenario('startup options', async (connect) => {
  const client = await connect({ options: '-c work_mem=9MB -c search_path=pg_catalog', statement_timeout: 20_000, lock_timeout: 7_000 })
  for (let i = 0; i < 3; i++) {
    assert.equal(await one(client, 'show work_mem'), '9MB')
    assert.equal(await one(client, 'show search_path'), 'pg_catalog')
    assert.equal(await one(client, 'show statement_timeout'), '20s')
    assert.equal(await one(client, 'show lock_timeout'), '7s')
  }
})

scenario('queries without waiting', async (connect) => {
  const client = await connect()
  const asked = Array.from({ length: 60 }, (_, i) =>
    i % 10 === 9 ? assert.rejects(client.query('select 1 / $1::int', [0]), code('22012')) : one(client, `select ${i % 7} + $1::int`, i),
  )
  const got = await Promise.all(asked)
  assert.deepEqual(got, Array.from({ length: 60 }, (_, i) => (i % 10 === 9 ? undefined : (i % 7) + i)))
})

scenario('several statements in one query', async (connect) => {
  const client = await connect()
  const results = await client.query('select 1 as n; begin; select 2 as n; commit; select 3 as n')
  assert.deepEqual(results.map((r) => r.command), ['SELECT', 'BEGIN', 'SELECT', 'COMMIT', 'SELECT'])
  await assert.rejects(client.query('create table never (); select 1/0'), code('22012'))
  assert.equal(await one(client, "select to_regclass('never')"), null)
})

scenario('copy', async (connect) => {
  const client = await connect()
  await client.query('drop table if exists copied; create table copied (id int check (id <> 13), name text)')
  const rows = (from, n) => Readable.from(Array.from({ length: n }, (_, i) => `${from + i}\trow\n`))
  await pipeline(rows(100, 20_000), client.query(copy.from('copy copied from stdin')))
  await assert.rejects(pipeline(rows(1, 1000), client.query(copy.from('copy copied from stdin'))), code('23514'))
  let lines = 0
  for await (const chunk of client.query(copy.to('copy copied to stdout'))) lines += chunk.toString().split('\n').length - 1
  assert.equal(lines, 20_000)
  assert.equal(await one(client, 'select count(*)::int from copied'), 20_000)
})

scenario('cursors and streams', async (connect) => {
  const client = await connect()
  const cursor = client.query(new Cursor('select n from generate_series(1, $1::int) n', [25]))
  const sizes = []
  for (let rows; (rows = await cursor.read(10)).length > 0; ) sizes.push(rows.length)
  assert.deepEqual(sizes, [10, 10, 5])
  await cursor.close()
  const early = client.query(new Cursor('select n from generate_series(1, 1000) n'))
  assert.equal((await early.read(3)).length, 3)
  await early.close()
  let sum = 0
  for await (const row of client.query(new QueryStream('select n from generate_series(1, 1000) n', [], { batchSize: 33 }))) sum += row.n
  assert.equal(sum, 500500)
  const failing = client.query(new Cursor('select 1 / (5 - n) from generate_series(1, 10) n'))
  await assert.rejects(failing.read(10), code('22012'))
  assert.equal(await one(client, 'select 1'), 1)
})

scenario('notifications', async (connect) => {
  const [listener, other] = [await connect(), await connect()]
  await listener.query('listen news')
  for (let i = 0; i < 5; i++) {
    const heard = once(listener, 'notification')
    await other.query("select pg_notify('news', $1)", [String(i)])
    const [{ channel, payload }] = await heard
    assert.deepEqual([channel, payload], ['news', String(i)])
  }
  await listener.query('unlisten news')
})

scenario('advisory locks and temporary tables', async (connect) => {
  const [a, b] = [await connect(), await connect()]
  await a.query('select pg_advisory_lock(7)')
  await a.query('create temp table scratch (n int)')
  for (let i = 0; i < 5; i++) {
    assert.equal(await one(b, 'select pg_try_advisory_lock($1)', 7), false)
    await a.query('insert into scratch values ($1)', [i])
    assert.equal(await one(a, 'select count(*)::int from scratch'), i + 1)
    await assert.rejects(b.query('select * from scratch'), code('42P01'))
  }
  await a.query('drop table scratch')
  assert.equal(await one(a, 'select pg_advisory_unlock($1)', 7), true)
  assert.equal(await one(b, 'select pg_try_advisory_lock($1)', 7), true)
  assert.equal(await one(b, 'select pg_advisory_unlock($1)', 7), true)
})

scenario('arrays and bytes', async (connect) => {
  const client = await connect()
  const values = [[1, -2, 3], ['a', 'b "c"', '', 'ü'], Buffer.from([0, 1, 255, 10]), 0.1]
  for (let i = 0; i < 3; i++) {
    const query = { text: 'select $1::int4[] a, $2::text[] b, $3::bytea c, $4::float8 d', values, name: 'types' }
    assert.deepEqual(Object.values((await client.query(query)).rows[0]), values)
  }
})

scenario('binary results', async (connect) => {
  const client = await connect()
  for (let i = 0; i < 3; i++) {
    const query = { text: 'select $1::int4 a, $2::text b, $3::bool c, $4::int2 d', values: [70000 + i, 'ü', true, 7], binary: true }
    assert.deepEqual(Object.values((await client.query(query)).rows[0]), query.values)
  }
})

scenario('cancel', async (connect) => {
  const [client, other] = [await connect(), await connect()]
  await client.query('set statement_timeout = 100')
  await assert.rejects(client.query('select pg_sleep($1)', [20]), code('57014'))
  await client.query('reset statement_timeout')
  let over = false
  const slept = assert.rejects(client.query('select pg_sleep(20)'), code('57014')).finally(() => (over = true))
  for (; !over; await pause(100)) {
    // what `client.cancel` does, which wants a query object of its own making: a connection with a cancel request
    const connection = new Client({ connectionString: process.env.DRIVERS_URL }).connection
    connection.on('error', () => {}) // the server closes it at once
    connection.connect(other.port, other.host)
    await once(connection, 'connect')
    connection.cancel(client.processID, client.secretKey)
    await once(connection.stream, 'close')
  }
  await slept
  assert.equal(await one(client, 'select 1'), 1)
})

scenario('errors keep the client', async (connect) => {
  const client = await connect()
  await client.query("set app.mark = 'mine'")
  for (const [text, sqlstate] of [['select 1/0', '22012'], ['selec', '42601'], ['select * from nowhere', '42P01']]) {
    for (const values of [undefined, []]) {
      await assert.rejects(client.query({ text, values, queryMode: values ? 'extended' : undefined }), code(sqlstate))
      assert.equal(await one(client, "select current_setting('app.mark')"), 'mine')
    }
  }
})

scenario('a changed table', async (connect) => {
  const client = await connect()
  await client.query('drop table if exists changing; create table changing (a int); insert into changing values (1)')
  for (let i = 0; i < 3; i++) {
    const { rows } = await client.query('select * from changing where a = $1', [1])
    assert.equal(Object.keys(rows[0]).length, i + 1)
    await client.query(`alter table changing add column b${i} int`)
  }
})

scenario('the pool', async () => {
  const pool = new Pool({ connectionString: process.env.DRIVERS_URL, max: 10 })
  try {
    await pool.query('drop table if exists pooled; create table pooled (id int)')
    const work = async (task) => {
      for (let i = 0; i < 10; i++) {
        const client = await pool.connect()
        try {
          await client.query('begin')
          await client.query({ name: 'insert', text: 'insert into pooled values ($1)', values: [task * 100 + i] })
          const { rows } = await client.query({ name: 'count', text: 'select count(*)::int as n from pooled where id / 100 = $1', values: [task] })
          assert.equal(rows[0].n, i + 1)
          await client.query('commit')
        } finally {
          client.release()
        }
        const n = i
        assert.equal((await pool.query('select $1::int as n', [n])).rows[0].n, n)
      }
    }
    await Promise.all(Array.from({ length: 20 }, (_, task) => work(task)))
    assert.equal((await pool.query('select count(*)::int as n from pooled')).rows[0].n, 200)
  } finally {
    await pool.end()
  }
})
