package httpapi

import (
	_ "embed"
	"fmt"
	"net/http"
	"regexp"

	"github.com/getkin/kin-openapi/openapi3"
)

//go:embed openapi.yaml
var contractYAML []byte

// contract is openapi.yaml, read once.
type contract struct {
	document *openapi3.T
	json     []byte
	// operations by method and echo's form of the path.
	operations map[string]operation
}

// operation is what the frame needs to know of one.
type operation struct {
	// name is the method and the path as the contract writes it.
	name string
	// query has the names of the query parameters.
	query map[string]bool
	// keyed operations take an Idempotency-Key; needsKey ones must have it.
	keyed, needsKey bool
}

var pathParameter = regexp.MustCompile(`\{([^}]+)\}`)

func loadContract() (*contract, error) {
	document, err := openapi3.NewLoader().LoadFromData(contractYAML)
	if err != nil {
		return nil, fmt.Errorf("read openapi.yaml: %w", err)
	}
	c := &contract{document: document, operations: map[string]operation{}}
	for path, item := range document.Paths.Map() {
		for method, op := range item.Operations() {
			o := operation{name: method + " " + path, query: map[string]bool{}}
			for _, list := range []openapi3.Parameters{item.Parameters, op.Parameters} {
				for _, p := range list {
					o.add(p.Value)
				}
			}
			c.operations[method+" "+pathParameter.ReplaceAllString(path, ":$1")] = o
			// Who may call it is said once, in auth.go; readers of the contract see it too.
			op.Extensions = map[string]any{"x-roles": access[o.name]}
		}
	}
	if c.json, err = document.MarshalJSON(); err != nil {
		return nil, fmt.Errorf("write openapi.json: %w", err)
	}
	return c, nil
}

func (o *operation) add(p *openapi3.Parameter) {
	switch {
	case p.In == openapi3.ParameterInQuery:
		o.query[p.Name] = true
	case p.In == openapi3.ParameterInHeader && http.CanonicalHeaderKey(p.Name) == idempotencyHeader:
		o.keyed, o.needsKey = true, p.Required
	}
}
