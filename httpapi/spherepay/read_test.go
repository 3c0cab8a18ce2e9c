package spherepay

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"iocredits/domain"
)

// TestAnswersAreReadAsWebhooksAre: what a webhook didn't tell the reconciliation finds.
func TestAnswersAreReadAsWebhooksAre(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"ok":true,"ok":true,"message":"\ud83d","data":{"x":"\ud83d","x":1,"payments":[
			{"id":"payment_1","status":"succeeded","amount":"5","name":"Ada \ud83d","name":"Bob"},
			{"id":"payment_2","status":"succeeded","status":"failed","amount":"5"}]}}`)
	}))
	defer server.Close()
	c, err := NewClient(server.URL, testKey, nil)
	require.NoError(t, err)
	payments, err := c.Payments(t.Context(), "p1")
	require.NoError(t, err)
	require.Equal(t, Payment{ID: "payment_1", Status: Succeeded, Amount: 5_000_000}, payments[0])
	require.True(t, payments[1].Unnamed)
	require.Equal(t, Succeeded, payments[1].Status, "it is in doubt, and people have to see it")
}

// TestOnlyWhatIsNeededIsReadOfAnAnswer: a member that nobody asks for, of whatever form, is no
// reason to miss a payment or a link.
func TestOnlyWhatIsNeededIsReadOfAnAnswer(t *testing.T) {
	const link = `{"id":"link_1","url":"https://pay/1","meta":{"attempt":2},"amount":{"value":1},"active":"yes","created":1700000000000}`
	for _, rest := range []string{`"ts":1700000000000`, `"ts":null,"request":{"id":"r"}`, `"object":["list"],"statusCode":"200"`, `"error":{},"message":["fine"]`} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"ok":true,`+rest+`,"data":{"payments":[{"id":"payment_1","status":"succeeded","amount":"5"}],
				"paymentLink":`+link+`,"paymentLinks":[`+link+`,{"id":"link_2"},{"url":"https://pay/3"},7]}}`)
		}))
		defer server.Close()
		c, err := NewClient(server.URL, testKey, nil)
		require.NoError(t, err)
		payments, err := c.Payments(t.Context(), "p1")
		require.NoError(t, err, rest)
		require.Len(t, payments, 1)
		want := Link{ID: "link_1", URL: "https://pay/1", Meta: Meta{Attempt: 2}}
		made, err := c.CreateLink(t.Context(), Meta{Purchase: "p1", Attempt: 2}, domain.Credit)
		require.NoError(t, err, rest)
		require.Equal(t, want, made)
		links, err := c.Links(t.Context(), "p1")
		require.NoError(t, err, rest)
		require.Equal(t, []Link{want}, links, "nobody can pay at the others")
	}
}

// TestAProviderThatAnswersWithAllItHas: what names another purchase is that one's. A payment
// that names none may be of the one that was asked about, and people have to see it; a link
// that names none where others do is none of ours, and nobody is sent there.
func TestAProviderThatAnswersWithAllItHas(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"ok":true,"data":{
			"paymentLinks":[{"id":"l1","url":"https://pay/1","meta":{"purchase":"p1"}},{"id":"l2","url":"https://pay/2","meta":{"purchase":"p2"}},{"id":"l3","url":"https://pay/3"}],
			"payments":[{"id":"x1","meta":{"purchase":"p1"}},{"id":"x2","meta":{"purchase":"p2"}},{"id":"x3"}]}}`)
	}))
	defer server.Close()
	c, err := NewClient(server.URL, testKey, nil)
	require.NoError(t, err)
	for asked, want := range map[string][2][]string{"p1": {{"l1"}, {"x1", "x3"}}, "p2": {{"l2"}, {"x2", "x3"}}, "p3": {nil, {"x3"}}} {
		links, err := c.Links(t.Context(), asked)
		require.NoError(t, err)
		payments, err := c.Payments(t.Context(), asked)
		require.NoError(t, err)
		var got [2][]string
		for _, l := range links {
			got[0] = append(got[0], l.ID)
		}
		for _, p := range payments {
			got[1] = append(got[1], p.ID)
		}
		require.Equal(t, want, got, asked)
	}
}
