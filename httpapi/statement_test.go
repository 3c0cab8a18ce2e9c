package httpapi_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/require"

	"iocredits/httpapi/api"
)

func TestStatement(t *testing.T) {
	r, _ := storied(t)
	r.clock.Move(31 * 24 * time.Hour)
	r.must(post("service", demo+"/deductions", "april", `{"amount":"3","service":"vm"}`))
	march := r.must(get(customer, demo+"/statement?month=2026-03"))
	var s api.Statement
	require.NoError(t, json.Unmarshal([]byte(march.Text), &s, json.RejectUnknownMembers(true)), march.Text)
	require.Equal(t, []string{"0", "48"}, []string{s.OpeningBalance, s.ClosingBalance})
	var totals []string
	for _, total := range s.Totals {
		totals = append(totals, fmt.Sprint(total.Count, " ", total.Type, " ", total.Amount))
	}
	require.Equal(t, []string{"1 adjustment 2", "1 deduction -12", "1 incentive 4", "1 purchase 50", "2 refund 4", "1 release 0", "1 reservation 0"}, totals)
	require.Len(t, s.Entries, 8)
	require.Equal(t, "48", s.Entries[7].BalanceAfter)

	text := r.must(asText(get("auditor", demo+"/statement?month=2026-04"))).Text
	require.Regexp(t, `Opening balance +48\n +deduction +1 +-3\nClosing balance +45\n`, text)
	for _, month := range []string{"2026-13", "2026-1", "March", "0001-01", "9999-12"} {
		c := get(customer, demo+"/statement?month="+month)
		c.wrong = true
		refused := r.refused(422, "field-invalid", c).Body
		require.Equal(t, []any{"month", `month "` + month + `" is not a month like 2026-11, from 1970-01 to 9999-11`}, []any{refused["field"], refused["detail"]})
	}
	c := get(customer, demo+"/statement")
	c.wrong = true
	r.refused(422, "field-invalid", c)
	require.Equal(t, []any{}, r.must(get(customer, demo+"/statement?month=2020-01")).Body["entries"])
}

// TestLongStatement is sent while it is read, and is one JSON text all the same.
func TestLongStatement(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "1000")
	var lines strings.Builder
	for i := range 900 {
		fmt.Fprintf(&lines, `{"account":"demo-1","key":"k-%d","amount":"0.5","service":"inference"}`+"\n", i)
	}
	r.must(call{as: "service", method: "POST", path: "/v1/deductions/batch", header: http.Header{"Content-Type": {"application/x-ndjson"}}, body: lines.String()})
	got := r.must(get(customer, demo+"/statement?month=2026-03"))
	require.Len(t, got.Body["entries"], 901)
	require.Equal(t, "550", got.Body["closing_balance"])
	text := r.must(asText(get(customer, demo+"/statement?month=2026-03"))).Text
	require.Equal(t, 901, strings.Count(text, "\n2026-"))
}
