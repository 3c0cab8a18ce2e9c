package esdbserver

import (
	"strconv"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"

	"iocredits/eventstore"
)

// expectation is what a writer says about the stream: a revision from 0 on, or
// one of the values below, as the protocol has always numbered them.
type expectation int64

const (
	expectNoStream expectation = -1
	expectAny      expectation = -2
	expectExists   expectation = -4
)

func (e expectation) legacy() int64 { return int64(e) }

func (e expectation) String() string {
	switch e {
	case expectNoStream:
		return "no stream"
	case expectAny:
		return "any"
	case expectExists:
		return "a stream that exists"
	}
	return strconv.FormatInt(int64(e), 10)
}

// holds compares with where the stream ends. One that has only metadata exists. One that
// is deleted may be expected where it ended, or not at all.
func (e expectation) holds(at end) bool {
	switch e {
	case expectAny:
		return true
	case expectExists:
		return at.visible() != eventstore.NoStream || at.described
	}
	return int64(e) == at.visible() || int64(e) == at.revision
}

// expected reads the options that Append, Delete and Tombstone have in common.
type expected interface {
	GetRevision() uint64
	GetNoStream() *shared.Empty
	GetAny() *shared.Empty
	GetStreamExists() *shared.Empty
}

func expectationOf(o expected) expectation {
	switch {
	case o.GetNoStream() != nil:
		return expectNoStream
	case o.GetAny() != nil:
		return expectAny
	case o.GetStreamExists() != nil:
		return expectExists
	}
	// Above the largest revision nothing can be: such a number is simply wrong.
	return expectation(min(o.GetRevision(), uint64(eventstore.End)))
}

// wrongVersion is Append's answer to an expectation that doesn't hold. The
// fields of 20.6 are for clients of that age.
func wrongVersion(e expectation, actual int64) *streams.AppendResp {
	w := &streams.AppendResp_WrongExpectedVersion{}
	if actual == eventstore.NoStream {
		w.CurrentRevisionOption = &streams.AppendResp_WrongExpectedVersion_CurrentNoStream{CurrentNoStream: &shared.Empty{}}
		w.CurrentRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_NoStream_20_6_0{NoStream_20_6_0: &shared.Empty{}}
	} else {
		w.CurrentRevisionOption = &streams.AppendResp_WrongExpectedVersion_CurrentRevision{CurrentRevision: uint64(actual)}
		w.CurrentRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_CurrentRevision_20_6_0{CurrentRevision_20_6_0: uint64(actual)}
	}
	switch e {
	case expectNoStream:
		w.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedNoStream{ExpectedNoStream: &shared.Empty{}}
	case expectAny:
		w.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedAny{ExpectedAny: &shared.Empty{}}
		w.ExpectedRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_Any_20_6_0{Any_20_6_0: &shared.Empty{}}
	case expectExists:
		w.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedStreamExists{ExpectedStreamExists: &shared.Empty{}}
		w.ExpectedRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_StreamExists_20_6_0{StreamExists_20_6_0: &shared.Empty{}}
	default:
		w.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedRevision{ExpectedRevision: uint64(e)}
		w.ExpectedRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_ExpectedRevision_20_6_0{ExpectedRevision_20_6_0: uint64(e)}
	}
	return &streams.AppendResp{Result: &streams.AppendResp_WrongExpectedVersion_{WrongExpectedVersion: w}}
}
