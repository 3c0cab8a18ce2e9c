package httpapi

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics are the figures of /metrics. Its On methods fit the hooks of the
// packages that it watches, so that none of those knows Prometheus.
type Metrics struct {
	registry *prometheus.Registry

	requests *prometheus.CounterVec
	latency  *prometheus.HistogramVec

	commands *prometheus.CounterVec
	// accepted is the row of commands that nearly all are counted in.
	accepted       prometheus.Counter
	appendSeconds  prometheus.Histogram
	appendCommands prometheus.Histogram
	appendEvents   prometheus.Counter
	appendBytes    prometheus.Counter

	commitSeconds prometheus.Histogram
	commitAppends prometheus.Histogram

	applySeconds prometheus.Histogram
	applyEvents  prometheus.Counter

	reactorHeld prometheus.Gauge

	paymentsDiffering prometheus.Counter
}

// Buckets: 50 µs to 13 s, and groups of 1 to 8,192.
var (
	secondsBuckets = prometheus.ExponentialBuckets(50e-6, 2, 19)
	groupBuckets   = prometheus.ExponentialBuckets(1, 2, 14)
)

// NewMetrics makes a registry of its own.
func NewMetrics() *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	counter := func(name, help string) prometheus.Counter {
		return added(m, prometheus.NewCounter(prometheus.CounterOpts{Name: "iocredits_" + name, Help: help}))
	}
	histogram := func(name, help string, buckets []float64) prometheus.Histogram {
		return added(m, prometheus.NewHistogram(prometheus.HistogramOpts{Name: "iocredits_" + name, Help: help, Buckets: buckets}))
	}
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.requests = added(m, prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "iocredits_http_requests_total", Help: "Requests answered.",
	}, []string{"route", "status"}))
	m.latency = added(m, prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "iocredits_http_request_seconds", Help: "Time to answer a request.", Buckets: secondsBuckets,
	}, []string{"route"}))
	m.commands = added(m, prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "iocredits_commands_total", Help: "Commands by outcome: accepted, replayed, failed, or a refusal's code.",
	}, []string{"outcome"}))
	m.accepted = m.commands.WithLabelValues(outcomeAccepted)
	m.appendSeconds = histogram("append_seconds", "Time to make an account's group of commands durable.", secondsBuckets)
	m.appendCommands = histogram("append_commands", "Commands answered by one append.", groupBuckets)
	m.appendEvents = counter("append_events_total", "Events appended.")
	m.appendBytes = counter("append_bytes_total", "Bytes of events appended.")
	m.commitSeconds = histogram("commit_seconds", "Time to make a group of appends durable with one sync.", secondsBuckets)
	m.commitAppends = histogram("commit_appends", "Appends in one group commit.", groupBuckets)
	m.applySeconds = histogram("apply_seconds", "Time to put a batch of events into the read models.", secondsBuckets)
	m.applyEvents = counter("apply_events_total", "Events put into the read models.")
	m.paymentsDiffering = counter("payments_differing_total", "Times that the provider told of a recorded payment with another amount; it counts with the first, the log has both.")
	m.reactorHeld = added(m, prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "iocredits_reactor_held", Help: "1: this engine sends deadlines and asks the provider; 0: another engine on the same log does.",
	}))
	return m
}

// added registers a collector and gives it back.
func added[C prometheus.Collector](m *Metrics, c C) C {
	m.registry.MustRegister(c)
	return c
}

// watch adds the gauges of a running engine. One engine has one Metrics.
func (m *Metrics) watch(lag, queue func() float64) {
	m.registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "iocredits_projection_lag_positions", Help: "Positions that the read models are behind the log; -1: the log doesn't answer.",
		}, lag),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "iocredits_queue_depth", Help: "Commands and strong reads under way.",
		}, queue))
}

// watchSigning adds what tells that the log isn't signed any more.
func (m *Metrics) watchSigning(works, signedAt, unsigned func() float64) {
	m.registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "iocredits_signing", Help: "1: checkpoints of the log are signed; 0: there is no signer, or it can't or won't sign, as the log says.",
		}, works),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "iocredits_checkpoint_timestamp_seconds", Help: "When the newest checkpoint was signed, since 1970; 0: there is none.",
		}, signedAt),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "iocredits_unsigned_events", Help: "Events that no checkpoint covers: all of them where the log doesn't fit the newest one; -1: the read models don't answer.",
		}, unsigned))
}

// watchDesk adds what waits for finance.
func (m *Metrics) watchDesk(open, late func() float64) {
	m.registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "iocredits_withdrawals_open", Help: "Withdrawals that wait for finance; -1: the read models don't answer.",
		}, open),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "iocredits_withdrawals_late", Help: "Those of them that should have been paid already.",
		}, late))
}

// outcomeAccepted is what the ledger calls a command that was done.
const outcomeAccepted = "accepted"

// OnCommand fits ledger.Options.
func (m *Metrics) OnCommand(outcome string) {
	if outcome == outcomeAccepted {
		m.accepted.Inc()
		return
	}
	m.commands.WithLabelValues(outcome).Inc()
}

// OnAppend fits ledger.Options.
func (m *Metrics) OnAppend(commands, events, bytes int, took time.Duration) {
	m.appendSeconds.Observe(took.Seconds())
	m.appendCommands.Observe(float64(commands))
	m.appendEvents.Add(float64(events))
	m.appendBytes.Add(float64(bytes))
}

// OnApply fits projections.Options.
func (m *Metrics) OnApply(events int, took time.Duration) {
	m.applySeconds.Observe(took.Seconds())
	m.applyEvents.Add(float64(events))
}

// OnCommit takes what pebblestore.CommitStats has; this package knows no store.
func (m *Metrics) OnCommit(appends int, wait time.Duration) {
	m.commitSeconds.Observe(wait.Seconds())
	m.commitAppends.Observe(float64(appends))
}

// OnReactor says whether this engine runs the reactor.
func (m *Metrics) OnReactor(held bool) {
	if held {
		m.reactorHeld.Set(1)
		return
	}
	m.reactorHeld.Set(0)
}

// OnPaymentDiffers fits reactor.Options.
func (m *Metrics) OnPaymentDiffers() { m.paymentsDiffering.Inc() }

func (m *Metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// routeMetrics are one route's, looked up once and not for every request.
type routeMetrics struct {
	name     string
	requests *prometheus.CounterVec
	usual    map[int]prometheus.Counter
	latency  prometheus.Observer
}

func (m *Metrics) route(name string, usual ...int) routeMetrics {
	r := routeMetrics{name: name, requests: m.requests, usual: make(map[int]prometheus.Counter), latency: m.latency.WithLabelValues(name)}
	for _, status := range usual {
		r.usual[status] = m.requests.WithLabelValues(name, strconv.Itoa(status))
	}
	return r
}

func (r *routeMetrics) observe(status int, took time.Duration) {
	r.latency.Observe(took.Seconds())
	if counter := r.usual[status]; counter != nil {
		counter.Inc()
		return
	}
	r.requests.WithLabelValues(r.name, strconv.Itoa(status)).Inc()
}
