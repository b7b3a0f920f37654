package sim

// Statement is one step of a transaction.
type Statement struct {
	First, Last int     // fingerprints it is drawn from, zipf-like, first most often
	Kind        byte    // 'r' read, 'w' write, 'c' commit
	Lock        bool    // takes a hot row and holds it to the end of the transaction
	Think       float64 // mean idle time before it, inside the transaction
	Files       bool    // before it the client waits for the file server (Phase.Files)
	Long        float64 // demand instead of the fingerprint's; 0: the fingerprint's
}

// Group is one kind of client.
type Group struct {
	Name     string
	Class    int         // 0 high, 1 low
	Clients  int         // closed: how many at the start
	Think    float64     // closed: mean think time between requests
	Rate     float64     // open: requests for each second, before Phase.Load; the group is closed if it is 0
	Work     []Statement // one transaction
	Alt      []Statement // the same in phases with Mix 1; nil: Work
	AltShare float64     // part of the transactions that are Alt in all phases
	Patience float64     // a client gives up after this long; 0: never
	Retries  int
	Backoff  float64 // before a retry; 0: at once
	Operated bool    // the operator adds clients while work is late
}

// Phase is a stretch of time in which nothing changes from outside.
type Phase struct {
	Name    string
	Len     float64 // seconds
	Curve   *Curve
	B       float64 // capacity factor; 0 means 1
	Delay   float64 // added to every statement by the network
	Files   float64 // wait for the file server; 0: 20 ms
	Fsync   float64 // time of one flush; 0: none is modelled
	Load    float64 // factor on open groups; 0 means 1
	Mix     int
	Foreign int     // statements of strangers running at all times
	DDL     bool    // a table lock is waited for: every new statement blocks
	Down    bool    // the server refuses logins; connections break at its start
	Wave    float64 // capacity ±Wave as a sine of Period
	Period  float64
	Unrest  float64        // capacity wanders by itself: its deviation in ln, forgotten within a second
	Bursts  float64        // other processes take up to this part of the capacity, for some seconds now and then
	Blind   bool           // the side channel sees nothing
	Burn    float64        // the sidecar's own processor is late by this much
	Graded  bool           // counts for the ratio to the best static limit
	Protect bool           // time from its start until goodput is near the best is reported
	Recover bool           // time from its start until goodput is back is reported
	After   func(g *Group) // changes groups at its start, for closed groups' sizes; nil: nothing
}

// Scenario is a world and its story.
type Scenario struct {
	Number        int
	Name          string
	Cap           int  // H of each sidecar; 0: 100
	Sidecars      int  // 0: 1
	Greedy        bool // the last sidecar has no law: it takes what it can
	Groups        []Group
	Phases        []Phase
	Scale         float64 // factor on all demands; 0: 1
	Healthy       bool    // no brake and no refusal may happen
	InTime        bool    // in order of arrival everybody is served in time: nobody may be refused, or leave
	NoBoard       bool    // guards do not know which of the others are guards
	KeepAbandoned bool    // an abandoned statement runs on in the server
	Rows          int     // hot rows; 0: 1
	First         int     // the law's first limit; 0: its own
	Cell          bool    // one of Cells
	World         string  // under which its best limits are kept; empty: its name
	Grid          []int   // the static limits to compare with; nil: grid
	Must          float64 // ratio that a law must reach; 0: mustRatio
	Steady        bool    // the limit must hardly move, nor goodput fall, in graded phases
	Calm          float64 // part of the first phase's own goodput that the last one must have; 0: none
}

func (sc *Scenario) length() float64 {
	t := 0.0
	for i := range sc.Phases {
		t += sc.Phases[i].Len
	}
	return t
}
