package httpapi

import (
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"iocredits/domain"
)

// The frame reads a query before the generated code does, which takes more than the
// contract allows and can't say what it wants. So what gets to a handler has the
// form, the bounds and one of the values that openapi.yaml names.

// form is what the text of a query parameter has to be; 0: whatever the handler
// makes of it.
type form int

const (
	_ form = iota
	// figure is an amount; the handler reads it, with domain's parser.
	figure
	moment
	wholeNumber
	yesOrNo
	uuidText
)

// parameter is one of a query, as the contract has it.
type parameter struct {
	form form
	// least and most bound a wholeNumber.
	least, most int64
	// oneOf are the values that there are; nil: any.
	oneOf []string
}

// maxParameters is more than any route has; net/url reads none of far too many.
const maxParameters = 100

// checkQuery refuses parameters that the route doesn't know: one that is
// misspelt would be a filter that doesn't filter. So would one that net/url can't
// read, which it leaves out without telling the handler.
// An empty cursor would be the first page once more, for a client that follows
// cursors without looking: for ever.
func (k *call) checkQuery(query string) error {
	if strings.Count(query, "&") >= maxParameters {
		return domain.Refuse(domain.CodeFieldInvalid, "the query has more than %d parameters", maxParameters)
	}
	given := make([]string, 0, 16)
	for part := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(part, "=")
		if strings.ContainsAny(part, "%;") {
			if _, err := url.ParseQuery(part); err != nil {
				return domain.Refuse(domain.CodeFieldInvalid, "parameter %s is not well escaped", clip(name)).
					With("field", clip(name)).With("value", clip(value))
			}
		}
		if name == "" {
			continue
		}
		name, value = unescaped(name), unescaped(value)
		p, known := k.route.query[name]
		if !known {
			return domain.Refuse(domain.CodeFieldUnknown, "the route has no parameter %q", clip(name)).With("field", clip(name))
		}
		if slices.Contains(given, name) {
			return domain.Refuse(domain.CodeFieldInvalid, "%s is given twice", name).With("field", name).With("value", clip(value))
		}
		given = append(given, name)
		if err := p.check(name, value); err != nil {
			return err
		}
	}
	return k.checkGiven(given)
}

// unescaped is what net/url makes of a name or a value that it can read.
func unescaped(text string) string {
	if plain, err := url.QueryUnescape(text); err == nil {
		return plain
	}
	return text
}

// checkGiven refuses a query that lacks what the route needs, with the code that a
// body has for a field of that form.
func (k *call) checkGiven(given []string) error {
	for _, name := range k.route.needed {
		if slices.Contains(given, name) {
			continue
		}
		code := domain.CodeFieldInvalid
		if k.route.query[name].form == figure {
			code = domain.CodeAmountInvalid
		}
		return domain.Refuse(code, "%s is missing", name).With("field", name)
	}
	return nil
}

// Headers of which a request may have several lines, as net/http names them.
const (
	ifNoneMatchHeader = "If-None-Match"
	lastEventLine     = "Last-Event-Id"
	signatureHeader   = "Signature"
)

// oneLine sees to headers that come in several lines, which the generated code refuses
// without naming the header. A list may stand in several lines. A client whose Last-Event-ID
// is refused never comes again, so the last line counts, which is the newest.
func oneLine(h echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		k := callOf(c)
		for _, name := range k.route.headers {
			lines := k.Request().Header[name]
			switch all := strings.Join(lines, ", "); {
			case len(lines) <= 1:
			case name == ifNoneMatchHeader:
				k.Request().Header[name] = []string{all}
			case name == lastEventLine:
				k.Request().Header[name] = lines[len(lines)-1:]
			case name == signatureHeader:
				return domain.Refuse(domain.CodeUnauthenticated, "there are %d signatures: which is it?", len(lines))
			default:
				return domain.Refuse(domain.CodeFieldInvalid, "%s is given %d times", name, len(lines)).
					With("field", name).With("value", clip(all))
			}
		}
		return h(c)
	}
}

func (p *parameter) check(name, value string) error {
	wants := ""
	switch {
	case name == "cursor" && value == "":
		return domain.Refuse(domain.CodeFieldInvalid, "cursor is empty; the first page has none").With("field", name).With("value", "")
	case p.form == moment:
		return checkMoment(name, value)
	case p.form == wholeNumber:
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || n < p.least || n > p.most || strconv.FormatInt(n, 10) != value { // a number has one spelling
			wants = fmt.Sprintf("not a whole number from %d to %d", p.least, p.most)
		}
	case p.form == yesOrNo:
		if value != "true" && value != "false" { // strconv would take 1, t and TRUE, too
			wants = "not true or false"
		}
	case p.form == uuidText:
		if _, err := uuid.Parse(value); err != nil {
			wants = "not a UUID"
		}
	case p.oneOf != nil && !slices.Contains(p.oneOf, value):
		wants = "none of " + strings.Join(p.oneOf, ", ")
	}
	if wants == "" {
		return nil
	}
	return domain.Refuse(domain.CodeFieldInvalid, "%s %q is %s", name, clip(value), wants).With("field", name).With("value", clip(value))
}

// checkMoment takes what a time in a body may be: it asks the same parser. The
// generated code reads the same time of it, and would read others, too.
func checkMoment(name, value string) error {
	if isMoment(value) {
		return nil
	}
	refusal := notATime(name)
	// A plus that isn't escaped arrives as a space.
	if at := strings.LastIndexByte(value, ' '); at >= 0 && isMoment(value[:at]+"+"+value[at+1:]) {
		refusal = domain.Refuse(domain.CodeTimeInvalid, "%s has a space where its offset begins: in a query a + has to be written %%2B", name)
	}
	return refusal.With("field", name).With("value", clip(value))
}

func isMoment(text string) bool {
	quoted, err := jsontext.AppendQuote(nil, text)
	var t time.Time
	return err == nil && json.Unmarshal(quoted, &t) == nil
}

// notATime is the refusal of a text that is no time, wherever it came.
func notATime(field string) *domain.Error {
	return domain.Refuse(domain.CodeTimeInvalid, "%s is not a time like 2026-01-31T12:00:00Z", field)
}

// anyNumber is the most of a wholeNumber that the contract doesn't bound.
const anyNumber = math.MaxInt64
