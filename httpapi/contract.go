package httpapi

import (
	_ "embed"
	"fmt"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
)

//go:generate go test -run TestOperationsAreThoseOfTheContract -update .
//go:embed openapi.yaml
var contractYAML []byte

// operation is what the frame needs to know of one of the contract's. They stand in
// operations.gen.go, by method and echo's form of the path: to start, and to answer
// anything but its own documentation, an engine doesn't read openapi.yaml.
type operation struct {
	// name is the method and the path as the contract writes it.
	name string
	// query has the query parameters by name; needed are those that have to be there.
	query  map[string]parameter
	needed []string
	// headers are the header parameters but for the Idempotency-Key.
	headers []string
	// keyed operations take an Idempotency-Key; needsKey ones must have it.
	keyed, needsKey bool
}

// readContract gives openapi.yaml, with the roles of each operation: who may call it is
// said once, in auth.go, and readers of the contract see it too.
func readContract() (*openapi3.T, error) {
	document, err := openapi3.NewLoader().LoadFromData(contractYAML)
	if err != nil {
		return nil, fmt.Errorf("read openapi.yaml: %w", err)
	}
	for path, item := range document.Paths.Map() {
		for method, op := range item.Operations() {
			op.Extensions = map[string]any{"x-roles": access[method+" "+path]}
		}
	}
	return document, nil
}

// documentation is what the engine says of itself: the pages under /docs, by name, and
// openapi.json.
type documentation struct {
	pages   map[string][]byte
	openAPI []byte
}

// readDocumentation makes it when somebody first asks.
var readDocumentation = sync.OnceValues(func() (*documentation, error) {
	document, err := readContract()
	if err != nil {
		return nil, err
	}
	d := &documentation{}
	if d.openAPI, err = document.MarshalJSON(); err != nil {
		return nil, fmt.Errorf("write openapi.json: %w", err)
	}
	d.pages, err = renderPages(document)
	return d, err
})
