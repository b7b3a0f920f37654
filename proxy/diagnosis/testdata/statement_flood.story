now n=30
pool running=4 lent=5
waits cpu=4
statement print=1 called="select orders, controller=orders, action=index" calls=300 took=4ms
statement print=2 called="select users" calls=300 took=3ms
----
Nothing is wrong: 4 of 10 that may run do, and nobody waits.

# A deployment asks one of them three times as often.
look n=8
pool running=10 lent=10
waits cpu=10
class web waiting=5 oldest=120ms
statement print=1 calls=660 took=9ms
statement print=2 calls=220 took=7ms
----
guarding (statement_flood, 80 % since 14:00:33)
Since 14:00:33 one statement comes much more often, where it was 300 times a second: select orders controller=orders action=index comes 660 times a second, and takes 79 % of the server's time; 5 statements wait for up to 120 ms.
See what was deployed then and sends it: a loop that asks for each row (N+1), a cache that is not used any more, retries without a pause.
culprit statement: select orders
culprit fingerprint: 0000000000000001
culprit tag: action=index
culprit tag: controller=orders
calls_per_second=660 usual_per_second=300 share=0.8 share_of_calls=0.8 running=10 limit=10

# Another brings a new one.
now n=30
pool running=4 lent=5
statement print=1 called="select orders" calls=300 took=4ms
----
Nothing is wrong: 4 of 10 that may run do, and nobody waits.

look n=8
pool running=10 lent=10
waits cpu=10
statement print=9 called="select audit_log" calls=50 took=100ms
----
guarding (statement_flood, 80 % since 14:01:10)
Since 14:01:10 one statement is new: select audit_log comes 50 times a second, and takes 81 % of the server's time.
See what was deployed then and sends it: a loop that asks for each row (N+1), a cache that is not used any more, retries without a pause.
culprit statement: select audit_log
culprit fingerprint: 0000000000000009
calls_per_second=50 usual_per_second=0 share=0.8 share_of_calls=0.1 running=10 limit=10

# All come more often: that is load, and nobody's fault.
now n=30
pool running=4 lent=5
statement print=1 called="select orders" calls=100 took=4ms
statement print=2 called="select users" calls=100 took=3ms
----
Nothing is wrong: 4 of 10 that may run do, and nobody waits.

look n=8
pool running=10 lent=10
waits cpu=10
statement print=1 calls=300 took=9ms
statement print=2 calls=300 took=7ms
----
PostgreSQL is well used: 10 of 10 that may run do.
