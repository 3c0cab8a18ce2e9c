package esdbserver

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/emptypb"

	"iocredits/eventstore"
)

// The service of operators. The Go client's module has no code for it, and its
// messages are so small that they are read and written as fields unknown to Empty:
//
//	StartScavengeReq{options = 1: {thread_count = 1, start_from_chunk = 2}}
//	StopScavengeReq{options = 1: {scavenge_id = 1}}
//	ScavengeResp{scavenge_id = 1, scavenge_result = 2}
const operationsService = "event_store.client.operations.Operations"

// Results in ScavengeResp.
const (
	scavengeStarted uint64 = iota
	scavengeInProgress
	scavengeStopped
)

// scavengesPrefix makes the stream that tells how a scavenge went, in which a
// client waits for its end.
const (
	scavengesPrefix       = "$scavenges-"
	typeScavengeStarted   = "$scavengeStarted"
	typeScavengeCompleted = "$scavengeCompleted"
	// currentScavenge is an id that stands for whichever runs.
	currentScavenge = "current"
)

// scavenge is one that runs.
type scavenge struct {
	id   string
	stop context.CancelFunc
}

// scavenges runs one at a time, in the background.
type scavenges struct {
	mu      sync.Mutex
	current *scavenge
	running sync.WaitGroup
}

func (s *Server) registerOperations() {
	unary := func(name string, call func(context.Context, *emptypb.Empty) (*emptypb.Empty, error)) grpc.MethodDesc {
		return grpc.MethodDesc{MethodName: name, Handler: func(_ any, ctx context.Context, decode func(any) error, intercept grpc.UnaryServerInterceptor) (any, error) {
			request := new(emptypb.Empty)
			if err := decode(request); err != nil {
				return nil, err
			}
			info := &grpc.UnaryServerInfo{Server: s, FullMethod: "/" + operationsService + "/" + name}
			return intercept(ctx, request, info, func(ctx context.Context, _ any) (any, error) {
				response, err := call(ctx, request)
				if err != nil {
					return nil, failUnary(ctx, err)
				}
				return response, nil
			})
		}}
	}
	s.grpc.RegisterService(&grpc.ServiceDesc{
		ServiceName: operationsService, HandlerType: (*any)(nil), Metadata: "operations.proto",
		Methods: []grpc.MethodDesc{unary("StartScavenge", s.startScavenge), unary("StopScavenge", s.stopScavenge)},
	}, s)
}

// startScavenge begins one in the background, unless one runs. Its options, how
// many threads and from which chunk on, have no meaning here.
func (s *Server) startScavenge(ctx context.Context, _ *emptypb.Empty) (*emptypb.Empty, error) {
	if s.opts.Mode != Open {
		return nil, errAccessDenied
	}
	if _, can := s.opts.Store.(eventstore.Scavenger); !can {
		return nil, errNoScavenge
	}
	s.scavenges.mu.Lock()
	defer s.scavenges.mu.Unlock()
	if running := s.scavenges.current; running != nil {
		return scavengeResponse(running.id, scavengeInProgress), nil
	}
	select {
	case <-s.ended:
		return nil, status.Error(codes.Unavailable, "the server is shutting down")
	default:
	}
	id := uuid.NewString()
	if err := s.tellScavenge(ctx, id, eventstore.NoStream, typeScavengeStarted, scavengeRecord{ScavengeID: id}); err != nil {
		return nil, err
	}
	life, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.scavenges.current = &scavenge{id: id, stop: stop}
	s.scavenges.running.Go(func() {
		defer stop()
		s.runScavenge(life, id)
	})
	return scavengeResponse(id, scavengeStarted), nil
}

func (s *Server) stopScavenge(_ context.Context, request *emptypb.Empty) (*emptypb.Empty, error) {
	if s.opts.Mode != Open {
		return nil, errAccessDenied
	}
	id := string(field(field(request.ProtoReflect().GetUnknown(), 1), 1))
	s.scavenges.mu.Lock()
	defer s.scavenges.mu.Unlock()
	running := s.scavenges.current
	if running == nil || id != running.id && id != currentScavenge {
		return nil, &fault{
			code: codes.NotFound, text: "Scavenge id was invalid.",
			trailers: metadata.Pairs(exceptionTrailer, "scavenge-not-found", "scavenge-id", headerText(id)),
		}
	}
	running.stop()
	return scavengeResponse(running.id, scavengeStopped), nil
}

var errNoScavenge = status.Error(codes.Unimplemented, "this store has no scavenge")

func (s *Server) runScavenge(ctx context.Context, id string) {
	began := time.Now()
	erased, err := s.Scavenge(ctx)
	record := scavengeRecord{ScavengeID: id, Result: "Success", TimeTaken: clockTime(time.Since(began))}
	switch {
	case err == nil:
		s.opts.Logger.Info("scavenged", "scavenge", id, "events", erased)
	case errors.Is(err, context.Canceled), errors.Is(err, eventstore.ErrClosed):
		record.Result = "Stopped"
	default:
		record.Result, record.Error = "Errored", err.Error()
		s.opts.Logger.Error("scavenge failed", "scavenge", id, "error", err)
	}
	s.scavenges.mu.Lock()
	s.scavenges.current = nil
	s.scavenges.mu.Unlock()
	if err := s.tellScavenge(context.WithoutCancel(ctx), id, 0, typeScavengeCompleted, record); err != nil {
		s.opts.Logger.Warn("the end of a scavenge is not in its stream", "scavenge", id, "error", err)
	}
}

// end stops a scavenge that runs, and waits for it.
func (s *scavenges) end() {
	s.mu.Lock()
	if s.current != nil {
		s.current.stop()
	}
	s.mu.Unlock()
	s.running.Wait()
}

// scavengeRecord is the data of a scavenge's events.
type scavengeRecord struct {
	ScavengeID string `json:"scavengeId"`
	Result     string `json:"result,omitempty"`
	Error      string `json:"error,omitempty"`
	TimeTaken  string `json:"timeTaken,omitempty"`
}

func (s *Server) tellScavenge(ctx context.Context, id string, at int64, typ string, record scavengeRecord) error {
	data, err := json.Marshal(record)
	if err != nil {
		return fmt.Errorf("encode scavenge: %w", err)
	}
	_, err = s.opts.Store.Append(ctx, scavengesPrefix+id, at, []eventstore.Event{{ID: uuid.New(), Type: typ, Data: data}})
	return err
}

// clockTime is a duration as the real server writes one: 00:01:02.345.
func clockTime(d time.Duration) string {
	return fmt.Sprintf("%02d:%02d:%02d.%03d", int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60, d.Milliseconds()%1000)
}

// maxEnds bounds the streams whose ends a scavenge remembers.
const maxEnds = 1 << 16

// Scavenge erases what metadata or a tombstone hides for ever, but the newest
// event of each stream: what the real server does. The streams that are Kept
// lose nothing. The answer is how many events were erased; where the Store can't,
// it is an error.
func (s *Server) Scavenge(ctx context.Context) (erased int, err error) {
	store, can := s.opts.Store.(eventstore.Scavenger)
	if !can {
		return 0, errNoScavenge
	}
	ends, now := map[string]end{}, s.opts.Now()
	return store.Scavenge(ctx, func(r *eventstore.Recorded) (bool, error) {
		if eventstore.Kept(r.Stream) {
			return false, nil
		}
		e, known := ends[r.Stream]
		if !known {
			var err error
			if e, err = s.endOf(ctx, r.Stream); err != nil {
				return false, err
			}
			if len(ends) >= maxEnds {
				clear(ends)
			}
			ends[r.Stream] = e // as it was: what became newer since then stays
		}
		return r.Revision < e.revision && (e.tombstoned || r.Revision < e.first() || e.hides(r, now)), nil
	})
}

// scavengeResponse encodes a ScavengeResp.
func scavengeResponse(id string, result uint64) *emptypb.Empty {
	var b []byte
	b = protowire.AppendString(protowire.AppendTag(b, 1, protowire.BytesType), id)
	b = protowire.AppendVarint(protowire.AppendTag(b, 2, protowire.VarintType), result)
	m := new(emptypb.Empty)
	m.ProtoReflect().SetUnknown(b)
	return m
}

// field finds the bytes of a field; nil if it isn't there.
func field(message []byte, number protowire.Number) (value []byte) {
	for len(message) > 0 {
		n, typ, size := protowire.ConsumeTag(message)
		if size < 0 {
			return nil
		}
		message = message[size:]
		length := protowire.ConsumeFieldValue(n, typ, message)
		if length < 0 {
			return nil
		}
		if n == number && typ == protowire.BytesType {
			value, _ = protowire.ConsumeBytes(message)
		}
		message = message[length:]
	}
	return value
}
