package httpapi_test

import (
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"
)

// TestTheContractKnowsWhereNoughtIsTaken: what the engine takes the contract takes, and
// what it refuses the contract has no example of.
func TestTheContractKnowsWhereNoughtIsTaken(t *testing.T) {
	schemas := theContract().doc.Components.Schemas
	for text, above := range map[string]bool{
		"0": false, "0.0": false, "0.000000": false, "00": false, "01": false, ".5": false, "1.0000000": false, "0.0000001": false, "-1": false,
		"0.000001": true, "0.5": true, "0.50": true, "0.050000": true, "10": true, "10.000000": true, "1.05": true,
	} {
		require.Equal(t, above, schemas["AmountInput"].Value.VisitJSON(text) == nil, text)
	}
	require.NoError(t, schemas["AmountInput"].Value.VisitJSON(0.5))
	require.Error(t, schemas["AmountInput"].Value.VisitJSON(0.0))
	for _, nought := range []any{"0", "0.0", 0.0} {
		require.NoError(t, schemas["AmountOrZeroInput"].Value.VisitJSON(nought))
	}
	r := newRig(t, nil)
	for _, path := range []string{"/credits/check?account=demo-1&amount=0", demo + "/checkout?amount=0.0"} {
		c := get("service", path)
		c.wrong = true
		r.refused(422, "amount-invalid", c)
		in := theContract().doc.Paths.Find("/credits/check").Get.Parameters.GetByInAndName("query", "amount")
		require.Error(t, in.Schema.Value.VisitJSON("0"))
	}
}

// TestTheContractSaysWhatAFaultIs: of each operation, and that a body whose schema asks
// for a member isn't optional.
func TestTheContractSaysWhatAFaultIs(t *testing.T) {
	for path, item := range theContract().doc.Paths.Map() {
		for method, op := range item.Operations() {
			require.NotNil(t, op.Responses.Status(500), "%s %s has no 500", method, path)
			if op.RequestBody == nil {
				continue
			}
			body := op.RequestBody.Value
			for _, media := range body.Content {
				require.True(t, body.Required || len(media.Schema.Value.Required) == 0, "%s %s has an optional body, of which it needs a member", method, path)
			}
		}
	}
}

// TestEveryReadOfAnAccountSaysHowNewItIs (design.md §3), but for what comes from the log
// itself and a stream that never ends.
func TestEveryReadOfAnAccountSaysHowNewItIs(t *testing.T) {
	reads := 0
	for path, item := range theContract().doc.Paths.Map() {
		const account = "/v1/accounts/{account}/"
		if item.Get == nil || !strings.HasPrefix(path, account) || path == account+"events" || path == account+"notifications/stream" {
			continue
		}
		answer := item.Get.Responses.Status(200).Value.Content["application/json"].Schema.Value
		for _, one := range append(openapi3.SchemaRefs{{Value: answer}}, answer.OneOf...) {
			if one.Value.Properties != nil {
				for _, member := range []string{"revision", "position", "lag"} {
					require.Contains(t, one.Value.Properties, member, path)
				}
				reads++
			}
		}
	}
	require.GreaterOrEqual(t, reads, 19)
}
