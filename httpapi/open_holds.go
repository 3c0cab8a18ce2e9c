package httpapi

import (
	"encoding/base64"
	"maps"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore"
	"iocredits/httpapi/api"
)

// What an account has open and no view keeps: the write side's state has all of it, at
// most ten thousand of a kind.

// ListReservations is GET …/reservations: the open ones, by id.
func (h handlers) ListReservations(c echo.Context, _ api.Account, params api.ListReservationsParams) error {
	return sendOpen(callOf(c), "reservation", paging{params.Limit, params.Cursor, params.MinPosition},
		func(s *account.State) map[string]account.Reservation { return s.Reservations },
		func(d *document, id string, r account.Reservation) { d.reservation(id, r, true) })
}

// ListMeters is GET …/meters: the open ones, by id.
func (h handlers) ListMeters(c echo.Context, _ api.Account, params api.ListMetersParams) error {
	return sendOpen(callOf(c), "meter", paging{params.Limit, params.Cursor, params.MinPosition},
		func(s *account.State) map[string]domain.Accrual { return s.Meters },
		func(d *document, id string, position domain.Accrual) {
			d.text("id", id)
			d.text("status", "open")
			d.money("charged", position.Charged)
		})
}

// sendOpen answers with a page of what the state has open of a kind.
func sendOpen[T any](k *call, kind string, p paging, open func(*account.State) map[string]T, form func(*document, string, T)) error {
	if err := k.await(k.account, p.minPosition); err != nil {
		return err
	}
	list := kind + "/" + k.account + "/"
	behind, err := openCursor(list, valueOf(p.cursor))
	if err != nil {
		return err
	}
	var all map[string]T
	view, err := k.server.opts.Ledger.Look(k.ctx, k.account, func(s *account.State, _ []eventstore.Fact) { all = maps.Clone(open(s)) })
	if err != nil {
		return err
	}
	ids, next := slices.Sorted(maps.Keys(all)), ""
	if at, is := slices.BinarySearch(ids, behind); is {
		ids = ids[at+1:]
	} else {
		ids = ids[at:]
	}
	if limit := limitOf(p.limit); len(ids) > limit {
		ids = ids[:limit]
		next = base64.RawURLEncoding.EncodeToString([]byte(list + ids[limit-1]))
	}
	d := newDocument()
	d.open()
	d.array("items")
	for _, id := range ids {
		d.open()
		form(d, id, all[id])
		d.close()
	}
	d.end()
	d.nullable("next_cursor", next)
	d.freshness(view.Revision, view.Position, 0) // the write side's own
	d.close()
	k.send(statusOK, jsonType, d)
	return nil
}

// openCursor is the id after which a page begins; empty: it is the first one.
func openCursor(list, cursor string) (string, error) {
	if cursor == "" {
		return "", nil
	}
	text, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	id, ours := strings.CutPrefix(string(text), list)
	if err != nil || !ours {
		return "", notACursor(cursor)
	}
	return id, nil
}
