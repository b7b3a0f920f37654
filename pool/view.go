package pool

import "time"

// View is one server as its pool sees it.
type View struct {
	Key     *Key
	Conn    Conn // nil while it is being opened
	State   State
	Since   time.Time // when it came into its state
	Began   time.Time // when its login began
	Retired string    // why it is not lent again; "": it may be
	Runs    bool      // it has a run token
}

// Views are all servers, in no order.
func (p *Pool) Views() []View {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := make([]View, 0, len(p.servers))
	for s := range p.servers {
		v := View{Key: s.Key, State: s.state, Since: s.since, Began: s.began, Retired: s.retired, Runs: s.running > 0}
		if s.state != Opening {
			v.Conn = s.Conn
		}
		list = append(list, v)
	}
	return list
}
