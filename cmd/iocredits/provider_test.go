package main

import (
	"bytes"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

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
