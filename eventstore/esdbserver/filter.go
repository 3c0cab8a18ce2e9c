package esdbserver

import (
	"regexp"
	"strings"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"iocredits/eventstore"
)

// defaultWindow is the number of events between two looks at the checkpoint.
const defaultWindow = 32

// filter picks events of $all.
type filter struct {
	matches func(*eventstore.Recorded) bool
	// every is the number of considered events between two checkpoints; 0: the
	// client asked for no filter and gets none.
	every int
}

// filterOf reads the client's filter. Its regular expressions are Go's: the
// real server's also look ahead and back, which is refused here.
func filterOf(o *streams.ReadReq_Options) (filter, error) {
	f := o.GetFilter()
	if f == nil {
		return filter{matches: func(*eventstore.Recorded) bool { return true }}, nil
	}
	expression, subject := f.GetStreamIdentifier(), func(r *eventstore.Recorded) string { return r.Stream }
	if f.GetEventType() != nil {
		expression, subject = f.GetEventType(), func(r *eventstore.Recorded) string { return r.Type }
	}
	window := uint64(f.GetMax())
	if window == 0 {
		window = defaultWindow
	}
	every := min(window*uint64(max(1, f.GetCheckpointIntervalMultiplier())), 1<<30)
	if prefixes := expression.GetPrefix(); len(prefixes) > 0 {
		return filter{every: int(every), matches: func(r *eventstore.Recorded) bool {
			for _, p := range prefixes {
				if strings.HasPrefix(subject(r), p) {
					return true
				}
			}
			return false
		}}, nil
	}
	pattern, err := regexp.Compile(expression.GetRegex())
	if err != nil {
		return filter{}, status.Errorf(codes.InvalidArgument, "filter: %v", err)
	}
	return filter{every: int(every), matches: func(r *eventstore.Recorded) bool { return pattern.MatchString(subject(r)) }}, nil
}
