// SPDX-License-Identifier: Apache-2.0

package leaktest

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
)

func TestRemaining(t *testing.T) {
	before := goroutines()
	release, ended := make(chan struct{}), make(chan struct{})
	go parked(release, ended)

	left := remaining(before, 0)
	if len(left) != 1 || !strings.Contains(left[0], "leaktest.TestRemaining") {
		t.Errorf("a parked goroutine is reported as %q", left)
	}
	if n := Count(); n < 2 { // this one and the parked one
		t.Errorf("%d goroutines", n)
	}
	if again := remaining(goroutines(), 0); len(again) != 0 {
		t.Errorf("a goroutine that was there before is reported: %q", again)
	}
	close(release)
	<-ended
	if left := remaining(before, grace); len(left) != 0 {
		t.Errorf("an ended goroutine is reported: %q", left)
	}
}

// TestRuntimeGoroutines: a finalizer and a cleanup that run just now are nobody's leak.
func TestRuntimeGoroutines(t *testing.T) {
	count, before := Count(), goroutines()
	running, release := make(chan struct{}), make(chan struct{})
	defer close(release)
	hold := func() { running <- struct{}{}; <-release }
	func() {
		final, clean := new([64]byte), new([64]byte)
		runtime.SetFinalizer(final, func(*[64]byte) { hold() })
		runtime.AddCleanup(clean, func(int) { hold() }, 0)
	}()
	for n := 0; n < 2; {
		runtime.GC()
		select {
		case <-running:
			n++
		default:
			runtime.Gosched()
		}
	}
	if n := Count(); n > count { // goroutines of an earlier test may just end
		t.Errorf("%d goroutines, %d before", n, count)
	}
	if left := remaining(before, 0); len(left) != 0 {
		t.Errorf("the runtime's goroutines are reported: %q", left)
	}
}

func parked(release, ended chan struct{}) {
	<-release
	close(ended)
}

// TestMainFails runs this test binary again, with a test that leaks on purpose,
// because only then is it known that Main can fail.
func TestMainFails(t *testing.T) {
	for _, c := range []struct {
		leak string
		ok   bool
	}{{"", true}, {"yes", false}} {
		cmd := exec.Command(os.Args[0], "-test.run=^TestLeakOnPurpose$")
		cmd.Env = append(os.Environ(), "LEAKTEST_LEAK="+c.leak)
		out, err := cmd.CombinedOutput()
		if (err == nil) != c.ok {
			t.Errorf("leak %q: %v\n%s", c.leak, err, out)
		}
		if named := strings.Contains(string(out), "leaktest.TestLeakOnPurpose"); named == c.ok {
			t.Errorf("leak %q: the report is\n%s", c.leak, out)
		}
	}
}

func TestLeakOnPurpose(t *testing.T) {
	if os.Getenv("LEAKTEST_LEAK") == "" {
		return
	}
	go parked(make(chan struct{}), nil)
}
