package account_test

import (
	"crypto/sha256"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"iocredits/domain"
	"iocredits/domain/account"
)

// row is one given/when/then of a rule. history checks the decider's laws on
// each of its commands.
type row struct {
	name  string
	given []step
	when  step
	// then is the command's events, those of due deadlines first; or
	// refused is its code and figures, "code name=value name=value".
	then    []domain.Event
	refused string
	// balance is what balanceText gives at the end; it is not compared for rows
	// that leave it empty.
	balance string
}

// step is a command, or facts that are just folded in.
type step struct {
	at    time.Time
	by    string
	do    account.Action
	facts []domain.Event
	// refused: what was given, the engine refused.
	refused bool
}

const (
	credit = domain.Credit
	vm     = domain.ServiceVM
)

// hour is an instant of a row; 0 is when a step happens that says no other.
func hour(n int) time.Time {
	return time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(n) * time.Hour)
}

func do(action account.Action) step                       { return step{at: hour(0), by: "ann", do: action} }
func doAt(at time.Time, action account.Action) step       { return step{at: at, by: "ann", do: action} }
func doBy(by string, action account.Action) step          { return step{at: hour(0), by: by, do: action} }
func facts(events ...domain.Event) step                   { return step{facts: events} }
func given(steps ...step) []step                          { return steps }
func events(all ...domain.Event) []domain.Event           { return all }
func lots(uses ...account.LotUse) []account.LotUse        { return uses }
func ptr[T any](v T) *T                                   { return &v }
func until(at time.Time, u account.LotUse) account.LotUse { u.ExpiresAt = at; return u }

func paid(lot int64, amount domain.Amount) account.LotUse {
	return account.LotUse{Lot: lot, Class: account.Purchased, Amount: amount}
}

func promo(lot int64, amount domain.Amount) account.LotUse {
	return account.LotUse{Lot: lot, Class: account.Promotional, Amount: amount}
}

func bought(id string, amount domain.Amount) step {
	return do(account.RecordPurchase{Purchase: id, Amount: amount})
}

func granted(amount domain.Amount) step { return do(account.GrantIncentive{Amount: amount}) }

func grantedUntil(at time.Time, amount domain.Amount) step {
	return do(account.GrantIncentive{Amount: amount, ExpiresAt: at})
}

func spent(amount domain.Amount) step { return do(account.Deduct{Amount: amount, Service: vm}) }

func held(id string, amount domain.Amount) step {
	return do(account.Reserve{Reservation: id, Amount: amount, Service: vm})
}

// tx is the id of the event at a revision.
func tx(revision int64) domain.TransactionID {
	return domain.NewTransactionID(revision, sha256.Sum256([]byte("event")))
}

// check runs rows as subtests.
func check(t *testing.T, rows []row) {
	t.Helper()
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			h := newHistory(t)
			for i, s := range r.given {
				if s.facts != nil {
					h.fold(s.facts)
				} else if _, err := h.execute(s); (err != nil) != s.refused {
					t.Fatalf("given %d, %T: %v", i, s.do, err)
				}
			}
			got, err := h.execute(r.when)
			if text := refusalText(err); text != r.refused {
				t.Fatalf("refused: %s\n   want: %s", text, r.refused)
			}
			if want, have := eventsText(t, r.then), eventsText(t, got); have != want {
				t.Errorf("events:\n%s\nwant:\n%s", have, want)
			}
			if have := balanceText(h.state.Balance()); r.balance != "" && have != r.balance {
				t.Errorf("balance: %s\n   want: %s", have, r.balance)
			}
			h.replay()
		})
	}
}

// refusalText is a refusal as rows write it; "" for none.
func refusalText(err error) string {
	if err == nil {
		return ""
	}
	refusal, ok := domain.AsError(err)
	if !ok {
		return "no refusal: " + err.Error()
	}
	text := string(refusal.Code)
	for _, f := range refusal.Fields {
		text += " " + f.Name + "=" + f.Value
	}
	return text
}

// eventsText is events as they are stored, one a line.
func eventsText(t failer, events []domain.Event) string {
	t.Helper()
	var b strings.Builder
	for _, e := range events {
		fmt.Fprintln(&b, e.EventName(), stored(t, e))
	}
	return b.String()
}

// balanceText names every figure that isn't zero.
func balanceText(b account.Balance) string {
	var words []string
	v := reflect.ValueOf(b)
	for i := range v.NumField() {
		name := strings.ToLower(v.Type().Field(i).Name)
		switch figure := v.Field(i).Interface().(type) {
		case domain.Amount:
			if figure != 0 {
				words = append(words, name+" "+figure.String())
			}
		case bool:
			if figure {
				words = append(words, name)
			}
		}
	}
	if len(words) == 0 {
		return "nothing"
	}
	return strings.Join(words, ", ")
}

// stored is a value as it is kept: an event in the log, a state in a snapshot.
func stored(t failer, v any) string {
	t.Helper()
	b, err := json.Marshal(v, json.Deterministic(true))
	if err != nil {
		t.Fatalf("store %T: %v", v, err)
	}
	return string(b)
}
