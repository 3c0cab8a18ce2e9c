package esdbstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"iocredits/eventstore"
)

// verdict is what an error of the client means for who called it.
type verdict int

const (
	// passing: the connection, or the cluster for a moment. Whether a write
	// happened is unknown; a repeat finds out.
	passing verdict = iota
	// unclear: the same, but a repeat may well fail the same way.
	unclear
	// conflict: the stream is elsewhere. Nothing was written.
	conflict
	// missing: there is no such stream.
	missing
	// refused: the cluster answered no, and will again. Nothing was written.
	refused
)

var (
	errClientEnded = errors.New("the client ended")
	errNoAnswer    = errors.New("no answer in time")
	errPanic       = errors.New("the client panicked")
)

// judge looks at an error as the client returned it, wrapped or not: its own
// FromError doesn't see through wrapping.
func judge(err error) verdict {
	var e *esdb.Error
	if errors.Is(err, errClientEnded) || errors.Is(err, errNoAnswer) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return passing
	}
	if errors.As(err, &e) {
		switch e.Code() {
		case esdb.ErrorCodeWrongExpectedVersion:
			return conflict
		case esdb.ErrorCodeResourceNotFound:
			return missing
		case esdb.ErrorCodeAccessDenied, esdb.ErrorCodeUnauthenticated, esdb.ErrorCodeUnsupportedFeature, esdb.ErrorCodeStreamDeleted:
			return refused
		case esdb.ErrorCodeDeadlineExceeded, esdb.ErrorAborted, esdb.ErrorUnavailable, esdb.ErrorCodeConnectionClosed, esdb.ErrorCodeNotLeader:
			return passing
		}
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return passing
	}
	switch status.Code(inner(err)) {
	case codes.Unavailable, codes.Aborted, codes.DeadlineExceeded, codes.Canceled, codes.Internal:
		return passing
	case codes.InvalidArgument, codes.PermissionDenied, codes.Unauthenticated, codes.Unimplemented, codes.DataLoss,
		codes.OutOfRange, codes.FailedPrecondition, codes.ResourceExhausted:
		return refused
	}
	return unclear
}

// notLeader is true where a node named another one, that leads.
func notLeader(err error) bool {
	var e *esdb.Error
	return errors.As(err, &e) && e.Code() == esdb.ErrorCodeNotLeader
}

// inner takes the client's wrapping off a status.
func inner(err error) error {
	for err != nil {
		if _, ok := err.(interface{ GRPCStatus() *status.Status }); ok {
			return err
		}
		err = errors.Unwrap(err)
	}
	return nil
}

// refusal gives a refused call the error of the contract.
func refusal(err error) error {
	code := status.Code(inner(err))
	// What is exhausted may be a quota, which comes back: only a message that is too large
	// stays so (grpc-go's words, and the server's).
	if code == codes.InvalidArgument || code == codes.ResourceExhausted && strings.Contains(err.Error(), "larger than max") {
		return fmt.Errorf("%w: %w", eventstore.ErrInvalid, err)
	}
	if code == codes.DataLoss {
		return &eventstore.CorruptError{Revision: eventstore.NoStream, Reason: err.Error()}
	}
	return fmt.Errorf("refused by the cluster: %w", err)
}
