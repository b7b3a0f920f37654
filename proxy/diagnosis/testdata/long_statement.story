now n=30
pool running=2 lent=3
statement print=1 called="select users" calls=200 took=5ms
----
Nothing is wrong: 2 of 10 that may run do, and nobody waits.

# Long statements have not ended yet: it is they that have the server, not what is quick beside them.
look n=6
pool running=10 lent=12
class web waiting=20 oldest=3s
waits cpu=10
statement print=1 calls=190 took=5ms
statement print=2 called="select reports, job=Nightly" running=9
----
guarding (waits, 80 % since 14:00:31)
20 statements wait for up to 3 s: 10 of 10 that may run do, because more at once would finish nothing sooner. Most of the server's time, 90 %, goes to select reports job=Nightly.
Nothing needs to be done while the class that waits can wait. Otherwise make its statements cheaper, or send fewer at once: more connections or workers only make the line longer.
culprit class: web
culprit statement: select reports
culprit fingerprint: 0000000000000002
culprit tag: job=Nightly
waiting=20 oldest_seconds=3 running=10 limit=10 statement_share=0.9

# They make what is beside them slower: nothing outside PostgreSQL does.
now n=30
pool running=3 lent=3
statement print=1 called="select users" calls=200 took=5ms
statement print=3 called="select orders" calls=200 took=5ms
statement print=2 running=0
----
Nothing is wrong: 3 of 10 that may run do, and nobody waits.

look n=6
pool running=10 lent=12
class web waiting=20 oldest=200ms
waits cpu=10
statement print=1 calls=40 took=20ms
statement print=3 calls=40 took=20ms
statement print=4 called="select totals" running=8
----
PostgreSQL is well used: 10 of 10 that may run do, and 20 statements wait for up to 200 ms.
