package esdbserver

import (
	"context"
	"errors"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"

	"iocredits/eventstore"
)

// Delete hides all events of a stream; the next append goes on after them.
func (s *Server) Delete(ctx context.Context, request *streams.DeleteReq) (*streams.DeleteResp, error) {
	stream := string(request.GetOptions().GetStreamIdentifier().GetStreamName())
	unlock, err := s.locks.lock(ctx, stream)
	if err != nil {
		return nil, failUnary(ctx, err)
	}
	defer unlock()
	expected := expectationOf(request.GetOptions())
	end, err := s.deletable(ctx, stream, expected)
	if err == nil && end.revision == eventstore.NoStream && !end.described {
		err = errWrongVersion(stream, expected, eventstore.NoStream) // there is nothing to hide
	}
	if err != nil {
		return nil, failUnary(ctx, err)
	}
	position, err := s.softDelete(ctx, stream)
	if err != nil {
		return nil, failUnary(ctx, err)
	}
	return &streams.DeleteResp{PositionOption: &streams.DeleteResp_Position_{
		Position: &streams.DeleteResp_Position{CommitPosition: uint64(position), PreparePosition: uint64(position)},
	}}, nil
}

// Tombstone ends a stream for ever. The tombstone is an event of the stream, so
// an append that races with it loses or wins at its revision like any other.
func (s *Server) Tombstone(ctx context.Context, request *streams.TombstoneReq) (*streams.TombstoneResp, error) {
	stream, expected := string(request.GetOptions().GetStreamIdentifier().GetStreamName()), expectationOf(request.GetOptions())
	tombstone := []eventstore.Event{{ID: uuid.New(), Type: eventstore.TypeTombstone}}
	unlock, err := s.locks.lock(ctx, stream)
	if err != nil {
		return nil, failUnary(ctx, err)
	}
	defer unlock()
	for range maxRaces {
		end, err := s.deletable(ctx, stream, expected)
		if err != nil {
			return nil, failUnary(ctx, err)
		}
		appended, err := s.write(ctx, stream, end.revision, tombstone)
		var conflict *eventstore.ConflictError
		if errors.As(err, &conflict) {
			continue
		}
		if err != nil {
			return nil, failUnary(ctx, err)
		}
		position := uint64(appended.Positions[0])
		return &streams.TombstoneResp{PositionOption: &streams.TombstoneResp_Position_{
			Position: &streams.TombstoneResp_Position{CommitPosition: position, PreparePosition: position},
		}}, nil
	}
	return nil, failUnary(ctx, errTooBusy(stream))
}

// deletable checks that the stream may go and is where the client expects it.
func (s *Server) deletable(ctx context.Context, stream string, expected expectation) (end, error) {
	if err := s.mayDelete(stream); err != nil {
		return end{}, err
	}
	e, err := s.endOf(ctx, stream)
	if err != nil {
		return end{}, err
	}
	if e.goneFor(expected) {
		return end{}, errDeleted(stream)
	}
	if !expected.holds(e) {
		return end{}, errWrongVersion(stream, expected, e.revision)
	}
	return e, nil
}
