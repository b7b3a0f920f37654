package proxy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"pgguard/pool"
	"pgguard/pool/event"
)

// What operators are told that cannot be done.
var (
	ErrNoDatabase = errors.New("no such database")
	ErrNotPaused  = errors.New("not paused")
	ErrPaused     = errors.New("already paused")
	ErrShutDown   = errors.New("shutting down")
	// ErrSomePaused is for what cannot be done while some database is paused.
	ErrSomePaused = errors.New("a database is paused")
)

// errKilled ends a client at an operator's word.
var errKilled = &Refusal{Reason: ReasonDraining, Message: "admin forced disconnect"}

// settleEvery is how often it is looked whether the servers of a database have gone. Each look costs a lock of each pool.
const settleEvery = 20 * time.Millisecond

// databaseNamed is the database of this name, if an operator can mean it: the configuration names it, or somebody has used it. That clients could ask for it, as they
// could for any name where there is one upstream for all, is not enough: it may be misspelt.
func (srv *Server) databaseNamed(name string) (*database, error) {
	if !srv.isKnown(name) {
		return nil, ErrNoDatabase
	}
	return srv.databaseCalled(name)
}

// databaseCalled is the database of this name: one that the configuration leads to, or that somebody is in whom it led there before.
func (srv *Server) databaseCalled(name string) (*database, error) {
	up, _, ok := srv.destination(name)
	if ok {
		d := srv.databaseFor(name, srv.instanceFor(up.Upstream))
		srv.unused(d)
		return d, nil
	}
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if d := srv.databases[name]; d != nil && d.uses > 0 {
		return d, nil
	}
	return nil, ErrNoDatabase
}

// isKnown is true for a database that the configuration names, or that somebody has used.
func (srv *Server) isKnown(name string) bool {
	if _, named := srv.cfg().Databases[name]; named && name != AnyDatabase {
		return true
	}
	srv.mu.Lock()
	defer srv.mu.Unlock()
	d := srv.databases[name]
	return d != nil && (d.known || d.uses > 0 || d.paused || d.disabled)
}

// Pause has the clients of a database, or of all (""), wait before their next transaction, for as long as it takes, and returns when none of them has
// a server any more: nothing that is under way is interrupted. It stays so until Resume, after an error of ctx's, too; ErrNotPaused if that has come meanwhile.
func (srv *Server) Pause(ctx context.Context, name string) error {
	if err := srv.markPaused(name, true); err != nil {
		return err
	}
	if srv.gone() { // behind the mark: see commit
		_ = srv.endPause(name)
		return ErrShutDown
	}
	first, empty := true, false
	err := srv.await(ctx, func() bool {
		if !srv.isMarked(name) {
			return true
		}
		n := 0
		for _, d := range srv.known(name) {
			srv.settle(d) // again, for those who asked just before
			n += srv.empty(d, "pause", first)
		}
		first, empty = false, n == 0
		return empty
	})
	if err == nil && !(empty && srv.isMarked(name)) {
		return ErrNotPaused
	}
	return err
}

// isMarked is true while the database of this name, by itself, or all ("") are paused.
func (srv *Server) isMarked(name string) bool {
	if name == "" {
		return srv.Paused()
	}
	srv.mu.Lock()
	defer srv.mu.Unlock()
	d := srv.databases[name]
	return d != nil && d.paused
}

// markPaused notes that a database, or all, is paused, or is not any more.
func (srv *Server) markPaused(name string, paused bool) error {
	var d *database
	var err error
	if name != "" {
		d, err = srv.databaseNamed(name)
	}
	srv.mu.Lock()
	defer srv.mu.Unlock()
	switch {
	case paused && (srv.paused || srv.Suspended()):
		return ErrPaused
	case err != nil:
		return err
	case !paused && d == nil && !srv.paused, !paused && d != nil && !d.paused:
		return ErrNotPaused
	case d == nil:
		srv.paused = paused
	default:
		d.paused = paused
	}
	return nil
}

// settle shuts or opens the gate of a database, as it is marked.
func (srv *Server) settle(d *database) {
	srv.settling.Lock() // so that what was read is still true when it is done
	defer srv.settling.Unlock()
	srv.mu.Lock()
	paused := d.paused || srv.paused
	srv.mu.Unlock()
	h := d.site.Load()
	if paused {
		h.inst.Pool.Shut(&h.gate, time.Now())
	} else {
		h.inst.Pool.Open(&h.gate, time.Now())
	}
}

// known are the databases of this name, or all ("").
func (srv *Server) known(name string) (list []*database) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	for _, d := range srv.databases {
		if name == "" || d.name == name {
			list = append(list, d)
		}
	}
	return list
}

// empty retires the servers of a paused database, and returns how many it still has. Servers that nobody has are also for others, if clients of
// another name come to the same database: those are retired once, so that none is older than the pause.
func (srv *Server) empty(d *database, why string, first bool) (n int) {
	shared := srv.shares(d)
	d.inst().Pool.Retire(time.Now(), why, func(s *pool.Server) bool { return srv.isOf(d, s.Key, s.Conn, shared && !first) })
	for _, v := range d.inst().Pool.Views() {
		if srv.isOf(d, v.Key, v.Conn, shared) {
			n++
		}
	}
	return n
}

// isOf is true for a server of a database; linked: only if a client has it who calls it by this name. It may be called with the pool locked.
func (srv *Server) isOf(d *database, k *pool.Key, c pool.Conn, linked bool) bool {
	_, real, ok := srv.destination(d.name)
	if ok && k.Database != real {
		return false
	}
	return ok && !linked || srv.isLent(d, c)
}

// shares is true if clients who are not paused come to the same database by another name.
func (srv *Server) shares(d *database) bool {
	_, real, _ := srv.destination(d.name)
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if srv.paused {
		return false
	}
	for _, o := range srv.databases {
		if _, as, _ := srv.destination(o.name); o != d && o.inst() == d.inst() && as == real && o.uses > 0 && !o.paused {
			return true
		}
	}
	return false
}

// await asks ok until it says yes, ctx ends, or the Server closes.
func (srv *Server) await(ctx context.Context, ok func() bool) error {
	t := time.NewTicker(settleEvery)
	defer t.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-srv.ctx.Done():
			return ErrShutDown
		case <-t.C:
		}
	}
	return nil
}

// Resume ends Pause, for the same name, and that of all ("") Suspend. Who has waited goes on, in the order in which they came.
func (srv *Server) Resume(name string) error {
	switch {
	case name != "":
	case srv.Lift(srv.suspended.Load()):
		return nil
	case srv.draining.Load():
		return ErrShutDown
	}
	return srv.endPause(name)
}

// endPause is Resume without Suspend.
func (srv *Server) endPause(name string) error {
	if err := srv.markPaused(name, false); err != nil {
		return err
	}
	for _, d := range srv.known(name) {
		srv.settle(d)
	}
	return nil
}

// Paused is true while all databases are.
func (srv *Server) Paused() bool {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return srv.paused
}

// isPaused is true while the clients of a database wait for an operator.
func (srv *Server) isPaused(d *database) bool {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return srv.paused || d.paused
}

// Disable has nobody log in to a database any more, or again. Who is in stays. ErrShutDown: another process serves who comes. One that is about to knows of it.
func (srv *Server) Disable(name string, disabled bool) error {
	d, err := srv.databaseNamed(name)
	if err != nil {
		return err
	}
	srv.mu.Lock()
	was := d.disabled
	d.disabled = disabled
	srv.mu.Unlock()
	if srv.gone() { // behind the mark: see commit
		srv.mu.Lock()
		d.disabled = was
		srv.mu.Unlock()
		return ErrShutDown
	}
	return nil
}

// disabledNames are the databases that nobody may log in to.
func (srv *Server) disabledNames() (names [][]byte) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	for name, d := range srv.databases {
		if d.disabled {
			names = append(names, []byte(name))
		}
	}
	return names
}

// inheritDisabled disables the databases that were disabled in the process before, as far as there are any of these names here.
func (srv *Server) inheritDisabled(names [][]byte) {
	for _, name := range names {
		if d, err := srv.databaseCalled(string(name)); err == nil {
			srv.mu.Lock()
			d.disabled = true
			srv.mu.Unlock()
		}
	}
}

// comesTo is asked by who logs in to a database.
func (srv *Server) comesTo(d *database) (paused bool, err error) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if d.disabled {
		if srv.cfg().LikePgBouncer {
			return false, &Refusal{Reason: ReasonRejected, Message: fmt.Sprintf("database %q is disabled", d.name)}
		}
		return false, &Refusal{Reason: ReasonRejected, Message: "guard: the database is disabled", Detail: "An operator has disabled it; ENABLE in the console lets clients in again."}
	}
	return d.paused || srv.paused, nil
}

// Reconnect retires the servers of a database, or of all (""): each is closed when nobody has it, and others take its place. Who logs in next is told what those report, or
// say against him. It returns how many.
func (srv *Server) Reconnect(name string) (n int, err error) {
	if n, err = srv.retire(name, "reconnect"); err != nil {
		return n, err
	}
	for _, in := range srv.allInstances() {
		if d := srv.known(name); name == "" || len(d) > 0 && d[0].inst() == in {
			in.Renew()
		}
	}
	return n, nil
}

func (srv *Server) retire(name, why string) (n int, err error) {
	now := time.Now()
	if name == "" {
		for _, in := range srv.allInstances() {
			n += in.Pool.Retire(now, why, func(*pool.Server) bool { return true })
		}
		return n, nil
	}
	d, err := srv.databaseNamed(name)
	if err != nil {
		return 0, err
	}
	return d.inst().Pool.Retire(now, why, func(s *pool.Server) bool { return srv.isOf(d, s.Key, s.Conn, false) }), nil
}

// AwaitRetired returns when no server of a database, or of all (""), is one that was retired, where the database was before, too: Reconnect, or a move, has done its work then.
func (srv *Server) AwaitRetired(ctx context.Context, name string) error {
	var d *database
	if name != "" {
		var err error
		if d, err = srv.databaseNamed(name); err != nil {
			return err
		}
	}
	return srv.await(ctx, func() bool {
		for _, in := range srv.allInstances() {
			for _, v := range in.Pool.Views() {
				if v.Retired != "" && (d == nil || in == d.inst() && srv.isOf(d, v.Key, v.Conn, false) || srv.isLent(d, v.Conn)) {
					return false
				}
			}
		}
		return true
	})
}

// Kill ends the clients and servers of a database, or of all (""), at once, and pauses it. It returns when the clients have gone, or after a second. ErrShutDown: nothing is
// done, since another process serves who comes. One that is about to does not come to it.
func (srv *Server) Kill(name string) error {
	databases, fresh, err := srv.pauseEach(name)
	if err != nil {
		return err
	}
	if srv.gone() { // behind the mark: see commit
		srv.unpause(fresh)
		return ErrShutDown
	}
	killed := map[*session]bool{}
	for _, d := range databases {
		srv.settle(d)
		for _, s := range srv.kill(d) {
			killed[s] = true
		}
	}
	ctx, stop := context.WithTimeout(srv.ctx, lastWait)
	defer stop()
	_ = srv.await(ctx, func() bool { // until they are not shown any more; who does not take his last words goes later
		return !slices.ContainsFunc(srv.all(), func(s *session) bool { return killed[s] })
	})
	return nil
}

// pauseEach notes that the database of this name, or each there is (""), is paused by itself, and returns them, and which of them were not.
func (srv *Server) pauseEach(name string) (databases, fresh []*database, err error) {
	databases = srv.known(name)
	if name != "" {
		var d *database
		d, err = srv.databaseNamed(name)
		databases = []*database{d}
	}
	srv.mu.Lock()
	defer srv.mu.Unlock()
	switch {
	case srv.paused || srv.Suspended():
		return nil, nil, ErrPaused
	case err != nil:
		return nil, nil, err
	}
	for _, d := range databases {
		if !d.paused {
			d.paused, fresh = true, append(fresh, d)
		}
	}
	return databases, fresh, nil
}

// unpause takes back what pauseEach has noted.
func (srv *Server) unpause(databases []*database) {
	srv.mu.Lock()
	for _, d := range databases {
		d.paused = false
	}
	srv.mu.Unlock()
	for _, d := range databases {
		srv.settle(d)
	}
}

// kill ends those of one database, and returns the clients.
func (srv *Server) kill(d *database) []*session {
	linked := srv.shares(d)
	var servers []*backend
	for _, v := range d.inst().Pool.Views() {
		if b, ok := v.Conn.(*backend); ok && srv.isOf(d, v.Key, v.Conn, linked) {
			servers = append(servers, b)
		}
	}
	doomed := srv.endClients(d, errKilled)
	d.inst().Pool.Retire(time.Now(), "kill", func(s *pool.Server) bool { return srv.isOf(d, s.Key, s.Conn, linked) })
	for _, b := range servers {
		b.Cut("kill")
	}
	return doomed
}

// endClients ends the clients of a database. Who is about to enter is told, and ends when he has; who has entered meanwhile is in by the second look. It returns them.
func (srv *Server) endClients(d *database, why error) []*session {
	_, entering := srv.clientsOf(d)
	for _, s := range entering {
		s.end(why)
	}
	in, _ := srv.clientsOf(d)
	for _, s := range in {
		s.kick(why)
	}
	return append(in, entering...)
}

// clientsOf are those of a database who are in, and those who have been told that they may ask and are about to enter.
func (srv *Server) clientsOf(d *database) (in, entering []*session) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	for s := range srv.entered {
		if s.route.at == d {
			in = append(in, s)
		}
	}
	for s := range srv.greeted {
		if s.route.at == d {
			entering = append(entering, s)
		}
	}
	return in, entering
}

// KillClient ends the client, or the operator, with this ID; false: there is none.
func (srv *Server) KillClient(id uint64) bool {
	for _, s := range srv.all() {
		if s.id == id {
			s.kick(errKilled)
			return true
		}
	}
	for _, o := range srv.Operators() {
		if o.ID == id {
			o.leave()
			return true
		}
	}
	return false
}

// Signal cancels what a session of a PostgreSQL runs, by the name of its instance and the number of its process, or ends the session. It need not be of the guard.
func (srv *Server) Signal(ctx context.Context, upstream string, pid int32, end bool) error {
	for _, in := range srv.allInstances() {
		if in.Name() == upstream {
			return in.Signal(ctx, pid, end)
		}
	}
	return ErrNoDatabase
}

// Tell keeps an event of something that an operator did, and logs it.
func (srv *Server) Tell(e event.Event) {
	e.Mode = event.Enforce
	srv.events.Add(e)
	srv.log.Info("operated", "by", e.By, "what", e.Cause, "subject", e.Subject, "from", e.From, "to", e.To)
}
