package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"iocredits/domain"
	"iocredits/httpapi/client"
)

// api is an engine, through its generated client, with a key.
type api struct{ *client.ClientWithResponses }

// apiTimeout bounds one request of a tool.
const apiTimeout = 2 * time.Minute

func newAPI(address, key string) (*api, error) {
	if u, err := url.Parse(address); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, usagef("--url %q is not the address of an engine, such as http://127.0.0.1:8080", address)
	}
	generated, err := client.NewClientWithResponses(address,
		client.WithHTTPClient(&http.Client{Timeout: apiTimeout, Transport: &http.Transport{MaxIdleConnsPerHost: maxConnections}}),
		client.WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
			r.Header.Set("X-Api-Key", key)
			return nil
		}))
	if err != nil {
		return nil, usagef("--url %s: %w", address, err)
	}
	return &api{generated}, nil
}

// deductBatch sends lines as one request and gives one answer a line. An engine
// that takes no request at all now refuses each line with the same code.
func (a *api) deductBatch(ctx context.Context, lines []client.BatchLine) ([]client.BatchAnswer, error) {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	for _, line := range lines {
		if err := encoder.Encode(line); err != nil {
			return nil, fmt.Errorf("encode line: %w", err)
		}
	}
	response, err := a.DeductBatchWithBodyWithResponse(ctx, "application/x-ndjson", &body)
	if err != nil {
		return nil, fmt.Errorf("send batch: %w", err)
	}
	answers := make([]client.BatchAnswer, len(lines))
	if refused := response.ApplicationproblemJSON503; refused != nil {
		for i := range answers {
			answers[i] = client.BatchAnswer{Key: lines[i].Key, Status: response.StatusCode(), Code: &refused.Code}
		}
		return answers, nil
	}
	if response.StatusCode() != http.StatusOK {
		return nil, fmt.Errorf("batch: status %d: %s", response.StatusCode(), problemOf(response.Body))
	}
	decoder := json.NewDecoder(bytes.NewReader(response.Body))
	for i := range answers {
		if err := decoder.Decode(&answers[i]); err != nil {
			return nil, fmt.Errorf("answer %d of %d: %w", i+1, len(lines), err)
		}
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("more answers than the %d lines that were sent", len(lines))
	}
	return answers, nil
}

// charged adds up what an account's history took for a reference. The history
// reaches position, or the engine is asked again until it does.
func (a *api) charged(ctx context.Context, account, reference string, position client.Position) (domain.Amount, error) {
	const most = 1000
	params := client.ListTransactionsParams{Reference: &reference, Limit: new(most), MinPosition: &position}
	var total domain.Amount
	for {
		page, err := a.transactions(ctx, account, &params)
		if err != nil {
			return 0, err
		}
		for _, item := range page.Items {
			amount, err := domain.ParseSignedAmount("amount", item.Amount)
			if err != nil {
				return 0, fmt.Errorf("transaction %s: %w", item.TransactionId, err)
			}
			total -= amount
		}
		if page.NextCursor == nil {
			return total, nil
		}
		params.Cursor = page.NextCursor
	}
}

// transactions gives one page.
func (a *api) transactions(ctx context.Context, account string, params *client.ListTransactionsParams) (*client.TransactionList, error) {
	for try := 1; ; try++ {
		response, err := a.ListTransactionsWithResponse(ctx, account, params)
		switch {
		case err != nil:
			return nil, fmt.Errorf("read history: %w", err)
		case response.JSON200 != nil:
			return response.JSON200, nil
		case response.ApplicationproblemJSON503 == nil || try == maxTries:
			return nil, fmt.Errorf("history of %s: status %d: %s", account, response.StatusCode(), problemOf(response.Body))
		}
		if err := pause(ctx, firstPause<<try); err != nil {
			return nil, err
		}
	}
}
