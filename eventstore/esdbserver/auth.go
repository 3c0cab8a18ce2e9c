package esdbserver

import (
	"context"
	"encoding/base64"
	"strings"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"iocredits/eventstore"
)

// publicServices are asked by clients before they show who they are, and tell
// nothing of the log.
var publicServices = []string{"/event_store.client.server_features.", "/event_store.client.gossip."}

func (s *Server) authorizeUnary(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	if err := s.authorize(ctx, info.FullMethod, MayWrite); err != nil {
		return nil, failUnary(ctx, err)
	}
	return handler(ctx, request)
}

func (s *Server) authorizeStream(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	needs := MayRead // also to be told that a method isn't served
	if info.FullMethod == streams.Streams_Append_FullMethodName {
		needs = MayWrite
	}
	if err := s.authorize(stream.Context(), info.FullMethod, needs); err != nil {
		switch info.FullMethod {
		case streams.Streams_Append_FullMethodName:
			drain(stream)
		case streams.Streams_Read_FullMethodName: // the client sends once, and never fails at it
		default:
			awaitFirst(stream)
		}
		stream.SetTrailer(trailersOf(err))
		return err
	}
	return handler(server, stream)
}

// drain reads an append to its end: a client that is still sending when the
// answer comes sees only that the stream ended, not why.
func drain(stream grpc.ServerStream) {
	for received := 0; received < maxDrain; {
		var m streams.AppendReq
		if stream.RecvMsg(&m) != nil {
			return
		}
		received += messageOverhead + proto.Size(&m)
	}
}

// authorize judges a call before it reaches its method.
func (s *Server) authorize(ctx context.Context, method string, needs Access) error {
	if s.opts.Authorize == nil {
		return nil
	}
	for _, service := range publicServices {
		if strings.HasPrefix(method, service) {
			return nil
		}
	}
	user, password, given := basicAuth(ctx)
	if !given {
		return status.Error(codes.Unauthenticated, "no user and password were sent; this server asks for an API key's")
	}
	access, known := s.opts.Authorize(user, password)
	switch {
	case !known:
		return status.Error(codes.Unauthenticated, "user or password is wrong")
	case access < needs:
		return errAccessDenied
	}
	return nil
}

func basicAuth(ctx context.Context) (user, password string, given bool) {
	headers := metadata.ValueFromIncomingContext(ctx, "authorization")
	if len(headers) != 1 {
		return "", "", false
	}
	scheme, encoded, _ := strings.Cut(headers[0], " ")
	if !strings.EqualFold(scheme, "basic") {
		return "", "", false
	}
	text, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
	if err != nil {
		return "", "", false
	}
	return strings.Cut(string(text), ":")
}

// mayAppend says whether the Mode lets a client append to a stream.
func (s *Server) mayAppend(stream string) error {
	of, isMeta := eventstore.MetadataOf(stream)
	switch {
	case isMeta && of == "":
		return status.Errorf(codes.InvalidArgument, "stream %q is the metadata of no stream", stream)
	case s.opts.Mode == Open && (!isMeta || !eventstore.Kept(of)):
		return nil
	case s.opts.Mode == Foreign && !eventstore.Ours(of) && !strings.HasPrefix(of, "$"):
		return nil
	}
	return errAccessDenied
}

// mayDelete says whether a client may delete, truncate or bury a stream. The
// history of an account is for ever, in every Mode.
func (s *Server) mayDelete(stream string) error {
	if stream == "" {
		return errNoName
	}
	if _, isMeta := eventstore.MetadataOf(stream); isMeta {
		// It ends with its stream. Alone it would take a soft delete back.
		return status.Errorf(codes.InvalidArgument, "stream %q is metadata, which can't be deleted", stream)
	}
	if err := s.mayAppend(stream); err != nil {
		return err
	}
	if eventstore.Kept(stream) {
		return errAccessDenied
	}
	return nil
}
