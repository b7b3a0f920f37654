now n=6
guard cores=1 used_percent=97 lag=85ms
pool running=3 limit=12
class web waiting=30 oldest=900ms
----
guard short of CPU (guard_cpu, 90 % since 14:00:01)
pgguard itself is short of processor: it uses 1 of the 1 core it may, and comes 85 ms late. PostgreSQL is not the bottleneck.
Give pgguard more processor (the CPU limit of its container, or a machine that is less full), or spread its clients over more of it.
used_cores=1 cores=1 late_seconds=0.085
