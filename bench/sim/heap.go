package sim

// eventKind says what happens at an event.
type eventKind uint8

const (
	evArrive  eventKind = iota // an open group's next request
	evBegin                    // a session asks for work: first try, next request or retry
	evSent                     // a statement has crossed the network
	evNext                     // an idle transaction goes on
	evTimeout                  // a client's patience is over
	evCommit                   // a group commit has reached the disk
	evDisk                     // a read from disk is done
	evTick                     // 50 ms: late waiters
	evStep                     // 250 ms: the law
	evSample                   // 1 s: the side channel
	evWave                     // 100 ms: capacity that varies by itself
	evOperate                  // 30 s: the operator
	evLogin                    // a login failed: the server is down
	evPhase                    // the next phase
)

// event is one thing that will happen. Gen makes an event of an earlier life of its session harmless.
type event struct {
	at   float64
	kind eventKind
	gen  uint32
	id   int32 // session, sidecar or group
}

// events is a 4-ary heap of values, earliest first.
type events []event

func (h *events) push(e event) {
	a := append(*h, e)
	i := len(a) - 1
	for i > 0 {
		up := (i - 1) / 4
		if a[up].at <= e.at {
			break
		}
		a[i] = a[up]
		i = up
	}
	a[i] = e
	*h = a
}

func (h *events) pop() event {
	a := *h
	top, last := a[0], a[len(a)-1]
	a = a[:len(a)-1]
	*h = a
	for i := 0; len(a) > 0; {
		child := 4*i + 1
		if child >= len(a) {
			a[i] = last
			break
		}
		least := child
		for c := child + 1; c < min(child+4, len(a)); c++ {
			if a[c].at < a[least].at {
				least = c
			}
		}
		if a[least].at >= last.at {
			a[i] = last
			break
		}
		a[i] = a[least]
		i = least
	}
	return top
}
