package main

import (
	"context"
	"fmt"

	"iocredits/httpapi"
)

// forgotten is what became of a wish to forget.
type forgotten struct {
	// Revision is of the event that says that the key is destroyed.
	Revision int64 `json:"revision"`
	// Before: it was there before, and nothing was left to be done.
	Before bool `json:"before,omitempty"`
	// Earlier is of the event that said so of the account's key before this one.
	Earlier *int64 `json:"earlier,omitempty"`
}

func (f forgotten) String() string {
	switch {
	case f.Before:
		return fmt.Sprintf("the key was destroyed before; event %d says so, and nothing was added", f.Revision)
	case f.Earlier != nil:
		return fmt.Sprintf("key destroyed; event %d says so (event %d did of the key before: the account was used since, and got another)", f.Revision, *f.Earlier)
	}
	return fmt.Sprintf("key destroyed; event %d says so", f.Revision)
}

// forgetter destroys keys, of a running engine or of none.
type forgetter struct{ httpapi.Forgetter }

// forget is for the operator: whoever asks again is told which event says so.
func (f forgetter) forget(ctx context.Context, name string, wish httpapi.Wish) (forgotten, error) {
	done, err := f.Forget(ctx, operator(name), wish)
	told := forgotten{Revision: done.Revision, Before: done.Before}
	if done.Earlier > 0 && !done.Before {
		told.Earlier = &done.Earlier
	}
	return told, err
}
