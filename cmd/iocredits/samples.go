package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Samples are requests to the API, in a file that people can read, and a trace
// that is charged to sampleTraceAccount. Their idempotency keys are fixed: who
// loads them twice adds nothing.
const (
	sampleSteps        = "demo.yaml"
	sampleTrace        = "llm-trace.csv"
	sampleTraceAccount = "demo-2"
)

// sampleStep is one request.
type sampleStep struct {
	// Name lets later steps say ${name} for the transaction that this one made.
	Name string `yaml:"name"`
	// As is the dev key to use.
	As   string         `yaml:"as"`
	Post string         `yaml:"post"`
	Key  string         `yaml:"key"`
	Body map[string]any `yaml:"body"`
}

// loadSamples puts the samples of dir into the engine at url.
func loadSamples(ctx context.Context, dir, url string, keys devKeys) error {
	steps, err := readSteps(filepath.Join(dir, sampleSteps))
	if err != nil {
		return err
	}
	var made []string
	for i, step := range steps {
		id, err := step.send(ctx, url, keys[step.As], strings.NewReplacer(made...))
		if err != nil {
			return fmt.Errorf("sample step %d, %s: %w", i+1, step.Post, err)
		}
		if step.Name != "" {
			made = append(made, "${"+step.Name+"}", id)
		}
	}
	return loadSampleTrace(ctx, filepath.Join(dir, sampleTrace), url, keys["service"])
}

func readSteps(path string) ([]sampleStep, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("samples: %w", err)
	}
	defer func() { _ = f.Close() }()
	decoder := yaml.NewDecoder(f)
	decoder.KnownFields(true)
	var steps []sampleStep
	if err := decoder.Decode(&steps); err != nil {
		return nil, fmt.Errorf("samples %s: %w", path, err)
	}
	return steps, nil
}

// send gives the id of the first transaction that the step made, now or when it
// was sent before.
func (s sampleStep) send(ctx context.Context, url, key string, ids *strings.Replacer) (string, error) {
	body, err := json.Marshal(s.Body)
	if err != nil {
		return "", fmt.Errorf("encode body: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url+s.Post, strings.NewReader(ids.Replace(string(body))))
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-Api-Key", key)
	request.Header.Set("Idempotency-Key", s.Key)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return "", err
	}
	if response.StatusCode/100 != 2 {
		return "", errors.New(problemOf(answer))
	}
	var done struct {
		Transactions []struct {
			ID string `json:"transaction_id"`
		} `json:"transactions"`
	}
	if err := json.NewDecoder(bytes.NewReader(answer)).Decode(&done); err != nil {
		return "", fmt.Errorf("decode answer: %w", err)
	}
	if len(done.Transactions) == 0 {
		return "", nil
	}
	return done.Transactions[0].ID, nil
}

// problemOf makes one line of an RFC 9457 answer.
func problemOf(body []byte) string {
	var p struct{ Code, Detail string }
	if json.Unmarshal(body, &p) == nil && p.Code != "" {
		return p.Code + ": " + p.Detail
	}
	const most = 200
	return string(body[:min(len(body), most)])
}

func loadSampleTrace(ctx context.Context, path, url, key string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("samples: %w", err)
	}
	defer func() { _ = f.Close() }()
	t, err := readTrace(f)
	if err != nil {
		return fmt.Errorf("samples %s: %w", path, err)
	}
	l, err := newLoader(t, prices{"0.13", "0.38"}, sampleTraceAccount)
	if err != nil {
		return err
	}
	if l.api, err = newAPI(url, key); err != nil {
		return err
	}
	return l.send(ctx, func(int) {})
}
