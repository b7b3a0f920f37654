now n=4
pool cap=20 running=3 lent=20
class web waiting=12 oldest=2s
crowd exporter unread=12 client=10.0.0.7 class=web called="select events" print=5
----
clients do not read (unread, 95 % since 14:00:01)
PostgreSQL is not the bottleneck: 12 of the 20 connections in use wait until clients of exporter read what they asked for; 12 statements wait.
Have exporter read large results in portions (a cursor, LIMIT, a stream that is read on), or see why it hangs.
culprit class: web
culprit application: exporter
culprit client: 10.0.0.7
culprit statement: select events
culprit fingerprint: 0000000000000005
unread=12 of_culprit=12 servers=20 cap=20 waiting=12
