// Package api is the contract openapi.yaml as Go: generated types of requests
// and answers, and the interface that the server implements. It has no rule.
package api

import (
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

//go:generate go tool oapi-codegen -config oapi-codegen.yaml ../openapi.yaml

// Figure is a decimal as the client wrote it, from a JSON string or number. It
// never passes through a float. What is neither keeps its JSON, which no parser
// of figures takes: so the refusal comes from there and names the field.
type Figure string

var _ json.UnmarshalerFrom = (*Figure)(nil)

// UnmarshalJSONFrom reads any JSON value.
func (f *Figure) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	value, err := d.ReadValue()
	if err != nil {
		return err
	}
	if value.Kind() != '"' {
		*f = Figure(value)
		return nil
	}
	text, err := jsontext.AppendUnquote(nil, value)
	*f = Figure(text)
	return err
}
