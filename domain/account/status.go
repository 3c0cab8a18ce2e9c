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
// it just now; nil otherwise: then only the read models know its status, and
// whoever answers a person adds it (see Closed).
func (d *decision) over(kind ObjectKind, id string, was Object, why string) *domain.Error {
	if was == nil {
		return domain.Refuse(domain.CodeWrongStatus, "%s %q is %s%s", kind.words(), id, closedWord, why).
			With("field", string(kind)+"_id").With("value", id)
	}
	for _, event := range d.events {
		if of, its, ok := ObjectOf(event); ok && of == kind && its == id {
			was.Apply(event)
		}
	}
	return wrongStatus(kind, id, was.Status(), why)
}

// closedWord stands in a detail where the status is not known.
const closedWord = "closed"

// Closed tells which object a wrong-status refusal is about, if it doesn't know the
// status. known is the same refusal with it.
func Closed(refusal *domain.Error) (kind ObjectKind, id string, known func(status string) *domain.Error, ok bool) {
	if refusal.Code != domain.CodeWrongStatus {
		return "", "", nil, false
	}
	for _, f := range refusal.Fields {
		switch f.Name {
		case "status":
			return "", "", nil, false
		case "field":
			kind = ObjectKind(strings.TrimSuffix(f.Value, "_id"))
		case "value":
			id = f.Value
		}
	}
	begin := kind.words() + " \"" + id + "\" is "
	why, ok := strings.CutPrefix(refusal.Detail, begin+closedWord)
	return kind, id, func(status string) *domain.Error { return wrongStatus(kind, id, status, why) }, ok && NewObject(kind) != nil
}

// words is the kind as a person reads it.
func (k ObjectKind) words() string { return strings.ReplaceAll(string(k), "_", " ") }
