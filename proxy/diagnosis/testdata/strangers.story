now n=20
pool running=4 lent=5
statement print=1 called="select orders" calls=100 took=10ms
statement print=2 called="select users" calls=100 took=1ms
----
Nothing is wrong: 4 of 10 that may run do, and nobody waits.

# Statements of somebody else.
look n=6
pool running=10 lent=10
waits cpu=10
class web waiting=4 oldest=200ms
foreign nightly-report n=9 client=10.0.0.8 pid=99
statement print=1 calls=90 took=25ms
statement print=2 calls=90 took=3ms
----
strangers take the server (foreign_statements, 74 % since 14:00:21)
Load from outside this fleet has taken about 47 % of the server since 14:00:21: 9 statements of nightly-report beside 10 of ours.
Have nightly-report come through pgguard as a class of its own, or run it when there is room.
culprit application: nightly-report
culprit client: 10.0.0.8
culprit pid: 99
foreign=9 ours=10 share=0.5 slowdown=2.7 waiting=4

# A program beside PostgreSQL: as long as it takes nothing from anybody, nothing is said.
now n=20
statement print=1 called="select orders" calls=100 took=10ms
----
Nothing is wrong: 0 of 10 that may run do, and nobody waits.

look n=6
machine stress-ng pid=4711 cores=2 used_percent=160 database_percent=30
----
Nothing is wrong: 0 of 10 that may run do, and nobody waits.

look n=1
statement print=1 calls=100 took=30ms
----
Nothing is wrong: 0 of 10 that may run do, and nobody waits.

look n=6
machine stress-ng pid=4711 cores=2 used_percent=160 database_percent=30
----
strangers take the server (process, 90 % since 14:00:54)
stress-ng (process 4711), which is not PostgreSQL, takes 1.6 of this machine's 2 cores, and leaves PostgreSQL 0.3.
Move stress-ng to another machine, or give it less (nice, a CPU limit).
culprit process: stress-ng
culprit pid: 4711
process_cores=1.6 cores=2 database_cores=0.3 guard_cores=0 slowdown=3 waiting=0 late_seconds=0

# Nothing that can be seen but that all is slower.
now n=20
pool running=4 lent=5
statement print=1 called="select orders" calls=100 took=10ms
statement print=2 called="select users" calls=100 took=1ms
----
Nothing is wrong: 4 of 10 that may run do, and nobody waits.

look n=9
pool running=9 lent=9
waits cpu=8
statement print=1 calls=60 took=35ms
statement print=2 calls=60 took=4ms
----
strangers take the server (slower_machine, 60 % since 14:01:23)
Since 14:01:23 the same statements take 4 times as long, though no more of them come, hardly any waits for a lock and nobody else's run: something outside PostgreSQL takes its machine.
Look at the machine of PostgreSQL: its processors (steal time, other programs), its disk, a limit of its provider's (burst credits).
slowdown=4 statements_per_second=120 usual_per_second=162 running=9

# A server with little to do takes longer, for whatever reason: nobody notices.
now n=20
pool running=0
statement print=1 called="select orders" calls=10 took=200us
statement print=2 called="select users" calls=10 took=100us
----
Nothing is wrong: 0 of 10 that may run do, and nobody waits.

look n=9
statement print=1 calls=4 took=900us
statement print=2 calls=4 took=600us
----
Nothing is wrong: 0 of 10 that may run do, and nobody waits.

# What explains more, and is no worse, is not said in the place of what stands; but that has the numbers of now.
now n=20
statement print=1 called="select orders" calls=100 took=10ms
----
Nothing is wrong: 0 of 10 that may run do, and nobody waits.

look n=4
pool running=12 lent=14
waits lock=11 cpu=1
holder PushWorker pid=4711 idle=1 held=8s blocks=11 called="update accounts"
----
waiting for locks (lock_holder, 90 % since 14:02:18)
11 statements wait for locks of PushWorker (pid 4711), whose transaction has done nothing for 8 s since update accounts.
Have PushWorker end its transaction before it does anything else; to end it now: select pg_terminate_backend(4711). pgguard ends one of its own that blocks others after 5 s.
culprit application: PushWorker
culprit statement: update accounts
culprit pid: 4711
blocked=11 running=12 waiting=0 blocks=11 held_seconds=8 pid=4711

look n=5
pool running=22 lent=24
class web waiting=3 oldest=1s
waits lock=21 cpu=1
holder PushWorker pid=4711 idle=1 held=13s blocks=21 called="update accounts"
machine stress-ng pid=4712 cores=2 used_percent=160 database_percent=30
----
waiting for locks (lock_holder, 90 % since 14:02:18)
21 statements wait for locks of PushWorker (pid 4711), whose transaction has done nothing for 13 s since update accounts.
Have PushWorker end its transaction before it does anything else; to end it now: select pg_terminate_backend(4711). pgguard ends one of its own that blocks others after 5 s.
culprit application: PushWorker
culprit statement: update accounts
culprit pid: 4711
blocked=21 running=22 waiting=3 blocks=21 held_seconds=13 pid=4711
