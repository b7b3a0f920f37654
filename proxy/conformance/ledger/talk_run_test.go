package ledger

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"pgguard/proxy/wire"
)

// hearRun enters what comes for a message that runs statements.
func (t *talk) hearRun(h *owed, typ byte, body []byte) error {
	if h.done() {
		return t.outOfStep(typ, body)
	}
	d := &h.deeds[h.at]
	switch typ {
	case wire.RowDescription:
		if h.typ == wire.Query {
			return nil
		}
	case wire.DataRow:
		if h.typ != wire.FunctionCall {
			return t.hearRow(d, body)
		}
	case wire.CopyInResponse:
		if d.act == actCopy && t.copying == nil {
			t.startCopy(h)
			return nil
		}
	case wire.FunctionCallResponse:
		if h.typ == wire.FunctionCall {
			t.complete(h, d, "")
			return nil
		}
	case wire.CommandComplete:
		tag := strings.TrimRight(string(body), "\x00")
		if h.typ == wire.FunctionCall || !strings.HasPrefix(tag, d.tag) {
			return t.outOfStep(typ, body)
		}
		t.complete(h, d, tag)
		return nil
	case wire.EmptyQueryResponse:
		if d.tag == "" && d.act == actOther {
			t.complete(h, d, "")
			return nil
		}
	}
	return t.outOfStep(typ, body)
}

// hearRow looks whether a row is the client's own.
func (t *talk) hearRow(d *deed, body []byte) error {
	if !d.returns {
		return nil
	}
	value, ok := firstColumn(body)
	id, err := strconv.ParseInt(value, 10, 64)
	if !ok || err != nil {
		return fmt.Errorf("a row that is none: %q", body)
	}
	for _, a := range d.rows {
		if a.id == id {
			return nil
		}
	}
	return fmt.Errorf("row %d came, which is not among those asked for", id)
}

func firstColumn(body []byte) (string, bool) {
	if len(body) < 6 {
		return "", false
	}
	n := int32(binary.BigEndian.Uint32(body[2:]))
	if n < 0 || len(body) < 6+int(n) {
		return "", false
	}
	return string(body[6 : 6+n]), true
}

// startCopy notes that the server waits for copy data, and takes out the Syncs that it will read as part of that.
func (t *talk) startCopy(h *owed) {
	if h.ended {
		return
	}
	t.copying = h
	if h.typ == wire.Execute {
		t.owed, t.unsynced = t.owed[:1], true
	}
}

// complete ends a deed.
func (t *talk) complete(h *owed, d *deed, tag string) {
	if h.at++; h.typ == wire.Execute {
		t.owed = t.owed[1:]
	}
	for _, a := range d.inner {
		a.settle(acknowledged, "acknowledged")
	}
	t.unit = append(t.unit, d.rows...)
	switch d.act {
	case actBegin:
		t.explicit = true
	case actCommit, actRollback:
		if d.act == actCommit && tag == "COMMIT" {
			t.decide(&t.unit, acknowledged, "acknowledged")
		} else {
			t.decide(&t.unit, failed, "rolled back")
		}
		t.explicit, t.poisoned, t.points = false, false, nil
	case actSavepoint:
		t.points = append(t.points, savepoint{d.name, len(t.unit)})
	case actRollbackTo:
		for i := len(t.points) - 1; i >= 0; i-- {
			if p := t.points[i]; p.name == d.name {
				gone := t.unit[p.at:]
				t.unit = t.unit[:p.at:p.at]
				t.decide(&gone, failed, "rolled back to a savepoint")
				t.points = t.points[:i+1]
				break
			}
		}
		t.poisoned = false
	}
	switch tag {
	case "DISCARD ALL", "DEALLOCATE ALL":
		clear(t.names)
	}
}

// lose settles everything at the end of the connection: what may have been committed is unknown, and the rest is not
// there, which is called o.
func (t *talk) lose(o outcome, why string) {
	may := t.reach()
	end := func(a *attempt) {
		switch {
		case may[a]:
			a.settle(unknown, why)
		case a.outcome == sent:
			a.settle(o, why)
		}
	}
	for _, a := range t.unit {
		end(a)
	}
	for _, w := range t.owed {
		t.each(w.message, w.at, end)
	}
	t.unit, t.owed, t.copying = nil, nil, nil
}

// reach finds the rows that the server may have committed, or may still commit, by itself with what it was sent. It allows
// for an error in every exchange that is not answered: what follows a BEGIN that has failed is not in a transaction.
func (t *talk) reach() map[*attempt]bool {
	may := map[*attempt]bool{}
	live := append([]*attempt(nil), t.unit...)
	all := func() {
		for _, a := range live {
			may[a] = true
		}
	}
	if t.poisoned && !t.rescued() {
		live = nil
	}
	idle, begun := !t.explicit, false
	for _, o := range t.owed {
		if o.part {
			return may
		}
		if o.errored {
			switch {
			case t.failure != nil && t.failure.discards():
				all() // it is committed, see atEnd
			case idle:
				live = nil
			}
			continue
		}
		for _, d := range o.deeds[o.at:] {
			if d.act == actCopy && !o.ended {
				return may // the server waits for its data
			}
			live = append(live, d.rows...)
			for _, a := range d.inner {
				may[a] = true
			}
			switch d.act {
			case actBegin:
				begun = true
			case actCommit:
				all()
				live, idle, begun = nil, true, false
			case actRollback:
				live, idle, begun = nil, true, false
			}
		}
		switch o.typ {
		case wire.Query, wire.FunctionCall, wire.Sync:
			if idle && !begun {
				all()
			}
			begun = false
		}
	}
	return may
}

// rescued is whether something is under way that brings a failed transaction back to a savepoint.
func (t *talk) rescued() bool {
	for _, o := range t.owed {
		for _, d := range o.deeds[o.at:] {
			if d.act == actRollbackTo {
				return true
			}
		}
	}
	return false
}
