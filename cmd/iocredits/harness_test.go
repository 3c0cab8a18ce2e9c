package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"iocredits/eventstore/storetest"
)

// patience bounds every wait of a test; nothing waits that long unless it is broken.
const patience = 2 * time.Minute

// engine is a running `serve`, in this process or in a child's.
type engine struct {
	t    *testing.T
	url  string
	keys devKeys
	log  *storetest.Buffer
	// stop ends it gracefully and gives what Run returned.
	stop func() error
}

// serve runs a dev engine in this process and waits until it is ready.
func serve(t *testing.T, data string, args ...string) *engine {
	t.Helper()
	e := serveArgs(t, append([]string{"serve", "--dev", "--data", data, "--addr", "127.0.0.1:0"}, args...)...)
	e.readKeys(data)
	return e
}

// serveArgs runs any serve in this process.
func serveArgs(t *testing.T, args ...string) *engine {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	out, lines := io.Pipe()
	done := make(chan error, 1)
	log := &storetest.Buffer{}
	go func() {
		m := &Main{Stdout: lines, Stderr: log}
		err := m.Run(ctx, args)
		_ = lines.CloseWithError(errors.Join(io.EOF, err))
		done <- err
	}()
	e := &engine{t: t, log: log}
	e.stop = sync.OnceValue(func() error {
		cancel()
		select {
		case err := <-done:
			return err
		case <-time.After(patience):
			return errors.New("serve doesn't stop")
		}
	})
	t.Cleanup(func() {
		if err := e.stop(); err != nil {
			t.Errorf("serve: %v", err)
		}
		if t.Failed() {
			t.Logf("log of %s:\n%s", e.url, log)
		}
	})
	e.url = waitReady(t, out, log)
	return e
}

// waitReady reads what serve prints until it says that it is ready, and then
// goes on reading so that it never blocks.
func waitReady(t *testing.T, out io.Reader, log interface{ String() string }) string {
	t.Helper()
	found := make(chan string, 1)
	go func() {
		defer close(found)
		scanner := bufio.NewScanner(out)
		for scanner.Scan() {
			if url, ready := strings.CutPrefix(scanner.Text(), readyLine); ready {
				found <- strings.TrimSpace(url)
			}
		}
	}()
	select {
	case url := <-found:
		require.NotEmpty(t, url, "serve ended before it was ready: %s", log)
		return url
	case <-time.After(patience):
		var stacks bytes.Buffer
		_ = pprof.Lookup("goroutine").WriteTo(&stacks, 1)
		t.Fatalf("serve is not ready: %s\n%s", log, &stacks)
		return ""
	}
}

func (e *engine) readKeys(data string) {
	e.t.Helper()
	keys, err := readDevKeys(filepath.Join(data, "dev-keys.json"))
	require.NoError(e.t, err)
	e.keys = keys
}

// answer is an HTTP answer, decoded.
type answer struct {
	Status int
	Header http.Header
	Body   map[string]any
	Text   string
}

// call sends one request; key is "" or an Idempotency-Key, body a JSON text or "".
func (e *engine) call(as, method, path, key, body string) (answer, error) {
	request, err := http.NewRequestWithContext(e.t.Context(), method, e.url+path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	request.Header.Set("X-Api-Key", e.keys[as])
	if key != "" {
		request.Header.Set("Idempotency-Key", key)
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := httpClient.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return answer{}, err
	}
	a := answer{Status: response.StatusCode, Header: response.Header, Text: string(text)}
	if strings.Contains(response.Header.Get("Content-Type"), "json") && !strings.Contains(response.Header.Get("Content-Type"), "ndjson") {
		err = json.Unmarshal(text, &a.Body)
	}
	return a, err
}

// httpClient keeps no connection that a killed engine might leave half dead for long.
var httpClient = &http.Client{Timeout: patience, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}

// must is call for what has to succeed.
func (e *engine) must(as, method, path, key, body string) map[string]any {
	e.t.Helper()
	a, err := e.call(as, method, path, key, body)
	require.NoError(e.t, err)
	require.Equal(e.t, 2, a.Status/100, "%s %s: %d %s", method, path, a.Status, a.Text)
	return a.Body
}

func (e *engine) fund(account, amount string) {
	e.t.Helper()
	e.must("admin", http.MethodPost, "/dev/accounts/"+account+"/purchases", "fund-"+account, `{"amount":"`+amount+`"}`)
}

func (e *engine) balance(account string) string {
	e.t.Helper()
	b := e.must("service", http.MethodGet, "/v1/accounts/"+account+"/balance", "", "")
	text, _ := b["balance"].(string)
	return text
}

// run runs another command of the program to its end.
func run(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, log bytes.Buffer
	err = (&Main{Stdout: &out, Stderr: &log}).Run(t.Context(), args)
	return out.String(), log.String(), err
}
