package account_test

import (
	"fmt"
	"strings"
	"testing"

	"iocredits/domain"
	"iocredits/domain/account"
)

// outcomes counts what all runs of a random test have met: the events, the refusals as
// "Action code", and in all "runs", "accepted" and "refused".
type outcomes map[string]int

func (o outcomes) note(action account.Action, events []domain.Event, err error) {
	if refusal, refused := domain.AsError(err); refused {
		o["refused"]++
		o[strings.TrimPrefix(fmt.Sprintf("%T %s", action, refusal.Code), "account.")]++
		return
	}
	o["accepted"]++
	for _, e := range events {
		o[e.EventName()]++
	}
}

// enoughRuns: with fewer, such as one that is played again, nothing has to occur.
const enoughRuns = 100

// must fails a generator that has decayed: of its commands at least so many percent are
// accepted, and each outcome occurs, which are separated by commas. All of them are met
// about ten times and more in a hundred runs.
func (o outcomes) must(t *testing.T, percent int, names string) {
	t.Helper()
	t.Logf("met: %v", map[string]int(o))
	if t.Failed() || o["runs"] < enoughRuns {
		return
	}
	if all := o["accepted"] + o["refused"]; o["accepted"]*100 < all*percent {
		t.Errorf("%d of %d commands were accepted, less than %d %%", o["accepted"], all, percent)
	}
	for name := range strings.SplitSeq(names, ",") {
		if o[strings.TrimSpace(name)] == 0 {
			t.Errorf("no run has met %s", strings.TrimSpace(name))
		}
	}
}
