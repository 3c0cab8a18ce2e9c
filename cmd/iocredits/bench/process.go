package bench

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a server in a process of its own.
type process struct {
	cmd  *exec.Cmd
	addr string
	// took is the time from its start until it was ready.
	took    time.Duration
	stopped bool
}

// ready begins the line that names a server's address.
const ready = "ready on http://"

// start runs the binary and waits until it is ready.
func start(ctx context.Context, binary string, args ...string) (*process, error) {
	began := time.Now()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", binary, err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", binary, err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if addr, found := strings.CutPrefix(lines.Text(), ready); found {
			took := time.Since(began)
			go func() { // keep the pipe empty
				for lines.Scan() {
					continue
				}
			}()
			return &process{cmd: cmd, addr: strings.TrimSpace(addr), took: took}, nil
		}
	}
	_ = cmd.Process.Kill()
	return nil, fmt.Errorf("%s %s printed no address: %w", binary, strings.Join(args, " "), cmd.Wait())
}

// stop ends it as an operator would and waits until it has ended.
func (p *process) stop() {
	if p.stopped {
		return
	}
	p.stopped = true
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	_ = p.cmd.Wait()
}

// usage is what a process has used of the machine until now.
type usage struct {
	cpu time.Duration
	// written counts bytes that went to the disk, or will.
	written  int64
	resident int64
}

// tick is the unit of CPU time in /proc, on every Linux that Go runs on.
const tick = 10 * time.Millisecond

// usage reads /proc; on a system without one it is all zeros.
func (p *process) usage() usage {
	dir := filepath.Join("/proc", strconv.Itoa(p.cmd.Process.Pid))
	u := usage{cpu: cpuOf(strconv.Itoa(p.cmd.Process.Pid), false)}
	u.written = procField(filepath.Join(dir, "io"), "write_bytes:")
	u.resident = procField(filepath.Join(dir, "status"), "VmRSS:") << 10
	return u
}

// cpuOf reads the processor time of a process, and, if asked, of its children that
// have ended; 0 if it can't be read.
func cpuOf(pid string, ended bool) (cpu time.Duration) {
	stat, err := os.ReadFile(filepath.Join("/proc", pid, "stat"))
	if err != nil {
		return 0
	}
	// The command's name may have spaces, but ends with the last bracket.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	const user, childrenSystem = 11, 14 // own user and system time, then the children's
	if len(fields) <= childrenSystem {
		return 0
	}
	times := fields[user : user+2]
	if ended {
		times = fields[user : childrenSystem+1]
	}
	for _, t := range times {
		cpu += time.Duration(number(t)) * tick
	}
	return cpu
}

// procField gives the number after a name in a file of /proc; 0 if there is none.
func procField(file, name string) int64 {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if rest, found := strings.CutPrefix(line, name); found && len(strings.Fields(rest)) > 0 {
			return number(strings.Fields(rest)[0])
		}
	}
	return 0
}

func number(text string) int64 {
	n, _ := strconv.ParseInt(text, 10, 64) // what is no number counts as 0
	return n
}

// clientCPU is what this process has used of the processors; childrenCPU what the
// programs that it ran to their end have, pgbench among them.
func clientCPU() time.Duration   { return cpuUsed(syscall.RUSAGE_SELF) }
func childrenCPU() time.Duration { return cpuUsed(syscall.RUSAGE_CHILDREN) }

func cpuUsed(who int) time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(who, &r); err != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// sizeOf adds up the files in a directory.
func sizeOf(dir string) (bytes int64, err error) {
	err = filepath.Walk(dir, func(_ string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().IsRegular() {
			bytes += info.Size()
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("size of %s: %w", dir, err)
	}
	return bytes, nil
}
