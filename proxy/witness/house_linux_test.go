package witness

import (
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// TestHouseNamesTheProgramThatTakesTheMachine: while the machine is full, of the programs on it that are neither PostgreSQL nor the guard the one that uses most is named, its
// processes taken together.
func TestHouseNamesTheProgramThatTakesTheMachine(t *testing.T) {
	for range 8 {
		hog := exec.Command("yes")
		hog.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // the scheduler shares the machine between sessions
		if err := hog.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = hog.Process.Kill(); _ = hog.Wait() }()
	}
	var h house
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(300 * time.Millisecond) {
		h.look(time.Now(), true)
		if m := h.machine; m.Process == "yes" && m.PID > 0 && m.Used > 0.1 && m.Used <= m.Cores*1.1 && m.Cores >= 1 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%+v", h.machine)
		}
	}
	h.look(time.Now(), false)
	if h.machine.Process != "" || h.machine.Cores != 0 {
		t.Errorf("of a machine that PostgreSQL is not on: %+v", h.machine)
	}
}
