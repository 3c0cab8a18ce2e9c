package httpapi_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/eventstore/ledger"
)

// The rig holds each answer against the contract, but it can't see what no test
// lets the server send: a value that the contract spells otherwise stayed unseen
// for as long as no test explained a credit request. So the values of all enums
// in answers are collected, and after all tests each of them must have been sent.

// enumsSeen has the values that were sent, by the enum's place in the contract.
var enumsSeen = struct {
	sync.Mutex
	values map[string]map[string]bool
}{values: map[string]map[string]bool{}}

func (c *contractCheck) note(schema *openapi3.SchemaRef, at string, value any) {
	if schema == nil || value == nil {
		return
	}
	if _, name, is := strings.Cut(schema.Ref, "#/components/schemas/"); is {
		at = name
	}
	s := schema.Value
	for _, list := range []openapi3.SchemaRefs{s.AllOf, s.OneOf, s.AnyOf} {
		for _, one := range list {
			c.note(one, at, value)
		}
	}
	if len(s.Enum) > 0 {
		enumsSeen.Lock()
		if enumsSeen.values[at] == nil {
			enumsSeen.values[at] = map[string]bool{}
		}
		enumsSeen.values[at][fmt.Sprint(value)] = true
		enumsSeen.Unlock()
	}
	switch v := value.(type) {
	case map[string]any:
		for name, property := range s.Properties {
			c.note(property, at+"."+name, v[name])
		}
	case []any:
		for _, item := range v {
			c.note(s.Items, at, item)
		}
	}
}

// answerEnums are the enums that answers have, by their place, with their values.
func (c *contractCheck) answerEnums() map[string][]string {
	all, been := map[string][]string{}, map[*openapi3.Schema]bool{}
	var walk func(schema *openapi3.SchemaRef, at string)
	walk = func(schema *openapi3.SchemaRef, at string) {
		if schema == nil {
			return
		}
		if _, name, is := strings.Cut(schema.Ref, "#/components/schemas/"); is {
			at = name
		}
		s := schema.Value
		if been[s] {
			return
		}
		been[s] = true
		for _, value := range s.Enum {
			all[at] = append(all[at], fmt.Sprint(value))
		}
		for _, list := range []openapi3.SchemaRefs{s.AllOf, s.OneOf, s.AnyOf, {s.Items}} {
			for _, one := range list {
				walk(one, at)
			}
		}
		for name, property := range s.Properties {
			walk(property, at+"."+name)
		}
	}
	for _, item := range c.doc.Paths.Map() {
		for _, operation := range item.Operations() {
			for _, response := range operation.Responses.Map() {
				for _, media := range response.Value.Content {
					walk(media.Schema, operation.OperationID)
				}
			}
		}
	}
	return all
}

// unseenEnums are values of the contract's answers that no test had an answer
// with, and those that one had though they are never sent.
func unseenEnums() []string {
	var unseen []string
	all := theContract().answerEnums()
	for _, at := range slices.Sorted(maps.Keys(all)) {
		for _, value := range all[at] {
			name := at + ": " + value
			if _, excused := neverSent[name]; excused == enumsSeen.values[at][value] {
				unseen = append(unseen, name)
			}
		}
	}
	return unseen
}

func TestMain(m *testing.M) {
	code := m.Run()
	// Only a run of all tests can say what none of them does.
	if unseen := unseenEnums(); code == 0 && wholeRun() && len(unseen) > 0 {
		fmt.Printf("FAIL: the contract has values that no answer of any test had (or that neverSent has wrongly):\n\t%s\n", strings.Join(unseen, "\n\t"))
		code = 1
	}
	os.Exit(code)
}

func wholeRun() bool {
	for _, name := range []string{"test.run", "test.skip", "test.list", "test.fuzz"} {
		if flag.Lookup(name).Value.String() != "" {
			return false
		}
	}
	return !testing.Short()
}

// neverSent are values that no route answers with today, and why they stand in
// the contract: a client that knows them stays right if one comes.
var neverSent = map[string]string{
	"Payment.status: matched":    "the queue has what waits, and deciding ends otherwise",
	"Payment.status: taken-back": "the queue has what waits, and deciding ends otherwise",
}

// TestRareAnswers lets the server send what no other test asks for.
func TestRareAnswers(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "100")
	asked := func(key string) string {
		return demo + "/credit-requests/" + part(r.must(post(customer, demo+"/credit-requests", key, `{"amount":"50","name":"Ada","reason":"more"}`)), "credit_request")["id"].(string)
	}
	r.must(post("bd", asked("c-1")+"/reject", "c-2", `{"reason":"no"}`))
	r.must(post("bd", asked("c-3")+"/approve", "c-4", `{"approved_amount":"20","promotional":true,"expires_at":"2026-03-01T14:00:00Z"}`))
	charge := part(r.must(post("service", demo+"/deductions", "d", `{"amount":"5","service":"baremetal"}`)), "deduction")["id"].(string)
	r.must(get(customer, demo+"/transactions/"+charge))
	one := part(r.must(post(customer, demo+"/disputes", "x-1", fmt.Sprintf(`{"transaction_id":%q,"reason":"no"}`, charge))), "dispute")["id"].(string)
	r.must(post("support", demo+"/disputes/"+one+"/resolve", "x-2", `{"outcome":"rejected","note":"it ran"}`))
	r.must(post(customer, demo+"/withdrawals", "w", `{"amount":"10","wallet_address":"0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed","network":"ethereum"}`))
	r.must(post("service", demo+"/deployments", "p", deploymentBody("dep-1", "baremetal", "1", 1)))

	var bought []string
	for _, key := range []string{"b-1", "b-2"} {
		bought = append(bought, part(r.must(post(customer, demo+"/purchases", key, `{"amount":"10"}`)), "purchase")["id"].(string))
	}
	r.must(tell("demo-1", bought[0], "pay-1", "failed", "10"))
	require.Equal(t, "failed", r.must(get(customer, demo+"/purchases/"+bought[0])).Body["status"])
	r.must(tell("demo-1", "gone", "pay-2", "succeeded", "10"))
	r.must(resolve("q", "demo-1~pay-2", `{"returned":true}`))
	r.must(tell("demo-1", "gone", "pay-2", "charged-back", "10"))
	require.Equal(t, "chargeback", r.unmatched()[0].(map[string]any)["kind"])

	r.clock.Move(3 * time.Hour)
	r.must(post("service", demo+"/deductions", "e", `{"amount":"1","service":"vm"}`)) // does what is due
	require.Equal(t, "expired", r.must(get(customer, demo+"/purchases/"+bought[1])).Body["status"])
	require.Equal(t, "completed", r.must(get("service", demo+"/deployments/dep-1")).Body["status"])
	r.notices("?limit=1000")

	rich := make([]ledger.Request, domain.MaxBalance/domain.MaxAmount)
	for i := range rich {
		rich[i] = ledger.Request{Account: "demo-2", Do: account.RecordPurchase{Purchase: fmt.Sprint(i), Amount: domain.MaxAmount}, Actor: "a", Role: "admin"}
	}
	r.ledger.ExecuteBatch(t.Context(), rich)
	full := r.must(call{as: "admin", method: "POST", path: "/dev/accounts/demo-2/purchases", body: `{"amount":"1"}`})
	require.Equal(t, "unmatched", part(full, "purchase")["status"], "no balance is larger, and no payment is lost")
}

// TestExplainAllKinds: the life of each kind of object is told under the name
// that the contract has for the kind.
func TestExplainAllKinds(t *testing.T) {
	r := newRig(t, nil)
	objects := r.made()
	id := objects["credit-requests"]["id"].(string)
	granted := r.must(post("bd", demo+"/credit-requests/"+id+"/approve", "g-1", `{"approved_amount":"20","promotional":true}`)).Body["transactions"].([]any)[0].(map[string]any)
	x := r.must(get("support", demo+"/transactions/"+granted["transaction_id"].(string)+"/explain"))
	told := x.Body["objects"].([]any)[0].(map[string]any)
	require.Equal(t, []any{"credit-request", id, "approved", "more"}, []any{told["kind"], told["id"], told["status"], told["asked"]})
	text := r.must(asText(get("support", demo+"/transactions/"+granted["transaction_id"].(string)+"/explain"))).Text
	require.Contains(t, text, "Of credit request "+id+" (approved)")

	r.must(tell("demo-1", "gone", "pay-9", "succeeded", "7"))
	credited := r.must(resolve("g-2", "demo-1~pay-9", `{"account":"demo-1","note":"theirs"}`)).Body["transactions"].([]any)[0].(map[string]any)
	told = r.must(get("support", demo+"/transactions/"+credited["transaction_id"].(string)+"/explain")).Body["objects"].([]any)[0].(map[string]any)
	require.Equal(t, []any{"payment", "pay-9", "credited", "theirs"}, []any{told["kind"], told["id"], told["status"], told["answered"]})
}
