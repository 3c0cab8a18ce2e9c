package httpapi

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"iocredits/domain"
	"iocredits/httpapi/api"
)

// Bounds of what comes in.
const (
	maxBodyBytes = 1 << 20
	// In characters.
	maxText      = 2_000
	maxReference = 128
)

var bodies = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// decode reads the body strictly: unknown fields, names given twice, data after
// the object and invalid UTF-8 are refused. No body is an empty object.
func (k *call) decode(into any) error {
	return k.withBody(func(body []byte) error {
		err := decodeObject(body, into)
		if err == nil {
			err = refuseNull(body)
		}
		if err == nil {
			k.missing = missingFields(body, into)
		}
		return err
	})
}

// withBody reads the body for do, which MUST NOT keep it.
func (k *call) withBody(do func(body []byte) error) error {
	buffer, _ := bodies.Get().(*bytes.Buffer)
	buffer.Reset()
	defer func() {
		if buffer.Cap() <= maxPooled {
			bodies.Put(buffer)
		}
	}()
	if err := k.readBody(buffer, maxBodyBytes); err != nil {
		return err
	}
	return do(buffer.Bytes())
}

// readBody reads all of a body that may have limit bytes, and takes no longer
// than a request may.
func (k *call) readBody(into *bytes.Buffer, limit int64) error {
	body, length := k.Request().Body, k.Request().ContentLength
	if length == 0 {
		return nil
	}
	if err := k.checkEncoding(); err != nil {
		return err
	}
	if length > limit {
		return tooLargeBody(limit)
	}
	if length > 0 {
		into.Grow(int(length) + bytes.MinRead)
	}
	defer k.readSoon()()
	n, err := into.ReadFrom(io.LimitReader(body, limit+1))
	if n > limit {
		return tooLargeBody(limit)
	}
	if refusal, ok := domain.AsError(err); ok {
		return refusal
	}
	if err != nil {
		return domain.Refuse(domain.CodeBodyInvalid, "the body broke off")
	}
	k.bodyDone = true
	return nil
}

// checkEncoding refuses a body with a Content-Encoding: to be told that the encoded bytes
// are no JSON would help nobody.
func (k *call) checkEncoding() error {
	for _, list := range k.Request().Header["Content-Encoding"] {
		for coding := range strings.SplitSeq(list, ",") {
			coding = strings.TrimSpace(coding)
			if coding != "" && !strings.EqualFold(coding, "identity") {
				return domain.Refuse(domain.CodeEncodingUnsupported, "the body has the Content-Encoding %s; send it as it is", clip(coding)).
					With("field", "Content-Encoding").With("value", clip(coding))
			}
		}
	}
	return nil
}

func tooLargeBody(limit int64) error {
	return domain.Refuse(domain.CodeBodyTooLarge, "the body is larger than %d bytes", limit)
}

// trimJSON cuts white space as JSON knows it; bytes.TrimSpace would cut more.
func trimJSON(text []byte) []byte { return bytes.Trim(text, " \t\r\n") }

func decodeObject(body []byte, into any) error {
	body = trimJSON(body)
	if len(body) == 0 {
		return nil
	}
	if body[0] != '{' {
		return domain.Refuse(domain.CodeBodyInvalid, "the body is not a JSON object")
	}
	if err := json.Unmarshal(body, into, json.RejectUnknownMembers(true)); err != nil {
		return bodyRefusal(err, body)
	}
	return nil
}

// notNull are the fields that ask for more when they are left out, with the code that
// refuses a null in them: all of a charge is refunded, credits are granted that can be paid
// out, the engine counts a deployment's minutes. A client that sends null there has a
// variable that isn't set. In other fields a null is as if the field weren't there.
var notNull = map[string]domain.Code{
	"amount": domain.CodeAmountInvalid, "refund": domain.CodeAmountInvalid, "promotional": domain.CodeFieldInvalid,
	"used_minutes": domain.CodeFieldInvalid,
}

// refuseNull refuses a null in one of them, and in minimum_minutes, where it would be a 0.
// MUST: the body was decoded.
func refuseNull(body []byte) error {
	if !bytes.Contains(body, []byte("null")) {
		return nil
	}
	var members map[string]jsontext.Value
	if json.Unmarshal(body, &members) != nil {
		return nil // no body
	}
	for _, field := range slices.Sorted(maps.Keys(notNull)) { // a map's own order must not choose the refusal
		if value, given := members[field]; given && value.Kind() == jsontext.KindNull {
			return isNull(notNull[field], field)
		}
	}
	const table = "minimum_minutes"
	var minutes map[string]jsontext.Value
	if given, is := members[table]; !is || json.Unmarshal(given, &minutes) != nil {
		return nil
	}
	for _, service := range slices.Sorted(maps.Keys(minutes)) {
		if minutes[service].Kind() == jsontext.KindNull {
			return isNull(domain.CodeFieldInvalid, clip(table+"/"+service))
		}
	}
	return nil
}

func isNull(code domain.Code, field string) error {
	return domain.Refuse(code, "%s is null: leave it out, or say what it is", field).With("field", field).With("value", "null")
}

// bodyRefusal says what is wrong with a body, and where.
func bodyRefusal(err error, body []byte) error {
	var semantic *json.SemanticError
	if errors.As(err, &semantic) && !errors.Is(err, jsontext.ErrDuplicateName) {
		field := fieldOf(semantic.JSONPointer)
		switch {
		case errors.Is(err, json.ErrUnknownName):
			return domain.Refuse(domain.CodeFieldUnknown, "field %q is unknown", field).With("field", field)
		case semantic.GoType == reflect.TypeFor[time.Time]():
			return withValue(notATime(field), field, semantic.JSONPointer, body)
		}
		refusal := domain.Refuse(domain.CodeFieldInvalid, "%s has to be %s", field, wantedOf(semantic.GoType))
		if errors.Is(err, strconv.ErrRange) {
			refusal = domain.Refuse(domain.CodeFieldInvalid, "%s has more digits than any number here", field)
		}
		return withValue(refusal, field, semantic.JSONPointer, body)
	}
	var syntactic *jsontext.SyntacticError
	if !errors.As(err, &syntactic) {
		return domain.Refuse(domain.CodeBodyInvalid, "the body is not JSON")
	}
	field := fieldOf(syntactic.JSONPointer)
	if errors.Is(err, jsontext.ErrDuplicateName) {
		return domain.Refuse(domain.CodeBodyInvalid, "field %q is there twice", field).With("field", field)
	}
	// Some languages write these where a figure should be. It isn't JSON, but
	// what is wrong is the figure.
	switch word := wordAt(body, int(syntactic.ByteOffset)); word {
	case "NaN", "-NaN", "Infinity", "-Infinity", "Inf", "-Inf":
		if field != "" {
			code, what := domain.CodeAmountInvalid, "an amount"
			switch field {
			case "quantity":
				code, what = domain.CodeQuantityInvalid, "a quantity"
			case "unit_price", "hourly_price":
				code, what = domain.CodeRateInvalid, "a price"
			}
			return domain.Refuse(code, "%s %s is not %s", field, word, what).With("field", field).With("value", word)
		}
	}
	if jsontext.Value(body).IsValid(jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true)) {
		return halfCharacter(field, syntactic.ByteOffset)
	}
	return domain.Refuse(domain.CodeBodyInvalid, "the body is not JSON at byte %d", syntactic.ByteOffset)
}

// halfCharacter refuses JSON with half a character in it, as clients send that cut a text
// by its bytes, or by the UTF-16 units that JavaScript counts.
func halfCharacter(field string, at int64) error {
	const half = "has half a character at byte %d: a surrogate without its other one, or bytes that aren't UTF-8"
	if field == "" { // it is in a name
		return domain.Refuse(domain.CodeBodyInvalid, "the body "+half, at)
	}
	return domain.Refuse(domain.CodeBodyInvalid, "%s "+half, field, at).With("field", field)
}

// wordAt is all that stands around a byte of a body, up to what JSON puts between values:
// a value may fail at a byte behind its sign.
func wordAt(body []byte, at int) string {
	const between = " \t\r\n:,[]{}"
	if at >= len(body) || strings.IndexByte(between, body[at]) >= 0 {
		return ""
	}
	from, end := bytes.LastIndexAny(body[:at], between)+1, len(body)
	if rest := bytes.IndexAny(body[at:], between); rest >= 0 {
		end = at + rest
	}
	return string(body[from:end])
}

// withValue adds the place and, where that is a plain one, what stands there.
func withValue(refusal *domain.Error, field string, place jsontext.Pointer, body []byte) error {
	refusal = refusal.With("field", field)
	value := jsontext.Value(body)
	for name := range place.Tokens() {
		var members map[string]jsontext.Value
		if json.Unmarshal(value, &members) != nil {
			return refusal
		}
		value = members[name]
	}
	switch value.Kind() {
	case '{', '[', jsontext.KindInvalid:
		return refusal
	case '"':
		if text, err := jsontext.AppendUnquote(nil, value); err == nil {
			return refusal.With("value", clip(string(text)))
		}
	}
	return refusal.With("value", clip(string(value)))
}

// wantedOf says in JSON's words what a field takes.
func wantedOf(t reflect.Type) string {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == nil:
		return "of another kind"
	case t.Kind() == reflect.String:
		return "a string"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() >= reflect.Int && t.Kind() <= reflect.Uint64:
		return "a whole number, without a point or an exponent"
	}
	return "an object"
}

// fieldOf names the place, cut short: the input chose it.
func fieldOf(p jsontext.Pointer) string {
	return clip(strings.TrimPrefix(string(p), "/"))
}

// clip keeps hostile input from filling answers.
func clip(text string) string { return clipTo(text, 64) }

func clipTo(text string, limit int) string {
	if len(text) > limit {
		text = text[:limit] + "…"
	}
	return strings.ToValidUTF8(text, "")
}

// valueOf gives what an optional field holds, or the zero value.
func valueOf[T any](p *T) T {
	if p == nil {
		var none T
		return none
	}
	return *p
}

// checkReference accepts the caller's own name for a thing: any printable text.
func checkReference(field, text string) error {
	if err := checkLength(field, text, maxReference); err != nil {
		return err
	}
	return checkPrintable(field, text, false)
}

// checkText accepts free text, line breaks included.
func checkText(field, text string) error {
	if err := checkLength(field, text, maxText); err != nil {
		return err
	}
	return checkPrintable(field, text, true)
}

// checkLength counts characters, as the contract does; one has at most four bytes.
func checkLength(field, text string, most int) error {
	if len(text) <= most {
		return nil
	}
	count := utf8.RuneCountInString(text)
	if count <= most {
		return nil
	}
	return domain.RefuseCharacters(domain.CodeFieldInvalid, field, text, count, most)
}

// checkPrintable refuses characters that don't show. It is for input only: what is stored
// is read for ever, whatever it has.
func checkPrintable(field, text string, lines bool) error {
	for _, r := range text {
		if r == utf8.RuneError || reorders(r) || unicode.IsControl(r) && (!lines || r != '\n' && r != '\r' && r != '\t') {
			return domain.Refuse(domain.CodeFieldInvalid, "%s has the character %U, which is not printable", field, r).
				With("field", field).With("value", fmt.Sprintf("%U", r))
		}
	}
	return nil
}

// reorders tells the characters that make a text look like another one: those that
// embed, override and isolate a direction, so that "5 stiderc" reads as "credits 5",
// and the line and paragraph separators, which break a line where few look for it.
// The marks U+200E, U+200F and U+061C stay: they are part of how Arabic and Hebrew
// are written, and turn nothing but what is next to them.
func reorders(r rune) bool {
	return r >= '\u2028' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069'
}

// parseTransactionID reads an id that a client names. Whether an event can have it at all
// is for the look-up to say: the repeat of a request that was accepted once has to get there.
func parseTransactionID(field, text string) (domain.TransactionID, error) {
	if err := domain.CheckID(field, text); err != nil {
		return uuid.Nil, err
	}
	id, err := uuid.Parse(text)
	if err != nil || id == uuid.Nil || id.String() != strings.ToLower(text) {
		return uuid.Nil, unknownTransaction(field, text)
	}
	return id, nil
}

// canonicalTransactionID is parseTransactionID for a field of a body, and makes it
// canonical, in place: a repeat may write the same id in other letters.
func canonicalTransactionID(field string, text *string) (domain.TransactionID, error) {
	id, err := parseTransactionID(field, *text)
	if err == nil {
		*text = id.String()
	}
	return id, err
}

// timeOf checks an optional time and makes it canonical: UTC, in place.
func timeOf(field string, t *time.Time) (time.Time, error) {
	if t == nil {
		return time.Time{}, nil
	}
	given := *t
	*t = t.UTC()
	if t.Year() < 1970 || t.Year() > 9999 {
		return time.Time{}, domain.Refuse(domain.CodeTimeInvalid, "%s is outside of the years 1970 to 9999", field).
			With("field", field).With("value", given.Format(time.RFC3339Nano))
	}
	return *t, nil
}

// moneyOf parses an amount and makes it canonical, in place.
func moneyOf(field string, f *api.Figure) (domain.Amount, error) {
	amount, err := domain.ParseAmount(field, string(*f))
	if err == nil {
		*f = api.Figure(amount.String())
	}
	return amount, err
}

// aboveZero refuses the amount 0: to ask for nothing is a mistake.
func aboveZero(field string, amount domain.Amount) error {
	if amount == 0 {
		return domain.Refuse(domain.CodeAmountInvalid, "%s 0 is not above zero", field).With("field", field).With("value", "0")
	}
	return nil
}

// optionalMoneyOf is moneyOf where nothing may be given.
func optionalMoneyOf(field string, f *api.Figure) (*domain.Amount, error) {
	if f == nil {
		return nil, nil
	}
	amount, err := moneyOf(field, f)
	return &amount, err
}
