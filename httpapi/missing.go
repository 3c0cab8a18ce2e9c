package httpapi

import (
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"iocredits/domain"
)

// A rule sees a field that isn't there as the zero value of its type, and would
// refuse an amount "" or 0 hours that nobody sent. So what a body lacks is noted
// when it is read, and whichever rule refuses such a field says that it is
// missing: its code and its place among the checks stay the rule's own.

// requiredField is a field of a request's type that has to be there.
type requiredField struct {
	index int
	name  string
}

// requiredFields has the required fields of each type of a request, once read.
var requiredFields sync.Map

// requiredOf finds them: the generated types point to what may be left out.
func requiredOf(t reflect.Type) []requiredField {
	if known, ok := requiredFields.Load(t); ok {
		fields, _ := known.([]requiredField)
		return fields
	}
	var fields []requiredField
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name != "" && f.Type.Kind() != reflect.Pointer && !strings.Contains(options, "omit") {
			fields = append(fields, requiredField{i, name})
		}
	}
	requiredFields.Store(t, fields)
	return fields
}

// missingFields names the required fields of a request that its body lacks. The
// body was decoded into it without an error.
func missingFields(body []byte, into any) (missing []string) {
	request := reflect.ValueOf(into).Elem()
	if request.Kind() != reflect.Struct {
		return nil
	}
	for _, f := range requiredOf(request.Type()) {
		if request.Field(f.index).IsZero() {
			missing = append(missing, f.name)
		}
	}
	if len(missing) == 0 || len(trimJSON(body)) == 0 {
		return missing
	}
	// Zero, but perhaps given as such: then the rule's own words are right. Whoever sends
	// null has a variable that isn't set.
	var given map[string]jsontext.Value
	if json.Unmarshal(body, &given) != nil {
		return nil
	}
	return slices.DeleteFunc(missing, func(name string) bool {
		value, is := given[name]
		return is && value.Kind() != jsontext.KindNull
	})
}

// sayMissing rewords a refusal of a field that isn't there.
func sayMissing(refusal *domain.Error, missing []string) *domain.Error {
	if len(missing) == 0 {
		return refusal
	}
	for _, f := range refusal.Fields {
		if f.Name == "field" && slices.Contains(missing, f.Value) {
			// The value is one that nobody sent.
			reworded := domain.Refuse(refusal.Code, "%s is missing", f.Value)
			for _, figure := range refusal.Fields {
				if figure.Name != "value" {
					reworded = reworded.With(figure.Name, figure.Value)
				}
			}
			return reworded
		}
	}
	return refusal
}
