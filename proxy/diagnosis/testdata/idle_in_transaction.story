now n=20
pool cap=20 running=4 lent=5
statement print=1 called="select orders" calls=100 took=10ms
----
Nothing is wrong: 4 of 10 that may run do, and nobody waits.

look n=4
pool running=3 lent=20
class web waiting=12 oldest=2s
class jobs waiting=0
crowd "sidekiq 7" idling=14 oldest=12s client=10.0.0.7 pid=4711 class=jobs print=77 called="select users, job=PushWorker"
crowd puma idling=2 oldest=20ms
----
idle transactions hold the pool (idle_in_transaction, 95 % since 14:00:21)
PostgreSQL is not the bottleneck: 16 of 20 connections sit idle in transactions (14 of PushWorker), the longest for 12 s; 12 statements wait.
Have PushWorker end its transaction before slow work that is not SQL (calls of other services, files, sleep). pgguard ends the oldest while others wait.
culprit class: jobs
culprit application: sidekiq 7
culprit client: 10.0.0.7
culprit statement: select users
culprit fingerprint: 000000000000004d
culprit pid: 4711
culprit tag: job=PushWorker
idle=16 of_culprit=14 servers=20 cap=20 oldest_seconds=12 waiting=12

# Idle transactions that nobody waits behind are nobody's business.
now n=10
pool cap=97 running=3 lent=20
crowd "sidekiq 7" idling=14 oldest=12s
----
Nothing is wrong: 3 of 10 that may run do, and nobody waits.
