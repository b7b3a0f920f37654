now n=4
pool cap=6 running=5 lent=6
class web waiting=14 oldest=2s
others reports n=93 of=85 most=97 client=10.0.0.9
----
cap reached by others (connections, 90 % since 14:00:01)
Others hold 93 of the 97 connections that PostgreSQL allows, reports at 10.0.0.9 alone 85; pgguard has the 4 that are left, and 14 statements wait for up to 2 s.
Bound the pool of reports, or have it come through pgguard; raising max_connections only moves the wall.
culprit application: reports
culprit client: 10.0.0.9
others=93 connections=97 of_culprit=85 cap=6 waiting=14

# Many others, but enough is left.
now n=10
others reports n=55 of=55 most=97
----
Nothing is wrong: 0 of 10 that may run do, and nobody waits.

# The same, and the line is before the run limit: there are servers to spare.
now n=10
pool cap=40 limit=10 running=10 lent=12
class web waiting=5 oldest=300ms
others reports n=55 of=55 most=97
----
PostgreSQL is well used: 10 of 10 that may run do, and 5 statements wait for up to 300 ms.

# And before the last of the servers that are left.
now n=10
pool cap=40 limit=30 running=20 lent=40
class web waiting=5 oldest=300ms
others reports n=55 of=55 most=97
----
cap reached by others (connections, 90 % since 14:00:25)
Others hold 55 of the 97 connections that PostgreSQL allows, reports alone 55; pgguard has the 42 that are left, and 5 statements wait for up to 300 ms.
Bound the pool of reports, or have it come through pgguard; raising max_connections only moves the wall.
culprit application: reports
others=55 connections=97 of_culprit=55 cap=40 waiting=5

# Others have had three quarters for long, and few of the rest are needed.
now n=900
pool cap=24 limit=10 running=1 lent=1 idle=3
others reports n=75 of=75 most=100
----
Nothing is wrong: 1 of 10 that may run do, and nobody waits.

# They have come just now.
now n=900
pool cap=80 limit=10 running=1 lent=1 idle=3
others reports n=20 of=20 most=100
----
Nothing is wrong: 1 of 10 that may run do, and nobody waits.

look n=4
pool cap=24 limit=10 running=1 lent=1 idle=3
others reports n=76 of=76 most=100
----
cap reached by others (connections, 90 % since 14:30:35)
Others hold 76 of the 100 connections that PostgreSQL allows, reports alone 76; pgguard has the 24 that are left.
Bound the pool of reports, or have it come through pgguard; raising max_connections only moves the wall.
culprit application: reports
others=76 connections=100 of_culprit=76 cap=24 waiting=0

# They stay, and few of the rest are needed.
look n=900
----
Nothing is wrong: 1 of 10 that may run do, and nobody waits.

# Until more are.
look n=4
pool cap=24 limit=10 running=10 lent=12 idle=3
----
cap reached by others (connections, 90 % since 14:45:39)
Others hold 76 of the 100 connections that PostgreSQL allows, reports alone 76; pgguard has the 24 that are left.
Bound the pool of reports, or have it come through pgguard; raising max_connections only moves the wall.
culprit application: reports
others=76 connections=100 of_culprit=76 cap=24 waiting=0
