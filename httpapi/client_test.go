package httpapi_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"iocredits/httpapi/client"
)

// The generated client goes through a purchase, a deduction and its refusal.
func TestClient(t *testing.T) {
	r := newRig(t, nil)
	as := func(key string) client.RequestEditorFn {
		return func(_ context.Context, request *http.Request) error {
			request.Header.Set("X-Api-Key", key)
			return nil
		}
	}
	c, err := client.NewClientWithResponses(r.http.URL)
	require.NoError(t, err)
	bought, err := c.RecordDevPurchaseWithResponse(t.Context(), "demo-1", nil, client.DevPurchaseRequest{Amount: "10"}, as("admin"))
	require.NoError(t, err)
	require.Equal(t, "10", bought.JSON201.Balance.Balance)

	text := "three hours"
	spent, err := c.DeductWithResponse(t.Context(), "demo-1", &client.DeductParams{IdempotencyKey: "k"},
		client.DeductionRequest{Amount: "2.5", Service: client.ServiceVm, Description: &text}, as("service"))
	require.NoError(t, err)
	require.Equal(t, "2.5", spent.JSON201.Deduction.Amount)
	require.Equal(t, text, spent.JSON201.Transactions[0].Description)

	short, err := c.DeductWithResponse(t.Context(), "demo-1", &client.DeductParams{IdempotencyKey: "l"},
		client.DeductionRequest{Amount: "100", Service: client.ServiceVm}, as("service"))
	require.NoError(t, err)
	require.Equal(t, "insufficient-credits", short.ApplicationproblemJSON402.Code)
	require.Equal(t, "82.5", *short.ApplicationproblemJSON402.Shortfall)
}
