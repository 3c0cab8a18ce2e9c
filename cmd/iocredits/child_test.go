package main

import (
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"iocredits/eventstore/storetest"
)

// asChild makes the test binary the program itself, for tests that need a
// process of its own.
const asChild = "IOCREDITS_TEST_AS_CHILD"

// Tests that wait for processes, leases or pauses more than they compute call t.Parallel:
// what one waits for, another uses.
func TestMain(m *testing.M) {
	if os.Getenv(asChild) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// program prepares this binary to run as the program.
func program(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	binary, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(binary, args...)
	cmd.Env = append(os.Environ(), asChild+"=1")
	return cmd
}

// child is an engine in a process of its own.
type child struct {
	*engine
	cmd *exec.Cmd
}

// serveChild starts serve in a process of its own and waits until it is ready.
func serveChild(t *testing.T, data string, args ...string) *child {
	t.Helper()
	cmd := program(t, append([]string{"serve", "--dev", "--data", data, "--addr", "127.0.0.1:0"}, args...)...)
	log := &storetest.Buffer{}
	cmd.Stderr = log
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	c := &child{cmd: cmd, engine: &engine{t: t}}
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			c.kill()
		}
		if t.Failed() {
			t.Logf("log of the child:\n%s", log)
		}
	})
	c.url = waitReady(t, out, log)
	c.readKeys(data)
	c.stop = func() error {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			return err
		}
		timer := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
		defer timer.Stop()
		return cmd.Wait()
	}
	return c
}

// kill is kill -9.
func (c *child) kill() {
	_ = c.cmd.Process.Kill()
	_ = c.cmd.Wait() // "signal: killed"
}
