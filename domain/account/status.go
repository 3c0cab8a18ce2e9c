package account

import (
	"strings"

	"iocredits/domain"
)

// What a wrong-status refusal says is the same for every kind of object: which one
// it is, and its status as api.md names it.

// wrongStatus refuses a command on an object whose status doesn't allow it; why
// goes on after the status.
func wrongStatus(kind ObjectKind, id, status, why string) *domain.Error {
	return domain.Refuse(domain.CodeWrongStatus, "%s %q is %s%s", kind.words(), id, status, why).
		With("field", string(kind)+"_id").With("value", id).With("status", status)
}

// over refuses a command on an object that the state has forgotten, because it is
// closed. was is the object as the command found it, where a deadline has closed
// it just now; nil otherwise: then the refusal is a ClosedError.
func (d *decision) over(kind ObjectKind, id string, was Object, why string) error {
	if was == nil {
		return &ClosedError{Kind: kind, ID: id, why: why}
	}
	for _, event := range d.events {
		if of, its, ok := ObjectOf(event); ok && of == kind && its == id {
			was.Apply(event)
		}
	}
	return wrongStatus(kind, id, was.Status(), why)
}

// ClosedError is a wrong-status refusal that doesn't know the status: only the read
// models do. Whoever answers a person makes it one that does, with WithStatus.
type ClosedError struct {
	Kind ObjectKind
	ID   string
	// why goes on after the status.
	why string
}

func (e *ClosedError) Error() string { return e.Unwrap().Error() }

// Unwrap is the refusal as it is without the status.
func (e *ClosedError) Unwrap() error {
	return domain.Refuse(domain.CodeWrongStatus, "%s %q is closed%s", e.Kind.words(), e.ID, e.why).
		With("field", string(e.Kind)+"_id").With("value", e.ID)
}

// WithStatus is the same refusal with the status.
func (e *ClosedError) WithStatus(status string) *domain.Error {
	return wrongStatus(e.Kind, e.ID, status, e.why)
}

// words is the kind as a person reads it.
func (k ObjectKind) words() string { return strings.ReplaceAll(string(k), "_", " ") }
