// Package bench measures the engine over real HTTP, in a process of its own,
// with the machine's own limits beside each figure: the raw fdatasync rate and
// an empty echo handler driven by the same client. It checks the money after
// every scenario, because a fast wrong answer is no figure.
package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"text/tabwriter"
	"time"
)

// Options of a run.
type Options struct {
	// Binary is the engine to start; Dir an empty directory for its data.
	Binary, Dir string
	// Duration of one measurement; Runs of each, of which the median counts.
	Duration time.Duration
	Runs     int
	// Connections of the single-request scenarios; Accounts they spread over.
	Connections, Accounts int
	// Lines of a batch request, and connections that send batches.
	Lines, BatchConnections int
	// JSON, if set, is a file for the figures.
	JSON string
}

// Figure is one measured rate beside its limit.
type Figure struct {
	Scenario string `json:"scenario"`
	// PerSecond is the median of the runs; Low and High their bounds.
	PerSecond float64 `json:"per_second"`
	Low       float64 `json:"low"`
	High      float64 `json:"high"`
	// P50, P99 and P999 are latencies of a request in the median run.
	P50  time.Duration `json:"p50_ns,omitempty"`
	P99  time.Duration `json:"p99_ns,omitempty"`
	P999 time.Duration `json:"p999_ns,omitempty"`
	// Limit names the figure that this one is held against.
	Limit string  `json:"limit,omitempty"`
	Ratio float64 `json:"ratio,omitempty"`
}

// names of the limits that others are held against.
const (
	rawSync  = "raw fdatasync, 256 bytes, 1 writer"
	emptyGet = "empty echo handler, GET"
	emptyPut = "empty echo handler, POST"
)

// Run measures everything and prints one table to out.
func Run(ctx context.Context, o Options, out io.Writer) error {
	var figures []Figure
	syncs, err := measureSync(ctx, o)
	if err != nil {
		return fmt.Errorf("measure the disk: %w", err)
	}
	figures = append(figures, syncs)
	empty, err := measureEmpty(ctx, o)
	if err != nil {
		return fmt.Errorf("measure the empty handler: %w", err)
	}
	figures = append(figures, empty...)
	measured, err := measureEngine(ctx, o, out)
	if err != nil {
		return fmt.Errorf("measure the engine: %w", err)
	}
	figures = append(figures, measured...)
	rate(figures)
	if err := printTable(out, figures); err != nil {
		return err
	}
	if o.JSON == "" {
		return nil
	}
	b, err := json.MarshalIndent(figures, "", "  ")
	if err != nil {
		return fmt.Errorf("encode figures: %w", err)
	}
	if err := os.WriteFile(o.JSON, append(b, '\n'), 0o600); err != nil {
		return fmt.Errorf("write figures: %w", err)
	}
	return nil
}

// rate fills in each figure's ratio to its limit.
func rate(figures []Figure) {
	for i, f := range figures {
		for _, limit := range figures {
			if f.Limit != "" && limit.Scenario == f.Limit && limit.PerSecond > 0 {
				figures[i].Ratio = f.PerSecond / limit.PerSecond
			}
		}
	}
}

func printTable(out io.Writer, figures []Figure) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "scenario\tper second\tlow - high\tp50\tp99\tp99.9\tratio\tto")
	for _, f := range figures {
		ratio := ""
		if f.Limit != "" {
			ratio = fmt.Sprintf("%.0f %%", 100*f.Ratio)
		}
		fmt.Fprintf(w, "%s\t%.0f\t%.0f - %.0f\t%s\t%s\t%s\t%s\t%s\n", f.Scenario, f.PerSecond, f.Low, f.High,
			short(f.P50), short(f.P99), short(f.P999), ratio, f.Limit)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("print figures: %w", err)
	}
	return nil
}

func short(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return d.Round(10 * time.Microsecond).String()
}

// sample is one run of one scenario.
type sample struct {
	perSecond float64
	latencies []time.Duration
}

// summarize takes the median run.
func summarize(scenario, limit string, samples []sample) Figure {
	slices.SortFunc(samples, func(a, b sample) int {
		if a.perSecond < b.perSecond {
			return -1
		}
		return 1
	})
	median := samples[len(samples)/2]
	f := Figure{
		Scenario: scenario, Limit: limit, PerSecond: median.perSecond,
		Low: samples[0].perSecond, High: samples[len(samples)-1].perSecond,
	}
	if n := len(median.latencies); n > 0 {
		slices.Sort(median.latencies)
		at := func(q float64) time.Duration { return median.latencies[min(n-1, int(q*float64(n)))] }
		f.P50, f.P99, f.P999 = at(0.5), at(0.99), at(0.999)
	}
	return f
}
