now n=20
pool running=4 lent=5
class web granted=1000 waited=1s
class jobs granted=1000 waited=1s
----
Nothing is wrong: 4 of 10 that may run do, and nobody waits.

look n=1
pool running=10 lent=10
class web granted=2000 waited=4s
class jobs granted=1100 waited=100s waiting=60 oldest=8s
waits cpu=9
----
PostgreSQL is well used: 10 of 10 that may run do, and 60 statements wait for up to 8 s.

look n=3
class web granted=4000 waited=8s
class jobs granted=1200 waited=800s waiting=80 oldest=8s
----
guarding (yields, 80 % since 14:00:21)
jobs waits 8 s so that web waits 2.3 ms: 10 of 10 that may run do, and 80 statements wait.
Nothing needs to be done while the class that waits can wait. Otherwise make its statements cheaper, or send fewer at once: more connections or workers only make the line longer.
culprit class: jobs
waiting=80 oldest_seconds=8 running=10 limit=10

look n=4
class web granted=4000 waited=8s
class jobs granted=1200 waited=800s waiting=100 oldest=10s refused=44
----
shedding (refusals, 80 % since 14:00:25)
More comes than PostgreSQL can do: 44 statements were refused within 5 s, most of class jobs, while 10 of 10 that may run do; 100 statements wait for up to 10 s.
What was refused was not sent, and may be tried again, later and with jitter. Send less of that class, or make its statements cheaper.
culprit class: jobs
waiting=100 oldest_seconds=10 running=10 limit=10 refused=44

# All classes wait alike.
now n=12
pool running=10 lent=10
class web waiting=30 oldest=3s
----
guarding (waits, 80 % since 14:00:27)
30 statements wait for up to 3 s: 10 of 10 that may run do, because more at once would finish nothing sooner.
Nothing needs to be done while the class that waits can wait. Otherwise make its statements cheaper, or send fewer at once: more connections or workers only make the line longer.
culprit class: web
waiting=30 oldest_seconds=3 running=10 limit=10

# Observe mode says what it would have done.
now n=10
pool observe=1 running=3
class web would=0
class jobs would=312
----
Nothing is wrong: 3 of 10 that may run do, and nobody waits. In 50 s mode enforce would have refused 312 statements, 0 of web, 312 of jobs.

now n=10
pool observe=1 running=3
class web would=0
----
Nothing is wrong: 3 of 10 that may run do, and nobody waits. Safe to enforce: in 60 s nothing would have been refused.
