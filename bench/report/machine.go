package report

import (
	"os"
	"runtime"
	"strings"
	"time"
)

// Machine says where a file's numbers come from.
type Machine struct {
	Cores  int    `json:"cores"`
	Model  string `json:"model"`
	Kernel string `json:"kernel"`
	OS     string `json:"os"`
	Arch   string `json:"arch"`
	Go     string `json:"go"`
}

// ThisMachine describes the machine that runs the program; what the system does not tell stays empty.
func ThisMachine() Machine {
	m := Machine{Cores: runtime.NumCPU(), OS: runtime.GOOS, Arch: runtime.GOARCH, Go: runtime.Version()}
	if b, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.Kernel = strings.TrimSpace(string(b))
	}
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			name, value, ok := strings.Cut(line, ":")
			if ok && strings.TrimSpace(name) == "model name" {
				m.Model = strings.TrimSpace(value)
				break
			}
		}
	}
	return m
}

// maxDrift is the change of the calibration loop above which a run is doubted. Smaller drops good runs on shared
// machines, larger lets a neighbour pass for a difference between targets.
const maxDrift = 0.10

// Calibrate returns how many rounds per second a fixed integer loop makes on one core, measured for about d.
// It shows a machine that became slower or busier between two runs; the number itself means nothing.
func Calibrate(d time.Duration) float64 {
	const chunk = 1 << 16
	start := time.Now()
	rounds, x := 0, uint64(88172645463325252)
	for time.Since(start) < d {
		for range chunk {
			x ^= x << 13
			x ^= x >> 7
			x ^= x << 17
		}
		rounds += chunk
	}
	if x == 0 {
		rounds++
	}
	return float64(rounds) / time.Since(start).Seconds()
}

// SetCalibration records the loop before and after the run, and doubts the run when it moved by more than a tenth.
func (r *Run) SetCalibration(before, after float64) {
	r.CalibrationBefore, r.CalibrationAfter = before, after
	if before > 0 {
		r.Drift = after/before - 1
	}
	if r.Drift > maxDrift || r.Drift < -maxDrift {
		r.Doubts = append(r.Doubts, "the machine's own speed changed by more than 10 % during the run")
	}
}
