# What strangers call themselves is shown as text, in one line, and cut.
now n=4
pool cap=20 running=3 lent=20
class web waiting=12 oldest=2s
crowd "<script>alert(1)</script>\u202e\x1b[2J\naaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" idling=14 oldest=12s
----
idle transactions hold the pool (idle_in_transaction, 95 % since 14:00:01)
PostgreSQL is not the bottleneck: 14 of 20 connections sit idle in transactions of "<script>alert(1)</script>??[2J?aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa…", the longest for 12 s; 12 statements wait.
Have "<script>alert(1)</script>??[2J?aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa…" end its transaction before slow work that is not SQL (calls of other services, files, sleep). pgguard ends the oldest while others wait.
culprit application: <script>alert(1)</script>??[2J?aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa…
idle=14 of_culprit=14 servers=20 cap=20 oldest_seconds=12 waiting=12

now n=4
database breaker=open up=0 error="FATAL: no\nsuch\x00thing"
----
database down (unreachable, 100 % since 14:00:05)
PostgreSQL at db:5432 has not answered since 14:00:05: FATAL: no?such?thing.
See whether PostgreSQL runs, what its log says, and whether the network lets pgguard through. Statements are refused at once; as soon as it answers work is let in again, by and by.
refused=0 waiting=0 servers=0 down_seconds=3
