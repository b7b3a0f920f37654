package witness

import (
	"bytes"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"pgguard/proxy/diagnosis"
)

// ticks are the kernel's units of processor time in a second, the same on all machines that Go runs on.
const ticks = 100

// fullPart is which part of the machine must be busy for its processes to be looked at: reading all of them costs a millisecond or two.
const fullPart = 0.9

// reading is what /proc said at one moment.
type reading struct {
	total, idle uint64 // ticks of all processors
	throttled   uint64 // how often the kernel has held this container up
	processes   map[int]process
	full        bool // it was, since the reading before
}

// process is one of the machine.
type process struct {
	name string
	used uint64 // ticks
}

// processorTime is what this process has used.
func processorTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// readMachine reads how busy the machine is; of its processes only if it has been full since the reading before.
func readMachine(local bool, was *reading) (r reading) {
	r.throttled = field("/sys/fs/cgroup/cpu.stat", "nr_throttled")
	if !local {
		return r
	}
	r.total, r.idle = busy()
	total, idle := r.total-was.total, r.idle-was.idle
	if r.full = total > 0 && float64(idle) <= (1-fullPart)*float64(total); r.full {
		r.processes = processes()
	}
	return r
}

// busy is how many ticks all processors have had, and how many of them they had nothing to do.
func busy() (total, idle uint64) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0
	}
	line, _, _ := bytes.Cut(text, []byte("\n"))
	for i, f := range bytes.Fields(line) {
		n, err := strconv.ParseUint(string(f), 10, 64)
		if err != nil || i > 8 { // guest time is in user time already
			continue
		}
		if total += n; i == 4 || i == 5 {
			idle += n
		}
	}
	return total, idle
}

// processes are those of the machine, as far as they can be seen.
func processes() map[int]process {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer func() { _ = dir.Close() }()
	names, err := dir.Readdirnames(4096) // more than any machine for a database has; what is beyond is not looked at
	if err != nil {
		return nil
	}
	out := make(map[int]process, len(names))
	scratch := make([]byte, 1<<10) // PostgreSQL's and others' are a quarter of that
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			if p, ok := readProcess(name, scratch); ok {
				out[pid] = p
			}
		}
	}
	return out
}

// readProcess reads the name of a process and what it has used, by way of scratch. Three system calls: there may be thousands of them, and
// os.ReadFile makes nine.
func readProcess(pid string, scratch []byte) (p process, ok bool) {
	fd, err := syscall.Open("/proc/"+pid+"/stat", syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return p, false
	}
	n, err := syscall.Read(fd, scratch)
	_ = syscall.Close(fd)
	if err != nil {
		return p, false
	}
	text := scratch[:n]
	from, to := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
	if from < 0 || to < from {
		return p, false
	}
	f := bytes.Fields(text[to+1:])
	if len(f) < 13 {
		return p, false
	}
	user, err1 := strconv.ParseUint(string(f[11]), 10, 64)
	system, err2 := strconv.ParseUint(string(f[12]), 10, 64)
	return process{name: string(text[from+1 : to]), used: user + system}, err1 == nil && err2 == nil
}

// field is one number of a file of names and numbers.
func field(path, name string) uint64 {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(text) {
		if f := bytes.Fields(line); len(f) == 2 && string(f[0]) == name {
			n, _ := strconv.ParseUint(string(f[1]), 10, 64)
			return n
		}
	}
	return 0
}

// since is what the machine did since another reading. Processes of one name count as one.
func (r *reading) since(was *reading, seconds float64) (m diagnosis.Machine) {
	m.Cores = float64(runtime.NumCPU())
	if r.total > was.total {
		m.Idle = float64(r.idle-was.idle) / float64(r.total-was.total) * m.Cores
	}
	if !r.full || was.processes == nil || seconds <= 0 {
		return m
	}
	used := map[string]float64{}
	most, one := map[string]int{}, map[string]float64{}
	for pid, p := range r.processes {
		before, known := was.processes[pid]
		if !known || pid == os.Getpid() || before.used > p.used {
			continue
		}
		x := float64(p.used-before.used) / ticks / seconds
		if used[p.name] += x; x >= one[p.name] {
			one[p.name], most[p.name] = x, pid
		}
	}
	for name, x := range used {
		switch {
		case name == "postgres" || name == "postmaster":
			m.Database += x
		case x > m.Used:
			m.Process, m.PID, m.Used = name, most[name], x
		}
	}
	return m
}
