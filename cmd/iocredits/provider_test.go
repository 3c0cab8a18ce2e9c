package main

import (
	"bytes"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/httpapi/spherepay"
)

// signedBy is a provider that reads webhooks, and how it reads a body that is signed.
func signedBy(log *bytes.Buffer, mock bool) func(body string) (account.ProviderPayment, error) {
	p := &provider{secret: []byte("whsec"), mock: mock, logger: slog.New(slog.NewTextHandler(log, nil))}
	return func(body string) (account.ProviderPayment, error) {
		return p.readWebhook(spherepay.Sign(p.secret, []byte(body)), []byte(body))
	}
}

// TestMockEventsMoveNoMoney, but at the sandbox, which has no others.
func TestMockEventsMoveNoMoney(t *testing.T) {
	const body = `{"id":"event_1","name":"payment.successful","mock":true,"data":{"payment":{"id":"pay_1","status":"succeeded","amount":"20","meta":{"account":"acme","purchase":"x","attempt":"1"}}}}`
	var log bytes.Buffer
	payment, err := signedBy(&log, false)(body)
	require.NoError(t, err, "it is answered, or it would come for ever")
	require.Empty(t, payment.Actions())
	require.Regexp(t, `level=WARN msg="a mock event.*event=event_1 name=payment.successful payment=pay_1`, log.String())

	payment, err = signedBy(&log, true)(body)
	require.NoError(t, err)
	require.Len(t, payment.Actions(), 1)
}

// TestTheFurtherOfNameAndStatusCounts: the provider's page doesn't say that they agree.
func TestTheFurtherOfNameAndStatusCounts(t *testing.T) {
	read := signedBy(new(bytes.Buffer), false)
	for _, row := range []struct {
		name, status string
		want         account.ProviderStatus
	}{
		{"payment.card.refunded", "succeeded", account.ProviderRefunded},
		{"payment.card.refunded", "failed", account.ProviderRefunded},
		{"payment.successful", "confirmed", account.ProviderSucceeded},
		{"payment.successful", "pending", account.ProviderSucceeded},
		{"payment.successful", "failed", account.ProviderFailed},
		{"payment.successful", "refunded", account.ProviderRefunded},
		{"payment.pending", "succeeded", account.ProviderSucceeded},
		{"payment.pending", "confirmed", account.ProviderConfirmed},
		{"payment.incomplete", "pending", account.ProviderPending},
		{"payment.failed", "pending", account.ProviderFailed},
		{"payment.cancelled", "confirmed", account.ProviderFailed},
		{"payment.failed", "succeeded", account.ProviderFailed},
		{"payment.failed", "refunded", account.ProviderRefunded},
		{"payment.cancelled", "refunded", account.ProviderRefunded},
	} {
		p, err := read(`{"name":"` + row.name + `","data":{"payment":{"id":"pay_1","status":"` + row.status + `","amount":"20","meta":{}}}}`)
		require.NoError(t, err)
		require.Equal(t, row.want, p.Status, row)
	}
	p, err := read(`{"name":"payment.card.refunded","data":{"payment":{"id":"pay_1","status":"succeeded","reason":"chargeback","amount":"20"}}}`)
	require.NoError(t, err)
	require.Equal(t, account.ProviderChargedBack, p.Status)
}

// TestASignedPaymentIsNeverRefused: it counts, or people look at it.
func TestASignedPaymentIsNeverRefused(t *testing.T) {
	read := signedBy(new(bytes.Buffer), false)
	for body, want := range map[string]account.RecordPayment{
		`"id":"pay/1=","amount":1.02e1`:          {Payment: "pay/1=", Amount: 10_200_000},
		`"id":"pay_1","amount":"10.2000000"`:     {Payment: "pay_1", Amount: 10_200_000},
		`"id":"pay_1","amount":"1000000000.5"`:   {Payment: "pay_1", Amount: 1_000_000_000_500_000, Odd: account.WhyAmountInvalid, Told: "1000000000.5"},
		`"id":"pay_1","amount":"10.00000001"`:    {Payment: "pay_1", Amount: 10_000_000, Odd: account.WhyAmountInvalid, Told: "10.00000001"},
		`"id":"pay_1","amount":[]`:               {Payment: "pay_1", Odd: account.WhyAmountInvalid, Told: "[]"},
		`"id":"","amount":"10","unknown":"same"`: {Amount: 10_000_000, Odd: account.WhyPaymentUnnamed},
		`"id":"pay_1","amount":"10","amount":11`: {Odd: account.WhyPaymentUnnamed, Told: `["10",11]`},
		`"id":"pay_1","id":"pay","amount":"10"`:  {Amount: 10_000_000, Odd: account.WhyPaymentUnnamed},
		`"id":"pay_1","x":"\ud83d","amount":10`:  {Payment: "pay_1", Amount: 10_000_000},
		`"id":"pay_1","x":1,"x":2,"amount":10`:   {Payment: "pay_1", Amount: 10_000_000},
	} {
		for _, meta := range []string{`{"account":"acme","purchase":"x","attempt":1}`, `{"account":7,"purchase":"x","attempt":null}`, `[]`} {
			payment, err := read(`{"name":"payment.successful","created":1700000000000,"data":{"payment":{"status":"succeeded","meta":` + meta + `,` + body + `}}}`)
			require.NoError(t, err, body)
			actions := payment.Actions()
			require.Len(t, actions, 1, body)
			got := actions[0].(account.RecordPayment)
			if want.Payment == "" {
				require.NotEmpty(t, got.Payment)
				got.Payment = ""
			}
			got.Purchase = ""
			require.Equal(t, want, got, body)
		}
	}
	unnamed, err := read(`{"name":"payment.card.refunded","data":{"payment":{"reason":"chargeback","meta":{"purchase":"x"},"amount":"1"}}}`)
	require.NoError(t, err)
	require.Len(t, unnamed.Actions(), 1, "that it came is not known")
	back := unnamed.Actions()[0].(account.ReversePurchase)
	require.Equal(t, account.ReversePurchase{Purchase: "x", Payment: back.Payment, Kind: account.ReversalChargeback, Amount: 1_000_000, Odd: account.WhyPaymentUnnamed}, back)
	doubtful, err := read(`{"name":"payment.card.refunded","data":{"payment":{"id":"pay_1","amount":"10","amount":"5"}}}`)
	require.NoError(t, err)
	require.Len(t, doubtful.Actions(), 1)
	require.Equal(t, account.WhyPaymentUnnamed, doubtful.Actions()[0].(account.ReversePurchase).Odd, "nothing is taken back on a guess")
	for _, name := range []string{"payment.failed", "payment.cancelled"} {
		doubtful, err = read(`{"name":"` + name + `","data":{"payment":{"id":"pay_1","amount":"10","status":"succeeded","status":"failed","meta":{"account":"acme","purchase":"x"}}}}`)
		require.NoError(t, err)
		require.Len(t, doubtful.Actions(), 1)
		require.Equal(t, account.WhyPaymentUnnamed, doubtful.Actions()[0].(account.RecordPayment).Odd, "no purchase ends on a guess")
	}

	for _, body := range []string{"payment", "[]", ""} {
		_, err := read(body)
		require.True(t, domain.IsCode(err, domain.CodeBodyInvalid), "%s: %v", body, err)
	}
	_, err = (&provider{secret: []byte("whsec")}).readWebhook("", []byte(`{}`))
	require.True(t, domain.IsCode(err, domain.CodeUnauthenticated))
}
