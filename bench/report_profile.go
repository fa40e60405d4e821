// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// profiled are the paths whose time is shown function by function, in shares of that of
// one function.
var profiled = []struct{ name, title, pattern, root string }{
	{"profile-first.txt", "First sight, RS256, without a cache", "^BenchmarkFirstSight$/^alg=RS256$/^size=900$/^impl=bearerguard-nocache$", verification},
	{"profile-seen.txt", "Seen before", "^BenchmarkSeen$/^alg=RS256$/^size=900$/^tokens=1$/^impl=bearerguard$", verification},
	{"profile-http.txt", "Request over HTTP, token seen before", "^BenchmarkHTTP$/^framework=nethttp$/^tokens=1000$/^impl=bearerguard$", serving},
}

const (
	verification = "verifier.(*Verifier).VerifyBound"
	serving      = "http.(*conn).serve" // of the server's process
)

// serverProfileEnv names a file for the CPU profile of a server in a process of its own.
// The last one that was started wins, so choose one benchmark.
const serverProfileEnv = "BENCH_HTTP_SERVER_PROFILE"

// quoted makes a pattern of the name of a function.
var quoted = strings.NewReplacer(".", `\.`, "(", `\(`, ")", `\)`, "*", `\*`)

// keepProfiles stores where the time goes.
func keepProfiles(ctx context.Context, binary, results string) error {
	raw := filepath.Join(filepath.Dir(binary), "cpu.prof")
	for _, p := range profiled {
		cmd := exec.CommandContext(ctx, binary, "-test.run", "^$", "-test.bench", p.pattern, "-test.cpu", "1", "-test.benchtime", "5s")
		if p.root == serving {
			cmd.Env = append(os.Environ(), serverProfileEnv+"="+raw)
		} else {
			cmd.Args = append(cmd.Args, "-test.cpuprofile", raw)
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%w\n%s", err, out)
		}
		top, err := goTool(ctx, "tool", "pprof", "-top", "-cum", "-focus", quoted.Replace(p.root), "-nodecount", "60", binary, raw)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(results, p.name), []byte(top), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// profiles reads what keepProfiles has stored, if it has.
func profiles(results string) map[string]string {
	found := map[string]string{}
	for _, p := range profiled {
		if text, err := os.ReadFile(filepath.Join(results, p.name)); err == nil {
			found[p.name] = string(text)
		}
	}
	return found
}

// Profiles is one table for each profile: the functions with the greatest shares of the
// time below the root, callees included.
func (r *report) Profiles() string {
	var b strings.Builder
	for _, p := range profiled {
		rows := sharesOf(r.profiles[p.name], p.root)
		if len(rows) == 0 {
			fmt.Fprintf(&b, "%s: no profile was stored.\n\n", p.title)
			continue
		}
		t := newTable(1, p.title, "Share, with what it calls")
		for _, row := range rows {
			t.row("`"+row.name+"`", fmt.Sprintf("%.1f %%", row.share))
		}
		b.WriteString(t.String() + "\n")
	}
	return b.String()
}

type share struct {
	name  string
	share float64
}

const leastShare = 1.0 // percent

// sharesOf reads what pprof -top -cum printed: flat, flat%, sum%, cum, cum%, name. The
// shares are those of the time below root.
func sharesOf(top, root string) (rows []share) {
	whole := 0.0
	for line := range strings.Lines(top) {
		fields := strings.Fields(line)
		var percent float64
		if len(fields) < 6 {
			continue
		}
		if _, err := fmt.Sscanf(fields[4], "%f%%", &percent); err != nil {
			continue
		}
		name := fields[5][strings.LastIndexByte(fields[5], '/')+1:]
		switch {
		case name == root:
			whole = percent
		case whole > 0 && !strings.HasPrefix(name, "hook.") && !strings.Contains(name, ".func") && name != "verifier.guarded":
			rows = append(rows, share{name, 100 * percent / whole})
		}
	}
	for i, row := range rows {
		if row.share < leastShare {
			return rows[:i]
		}
	}
	return rows
}
