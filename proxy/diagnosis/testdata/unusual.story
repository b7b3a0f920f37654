# At its limit with a short line, and a report of the night ends now and then: much work, and no flood.
now n=30
pool running=9 lent=11
statement print=1 called="select orders" calls=100 took=10ms
statement print=3 called="update stock" calls=40 took=5ms
----
PostgreSQL is well used: 9 of 10 that may run do.

look n=8
pool running=10 lent=11
class web waiting=2 oldest=30ms
statement print=2 called="select reports" calls=1 took=30s
----
PostgreSQL is well used: 10 of 10 that may run do, and 2 statements wait for up to 30 ms.

# Jobs have nothing more to do: what goes on comes no more often than before.
now n=30
pool running=9 lent=11
statement print=1 called="select orders" calls=100 took=10ms
statement print=3 called="update stock" calls=100 took=5ms
----
PostgreSQL is well used: 9 of 10 that may run do.

look n=8
pool running=7 lent=8
statement print=3 calls=0
----
Nothing is wrong: 7 of 10 that may run do, and nobody waits.
