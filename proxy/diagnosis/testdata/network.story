now n=20
pool running=4 lent=5
waits cpu=3
statement print=1 called="select orders" calls=100 took=10ms
----
Nothing is wrong: 4 of 10 that may run do, and nobody waits.

look n=8
pool running=10 lent=10
trip took=41ms
waits cpu=1
statement print=1 calls=90 took=51ms
----
network slow (round_trip, 90 % since 14:00:26)
The network to PostgreSQL is slow, not PostgreSQL: each trip takes 41 ms where it took 0.3 ms; of 10 statements under way it works at 1.
Look at the way to db:5432: another zone or region, a VPN, lost packets, a full link. More connections do not help; fewer statements in a transaction do.
round_trip_seconds=0.041 usual_seconds=0.0003 running=10 at_work=1

# A server that is busy answers late, too, but it works.
now n=20
pool running=4 lent=5
waits cpu=3
----
Nothing is wrong: 4 of 10 that may run do, and nobody waits.

look n=10
pool running=10 lent=10
waits cpu=9
trip took=41ms
----
PostgreSQL is well used: 10 of 10 that may run do.
