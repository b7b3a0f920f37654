now n=20
pool running=4 lent=5
statement print=1 called="update accounts, controller=pay, action=create" calls=100 took=10ms
----
Nothing is wrong: 4 of 10 that may run do, and nobody waits.

# A transaction that does nothing has what others wait for.
look n=4
pool running=12 lent=14
waits lock=11 cpu=1
holder PushWorker pid=4711 idle=1 held=8s blocks=11 called="update accounts, job=PushWorker" class=jobs client=10.0.0.7
----
waiting for locks (lock_holder, 90 % since 14:00:21)
11 statements wait for locks of PushWorker (pid 4711), whose transaction has done nothing for 8 s since update accounts job=PushWorker.
Have PushWorker end its transaction before it does anything else; to end it now: select pg_terminate_backend(4711). pgguard ends one of its own that blocks others after 5 s.
culprit class: jobs
culprit application: PushWorker
culprit client: 10.0.0.7
culprit statement: update accounts
culprit pid: 4711
culprit tag: job=PushWorker
blocked=11 running=12 waiting=0 blocks=11 held_seconds=8 pid=4711

# The same holder runs.
look n=4
holder nightly pid=4712 held=94s blocks=11 called="update accounts" client=10.0.0.9
----
waiting for locks (lock_holder, 90 % since 14:00:21)
11 statements wait for locks of nightly (pid 4712), which has run update accounts for 94 s.
If it is not worth the wait: select pg_cancel_backend(4712). Change fewer rows at once, or the same rows in the same order.
culprit application: nightly
culprit client: 10.0.0.9
culprit statement: update accounts
culprit pid: 4712
blocked=11 running=12 waiting=0 blocks=11 held_seconds=94 pid=4712

# ALTER TABLE behind a long report.
look n=4
pool running=26 lent=26
waits lock=25 cpu=1
holder report pid=11 held=94s blocks=26 called="select orders"
through psql pid=12 held=20s called="alter orders"
----
waiting for locks (lock_line, 90 % since 14:00:29)
25 statements stand behind alter orders (pid 12), which waits for select orders of report (pid 11), running for 94 s.
Cancel the one in between (select pg_cancel_backend(12)) and the others go on; or end the first (select pg_terminate_backend(11)). Give changes of tables a lock_timeout of a few seconds, and try again.
culprit application: report
culprit statement: select orders
culprit pid: 11
blocked=25 running=26 waiting=0 blocks=26 held_seconds=94 pid=11

# It is over after four looks without it.
now n=5
----
Nothing is wrong: 0 of 10 that may run do, and nobody waits.

# One row that everybody wants: the guard lets few of them run.
now n=4
pool running=4 limit=12 lent=4
waits lock=3 cpu=1
class web waiting=186 oldest=400ms
convoy print=1 called="update accounts, controller=pay, action=create" bound=3 running=4 locked=3
----
waiting for locks (lock_convoy, 90 % since 14:00:38)
Everybody wants the same row: 3 of 4 that run update accounts controller=pay action=create wait for its lock; pgguard lets 3 at once run, and 186 statements wait before PostgreSQL instead of in it.
Change that row less often or later in the transaction: a counter as rows that are summed up, a queue with SKIP LOCKED, an UPDATE right before COMMIT.
culprit statement: update accounts
culprit fingerprint: 0000000000000001
culprit tag: action=create
culprit tag: controller=pay
blocked=3 running=4 waiting=186 bound=3 convoy_running=4 convoy_blocked=3

# They go on: the bound is let go little by little, and what waits waits for its turn. Nobody is told of a lock that nobody waits for.
now n=4
pool running=12 limit=12 lent=12
waits lock=0 cpu=12
class web waiting=186 oldest=400ms
convoy print=1 called="update accounts, controller=pay, action=create" bound=5 running=4 locked=0
----
PostgreSQL is well used: 12 of 12 that may run do, and 186 statements wait for up to 400 ms.

# Nor of one for which few of many do.
now n=4
pool running=12 limit=12 lent=12
waits lock=1 cpu=11
class web waiting=186 oldest=400ms
convoy print=1 called="update accounts, controller=pay, action=create" bound=8 running=7 locked=1
----
PostgreSQL is well used: 12 of 12 that may run do, and 186 statements wait for up to 400 ms.

# A prepared transaction has no session that could be ended.
now n=6
pool running=12 lent=14
waits lock=11 cpu=1
holder pid=0 idle=1 held=40m blocks=11
----
waiting for locks (prepared_transaction, 90 % since 14:00:50)
11 statements wait for locks of a prepared transaction, which outlives its session; the oldest was prepared 40 min ago.
See which there are (select gid, prepared, owner, database from pg_prepared_xacts order by prepared), and have whoever prepared it end it, or do so in its database: COMMIT PREPARED, or ROLLBACK PREPARED, with its gid.
blocked=11 running=12 waiting=0 blocks=11 held_seconds=2400 pid=0

# The same, and a migration stands in between.
now n=4
pool running=12 lent=14
waits lock=11 cpu=1
holder pid=0 idle=1 held=40m blocks=11
through psql pid=12 held=20s called="alter orders"
----
waiting for locks (prepared_transaction, 90 % since 14:00:50)
11 statements wait for locks of a prepared transaction, which outlives its session; the oldest was prepared 40 min ago.
See which there are (select gid, prepared, owner, database from pg_prepared_xacts order by prepared), and have whoever prepared it end it, or do so in its database: COMMIT PREPARED, or ROLLBACK PREPARED, with its gid. Most stand behind alter orders (pid 12): cancel that (select pg_cancel_backend(12)), and they go on.
blocked=11 running=12 waiting=0 blocks=11 held_seconds=2400 pid=0

# Autovacuum is called by its name.
now n=4
pool running=12 lent=14
waits lock=11 cpu=1
holder "autovacuum worker" pid=15 held=40m blocks=11 called="vacuum orders"
through psql pid=12 held=20s called="alter orders"
----
waiting for locks (lock_line, 90 % since 14:01:00)
10 statements stand behind alter orders (pid 12), which waits for vacuum orders of "autovacuum worker" (pid 15), running for 40 min.
Cancel the one in between (select pg_cancel_backend(12)) and the others go on; or end the first (select pg_terminate_backend(15)). Give changes of tables a lock_timeout of a few seconds, and try again.
culprit application: autovacuum worker
culprit statement: vacuum orders
culprit pid: 15
blocked=11 running=12 waiting=0 blocks=11 held_seconds=2400 pid=15
