package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// postgres is a PostgreSQL server of its own in a temporary folder, reached through a
// Unix socket.
type postgres struct {
	run *run
	// bin has its programs; dir its data, its socket and pgbench's logs.
	bin, dir string
	// owner runs all of it, if this process is root's: PostgreSQL refuses root.
	owner *syscall.Credential
	// round makes keys of one pgbench unlike another's; entries should be there.
	round, entries int
}

// ErrNoPostgres: its programs are neither in PATH nor where Debian has them.
var ErrNoPostgres = errors.New("PostgreSQL's programs initdb, pg_ctl, psql and pgbench were not found (Debian: apt-get install postgresql)")

// postgresSettings is what a server that is used for this alone is given. Everything
// that durability needs stays as it is: fsync, full_page_writes, synchronous_commit.
const postgresSettings = "-c listen_addresses= -c max_connections=300 -c shared_buffers=1GB -c max_wal_size=8GB -c wal_buffers=64MB"

// The tables are the least that a ledger has: what an account has, never below zero,
// and entries with the balance after each, no key twice. Half of each page is left
// free so that an update of a balance touches no index.
const postgresTables = `
CREATE TABLE accounts (id text PRIMARY KEY, balance numeric NOT NULL CHECK (balance >= 0)) WITH (fillfactor = 50);
CREATE TABLE entries (account text NOT NULL, key text NOT NULL, amount numeric NOT NULL, balance numeric NOT NULL,
	at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (account, key));
INSERT INTO accounts SELECT 'bench-' || n, 1000000 FROM generate_series(0, %d - 1) n;
VACUUM ANALYZE;
CHECKPOINT;
`

// Each is one statement, a transaction of its own: one way there and back.
const (
	postgresSingle = `\set n :n + 1
\set account (:client_id * 7919 + :n * 104729) % :accounts
WITH spent AS (
	UPDATE accounts SET balance = balance - 0.000001
	WHERE id = 'bench-' || :account AND balance >= 0.000001 RETURNING id, balance)
INSERT INTO entries (account, key, amount, balance)
SELECT id, :round || '-' || :client_id || '-' || :n, 0.000001, balance FROM spent;
`
	// The accounts of a batch are locked in one order: two batches never wait for each other.
	postgresBatch = `\set n :n + 1
WITH lines AS MATERIALIZED (
	SELECT line, 'bench-' || (:client_id::bigint * 7919 + :n::bigint * 104729 + line::bigint * 15485863) % :accounts::bigint AS account
	FROM generate_series(1, :lines::int) line),
sums AS (SELECT account, count(*) * 0.000001 AS amount FROM lines GROUP BY account),
locked AS MATERIALIZED (
	SELECT a.id, s.amount FROM accounts a JOIN sums s ON s.account = a.id ORDER BY a.id FOR UPDATE OF a),
spent AS (
	UPDATE accounts a SET balance = a.balance - l.amount FROM locked l
	WHERE a.id = l.id AND a.balance >= l.amount RETURNING a.id, a.balance)
INSERT INTO entries (account, key, amount, balance)
SELECT s.id, :round || '-' || :client_id || '-' || :n || '-' || line, 0.000001, s.balance FROM lines JOIN spent s ON s.id = account;
`
)

// startPostgres makes a database with the accounts. Error: ErrNoPostgres.
func (r *run) startPostgres(ctx context.Context) (*postgres, error) {
	bin, err := PostgresPrograms()
	if err != nil {
		return nil, err
	}
	p := &postgres{run: r, bin: bin}
	if p.owner, err = unprivileged(); err != nil {
		return nil, err
	}
	// Beside r.Dir, on the same disk, and not in it: that is for this user alone.
	if p.dir, err = os.MkdirTemp(filepath.Dir(r.Dir), "iocredits-postgres-"); err != nil {
		return nil, fmt.Errorf("folder for PostgreSQL: %w", err)
	}
	if p.owner != nil {
		err = os.Chown(p.dir, int(p.owner.Uid), int(p.owner.Gid))
	}
	if err == nil {
		err = p.open(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start PostgreSQL in %s, which its user must be able to enter: %w", p.dir, err), p.close())
	}
	return p, nil
}

func (p *postgres) open(ctx context.Context) error {
	if _, err := p.call(ctx, "", "initdb", "-D", "data", "-U", "bench", "-A", "trust", "-E", "UTF8", "--locale=C"); err != nil {
		return err
	}
	if _, err := p.call(ctx, "", "pg_ctl", "-D", "data", "-l", "log", "-w", "-o", "-k "+p.dir+" "+postgresSettings, "start"); err != nil {
		return err
	}
	_, err := p.call(ctx, fmt.Sprintf(postgresTables, p.run.Accounts), "psql", p.connect("-v", "ON_ERROR_STOP=1", "-q")...)
	return err
}

// close stops the server, if it runs, and removes its folder.
func (p *postgres) close() error {
	var err error
	if _, missing := os.Stat(filepath.Join(p.dir, "data", "postmaster.pid")); missing == nil {
		_, err = p.call(context.Background(), "", "pg_ctl", "-D", "data", "-m", "fast", "-w", "stop")
	}
	return errors.Join(err, os.RemoveAll(p.dir))
}

// PostgresPrograms finds the folder that has them all, of the newest version where
// there are several. Error: ErrNoPostgres.
func PostgresPrograms() (string, error) {
	debian, _ := filepath.Glob("/usr/lib/postgresql/*/bin") // the pattern is good
	slices.SortFunc(debian, func(a, b string) int {
		version := func(bin string) int { return int(number(filepath.Base(filepath.Dir(bin)))) }
		return version(b) - version(a)
	})
	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), debian...) {
		if !slices.ContainsFunc([]string{"initdb", "pg_ctl", "psql", "pgbench"}, func(program string) bool {
			_, err := os.Stat(filepath.Join(dir, program))
			return err != nil
		}) {
			return dir, nil
		}
	}
	return "", ErrNoPostgres
}

// unprivileged is whom root runs PostgreSQL as; nil for anybody else.
func unprivileged() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil //nolint:nilnil // there is no other user, and that is no error
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		u, err = user.Lookup("nobody")
	}
	if err != nil {
		return nil, fmt.Errorf("a user to run PostgreSQL as: %w", err)
	}
	return &syscall.Credential{Uid: uint32(number(u.Uid)), Gid: uint32(number(u.Gid))}, nil //nolint:gosec // ids of this system
}

func (p *postgres) command(ctx context.Context, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(p.bin, program), args...)
	cmd.Dir = p.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.owner}
	return cmd
}

// call runs a program to its end and gives what it printed.
func (p *postgres) call(ctx context.Context, input, program string, args ...string) (string, error) {
	cmd := p.command(ctx, program, args...)
	cmd.Stdin = strings.NewReader(input)
	// Files and not pipes: the server that pg_ctl starts keeps them open.
	out, err := os.CreateTemp(p.dir, program)
	if err != nil {
		return "", fmt.Errorf("output of %s: %w", program, err)
	}
	defer func() { _ = out.Close() }()
	cmd.Stdout, cmd.Stderr = out, out
	ran := cmd.Run()
	text, err := os.ReadFile(out.Name())
	if ran != nil {
		return "", fmt.Errorf("%s: %w: %s", program, ran, bytes.TrimSpace(text))
	}
	if err != nil {
		return "", fmt.Errorf("output of %s: %w", program, err)
	}
	return string(text), nil
}

func (p *postgres) connect(args ...string) []string {
	return append([]string{"-h", p.dir, "-U", "bench", "-d", "postgres"}, args...)
}

// pgbench is one load of transactions that have `lines` entries each.
type pgbench struct {
	script                       string
	connections, accounts, lines int
}

// measure runs a load as often as Options say, after a warm-up, and checks the money.
func (p *postgres) measure(ctx context.Context, f Figure, load pgbench) error {
	p.run.say("%s", f.Scenario)
	var samples []*sample
	for n := range p.run.Runs + 1 {
		length := p.run.Duration
		if n == 0 {
			length = time.Second
		}
		s, err := p.once(ctx, load, length)
		if err == nil {
			err = p.verify(ctx)
		}
		if err == nil { // nothing is left to be written while the engine is measured
			_, err = p.call(ctx, "CHECKPOINT", "psql", p.connect("-q")...)
		}
		if err != nil {
			return fmt.Errorf("PostgreSQL: %s: %w", f.Name, err)
		}
		if n > 0 {
			samples = append(samples, s)
		}
	}
	p.run.add(summarize(f, samples))
	return nil
}

var (
	transactionsDone = regexp.MustCompile(`number of transactions actually processed: (\d+)`)
	transactionsRate = regexp.MustCompile(`tps = ([0-9.]+) `)
)

// once runs pgbench, for a second at least.
func (p *postgres) once(ctx context.Context, load pgbench, length time.Duration) (*sample, error) {
	p.round++
	script := filepath.Join(p.dir, "script.sql")
	if err := os.WriteFile(script, []byte(load.script), 0o644); err != nil { //nolint:gosec // for whom PostgreSQL runs as
		return nil, fmt.Errorf("script of pgbench: %w", err)
	}
	logs := fmt.Sprintf("round-%d", p.round)
	cpu, start := p.serverCPU(), childrenCPU()
	out, err := p.call(ctx, "", "pgbench", p.connect("-n", "-M", "prepared", "-f", script, "-c", strconv.Itoa(load.connections), "-j", "1",
		"-T", strconv.Itoa(max(1, int(length.Seconds()))), "-l", "--log-prefix", logs, "-D", "n=0", "-D", "round="+strconv.Itoa(p.round),
		"-D", "accounts="+strconv.Itoa(load.accounts), "-D", "lines="+strconv.Itoa(load.lines))...)
	if err != nil {
		return nil, err
	}
	done, rate := transactionsDone.FindStringSubmatch(out), transactionsRate.FindStringSubmatch(out)
	if done == nil || rate == nil {
		return nil, fmt.Errorf("pgbench printed no rate: %s", out)
	}
	perSecond, err := strconv.ParseFloat(rate[1], 64)
	if err != nil || perSecond == 0 {
		return nil, fmt.Errorf("pgbench printed the rate %q", rate[1])
	}
	transactions := number(done[1])
	s := &sample{
		units: int(transactions) * load.lines, took: time.Duration(float64(transactions) / perSecond * float64(time.Second)),
		server: p.serverCPU() - cpu, client: childrenCPU() - start,
	}
	p.entries += s.units
	return s, p.latencies(s, logs)
}

// latencies reads and removes pgbench's logs: of each transaction the client, its
// number, and the microseconds that it took.
func (p *postgres) latencies(s *sample, prefix string) error {
	files, _ := filepath.Glob(filepath.Join(p.dir, prefix+".*")) // the pattern is good
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			return fmt.Errorf("log of pgbench: %w", err)
		}
		for line := range strings.Lines(string(text)) {
			if fields := strings.Fields(line); len(fields) > 2 {
				s.latencies.add(time.Duration(number(fields[2])) * time.Microsecond)
			}
		}
		if err := os.Remove(name); err != nil {
			return fmt.Errorf("log of pgbench: %w", err)
		}
	}
	return nil
}

// verify holds what is in the tables against what pgbench says that it did.
func (p *postgres) verify(ctx context.Context) error {
	const query = `SELECT (SELECT count(*) FROM entries), (SELECT sum(balance) FROM accounts) + (SELECT coalesce(sum(amount), 0) FROM entries) = 1000000.0 * (SELECT count(*) FROM accounts)`
	out, err := p.call(ctx, query, "psql", p.connect("-v", "ON_ERROR_STOP=1", "-Atq")...)
	if err != nil {
		return err
	}
	if want := fmt.Sprintf("%d|t", p.entries); strings.TrimSpace(out) != want {
		return fmt.Errorf("the tables have %s (entries, whether the money adds up), not %s", strings.TrimSpace(out), want)
	}
	return nil
}

// serverCPU is what the server used, with its processes of connections that ended.
func (p *postgres) serverCPU() time.Duration {
	text, err := os.ReadFile(filepath.Join(p.dir, "data", "postmaster.pid"))
	if err != nil {
		return 0
	}
	pid, _, _ := strings.Cut(string(text), "\n")
	all := cpuOf(pid, true)
	children, err := os.ReadFile(filepath.Join("/proc", pid, "task", pid, "children"))
	if err == nil {
		for _, child := range strings.Fields(string(children)) {
			all += cpuOf(child, false)
		}
	}
	return all
}
