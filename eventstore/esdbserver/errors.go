package esdbserver

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"iocredits/eventstore"
)

// Clients tell errors apart by the trailer "exception" and read others with it,
// some without checking that they are there: every one of them MUST be sent.
const (
	exceptionTrailer      = "exception"
	streamTrailer         = "stream-name"
	exceptionDeleted      = "stream-deleted"
	exceptionWrongVersion = "wrong-expected-version"
	exceptionDenied       = "access-denied"
	exceptionTooBig       = "maximum-append-size-exceeded"
)

// fault is an error with the trailers that clients know it by.
type fault struct {
	code     codes.Code
	text     string
	trailers metadata.MD
}

func (f *fault) Error() string { return f.text }

// GRPCStatus is how grpc asks an error for its status.
func (f *fault) GRPCStatus() *status.Status { return status.New(f.code, f.text) }

func trailersOf(err error) metadata.MD {
	var f *fault
	if errors.As(err, &f) {
		return f.trailers
	}
	return nil
}

var errAccessDenied = &fault{
	code: codes.PermissionDenied, text: "access denied",
	trailers: metadata.Pairs(exceptionTrailer, exceptionDenied),
}

var errNoName = status.Error(codes.InvalidArgument, "the request names no stream")

func errDeleted(stream string) error {
	return &fault{
		code: codes.FailedPrecondition, text: fmt.Sprintf("stream %q is deleted", stream),
		trailers: metadata.Pairs(exceptionTrailer, exceptionDeleted, streamTrailer, headerText(stream)),
	}
}

// errTooBig says so of an append, or of one event of it.
func errTooBig(what string, limit int) error {
	return &fault{
		code: codes.InvalidArgument, text: fmt.Sprintf("maximum %s size of %d bytes exceeded", what, limit),
		trailers: metadata.Pairs(exceptionTrailer, exceptionTooBig, "maximum-append-size", strconv.Itoa(limit)),
	}
}

// errTooBusy is for a write without an exact revision that lost maxRaces times.
func errTooBusy(stream string) error {
	return status.Errorf(codes.Aborted, "stream %q is too busy: %d other writers came first", stream, maxRaces)
}

// headerText makes a stream's name fit for HTTP/2, whose headers are ASCII.
func headerText(name string) string {
	for i := range len(name) {
		if name[i] < ' ' || name[i] > '~' {
			return url.PathEscape(name)
		}
	}
	return name
}

// errWrongVersion is how Delete and Tombstone fail; Append answers it as a result.
func errWrongVersion(stream string, expected expectation, actual int64) error {
	return &fault{
		code: codes.FailedPrecondition,
		text: fmt.Sprintf("wrong expected version of stream %q: expected %s, actual %d", stream, expected, actual),
		trailers: metadata.Pairs(
			exceptionTrailer, exceptionWrongVersion, streamTrailer, headerText(stream),
			"expected-version", strconv.FormatInt(expected.legacy(), 10), "actual-version", strconv.FormatInt(actual, 10),
		),
	}
}

// translate gives a Store's error the status that clients act on.
func translate(err error) error {
	var corrupt *eventstore.CorruptError
	var f *fault
	switch {
	case err == nil:
		return nil
	case errors.As(err, &f):
		return f
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return status.FromContextError(err).Err()
	case errors.Is(err, eventstore.ErrUnavailable), errors.Is(err, eventstore.ErrClosed):
		return status.Error(codes.Unavailable, err.Error())
	case errors.Is(err, eventstore.ErrInvalid):
		return status.Error(codes.InvalidArgument, err.Error())
	case errors.As(err, &corrupt):
		return status.Error(codes.DataLoss, err.Error())
	}
	if _, ok := status.FromError(err); ok {
		return err
	}
	return status.Error(codes.Internal, err.Error())
}

// fail translates and sends the trailers of a streaming call.
func fail(stream grpc.ServerStream, err error) error {
	stream.SetTrailer(trailersOf(err))
	return translate(err)
}

// failUnary does the same for a unary call.
func failUnary(ctx context.Context, err error) error {
	if trailers := trailersOf(err); trailers != nil {
		if set := grpc.SetTrailer(ctx, trailers); set != nil {
			return status.Error(codes.Internal, set.Error())
		}
	}
	return translate(err)
}
