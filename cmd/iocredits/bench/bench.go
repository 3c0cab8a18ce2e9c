// Package bench measures the engine over real HTTP, in a process of its own,
// with the machine's own limits beside each figure: what the disk can do, what
// Pebble alone can do, and an empty echo handler driven by the same client. It
// checks the money after every scenario, because a fast wrong answer is no figure.
//
//	scenarios.go  what is measured, in order; each is a name for --only
//	              (overload.go and trace.go have a scenario each)
//	growth.go     instead: single and batch deductions as the log grows
//	peers.go      instead: PostgreSQL and the engine in turn; postgres.go drives it
//	engine.go     the server under test, and what its accounts should hold
//	process.go    any server under test, and what it uses of the machine
//	machine.go    the limits
//	pace.go       limits that are measured around each run
//	client.go     a closed loop over keep-alive connections, timed by latency.go
//	table.go      what is printed
package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"
)

// Options of a run. All sizes are above zero.
type Options struct {
	// Binary is the engine to start; Dir an empty directory for its data.
	Binary, Dir string
	// Only names the scenarios to measure, each of Names; empty: all.
	Only []string
	// Duration of one measurement; Runs of each, of which the median counts.
	Duration time.Duration
	Runs     int
	// Connections of the single-request scenarios; Accounts they spread over.
	Connections, Accounts int
	// Lines of a batch request, and connections that send batches.
	Lines, BatchConnections int
	// SyncDelay is added to each sync in one scenario, with SlowConnections.
	SyncDelay       time.Duration
	SlowConnections int
	// Entries of the account with a long history.
	Entries int
	// Overload is how many times Connections overload the engine.
	Overload int
	// Trace, if set, is replayed.
	Trace *Trace
	// Growth, if set, measures growing logs instead of the scenarios.
	Growth *Growth
	// Peers: measure PostgreSQL and the engine in turn instead of the scenarios.
	Peers bool
	// Profile, if set, is a directory for CPU profiles of the engines.
	Profile string
	// JSON, if set, is a file for the figures.
	JSON string
}

// Figure is one measured figure beside its limit.
type Figure struct {
	// Name is what --only calls it.
	Name     string `json:"name"`
	Scenario string `json:"scenario"`
	Unit     string `json:"unit"`
	// Value is the median of the runs; Low and High their bounds.
	Value float64 `json:"value"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
	// P50, P99 and P999 are latencies of a request in the median run.
	P50  time.Duration `json:"p50_ns,omitempty"`
	P99  time.Duration `json:"p99_ns,omitempty"`
	P999 time.Duration `json:"p999_ns,omitempty"`
	// Limit names the figure that this one is held against.
	Limit string  `json:"limit,omitempty"`
	Ratio float64 `json:"ratio,omitempty"`
	// Yardstick names the limit that was measured around each run; Relative is the
	// median of the runs' rates in parts of it, RelativeCPU the same in its CPU time.
	Yardstick   string  `json:"yardstick,omitempty"`
	Relative    float64 `json:"relative,omitempty"`
	RelativeCPU float64 `json:"relative_cpu,omitempty"`
	// CPURatio is the limit's processor time a unit, server and client, in parts of
	// this one's: a ratio that hardly minds what else the machine does.
	CPURatio float64 `json:"cpu_ratio,omitempty"`
	// ServerCPU and ClientCPU are processor time a unit; Written bytes a unit.
	ServerCPU time.Duration `json:"server_cpu_ns,omitempty"`
	ClientCPU time.Duration `json:"client_cpu_ns,omitempty"`
	Written   float64       `json:"written_bytes,omitempty"`
	// Resident is the server's memory at the end of the median run, in bytes.
	Resident int64 `json:"resident_bytes,omitempty"`
	// Refused counts the answers 503 in the median run.
	Refused int64 `json:"refused,omitempty"`
}

// Units of figures.
const (
	perSecond = "/s"
	mebibytes = "MiB/s"
	inMillis  = "ms"
	inBytes   = "bytes"
)

// run is one benchmark with what it found until now.
type run struct {
	Options
	out     io.Writer
	figures []Figure
	// empty is the yardstick's process; it rests while the engine is measured.
	empty *process
}

// Run measures everything that Options asks for and prints one table to out.
func Run(ctx context.Context, o Options, out io.Writer) error {
	r := &run{Options: o, out: out}
	measure := r.scenarios
	switch {
	case o.Growth != nil:
		measure = r.growth
	case o.Peers:
		measure = r.peers
	}
	empty, err := start(ctx, r.Binary, "bench-empty")
	if err != nil {
		return err
	}
	defer empty.stop()
	r.empty = empty
	err = measure(ctx)
	r.rate()
	// What was measured before a failure is worth seeing.
	return errors.Join(err, r.print(), r.writeJSON())
}

// wants tells whether any of the names is asked for.
func (r *run) wants(names ...string) bool {
	return len(r.Only) == 0 || slices.ContainsFunc(names, func(n string) bool { return slices.Contains(r.Only, n) })
}

func (r *run) add(f Figure) { r.figures = append(r.figures, f) }

func (r *run) say(format string, args ...any) { fmt.Fprintf(r.out, format+"\n", args...) }

// figure gives a figure by name, an empty one if it was not measured.
func (r *run) figure(name string) Figure {
	for _, f := range r.figures {
		if f.Name == name {
			return f
		}
	}
	return Figure{}
}

func (r *run) value(name string) float64 { return r.figure(name).Value }

// cpu is what a unit costs, on both sides.
func (f *Figure) cpu() time.Duration { return f.ServerCPU + f.ClientCPU }

// rate fills in each figure's ratios to its limit. What was measured beside one
// yardstick is compared through it: so it doesn't count that the machine gave
// more, or less, in between.
func (r *run) rate() {
	for i := range r.figures {
		f := &r.figures[i]
		limit := r.figure(f.Limit)
		switch {
		case f.Relative > 0 && f.Limit == f.Yardstick:
			f.Ratio, f.CPURatio = f.Relative, f.RelativeCPU
		case f.Relative > 0 && limit.Relative > 0 && f.Yardstick == limit.Yardstick:
			f.Ratio = f.Relative / limit.Relative
			if limit.RelativeCPU > 0 {
				f.CPURatio = f.RelativeCPU / limit.RelativeCPU
			}
		case limit.Value > 0:
			f.Ratio = f.Value / limit.Value
			if limit.cpu() > 0 && f.cpu() > 0 {
				f.CPURatio = limit.cpu().Seconds() / f.cpu().Seconds()
			}
		}
	}
}

func (r *run) writeJSON() error {
	if r.JSON == "" {
		return nil
	}
	b, err := json.MarshalIndent(r.figures, "", "  ")
	if err != nil {
		return fmt.Errorf("encode figures: %w", err)
	}
	if err := os.WriteFile(r.JSON, append(b, '\n'), 0o600); err != nil {
		return fmt.Errorf("write figures: %w", err)
	}
	return nil
}

// summarize takes the median run: of an even number, the slower of the two in
// the middle.
func summarize(f Figure, samples []*sample) Figure {
	slices.SortFunc(samples, func(a, b *sample) int {
		if a.perSecond() < b.perSecond() {
			return -1
		}
		return 1
	})
	median := samples[(len(samples)-1)/2]
	f.Unit = perSecond
	f.Value, f.Low, f.High = median.perSecond(), samples[0].perSecond(), samples[len(samples)-1].perSecond()
	f.P50, f.P99, f.P999 = median.latencies.quantile(0.5), median.latencies.quantile(0.99), median.latencies.quantile(0.999)
	f.Resident, f.Refused = median.resident, median.refused
	rates, cpus := make([]float64, len(samples)), make([]float64, len(samples))
	for i, s := range samples {
		rates[i], cpus[i] = s.relative()
	}
	f.Relative, f.RelativeCPU = medianOf(rates), medianOf(cpus)
	if n := median.units; n > 0 {
		f.ServerCPU, f.ClientCPU = median.server/time.Duration(n), median.client/time.Duration(n)
		f.Written = float64(median.written) / float64(n)
	}
	return f
}

// middle is a figure of plain values, such as durations in milliseconds: of an even
// number, the slower of the two in the middle.
func middle(f Figure, values []float64) Figure {
	slices.Sort(values)
	slower := len(values) / 2
	if f.Unit == perSecond {
		slower = (len(values) - 1) / 2
	}
	f.Value, f.Low, f.High = values[slower], values[0], values[len(values)-1]
	return f
}
