package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"pgguard/proxy"
	"pgguard/proxy/diagnosis"
	"pgguard/proxy/instance"
)

// Collector reads one snapshot at each scrape. It is safe for concurrent use if its function is.
type Collector struct {
	stats  func() proxy.Stats
	said   func() Said
	traces *Exemplars
}

// Said is what a witness says.
type Said struct {
	Verdicts  []diagnosis.Verdict
	Incidents uint64 // that have begun
	LinesLost uint64 // of their file
}

// New returns a Collector of what stats and said return; each is called once for each scrape. traces may be nil.
func New(stats func() proxy.Stats, said func() Said, traces *Exemplars) *Collector {
	return &Collector{stats, said, traces}
}

// fromTheStart are the reasons of refusals that are shown before the first, so that a rate sees that one, too: those that may come at any time, to any
// class. Others appear when they occur: most never do, and reasons by classes would be many series.
var fromTheStart = map[proxy.Reason]bool{
	proxy.ReasonWait: true, proxy.ReasonQueueFull: true, proxy.ReasonOverload: true, proxy.ReasonTooLate: true, proxy.ReasonReaped: true, proxy.ReasonBreaker: true,
	proxy.ReasonLost: true, proxy.ReasonUnknown: true,
}

// Registry returns a registry with everything under /metrics: the proxy's samples, the version, the Go runtime and the
// process.
func Registry(stats func() proxy.Stats, said func() Said, traces *Exemplars, version string) *prometheus.Registry {
	r := prometheus.NewRegistry()
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "pgguard_build_info",
		Help:        "Always 1; the label is the version of the program.",
		ConstLabels: prometheus.Labels{"version": version},
	})
	build.Set(1)
	r.MustRegister(New(stats, said, traces), build, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// Describe sends the description of every metric.
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range all {
		ch <- d
	}
}

// Collect sends the samples of one snapshot.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	s := sink(ch)
	st := c.stats()
	s.said(c.said())
	for state, n := range st.Clients {
		s.gauge(clients, float64(n), state)
	}
	s.gauge(draining, truth(st.Draining))
	for reason, n := range st.Pinned {
		s.gauge(pinnedClients, float64(n), reason)
	}
	for k, n := range st.Refusals {
		if n > 0 || fromTheStart[proxy.Reason(k.Reason)] {
			s.counter(refusals, n, k.Reason, k.Class)
		}
	}
	for k, n := range st.WouldRefuse {
		s.counter(wouldRefuse, n, k.Reason, k.Class)
	}
	for _, m := range []struct {
		desc   *prometheus.Desc
		counts map[string]uint64
	}{{pins, st.Pins}, {cancels, st.Cancels}, {queries, st.Queries}, {traffic, st.Bytes}} {
		for label, n := range m.counts {
			s.counter(m.desc, n, label)
		}
	}
	s.counter(panics, st.Panics)
	for _, m := range []struct {
		desc    *prometheus.Desc
		byClass map[string]proxy.Histogram
	}{
		{queueWait, st.QueueWait},
		{queryTime, st.QueryTime},
		{transactionTime, st.TransactionTime},
		{idleInTransactionTime, st.IdleInTransactionTime},
	} {
		for class, h := range m.byClass {
			s.histogram(m.desc, h, c.traces, class)
		}
	}
	s.histogram(loginTime, st.LoginTime, nil)
	for _, p := range st.Pools {
		s.pool(p)
	}
}

// sink makes samples.
type sink chan<- prometheus.Metric

// said sends what is wrong.
func (s sink) said(said Said) {
	for i := range said.Verdicts {
		for _, state := range diagnosis.States {
			s.gauge(verdict, truth(said.Verdicts[i].State == state), said.Verdicts[i].Database, string(state))
		}
	}
	s.counter(incidents, said.Incidents)
	s.counter(linesLost, said.LinesLost)
}

// pool sends the samples of one PostgreSQL instance.
func (s sink) pool(p instance.Stats) {
	for state, n := range p.Servers {
		s.gauge(servers, float64(n), p.Name, state)
	}
	s.gauge(maxServers, float64(p.Cap), p.Name)
	s.gauge(limit, float64(p.Limit), p.Name)
	s.counter(changes, p.Changes, p.Name)
	s.gauge(running, float64(p.Running), p.Name)
	s.gauge(up, truth(p.Up), p.Name)
	for state, n := range p.BreakerMoves {
		s.gauge(breakerState, truth(p.Breaker == state), p.Name, state)
		s.counter(breakerTransitions, n, p.Name, state)
	}
	for _, k := range p.Classes {
		s.gauge(queueLength, float64(k.Waiting), p.Name, k.Name)
	}
	for result, n := range p.Logins {
		s.counter(logins, n, p.Name, result)
	}
}

func (s sink) gauge(d *prometheus.Desc, v float64, labels ...string) {
	s <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func (s sink) counter(d *prometheus.Desc, n uint64, labels ...string) {
	s <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
}

func (s sink) histogram(d *prometheus.Desc, h proxy.Histogram, traces *Exemplars, labels ...string) {
	buckets := make(map[float64]uint64, len(h.Bounds))
	for i, bound := range h.Bounds {
		buckets[bound] = h.Counts[i]
	}
	s <- traces.with(d, histogram{prometheus.MustNewConstHistogram(d, h.Count, h.Sum, buckets, labels...), h.Native}, labels)
}

// truth returns 1 for true.
func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
