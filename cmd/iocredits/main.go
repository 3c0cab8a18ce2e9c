// Command iocredits is the engine and its tools in one binary. It wires the
// packages together and knows no rule of money itself.
package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"iocredits/cmd/iocredits/bench"
)

// gcPercent lets the heap grow to three times what is live before it is collected:
// an engine's live heap is small and its garbage is not. GOGC overrides it.
const gcPercent = 200

// diskThreads is how many processors an engine is given beyond the machine's: for the
// thread that syncs the log and the one that writes tables. Go leaves a thread that
// waits in a system call its processor until it notices, which takes as long as much
// of a sync, and what could run meanwhile waits. GOMAXPROCS overrides it.
const diskThreads = 2

func main() {
	useHugePages(os.Args[1:])
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal doesn't wait for what is being finished
	m := &Main{Stdout: os.Stdout, Stderr: os.Stderr, Alone: true}
	err := m.Run(ctx, os.Args[1:])
	stop()
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "iocredits:", oneLine(err))
	os.Exit(exitCode(err))
}

// Main is the program with its streams. Tests run it in their own process;
// several may run at once, each on its own data directory.
type Main struct {
	Stdout, Stderr io.Writer
	// Alone: the process is the program's, which says how Go runs it.
	Alone bool
}

// addProcessors gives a program that has its process alone what diskThreads says.
func (m *Main) addProcessors() {
	if m.Alone && os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + diskThreads)
	}
}

// warnings is the log of a tool: what goes wrong, and nothing else.
func (m *Main) warnings() *slog.Logger {
	return slog.New(slog.NewTextHandler(m.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

// cli is every command and flag. Names and defaults are public: README has the
// table, and a test holds it to this struct.
type cli struct {
	ShowVersion kong.VersionFlag `name:"version" help:"Print the version, as the command does." env:"-"`
	Config      string           `help:"YAML file with settings: IOCREDITS_LOG_LEVEL of the environment is log-level in it." placeholder:"FILE"`

	Serve      serveCmd      `cmd:"" help:"Run the engine and its HTTP API."`
	Keys       keysCmd       `cmd:"" help:"Manage API keys."`
	Load       loadCmd       `cmd:"" help:"Charge an account for a trace of LLM requests, through the API."`
	Explain    explainCmd    `cmd:"" help:"Print all that led to a charge and followed from it."`
	Rebuild    rebuildCmd    `cmd:"" help:"Rebuild the read models from the log; the engine must be stopped."`
	Eventstore eventstoreCmd `cmd:"" help:"Serve the log alone by the EventStoreDB protocol: a small stand-in for a cluster."`
	Scavenge   scavengeCmd   `cmd:"" help:"Erase for good what metadata hides in an eventstore's log, replaced keys first of all; it must be stopped."`
	Copy       copyCmd       `cmd:"" help:"Copy the log and its keyring to a cluster; the engine must be stopped."`

	Verify        verifyCmd        `cmd:"" help:"Check the whole log, its read models and its signed checkpoints."`
	Diff          diffCmd          `cmd:"" help:"Fold one account afresh and compare it with the read models."`
	Replay        replayCmd        `cmd:"" help:"Print each event of an account and the account after it."`
	Export        exportCmd        `cmd:"" help:"Write the double-entry journal, for hledger or as data."`
	Receipt       receiptCmd       `cmd:"" help:"Write the proof that an event is in the signed log."`
	VerifyReceipt verifyReceiptCmd `cmd:"" help:"Check a receipt with nothing else than the public key."`
	Forget        forgetCmd        `cmd:"" help:"Erase an account's free text by destroying its key."`

	Version versionCmd `cmd:"" help:"Print the version."`

	Bench      benchCmd      `cmd:"" help:"Measure the engine on this machine."`
	BenchEmpty benchEmptyCmd `cmd:"" hidden:"" help:"The yardstick that bench starts."`
}

// exited is how kong leaves after --help, instead of ending the process.
type exited struct{}

// Run parses args and runs the command until it is done or ctx ends.
func (m *Main) Run(ctx context.Context, args []string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			if _, ok := p.(exited); !ok {
				panic(p)
			}
			err = nil
		}
	}()
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parser, err := newParser(m)
	if err != nil {
		return fmt.Errorf("build command line: %w", err)
	}
	parsed, err := parser.Parse(args)
	if err != nil {
		return &usageError{err}
	}
	parsed.BindTo(ctx, (*context.Context)(nil))
	return parsed.Run(m)
}

// envPrefix begins every name in the environment.
const envPrefix = "IOCREDITS"

func newParser(m *Main) (*kong.Kong, error) {
	return kong.New(&cli{},
		kong.Name("iocredits"),
		kong.Description("An accounting engine for prepaid compute credits."),
		kong.Writers(m.Stdout, m.Stderr),
		kong.Exit(func(int) { panic(exited{}) }),
		kong.DefaultEnvars(envPrefix),
		kong.Vars{"version": versionLine(), "scenarios": strings.Join(bench.Names(), ", ")},
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.ValueFormatter(helpText),
		kong.Help(printHelp),
	)
}

// oneLine keeps an error to what fits a terminal and a log.
func oneLine(err error) string {
	return strings.Join(strings.Fields(err.Error()), " ")
}
