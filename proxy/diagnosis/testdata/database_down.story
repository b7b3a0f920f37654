now n=20
pool running=4 lent=5
statement print=1 called="select orders" calls=100 took=10ms
----
Nothing is wrong: 4 of 10 that may run do, and nobody waits.

# The breaker is sure: it is said at once.
look n=1
database breaker=open up=0 error="dial tcp 10.0.0.5:5432: connect: connection refused"
class web refused=41
----
database down (unreachable, 100 % since 14:00:21)
PostgreSQL at db:5432 has not answered since 14:00:21: dial tcp 10.0.0.5:5432: connect: connection refused.
See whether PostgreSQL runs, what its log says, and whether the network lets pgguard through. Statements are refused at once; as soon as it answers work is let in again, by and by.
refused=41 waiting=0 servers=5 down_seconds=0

look n=9
----
database down (unreachable, 100 % since 14:00:21)
PostgreSQL at db:5432 has not answered since 14:00:21: dial tcp 10.0.0.5:5432: connect: connection refused.
See whether PostgreSQL runs, what its log says, and whether the network lets pgguard through. Statements are refused at once; as soon as it answers work is let in again, by and by.
refused=0 waiting=0 servers=5 down_seconds=9

look n=3
database breaker=half-open up=0 error="dial tcp 10.0.0.5:5432: connect: connection refused"
class web refused=1400
----
database down (unreachable, 100 % since 14:00:21)
PostgreSQL at db:5432 has not answered since 14:00:21; it is being tried: dial tcp 10.0.0.5:5432: connect: connection refused.
See whether PostgreSQL runs, what its log says, and whether the network lets pgguard through. Statements are refused at once; as soon as it answers work is let in again, by and by.
refused=1359 waiting=0 servers=5 down_seconds=12

# It comes back by a ramp; nothing is refused any more.
look n=10
database breaker=ramp
class web refused=1400
----
Nothing is wrong: 4 of 10 that may run do, and nobody waits.

# One that runs, and has never let pgguard in.
now n=4
database up=0 reached=0 refused=1 error="password authentication failed for user \"app\" (SQLSTATE 28P01)"
----
database down (unreachable, 80 % since 14:00:44)
PostgreSQL at db:5432 does not let pgguard in: password authentication failed for user "app" (SQLSTATE 28P01).
PostgreSQL runs. Correct the user, password or database of the upstream; pgguard check --connect says what is wrong. Until then statements are refused at once.
refused=0 waiting=0 servers=0 down_seconds=3

# One that does not let pgguard itself in, and serves clients as who they are.
now n=4
database blind="role \"root\" does not exist (SQLSTATE 28000)"
----
Nothing is wrong: 0 of 10 that may run do, and nobody waits. pgguard cannot look into PostgreSQL, which does not let it in: role "root" does not exist (SQLSTATE 28000).
Clients are served, but nothing is known of locks, of others' load, and of how many connections there may be. Correct the user, password or database of the upstream; pgguard check --connect says what is wrong.
