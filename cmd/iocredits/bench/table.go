package bench

import (
	"fmt"
	"text/tabwriter"
	"time"
)

// print writes the table. CPU, bytes and memory are the server's; "client" is
// what the load itself burnt of the same processors; "of empty" is in parts of an
// empty handler's rate around the runs.
func (r *run) print() error {
	w := tabwriter.NewWriter(r.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "name\tscenario\tmedian\tlow - high\tp50\tp99\tp99.9\tratio to\tlimit\tin CPU\tof empty\tCPU\tclient\twritten\tresident\t503")
	for _, f := range r.figures {
		fmt.Fprintf(w, "%s\t%s\t%s %s\t%s - %s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", f.Name, f.Scenario,
			plain(f.Value), f.Unit, plain(f.Low), plain(f.High), short(f.P50), short(f.P99), short(f.P999), counted(100*f.Ratio, " %"), f.Limit, counted(100*f.CPURatio, " %"), ofEmpty(&f),
			short(f.ServerCPU), short(f.ClientCPU), counted(f.Written, " B"), counted(float64(f.Resident>>20), " MiB"), counted(float64(f.Refused), ""))
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("print figures: %w", err)
	}
	return nil
}

// ofEmpty is a rate in parts of an empty handler's at the moment, where the limit
// is another: how much of it is the machine's, and how much the engine's.
func ofEmpty(f *Figure) string {
	if f.Yardstick != nameEmptyPost || f.Limit == f.Yardstick {
		return ""
	}
	return counted(100*f.Relative, " %")
}

func plain(v float64) string {
	if v < 100 {
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

func counted(v float64, unit string) string {
	if v == 0 {
		return ""
	}
	return fmt.Sprintf("%.0f%s", v, unit)
}

func short(d time.Duration) string {
	switch {
	case d == 0:
		return ""
	case d < time.Millisecond:
		return d.Round(100 * time.Nanosecond).String()
	}
	return d.Round(10 * time.Microsecond).String()
}
