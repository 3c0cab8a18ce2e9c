package httpapi

import (
	"context"
	"errors"
	"strconv"
	"syscall"

	"github.com/labstack/echo/v4"

	"iocredits/domain"
	"iocredits/eventstore"
	"iocredits/eventstore/transparency"
	"iocredits/httpapi/api"
	"iocredits/projections"
	"iocredits/projections/audit"
)

// sign gives a checkpoint over everything that is in the log at the call.
// Refusal: unavailable, if log and checkpoints disagree: nothing is signed then,
// and a person has to look; or if the disk is full.
func (a *Audit) sign(ctx context.Context, store eventstore.Store) (transparency.Signed, error) {
	head, err := store.Head(ctx)
	if err != nil {
		return transparency.Signed{}, err
	}
	signed, err := a.Notary.Sign(ctx, head)
	for _, refused := range []error{transparency.ErrFork, transparency.ErrRollback, transparency.ErrTree, transparency.ErrSignature} {
		if errors.Is(err, refused) {
			return signed, domain.Refuse(domain.CodeUnavailable, "nothing is signed: %v", err)
		}
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return signed, domain.Refuse(domain.CodeUnavailable, "nothing is signed: the disk has no room to keep the checkpoint; try again later")
	}
	return signed, err
}

// signingGauges are the figures that Metrics.watchSigning takes.
func (s *Server) signingGauges() (works, signedAt, unsigned func() float64) {
	last := func() (signed transparency.Signed) {
		if a := s.opts.Audit; a != nil {
			signed, _ = a.Checkpoints.Last()
		}
		return signed
	}
	works = func() float64 {
		if a := s.opts.Audit; a == nil || !a.Notary.Works() {
			return 0
		}
		return 1
	}
	signedAt = func() float64 {
		if signed := last(); signed.Size > 0 {
			return float64(signed.At.Unix())
		}
		return 0
	}
	unsigned = func() float64 {
		ctx, cancel := context.WithTimeout(context.Background(), s.opts.ReadPatience)
		defer cancel()
		signed := last() // before the tree, which only grows
		head, _, err := s.opts.Views.TreeHead(ctx)
		if err != nil {
			return -1
		}
		if head.Size < signed.Size || s.opts.Audit != nil && s.opts.Audit.Notary.Refuses() {
			return float64(head.Size) // of another log: nobody knows how much they have in common
		}
		return float64(head.Size - signed.Size)
	}
	return works, signedAt, unsigned
}

// ProveInclusion is GET /v1/audit/proofs/inclusion: a receipt.
func (h handlers) ProveInclusion(c echo.Context, params api.ProveInclusionParams) error {
	k := callOf(c)
	if err := domain.CheckID("account", params.Account); err != nil {
		return err
	}
	if err := h.mustSign(); err != nil {
		return err
	}
	event, err := h.eventOf(k.ctx, params)
	if err != nil {
		return err
	}
	receipt, err := h.receipt(k.ctx, event)
	if err != nil {
		return err
	}
	text, err := receipt.Encode()
	if err != nil {
		return err
	}
	k.sendText(statusOK, jsonType, text)
	return nil
}

// eventOf finds the event that is asked for, by its revision or by its id.
func (s *Server) eventOf(ctx context.Context, params api.ProveInclusionParams) (eventstore.Recorded, error) {
	if (params.Revision == nil) == (params.TransactionId == nil) {
		return eventstore.Recorded{}, domain.Refuse(domain.CodeFieldInvalid, "give revision or transaction_id").With("field", "revision")
	}
	if params.TransactionId == nil {
		return audit.EventAt(ctx, s.opts.Store, params.Account, *params.Revision)
	}
	id, err := parseTransactionID("transaction_id", *params.TransactionId)
	if err != nil {
		return eventstore.Recorded{}, err
	}
	return audit.EventOf(ctx, s.opts.Store, params.Account, id)
}

// receipt proves the event by the oldest checkpoint that covers it, so that everybody
// who asks gets the same. If there is none it signs one now.
func (s *Server) receipt(ctx context.Context, event eventstore.Recorded) (receipt transparency.Receipt, err error) {
	if err := s.waitFor(ctx, event.Position); err != nil {
		return receipt, err
	}
	index, found := uint64(0), false
	err = s.opts.Views.InTree(ctx, func(t projections.Tree) error {
		index, found, err = t.LeafIndex(event.Position)
		return err
	})
	if err != nil {
		return receipt, err
	}
	if !found {
		return receipt, errors.New("the tree has no leaf for an event of the log")
	}
	signed, covered, err := s.opts.Audit.Checkpoints.Covering(index + 1)
	if err == nil && !covered {
		signed, err = s.opts.Audit.sign(ctx, s.opts.Store)
	}
	if err != nil {
		return receipt, err
	}
	var hashes []transparency.Node
	err = s.opts.Views.InTree(ctx, func(t projections.Tree) error {
		hashes, err = t.Inclusion(index, signed.Size)
		return err
	})
	if err != nil {
		return receipt, err
	}
	return transparency.NewReceipt(event, index, hashes, signed.Checkpoint)
}

// ProveConsistency is GET /v1/audit/proofs/consistency.
func (h handlers) ProveConsistency(c echo.Context, params api.ProveConsistencyParams) error {
	k := callOf(c)
	from, to := uint64(params.From), uint64(0)
	switch {
	case params.To != nil:
		to = uint64(*params.To)
	default:
		if err := h.mustSign(); err != nil {
			return err
		}
		newest, exists := h.opts.Audit.Checkpoints.Last()
		if !exists { // the engine has just begun to sign; as for a receipt
			var err error
			if newest, err = h.opts.Audit.sign(k.ctx, h.opts.Store); err != nil {
				return err
			}
		}
		to = newest.Size
	}
	if from > to {
		return domain.Refuse(domain.CodeFieldInvalid, "from %d is above to, which is %d", from, to).
			With("field", "from").With("value", strconv.FormatUint(from, 10)).With("limit", strconv.FormatUint(to, 10))
	}
	if err := k.awaitAll(nil); err != nil {
		return err
	}
	d := newDocument()
	err := h.opts.Views.InTree(k.ctx, func(t projections.Tree) error { return d.consistency(t, from, to) })
	if k.behind != nil && domain.IsCode(err, domain.CodeFieldInvalid) {
		return k.behind // the tree may have had that size before the start
	}
	if err != nil {
		return err
	}
	k.send(statusOK, jsonType, d)
	return nil
}

func (d *document) consistency(t projections.Tree, from, to uint64) error {
	hashes, err := t.Consistency(from, to)
	if err != nil {
		return err
	}
	d.open()
	for _, side := range []struct {
		name string
		size uint64
	}{{"from", from}, {"to", to}} {
		head, err := t.HeadAt(side.size)
		if err != nil {
			return err
		}
		d.object(side.name)
		d.number("size", int64(head.Size))
		d.text("root", head.Root.String())
		d.close()
	}
	d.array("proof")
	for _, n := range hashes {
		d.item(n.String())
	}
	d.end()
	d.close()
	return nil
}
