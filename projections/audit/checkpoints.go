package audit

import (
	"errors"
	"fmt"
	"iter"

	"iocredits/eventstore"
	"iocredits/eventstore/transparency"
)

// advance reads the next signed checkpoint and checks it by itself.
func (c *collector) advance() error {
	for {
		s, err, more := c.next()
		if err != nil {
			c.finding(0, "file", "whole checkpoints", err.Error())
			more = false
		}
		if !more {
			c.signed = nil
			return nil
		}
		c.v.summary.Checkpoints++
		c.signature(&s)
		if s.Size < c.before {
			c.finding(s.Position, "order", fmt.Sprintf("size %d or more", c.before), fmt.Sprintf("size %d", s.Size))
			continue
		}
		c.before, c.signed = s.Size, &s
		return nil
	}
}

func (c *collector) signature(s *transparency.Signed) {
	if c.v.Verifier == nil {
		return
	}
	head, err := transparency.OpenCheckpoint(s.Checkpoint, c.v.Verifier)
	switch {
	case err != nil:
		c.finding(s.Position, "signature", "signed by "+c.v.Verifier.Name(), err.Error())
	case head != s.Head:
		c.finding(s.Position, "record", describe(head), describe(s.Head))
	default:
		c.v.summary.Good++
	}
}

// compare holds the tree to the checkpoint of its present size.
func (c *collector) compare(at eventstore.Position) error {
	now := c.tree.Head()
	if now.Size == c.signed.Size && now.Root != c.signed.Root {
		c.finding(at, "root", describe(c.signed.Head), describe(now))
	}
	if c.signed.Position > c.v.head { // an engine signs nothing more: it takes the log for rolled back
		c.finding(at, "position", fmt.Sprintf("at most %d, where the log ends", c.v.head), fmt.Sprint(c.signed.Position))
	}
	return c.advance()
}

// end finds what was signed and isn't in the log any more.
func (c *collector) end() error {
	if c.part > 0 {
		return nil
	}
	head := c.tree.Head()
	c.v.summary.Head, c.v.summary.Events = head, int(head.Size)
	for c.signed != nil {
		if c.signed.Size > head.Size {
			what := "truncated log"
			if c.v.unread && c.v.head >= c.signed.Position {
				what = "damaged log" // the events that it is short of are findings of their own
			}
			c.finding(c.signed.Position, what, describe(c.signed.Head), describe(head))
		}
		if err := c.advance(); err != nil {
			return err
		}
	}
	return nil
}

func (c *collector) finding(at eventstore.Position, what, expected, found string) {
	c.v.report(Finding{Check: CheckCheckpoint, Revision: -1, Position: at, What: what, Expected: expected, Found: found})
}

func describe(h transparency.Head) string { return fmt.Sprintf("size %d root %s", h.Size, h.Root) }

// Checkpoints yields those that a folder has, oldest first.
func Checkpoints(dir string) iter.Seq2[transparency.Signed, error] {
	return func(yield func(transparency.Signed, error) bool) {
		stopped := errors.New("stopped")
		err := transparency.ReadFile(dir, func(s transparency.Signed) error {
			if !yield(s, nil) {
				return stopped
			}
			return nil
		})
		if err != nil && !errors.Is(err, stopped) {
			yield(transparency.Signed{}, err)
		}
	}
}
