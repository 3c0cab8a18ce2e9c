package httpapi

import (
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json/jsontext"
	"go.yaml.in/yaml/v3"

	"iocredits/domain"
	"iocredits/domain/account"
	"iocredits/httpapi/api"
)

// ParsePolicy reads the policy of new accounts from YAML or JSON: the members that
// PUT …/policy takes, held to the same bounds. What is left out is as
// account.DefaultPolicy has it. An error that is about a member is the refusal that the
// request would get.
func ParsePolicy(r io.Reader) (account.Policy, error) {
	var root yaml.Node
	decoder := yaml.NewDecoder(r)
	err := decoder.Decode(&root)
	if err != nil && !errors.Is(err, io.EOF) {
		return account.Policy{}, err
	}
	if len(root.Content) == 0 || root.Content[0].Kind != yaml.MappingNode || len(root.Content[0].Content) == 0 {
		return account.Policy{}, errors.New("it has none of the members of PUT …/policy")
	}
	if !errors.Is(decoder.Decode(new(yaml.Node)), io.EOF) {
		return account.Policy{}, errors.New("it has more than one document")
	}
	// As JSON, so that one decoder says what a policy looks like.
	text, err := appendYAML(nil, root.Content[0], "")
	if err != nil {
		return account.Policy{}, err
	}
	var request api.PolicyRequest
	if err := decodeObject(text, &request); err != nil {
		return account.Policy{}, err
	}
	set, err := changeOf(&request)
	if err != nil {
		return account.Policy{}, err
	}
	return account.DefaultPolicy().With(set)
}

// appendYAML writes members and plain values as JSON, with figures as they stand there:
// a float in between would change them. Errors name members with within before them.
func appendYAML(b []byte, of *yaml.Node, within string) ([]byte, error) {
	switch {
	case of.Kind == yaml.MappingNode:
		b = append(b, '{')
		for i := 0; i < len(of.Content); i += 2 {
			name, value := of.Content[i], of.Content[i+1]
			if i > 0 {
				b = append(b, ',')
			}
			if value.Tag == "!!null" {
				field := clip(within + name.Value)
				return nil, domain.Refuse(domain.CodeFieldInvalid, "%s has no value", field).With("field", field)
			}
			b = append(appendQuoted(b, name.Value), ':')
			var err error
			if b, err = appendYAML(b, value, within+name.Value+"/"); err != nil {
				return nil, err
			}
		}
		return append(b, '}'), nil
	case of.Kind != yaml.ScalarNode:
		return nil, fmt.Errorf("line %d takes one plain value", of.Line)
	}
	if of.Style == 0 && jsontext.Value(of.Value).IsValid() {
		return append(b, of.Value...), nil
	}
	return appendQuoted(b, of.Value), nil
}

func appendQuoted(b []byte, text string) []byte {
	b, _ = jsontext.AppendQuote(b, text) // YAML has taken nothing that isn't UTF-8
	return b
}
