package main

import (
	"context"
	"fmt"
	"net/http"

	"github.com/google/uuid"

	"iocredits/domain"
	"iocredits/httpapi/client"
)

// explainCmd asks the engine, so that a person reads what the API answers.
type explainCmd struct {
	Account     string `arg:"" help:"Account of the transaction."`
	Transaction string `arg:"" help:"Its id, as in the history."`
	URL         string `help:"Engine to ask." default:"http://127.0.0.1:8080"`
	Key         string `help:"API key of role support, auditor or service, or the account's customer; without it the one in --dev-keys is used." env:"IOCREDITS_API_KEY" placeholder:"KEY"`
	DevKeys     string `help:"dev-keys.json of an engine that runs with --dev." default:".data/dev-keys.json" placeholder:"FILE"`
	JSON        bool   `help:"Print JSON instead of text." name:"json"`
}

func (c *explainCmd) check() error {
	if err := domain.CheckID("account", c.Account); err != nil {
		return &usageError{err}
	}
	if _, err := uuid.Parse(c.Transaction); err != nil {
		return usagef("transaction %q is no id of one", c.Transaction)
	}
	key, err := givenOrDevKey(c.Key, c.DevKeys, "support")
	c.Key = key
	return err
}

// Run prints all that led to a charge and followed from it.
func (c *explainCmd) Run(ctx context.Context, m *Main) error {
	if err := c.check(); err != nil {
		return err
	}
	engine, err := newAPI(c.URL, c.Key)
	if err != nil {
		return err
	}
	kind := "text/plain"
	if c.JSON {
		kind = "application/json"
	}
	response, err := engine.ExplainTransactionWithResponse(ctx, c.Account, c.Transaction, &client.ExplainTransactionParams{},
		func(_ context.Context, r *http.Request) error {
			r.Header.Set("Accept", kind)
			return nil
		})
	if err != nil {
		return fmt.Errorf("ask %s: %w", c.URL, err)
	}
	if response.StatusCode() != http.StatusOK {
		return fmt.Errorf("status %d: %s", response.StatusCode(), problemOf(response.Body))
	}
	_, err = m.Stdout.Write(response.Body)
	return err
}
