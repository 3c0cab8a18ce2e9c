package esdbserver

import (
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

// firstMessagePatience is how long a client may take for the message that comes
// right after its call's headers. It bounds what a client that sends none can hold.
const firstMessagePatience = 2 * time.Second

// unsupported answers the methods that aren't served, persistent subscriptions for one.
func (s *Server) unsupported(_ any, stream grpc.ServerStream) error {
	awaitFirst(stream)
	method, _ := grpc.MethodFromServerStream(stream)
	return status.Errorf(codes.Unimplemented, "method %s is not served", method)
}

// BatchAppend isn't served either, but its service is.
func (s *Server) BatchAppend(stream streams.Streams_BatchAppendServer) error {
	return s.unsupported(nil, stream)
}

// awaitFirst waits for the client's first message: one that is about to send when
// the answer comes sees only that the stream ended, not why.
func awaitFirst(stream grpc.ServerStream) {
	arrived := make(chan struct{})
	go func() { // ends with the stream, thus with the call
		defer close(arrived)
		_ = stream.RecvMsg(new(emptypb.Empty)) // whatever it says
	}()
	timer := time.NewTimer(firstMessagePatience)
	defer timer.Stop()
	select {
	case <-arrived:
	case <-timer.C:
	}
}
