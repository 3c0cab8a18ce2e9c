package esdbserver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"iocredits/eventstore"
)

// limits are the metadata that bound what of a stream can be read. The rest of
// an object, an access list for one, is kept and gives no one a right or takes it.
type limits struct{ MaxCount, MaxAgeSeconds, TruncateBefore int64 }

// deletedBefore as $tb hides every event that there can be: a soft delete.
const deletedBefore = eventstore.End

// end is where a stream ends, and from where on it can be read.
type end struct {
	// revision of the last event, or NoStream.
	revision   int64
	tombstoned bool
	// described: it has metadata, perhaps nothing else.
	described bool
	limits    limits
	// deletes: this is metadata, and it says that its stream is deleted; next is the
	// revision at which that one goes on.
	deletes bool
	next    int64
}

func (e end) deleted() bool { return e.limits.TruncateBefore == deletedBefore }

// visible is the last revision as a client sees it: none after a soft delete.
func (e end) visible() int64 {
	if e.deleted() {
		return eventstore.NoStream
	}
	return e.revision
}

// goneFor says whether a writer is told that the stream is deleted. After a soft delete
// it is whoever expects one that exists: all others may begin it anew.
func (e end) goneFor(expected expectation) bool {
	return e.tombstoned || e.deleted() && expected == expectExists
}

// first is the lowest revision that can be read.
func (e end) first() int64 {
	first := e.limits.TruncateBefore
	if e.limits.MaxCount > 0 {
		first = max(first, e.revision-e.limits.MaxCount+1)
	}
	return max(0, first)
}

// hides says whether $maxAge has passed over an event.
func (e end) hides(r *eventstore.Recorded, now time.Time) bool {
	return e.limits.MaxAgeSeconds > 0 && r.Created.Before(now.Add(-time.Duration(e.limits.MaxAgeSeconds)*time.Second))
}

// endOf looks a stream up: two short reads of the Store. Metadata ends with the
// tombstone of its stream, as that one does.
func (s *Server) endOf(ctx context.Context, stream string) (end, error) {
	last, found, err := s.last(ctx, stream)
	if err != nil {
		return end{}, err
	}
	e := end{revision: eventstore.NoStream}
	if found {
		e.revision, e.tombstoned = last.Revision, last.Type == eventstore.TypeTombstone
	}
	if of, isMeta := eventstore.MetadataOf(stream); isMeta {
		e.limits.MaxCount = 1
		_, ofMeta := eventstore.MetadataOf(of)
		e.deletes = found && !ofMeta && parseLimits(last.Data).TruncateBefore == deletedBefore
		original, found, err := s.last(ctx, of)
		if found {
			e.tombstoned, e.next = e.tombstoned || original.Type == eventstore.TypeTombstone, original.Revision+1
		}
		return e, err
	}
	if eventstore.Kept(stream) {
		return e, nil // whatever was written about it: it can't be truncated
	}
	meta, found, err := s.last(ctx, eventstore.MetadataStream(stream))
	if found && err == nil {
		e.described, e.limits = true, parseLimits(meta.Data)
	}
	return e, err
}

func (s *Server) last(ctx context.Context, stream string) (eventstore.Recorded, bool, error) {
	if stream == "" || len(stream) > eventstore.MaxStreamName {
		return eventstore.Recorded{}, false, nil // "$$" is no one's metadata, and none fits a name this long
	}
	for r, err := range s.opts.Store.ReadStream(ctx, stream, eventstore.End, eventstore.Backwards, 1) {
		return r, err == nil, err
	}
	return eventstore.Recorded{}, false, nil
}

// lenient takes the JSON that the real server does.
var lenient = json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))

// parseLimits reads metadata that anybody may have written: what isn't an object, or
// has something else in a field that the real server knows, bounds nothing, as there.
// Except for a delete: earlier versions kept the rest beside their $tb, however odd.
func parseLimits(data []byte) limits {
	var fields map[string]jsontext.Value
	if json.Unmarshal(data, &fields, lenient) != nil {
		return limits{}
	}
	if l, sound := limitsOf(fields); sound {
		return l
	}
	if string(fields["$tb"]) == fmt.Sprint(deletedBefore) {
		return limits{TruncateBefore: deletedBefore}
	}
	return limits{}
}

// limitsOf reads an object; false: one of the fields is none.
func limitsOf(fields map[string]jsontext.Value) (l limits, sound bool) {
	var cacheControl int64
	for name, number := range map[string]*int64{"$maxCount": &l.MaxCount, "$maxAge": &l.MaxAgeSeconds, "$tb": &l.TruncateBefore, "$cacheControl": &cacheControl} {
		if v, given := fields[name]; given && (v.Kind() != '0' || json.Unmarshal(v, number) != nil) {
			return l, false
		}
	}
	if v, given := fields["$tempStream"]; given && v.Kind() != 't' && v.Kind() != 'f' {
		return l, false
	}
	if v, given := fields["$acl"]; given && !isAccessList(v) {
		return l, false
	}
	const century = 100 * 366 * 24 * 3600
	l.MaxCount, l.MaxAgeSeconds, l.TruncateBefore = max(0, l.MaxCount), min(max(0, l.MaxAgeSeconds), century), max(0, l.TruncateBefore)
	return l, true
}

// accessRights are the members of an access list.
var accessRights = []string{"$r", "$w", "$d", "$mr", "$mw"}

// isAccessList says whether a value is one: a role, or several, for each right.
func isAccessList(v jsontext.Value) bool {
	var rights map[string]jsontext.Value
	if v.Kind() != '{' || json.Unmarshal(v, &rights, lenient) != nil {
		return false
	}
	isNoText := func(role jsontext.Value) bool { return role.Kind() != '"' }
	for right, roles := range rights {
		several := []jsontext.Value{roles}
		if roles.Kind() == '[' && json.Unmarshal(roles, &several, lenient) != nil {
			return false
		}
		if !slices.Contains(accessRights, right) || slices.ContainsFunc(several, isNoText) {
			return false
		}
	}
	return true
}

// truncate sets $tb and keeps everything else in the stream's metadata, under the
// stream's lock.
func (s *Server) truncate(ctx context.Context, stream string, before int64) error {
	_, err := s.describe(ctx, stream, func(old []byte) eventstore.Event {
		event, kept := truncation(old, before)
		if !kept {
			event, _ = truncation(noMetadata, before)
		}
		return event
	})
	return err
}

// noMetadata says nothing about a stream.
var noMetadata = []byte("{}")

// softDelete hides all events of a stream, under its lock. As on the real server nothing
// else is left of its metadata: who begins the stream anew isn't bound by it. It
// answers the position of the change.
func (s *Server) softDelete(ctx context.Context, stream string) (eventstore.Position, error) {
	return s.describe(ctx, stream, func([]byte) eventstore.Event {
		event, _ := truncation(noMetadata, deletedBefore)
		return event
	})
}

// describe writes metadata after what there is.
func (s *Server) describe(ctx context.Context, stream string, metadata func(old []byte) eventstore.Event) (eventstore.Position, error) {
	for range maxRaces {
		meta, found, err := s.last(ctx, eventstore.MetadataStream(stream))
		if err != nil {
			return 0, err
		}
		at := eventstore.NoStream
		if found {
			at = meta.Revision
		}
		appended, err := s.write(ctx, eventstore.MetadataStream(stream), at, []eventstore.Event{metadata(meta.Data)})
		var conflict *eventstore.ConflictError
		if errors.As(err, &conflict) {
			continue
		}
		if err != nil {
			return 0, err
		}
		return appended.Positions[0], nil
	}
	return 0, fmt.Errorf("metadata of %q: %w: too many writers", stream, eventstore.ErrUnavailable)
}

// truncation is metadata with another $tb; false: this is no object.
func truncation(metadata []byte, before int64) (eventstore.Event, bool) {
	content := map[string]jsontext.Value{}
	if json.Unmarshal(metadata, &content, lenient) != nil || content == nil {
		return eventstore.Event{}, false
	}
	content["$tb"] = jsontext.Value(fmt.Sprint(before))
	data, err := json.Marshal(content, lenient, json.Deterministic(true))
	return eventstore.Event{ID: uuid.New(), Type: eventstore.TypeMetadata, Data: data}, err == nil
}

// undelete makes what is appended to a soft-deleted stream from now on visible,
// and nothing before it.
func (s *Server) undelete(ctx context.Context, stream string, e end) error {
	return s.truncate(ctx, stream, e.revision+1)
}
