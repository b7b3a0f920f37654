'use strict'
// postgres.js: everything is a named statement in a pipeline, unless asked otherwise.

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { Readable } = require('node:stream')
const { pipeline } = require('node:stream/promises')
const postgres = require('postgres')

// scenario is a test that opens its pools with open; they are ended after it.
function scenario(name, run) {
  test(name, { timeout: 40_000 }, async () => {
    const pools = []
    const open = (options = {}) => {
      const sql = postgres(process.env.DRIVERS_URL, { max: 1, onnotice() {}, ...options })
      pools.push(sql)
      return sql
    }
    try {
      await run(open)
    } finally {
      await Promise.all(pools.map((sql) => sql.end({ timeout: 5 })))
    }
  })
}

const code = (sqlstate) => (err) => err.code === sqlstate || assert.fail(`want ${sqlstate}, got ${err.code} ${err.message}`)

for (const prepare of [true, false]) {
  scenario(`statements, prepare ${prepare}`, async (open) => {
    const pools = Array.from({ length: 5 }, () => open({ prepare }))
    for (let round = 0; round < 4; round++) {
      for (const [i, sql] of pools.entries()) {
        for (let s = 0; s < 15; s++) {
          const [{ n }] = await sql.unsafe(`select $1::int + ${s} as n`, [round * 1000 + i * 100], { prepare })
          assert.equal(n, round * 1000 + i * 100 + s)
        }
        const [row] = await sql`select ${round}::int as round, ${i}::int as i`
        assert.deepEqual({ ...row }, { round, i })
      }
    }
  })

  scenario(`without waiting, prepare ${prepare}`, async (open) => {
    const sql = open({ prepare })
    const got = await Promise.all(
      Array.from({ length: 60 }, (_, i) =>
        i % 10 === 9
          ? assert.rejects(sql`select 1 / ${0}::int as n`, code('22012'))
          : sql`select ${i}::int + 1 as n`.then(([r]) => r.n),
      ),
    )
    assert.deepEqual(got, Array.from({ length: 60 }, (_, i) => (i % 10 === 9 ? undefined : i + 1)))
  })

  scenario(`transactions and savepoints, prepare ${prepare}`, async (open) => {
    const sql = open({ prepare })
    await sql`drop table if exists accounts`
    await sql`create table accounts (id int primary key)`
    await sql.begin('isolation level serializable', async (tx) => {
      const [{ transaction_isolation: level }] = await tx`show transaction_isolation`
      assert.equal(level, 'serializable')
      await tx`insert into accounts values (${1})`
      await assert.rejects(
        tx.savepoint(async (sp) => {
          await sp`insert into accounts values (${2})`
          await sp`insert into accounts values (${1})`
        }),
        code('23505'),
      )
      await tx.savepoint((sp) => sp`insert into accounts values (${3})`)
    })
    assert.equal((await sql`select sum(id)::int as n from accounts`)[0].n, 4)
    await assert.rejects(sql.begin((tx) => [tx`insert into accounts values (${9})`, tx`select 1/0`]), code('22012'))
    assert.equal((await sql`select sum(id)::int as n from accounts`)[0].n, 4)
  })

  scenario(`cursors, prepare ${prepare}`, async (open) => {
    const sql = open({ prepare })
    const sizes = []
    let sum = 0
    await sql`select n from generate_series(1, ${25}::int) n`.cursor(10, (rows) => {
      sizes.push(rows.length)
      for (const { n } of rows) sum += n
    })
    assert.deepEqual([sizes, sum], [[10, 10, 5], 325])
    await sql`select n from generate_series(1, 1000) n`.cursor(10, () => sql.CLOSE)
    for await (const [{ n }] of sql`select n from generate_series(1, 5) n`.cursor()) sum += n
    assert.equal(sum, 340)
    assert.equal((await sql`select 1 as n`)[0].n, 1)
  })

  scenario(`types, prepare ${prepare}`, async (open) => {
    const sql = open({ prepare })
    const raw = Buffer.from([0, 1, 255, 10])
    for (let i = 0; i < 3; i++) {
      const [row] = await sql`select ${[1, -2, 3]}::int4[] a, ${['a', 'b "c"', '', 'ü']}::text[] b, ${raw}::bytea c, ${0.1}::float8 d`
      assert.deepEqual({ ...row }, { a: [1, -2, 3], b: ['a', 'b "c"', '', 'ü'], c: raw, d: 0.1 })
    }
  })

  scenario(`a changed table, prepare ${prepare}`, async (open) => {
    const sql = open({ prepare })
    await sql`drop table if exists changing`
    await sql`create table changing (a int)`
    await sql`insert into changing values (1)`
    for (let i = 0; i < 3; i++) {
      // postgres.js prepares again by itself when it hears of RevalidateCachedQuery
      const [row] = await sql`select * from changing where a = ${1}`
      assert.equal(Object.keys(row).length, i + 1)
      await sql.unsafe(`alter table changing add column b${i} int`)
    }
  })

  scenario(`errors keep the connection, prepare ${prepare}`, async (open) => {
    const sql = open({ prepare })
    await sql`set app.mark = 'mine'`
    for (const [text, sqlstate] of [['select 1/0', '22012'], ['selec', '42601'], ['select * from nowhere', '42P01']]) {
      await assert.rejects(sql.unsafe(text), code(sqlstate))
      await assert.rejects(sql.unsafe(text, [], { prepare: true }), code(sqlstate))
      assert.equal((await sql`select current_setting('app.mark') as mark`)[0].mark, 'mine')
    }
  })
}

scenario('settings', async (open) => {
  const sql = open({ connection: { work_mem: '9MB', TimeZone: 'America/New_York', 'app.mark': 'start' } })
  for (let i = 0; i < 3; i++) {
    const [row] = await sql`select current_setting('work_mem') a, current_setting('timezone') b, current_setting('app.mark') c`
    assert.deepEqual({ ...row }, { a: '9MB', b: 'America/New_York', c: 'start' })
  }
  await sql`drop schema if exists mine cascade`
  await sql`create schema mine`
  await sql`create table mine.here as select 5 as a`
  await sql.unsafe("set search_path to mine; set time zone 'Asia/Tokyo'; set work_mem = '5MB'")
  for (let i = 0; i < 5; i++) {
    assert.equal((await sql`select a from here where a > ${i}`)[0].a, 5)
    assert.equal((await sql`select '2020-01-02 03:00Z'::timestamptz::text as at`)[0].at, '2020-01-02 12:00:00+09')
    assert.equal((await sql`show work_mem`)[0].work_mem, '5MB')
  }
  assert.equal(sql.parameters.TimeZone, 'Asia/Tokyo')
  await sql`reset all`
  assert.equal((await sql`show work_mem`)[0].work_mem, '9MB')
})

scenario('copy', async (open) => {
  const sql = open()
  await sql`drop table if exists copied`
  await sql`create table copied (id int, name text)`
  const rows = Readable.from(Array.from({ length: 20_000 }, (_, i) => `${i}\trow\n`))
  await pipeline(rows, await sql`copy copied from stdin`.writable())
  let lines = 0
  // no more than its stream buffers: postgres.js may leave its socket paused after a longer one
  for await (const chunk of await sql`copy (select * from copied limit 500) to stdout`.readable()) lines += chunk.toString().split('\n').length - 1
  assert.equal(lines, 500)
  assert.equal((await sql`select count(*)::int as n from copied`)[0].n, 20_000)
})

scenario('notifications', async (open) => {
  const sql = open()
  const heard = []
  let tell
  const { unlisten } = await sql.listen('news', (payload) => {
    heard.push(payload)
    tell?.()
  })
  for (let i = 0; i < 5; i++) {
    const told = new Promise((resolve) => (tell = resolve))
    await sql.notify('news', String(i))
    await told
  }
  assert.deepEqual(heard, ['0', '1', '2', '3', '4'])
  await unlisten()
})

scenario('advisory locks and temporary tables', async (open) => {
  const [a, b] = [open(), open()]
  await a`select pg_advisory_lock(7)`
  await a`create temp table scratch (n int)`
  for (let i = 0; i < 5; i++) {
    assert.equal((await b`select pg_try_advisory_lock(${7}) as got`)[0].got, false)
    await a`insert into scratch values (${i})`
    assert.equal((await a`select count(*)::int as n from scratch`)[0].n, i + 1)
    await assert.rejects(b`select * from scratch`, code('42P01'))
  }
  await a`drop table scratch`
  assert.equal((await a`select pg_advisory_unlock(${7}) as got`)[0].got, true)
  assert.equal((await b`select pg_try_advisory_lock(${7}) as got`)[0].got, true)
  assert.equal((await b`select pg_advisory_unlock(${7}) as got`)[0].got, true)
})

scenario('cancel', async (open) => {
  const sql = open()
  await sql`set statement_timeout = 100`
  await assert.rejects(sql`select pg_sleep(${20})`, code('57014'))
  await sql`reset statement_timeout`
  const other = open()
  const query = sql`select pg_sleep(20)`
  const slept = assert.rejects(query, code('57014'))
  const asleep = () => other`select 1 from pg_stat_activity where query = 'select pg_sleep(20)' and state = 'active' and wait_event = 'PgSleep'`
  while ((await asleep()).length === 0); // postgres.js cancels a query once, so it must have arrived
  query.cancel()
  await slept
  assert.equal((await sql`select 1 as n`)[0].n, 1)
})

scenario('several statements in one query', async (open) => {
  const sql = open()
  const results = await sql`select 1 as n; begin; select 2 as n; commit; select 3 as n`.simple()
  assert.deepEqual(results.flatMap((r) => r.map((row) => row.n)), [1, 2, 3])
  await assert.rejects(sql`create table never (); select 1/0`.simple(), code('22012'))
  assert.equal((await sql`select to_regclass('never') as r`)[0].r, null)
})

scenario('the pool', async (open) => {
  const sql = open({ max: 10 })
  await sql`drop table if exists pooled`
  await sql`create table pooled (id int)`
  const work = async (task) => {
    for (let i = 0; i < 10; i++) {
      await sql.begin(async (tx) => {
        await tx`insert into pooled values (${task * 100 + i})`
        assert.equal((await tx`select count(*)::int as n from pooled where id / 100 = ${task}`)[0].n, i + 1)
      })
      assert.equal((await sql`select ${task}::int as n`)[0].n, task)
    }
  }
  await Promise.all(Array.from({ length: 20 }, (_, task) => work(task)))
  assert.equal((await sql`select count(*)::int as n from pooled`)[0].n, 200)
})
