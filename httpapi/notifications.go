package httpapi

import (
	"context"
	"math"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"iocredits/domain"
	"iocredits/eventstore"
	"iocredits/eventstore/notices"
	"iocredits/httpapi/api"
	"iocredits/projections"
)

// ListNotifications is GET …/notifications. Its cursor is the id of the last
// notification of the page before.
func (h handlers) ListNotifications(c echo.Context, name api.Account, params api.ListNotificationsParams) error {
	k := callOf(c)
	if err := k.await(name, params.MinPosition); err != nil {
		return err
	}
	list, cursor, mark := h.opts.Views.Notices, valueOf(params.Cursor), ""
	if valueOf(params.Unseen) {
		list, mark = h.opts.Views.UnseenNotices, unseenMark
		if cursor != "" && (!strings.HasPrefix(cursor, mark) || cursor == mark) {
			return notACursor(cursor)
		}
	}
	at, err := h.opts.Views.Balance(k.ctx, name)
	if err != nil {
		return err
	}
	page, err := list(k.ctx, name, strings.TrimPrefix(cursor, mark), limitOf(params.Limit))
	// While the read models are behind, orBehind answers for what isn't found.
	if params.Cursor != nil && k.behind == nil && (domain.IsCode(err, domain.CodeUnknownNotice) || domain.IsCode(err, domain.CodeIDInvalid)) {
		return notACursor(*params.Cursor)
	}
	if err != nil {
		return err
	}
	d := newDocument()
	d.open()
	d.array("items")
	for i := range page.Items {
		appendNotice(d, &page.Items[i])
	}
	d.end()
	if page.Next != "" {
		page.Next = mark + page.Next
	}
	d.nullable("next_cursor", page.Next)
	d.freshness(at.Revision, at.Position, k.lag)
	d.close()
	k.send(statusOK, jsonType, d)
	return nil
}

// unseenMark begins the cursors of a list of unseen notifications, and no id of one: a
// list of all doesn't take them.
const unseenMark = "unseen:"

// SeeNotification is POST …/notifications/{id}/seen.
func (h handlers) SeeNotification(c echo.Context, name api.Account, id string) error {
	k := callOf(c)
	var request api.EmptyRequest
	if err := k.decode(&request); err != nil {
		return err
	}
	if err := k.await(name, nil); err != nil {
		return err
	}
	shown := h.opts.Views.Through() // before the look at the notice, which may know more
	notice, err := h.opts.Views.Notice(k.ctx, name, id)
	if err != nil {
		return err
	}
	if notice.SeenAt.IsZero() {
		by := notices.By{Actor: k.key.Actor, Role: string(k.key.Role), Key: k.key.ID, RequestID: k.requestID}
		position, err := h.opts.Notices.MarkSeen(k.ctx, name, id, shown, by)
		if err != nil {
			return err
		}
		if err := h.waitFor(k.ctx, position); err != nil {
			return err
		}
		if notice, err = h.opts.Views.Notice(k.ctx, name, id); err != nil {
			return err
		}
	}
	d := newDocument()
	d.open()
	d.key("notification")
	appendNotice(d, &notice)
	d.close()
	k.send(statusOK, jsonType, d)
	return nil
}

// Bounds of a stream of notifications.
const (
	// streamPage is how many are sent at once.
	streamPage = 100
	// streamBeat keeps a quiet stream open through proxies.
	streamBeat = 15 * time.Second
	// streamComment is no event: it shows that somebody is there.
	streamComment = ": \n\n"
	// lastEventHeader has the id of the last notification that the client got.
	lastEventHeader = "Last-Event-ID"
)

var streamType = []string{"text/event-stream"}

// StreamNotifications is GET …/notifications/stream: server-sent events until the
// client or the engine has enough, or the key is no longer accepted.
func (h handlers) StreamNotifications(c echo.Context, name api.Account, params api.StreamNotificationsParams) error {
	k := callOf(c)
	if !h.streams.begin(k.key.ID, h.opts.MaxStreams) {
		return domain.Refuse(domain.CodeOverloaded, "%d streams of this key are open; end one, or wait", h.opts.MaxStreams)
	}
	defer h.streams.end(k.key.ID)
	news, stop := h.opts.Views.WatchNotices(name) // before the first look, so that nothing falls between
	defer stop()
	s := noticeStream{call: k, given: valueOf(params.LastEventID), opened: math.MaxInt64, d: newDocument()}
	defer s.d.free()
	s.d.b = append(s.d.b, streamComment...)
	if s.given != "" {
		if err := domain.CheckID(lastEventHeader, s.given); err != nil {
			return err
		}
	}
	if err := k.await(name, nil); err != nil {
		return err
	}
	if k.behind != nil {
		var err error
		if s.opened, err = h.opts.Store.Head(k.ctx); err != nil { // then what is known here has to do
			s.opened = h.opts.Ledger.AckedAny()
		}
	}
	begun, err := s.start(k.behind == nil)
	if err != nil {
		return err
	}
	k.begin(streamType)
	return s.run(begun, news)
}

// noticeStream is a stream of notifications under way.
type noticeStream struct {
	*call
	// given is the id that the client came with, last the id after which the stream goes on.
	given, last string
	// opened is a position: what was told before the stream was opened is at or before it.
	opened eventstore.Position
	// d is what is sent next.
	d *document
}

// start finds the id after which the stream begins: the client's, or the newest from before
// the stream was opened. An EventSource that is refused ends for good, so an unknown id counts
// as none, and the client is told a known one: another engine gave it, from a log of its own
// or with read models that are ahead. While the read models here aren't whole the id may yet
// come, and so may everything that was told long ago: then nothing begins.
func (s *noticeStream) start(whole bool) (begun bool, err error) {
	views := s.server.opts.Views
	// Before the look at the id: what comes in between is behind the newest.
	newest, err := views.NewestNotice(s.ctx, s.account, s.opened)
	if err != nil {
		return false, err
	}
	if s.given != "" {
		_, err = views.Notice(s.ctx, s.account, s.given)
		if !domain.IsCode(err, domain.CodeUnknownNotice) {
			s.last = s.given
			return true, err
		}
	}
	if !whole {
		return false, nil
	}
	s.last = newest
	if s.given != "" {
		s.d.b = appendOnlyID(s.d.b, s.last)
	}
	return true, nil
}

// run sends what is new until the stream ends. A stream that hasn't begun sends nothing until
// the read models have what there was when it was opened; if they stop before that, it ends,
// and an EventSource comes again.
func (s *noticeStream) run(begun bool, news <-chan struct{}) error {
	var whole <-chan error
	if !begun {
		ctx, cancel := context.WithCancel(s.ctx)
		defer cancel()
		whole = s.server.whole(ctx, s.opened)
	}
	beat := time.NewTicker(streamBeat)
	defer beat.Stop()
	for s.server.opts.Keys.still(s.key) {
		more, err := false, error(nil)
		if begun {
			more, err = s.take()
		}
		if s.ctx.Err() != nil {
			return nil //nolint:nilerr // the client has gone, which is how a stream ends
		}
		if err != nil {
			return err
		}
		s.writeSoon()
		if _, err := s.Response().Write(s.d.b); err != nil {
			return nil //nolint:nilerr // the client has gone
		}
		s.Response().Flush()
		s.d.b = append(s.d.b[:0], streamComment...)
		if more {
			continue
		}
		select {
		case err := <-whole:
			if err != nil {
				return nil //nolint:nilerr // the read models have said so themselves
			}
			if begun, err = s.start(true); err != nil {
				return err
			}
		case <-news:
		case <-beat.C:
		case <-s.ctx.Done():
			return nil
		case <-s.server.ending:
			return nil
		}
	}
	return nil
}

// whole gets a value once the read models have everything up to a position, or an error.
func (s *Server) whole(ctx context.Context, position eventstore.Position) <-chan error {
	reached := make(chan error, 1)
	go func() { reached <- s.opts.Views.WaitThrough(ctx, position) }()
	return reached
}

// take puts what is new into the document, a page of it at most; more: there may be more.
func (s *noticeStream) take() (more bool, err error) {
	items, err := s.server.opts.Views.NoticesAfter(s.ctx, s.account, s.last, streamPage)
	if err != nil {
		return false, err
	}
	for i := range items {
		s.d.b = append(s.d.b, "id: "+items[i].ID+"\nevent: notification\ndata:"...) // no space: a document follows a colon
		appendNotice(s.d, &items[i])
		s.d.b = append(s.d.b, "\n\n"...)
		s.last = items[i].ID
	}
	return len(items) == streamPage, nil
}

// streamCount counts the open streams of each key. The zero value is ready to use.
type streamCount struct {
	mu   sync.Mutex
	open map[string]int
}

// begin counts one more stream. False: the key has most already, and end MUST NOT be called.
func (s *streamCount) begin(key string, most int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[key] >= most {
		return false
	}
	if s.open == nil {
		s.open = map[string]int{}
	}
	s.open[key]++
	return true
}

func (s *streamCount) end(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[key]--; s.open[key] == 0 {
		delete(s.open, key)
	}
}

// appendOnlyID gives the client an id to come again with, or takes the one that it
// has away. Without data it is no event.
func appendOnlyID(b []byte, id string) []byte {
	if id == "" {
		return append(b, "id:\n\n"...)
	}
	return append(b, "id: "+id+"\n\n"...)
}

// endStreams lets streams end, which would hold up a graceful stop for ever.
func (s *Server) endStreams() { s.endOnce.Do(func() { close(s.ending) }) }

func appendNotice(d *document, n *projections.Notice) {
	d.open()
	d.text("id", n.ID)
	d.text("topic", string(n.Topic))
	d.text("priority", string(n.Priority))
	d.text("message", n.Message)
	d.text("transaction_id", n.Transaction.String())
	if n.Object != "" {
		d.object("object")
		d.text("kind", kindText(n.Kind))
		d.text("id", n.Object)
		d.close()
	}
	d.time("created_at", n.CreatedAt)
	d.time("seen_at", n.SeenAt)
	d.close()
}
