package httpapi

import (
	"context"
	"errors"
	"fmt"

	"github.com/labstack/echo/v4"

	"iocredits/domain"
	"iocredits/eventstore"
	"iocredits/projections"
)

// GetHealth is GET /healthz: the process answers.
func (h handlers) GetHealth(c echo.Context) error {
	d := newDocument()
	d.open()
	d.text("status", "ok")
	d.close()
	callOf(c).send(statusOK, jsonType, d)
	return nil
}

// probe is the account that readiness asks the write side about. It never has
// an event.
const probe = "readiness.probe"

// GetReadiness is GET /readyz.
func (h handlers) GetReadiness(c echo.Context) error {
	k := callOf(c)
	status, known, reason := h.readiness(k.ctx)
	d := newDocument()
	d.open()
	code := statusOK
	if reason == "" {
		d.text("status", "ready")
	} else {
		code = statusNotReady
		d.text("status", "not-ready")
		d.text("reason", reason)
	}
	d.number("through", int64(status.Through))
	if known {
		d.number("head", int64(status.Head))
		d.number("lag", int64(status.Lag()))
	}
	d.close()
	k.send(code, jsonType, d)
	return nil
}

// readiness gives the reason why the engine isn't ready, or "", and whether the log's end
// is known.
func (s *Server) readiness(ctx context.Context) (status projections.Status, known bool, reason string) {
	ctx, cancel := context.WithTimeout(ctx, s.opts.ReadPatience)
	defer cancel()
	status, err := s.opts.Views.Status(ctx)
	known = err == nil
	if store, tells := s.opts.Store.(interface{ Healthy() error }); tells {
		if unfit := store.Healthy(); errors.Is(unfit, eventstore.ErrUnavailable) { // a cluster, and it passes
			return status, known, "the log is out of reach"
		} else if unfit != nil {
			return status, known, "the log takes no writes"
		}
	}
	if s.opts.Sealer.Healthy() != nil {
		return status, known, "the keyring takes no keys"
	}
	switch {
	case err != nil:
		return status, known, "the log does not answer"
	case errors.Is(status.Err, projections.ErrStopped):
		return status, known, "the read models have stopped at an event that they can't apply"
	case status.Through < s.goal:
		return status, known, "the read models are catching up with the log of before the start"
	case status.Lag() > s.opts.MaxLag:
		return status, known, fmt.Sprintf("the read models are %d positions behind", status.Lag())
	}
	if _, err := s.opts.Ledger.Read(ctx, probe); err != nil {
		if refusal, ok := domain.AsError(err); ok {
			return status, known, "the write side refuses: " + string(refusal.Code)
		}
		return status, known, "the write side does not answer"
	}
	return status, known, ""
}

// GetMetrics is GET /metrics.
func (h handlers) GetMetrics(c echo.Context) error {
	callOf(c).writeSoon()
	h.opts.Metrics.handler().ServeHTTP(c.Response(), c.Request())
	return nil
}
