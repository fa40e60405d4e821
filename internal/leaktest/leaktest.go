// SPDX-License-Identifier: Apache-2.0

// Package leaktest fails a package's tests when they leave a goroutine behind.
// Every package with tests calls [Main] from its main_test.go.
package leaktest

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// grace is how long goroutines that are already ending may take. It is an upper
// bound for a loaded machine, not a pause: a clean package does not wait at all.
var grace = 10 * time.Second

// Main runs the tests of m and exits; the exit code is 1 when a goroutine that
// did not exist before the tests is still there after them.
func Main(m *testing.M) {
	before := goroutines()
	code := m.Run()
	// A fuzzing process keeps workers and signal handlers of the test tool itself.
	if code == 0 && !fuzzing() {
		if left := remaining(before, grace); len(left) > 0 {
			fmt.Fprintf(os.Stderr, "%d goroutine(s) left behind by the tests:\n\n%s\n", len(left), strings.Join(left, "\n\n"))
			code = 1
		}
	}
	os.Exit(code)
}

func fuzzing() bool {
	for _, name := range []string{"test.fuzz", "test.fuzzworker"} {
		if f := flag.Lookup(name); f != nil && f.Value.String() != f.DefValue {
			return true
		}
	}
	return false
}

// remaining returns the stacks of goroutines that are not in before, once none
// is left or limit has passed.
func remaining(before map[string]string, limit time.Duration) []string {
	deadline := time.Now().Add(limit)
	for {
		var left []string
		for id, stack := range goroutines() {
			if _, old := before[id]; !old {
				left = append(left, stack)
			}
		}
		if len(left) == 0 || time.Now().After(deadline) {
			return left
		}
		runtime.Gosched()
	}
}

// Count returns how many goroutines of the program there are, the caller's included.
// Unlike with [runtime.NumGoroutine], those of the runtime never count, which run
// finalizers and cleanups whenever memory was collected.
func Count() int { return len(goroutines()) + 1 }

// goroutines returns the stack of every goroutine but the caller's by its id,
// which the runtime never uses twice. Those that run finalizers or cleanups are left out.
func goroutines() map[string]string {
	buf := make([]byte, 64<<10)
	n := runtime.Stack(buf, true)
	for n == len(buf) {
		buf = make([]byte, 2*len(buf))
		n = runtime.Stack(buf, true)
	}
	found := map[string]string{}
	for i, stack := range strings.Split(string(buf[:n]), "\n\n") {
		if i == 0 || ofRuntime(stack) {
			continue // the caller is always first
		}
		id, _, _ := strings.Cut(stack, " [")
		found[id] = stack
	}
	return found
}

func ofRuntime(stack string) bool {
	return strings.Contains(stack, "\nruntime.runFinalizers(") || strings.Contains(stack, "\nruntime.runCleanups(")
}
