package load

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// Process is one look at a process, or at several together, from /proc.
type Process struct {
	CPU time.Duration // user and system, all threads, since it started
	RSS int64         // bytes
	PSS int64         // bytes; zero when the system does not let us read it
}

// ticksPerSecond is USER_HZ, which is 100 on every Linux that Go supports.
const ticksPerSecond = 100

// ReadProcess looks at the processes and adds them up; it fails where there is no /proc or one of them is gone.
func ReadProcess(pids ...int) (Process, error) {
	var sum Process
	for _, pid := range pids {
		p, err := readProcess(pid)
		if err != nil {
			return sum, err
		}
		sum.CPU, sum.RSS, sum.PSS = sum.CPU+p.CPU, sum.RSS+p.RSS, sum.PSS+p.PSS
	}
	return sum, nil
}

func readProcess(pid int) (Process, error) {
	var p Process
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return p, fmt.Errorf("look at process %d: %w", pid, err)
	}
	if p.CPU, err = parseStat(stat); err != nil {
		return p, fmt.Errorf("look at process %d: %w", pid, err)
	}
	if b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)); err == nil {
		p.RSS = parseKiB(b, "VmRSS:")
	}
	if b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid)); err == nil {
		p.PSS = parseKiB(b, "Pss:")
	}
	return p, nil
}

// parseStat returns utime + stime, fields 14 and 15.
func parseStat(b []byte) (time.Duration, error) { return statTime(b, 13) }

func parseKiB(b []byte, name string) int64 {
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			if f := strings.Fields(rest); len(f) > 0 {
				n, err := strconv.ParseInt(f[0], 10, 64)
				if err == nil {
					return n << 10
				}
			}
		}
	}
	return 0
}
