package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"iocredits/domain"
	"iocredits/eventstore/keyring"
	"iocredits/httpapi"
)

// The control socket is for tools on this machine that act with the rights of
// whoever owns the data directory: the mode of the directory is the only key.
// A request and its answer are a line of JSON each.
//
//	copy        makes a copy of log, read models and checkpoints, of hard links; it lasts
//	            until the connection ends, or as long as the tool holds it, see heldCopy
//	copy-views  the same without the log, which is on a cluster
//	forget      destroys an account's key, as `iocredits forget` does without engine
//	look-forget only says what of that would be refused; a request of its own, because an
//	            engine of an older version would take no notice of a word more
type controlRequest struct {
	Do      string `json:"do"`
	Account string `json:"account,omitempty"`
	Reason  string `json:"reason,omitempty"`
	Force   bool   `json:"force,omitempty"`
}

type controlAnswer struct {
	Dir       string    `json:"dir,omitempty"`
	Forgotten forgotten `json:"forgotten,omitzero"`
	Code      string    `json:"code,omitempty"`
	Error     string    `json:"error,omitempty"`
}

// control answers tools.
type control struct {
	dir      dataDir
	services *services
	forget   func(ctx context.Context, account string, wish httpapi.Wish) (forgotten, error)
	logger   *slog.Logger
}

// listen opens the socket; nil if it can't, as where the path is too long for one: then tools
// can't reach the running engine, which goes on.
func (c *control) listen(ctx context.Context) net.Listener {
	if err := removeIfThere(c.dir.control()); err != nil {
		c.logger.Warn("the socket of an earlier engine stays", "error", err)
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "unix", c.dir.control())
	if err != nil {
		c.logger.Warn("tools can't read this data directory while the engine runs", "error", err)
		return nil
	}
	return listener
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// run answers until ctx ends. What earlier tools left it removes first: a copy that is
// about to be given is held by nobody.
func (c *control) run(ctx context.Context, listener net.Listener) {
	if err := removeAllUnheld(c.dir.copies()); err != nil {
		c.logger.Warn("copies that tools left stay", "error", err)
	}
	if listener != nil {
		c.accept(ctx, listener)
	}
}

// acceptPause is how long a listener that failed is left alone, as when too many files are open.
const acceptPause = time.Second

// accept serves whoever comes until ctx ends. A listener that fails doesn't end it: whoever
// comes later would wait for an answer in vain.
func (c *control) accept(ctx context.Context, listener net.Listener) {
	var open sync.WaitGroup
	defer open.Wait()
	defer func() { _ = listener.Close() }()
	defer context.AfterFunc(ctx, func() { _ = listener.Close() })()
	for {
		conn, err := listener.Accept()
		switch {
		case err == nil:
			open.Go(func() { c.answer(ctx, conn) })
		case ctx.Err() != nil:
			return
		default:
			c.logger.Warn("tools have to wait: the control socket takes no calls", "error", err)
			_ = pause(ctx, acceptPause) // once ctx ends, the listener is closed
		}
	}
}

// answer serves one connection, and closes it.
func (c *control) answer(ctx context.Context, conn net.Conn) {
	defer func() { _ = conn.Close() }()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	if err := c.serve(ctx, conn); err != nil && ctx.Err() == nil {
		c.logger.Warn("control socket", "error", err)
	}
}

func (c *control) serve(ctx context.Context, conn net.Conn) error {
	in := bufio.NewReader(conn)
	line, err := in.ReadBytes('\n')
	if err != nil {
		return nil //nolint:nilerr // somebody looked whether an engine is here
	}
	var request controlRequest
	if err := json.Unmarshal(line, &request); err != nil {
		return json.NewEncoder(conn).Encode(controlAnswer{Error: err.Error()})
	}
	switch request.Do {
	case "copy", "copy-views":
		return c.lend(conn, in, request.Do == "copy")
	case "forget", "look-forget":
		wish := httpapi.Wish{Reason: request.Reason, Force: request.Force, Look: request.Do == "look-forget"}
		done, err := c.forget(ctx, request.Account, wish)
		return json.NewEncoder(conn).Encode(answerOf(done, err))
	}
	return json.NewEncoder(conn).Encode(controlAnswer{Error: "unknown request " + strconv.Quote(request.Do)})
}

// lend makes a copy, and removes it when the connection ends, unless it is held.
func (c *control) lend(conn net.Conn, in io.Reader, withLog bool) (err error) {
	dir, err := newCopy(c.dir.copies())
	if dir != "" {
		defer func() { err = errors.Join(err, removeUnheld(dir)) }()
	}
	if err == nil {
		err = c.copy(dataDir(dir), withLog)
	}
	answer := controlAnswer{Dir: dir}
	if err != nil {
		answer = controlAnswer{Error: err.Error()}
	}
	if err := json.NewEncoder(conn).Encode(answer); err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, in) // ends with the connection
	return nil
}

func answerOf(done forgotten, err error) controlAnswer {
	if refusal, ok := domain.AsError(err); ok {
		return controlAnswer{Code: string(refusal.Code), Error: refusal.Detail}
	}
	if err != nil {
		return controlAnswer{Error: err.Error()}
	}
	return controlAnswer{Forgotten: done}
}

// copy takes what follows before what it follows: checkpoints, then read models, then
// the log. So nothing is signed, or shown, that the copied log doesn't have.
func (c *control) copy(to dataDir, withLog bool) error {
	if err := os.MkdirAll(to.checkpoints(), 0o700); err != nil {
		return err
	}
	if err := copyFiles(c.dir.checkpoints(), to.checkpoints()); err != nil {
		return fmt.Errorf("copy checkpoints: %w", err)
	}
	if err := c.services.views.Copy(to.views()); err != nil {
		return err
	}
	if !withLog {
		return nil
	}
	embedded, ok := c.services.log.store.(interface{ Checkpoint(dir string) error })
	if !ok {
		return errors.New("the log is on a cluster: use --eventstore")
	}
	return embedded.Checkpoint(to.log())
}

// copyFiles copies files that only grow, as far as they are at the call: those of a
// long life are large. No folder, no files.
func copyFiles(from, to string) error {
	entries, err := os.ReadDir(from)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := copyFile(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, privateMode)
	if err != nil {
		return err
	}
	_, err = io.CopyN(out, in, info.Size())
	return errors.Join(err, out.Close())
}

// errNoEngine: nobody answers in this data directory.
var errNoEngine = errors.New("no engine runs in this data directory")

// engineTimeout is far more than a copy of hard links takes, or to forget. Who waits
// longer waits for an engine that hangs, or that somebody has stopped.
const engineTimeout = time.Minute

// askEngine sends a request to the engine that runs in dir. A copy that it answers with lasts
// as long as the connection does, or longer if it is held. Error: errNoEngine.
func askEngine(ctx context.Context, dir dataDir, request controlRequest) (controlAnswer, net.Conn, error) {
	return askEngineWithin(ctx, engineTimeout, dir, request)
}

func askEngineWithin(ctx context.Context, limit time.Duration, dir dataDir, request controlRequest) (controlAnswer, net.Conn, error) {
	dialer := net.Dialer{Timeout: limit}
	conn, err := dialer.DialContext(ctx, "unix", dir.control())
	if err != nil {
		return controlAnswer{}, nil, errNoEngine
	}
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	var answer controlAnswer
	err = conn.SetDeadline(time.Now().Add(limit))
	if err == nil {
		err = json.NewEncoder(conn).Encode(request)
	}
	if err == nil {
		err = json.NewDecoder(conn).Decode(&answer)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = fmt.Errorf("the engine that runs in %s didn't answer within %s: see whether it hangs, or end it and try again", dir, limit)
		return controlAnswer{}, nil, errors.Join(err, conn.Close())
	}
	if err == nil {
		err = conn.SetDeadline(time.Time{}) // a tool may read for hours
	}
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
		err = errors.New("the engine ended before it had answered: run this again")
	case err != nil:
		err = fmt.Errorf("ask the engine: %w", err)
	case answer.Code != "":
		err = domain.Refuse(domain.Code(answer.Code), "%s", answer.Error)
	case answer.Error != "":
		err = fmt.Errorf("the engine: %s", answer.Error)
	}
	if err != nil {
		return controlAnswer{}, nil, errors.Join(err, conn.Close())
	}
	return answer, conn, nil
}

// newControl wires the socket of an engine.
func newControl(dir dataDir, s *services, sealer *keyring.Sealer, logger *slog.Logger) *control {
	f := forgetter{httpapi.Forgetter{Store: s.log.store, Ledger: s.ledger, Sealer: sealer}}
	return &control{dir: dir, services: s, logger: logger, forget: f.forget}
}
