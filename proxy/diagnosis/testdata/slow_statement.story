now n=30
pool running=4 lent=5
waits cpu=4
statement print=1 called="select orders, controller=orders, action=index" calls=300 took=400us
statement print=2 called="select users" calls=300 took=1ms
statement print=3 called="update carts" calls=50 took=3ms
----
Nothing is wrong: 4 of 10 that may run do, and nobody waits.

# An index is missing.
look n=6
pool running=10 lent=10
waits cpu=10
class web waiting=14 oldest=2100ms
statement print=1 calls=100 took=84ms
statement print=2 calls=100 took=3ms
statement print=3 calls=20 took=8ms
----
guarding (slow_statement, 85 % since 14:00:31)
One statement has become slow: select orders controller=orders action=index takes 84 ms where it took 0.4 ms, and 95 % of the server's time; 14 statements wait for up to 2.1 s.
Look at its plan (EXPLAIN): an index may be missing or not be used, statistics may be old (ANALYZE), or its data may have grown. It became slow at about 14:00:31.
culprit statement: select orders
culprit fingerprint: 0000000000000001
culprit tag: action=index
culprit tag: controller=orders
mean_seconds=0.084 usual_seconds=0.0004 share=0.9 calls_per_second=100 others_slowdown=2.9 running=10 limit=10
