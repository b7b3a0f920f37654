# An idle guard, and one with work that fits.
now n=10
----
Nothing is wrong: 0 of 10 that may run do, and nobody waits.

look n=30
pool running=4 lent=5 idle=6
waits cpu=4
statement print=1 called="select orders" calls=100 took=10ms
statement print=2 called="update stock" calls=20 took=20ms
----
Nothing is wrong: 4 of 10 that may run do, and nobody waits.

# At its limit, with a short line: well used.
look n=20
pool running=10 lent=11
class web waiting=2 oldest=30ms
waits cpu=9 io=1
----
PostgreSQL is well used: 10 of 10 that may run do, and 2 statements wait for up to 30 ms.

# One second of anything is no trouble.
look n=2
class web waiting=2 oldest=2s
waits lock=9
----
PostgreSQL is well used: 10 of 10 that may run do, and 2 statements wait for up to 2 s.

look n=5
class web waiting=0
waits cpu=3
pool running=3
----
Nothing is wrong: 3 of 10 that may run do, and nobody waits.
