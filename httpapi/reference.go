package httpapi

import (
	"cmp"
	"fmt"
	"html/template"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// section is a tag of the contract with its operations, for the page of the API.
type section struct {
	Name, About string
	Operations  []reference
}

// reference is what a reader wants to know of an operation.
type reference struct {
	ID, Method, Path, Summary string
	About                     template.HTML
	Roles                     []Role
	Inputs                    []input
	Example                   string
	Answers                   []answerRow
	// Refusals are the statuses of problems.
	Refusals []string
}

type input struct {
	Name, In string
	Kind     valueKind
	Limits   string
	About    template.HTML
	Required bool
}

type answerRow struct {
	Status string
	Bodies []answerBody
	About  template.HTML
}

// answerBody is a form that an answer may have: the media type, and one of Kinds.
type answerBody struct {
	Media   string
	Kinds   []valueKind
	Example string
}

// schemaEntry is a schema: one with members, or a plain one of a kind.
type schemaEntry struct {
	Name    string
	Kind    valueKind
	Limits  string
	About   template.HTML
	Members []input
}

// about renders a description of the contract.
func about(text string) template.HTML {
	html, err := toHTML([]byte(text))
	if err != nil {
		return template.HTML(template.HTMLEscapeString(text)) //nolint:gosec // escaped
	}
	return html
}

// objectsOf lists the schemas, for the links of kinds.
func objectsOf(contract *openapi3.T) []schemaEntry {
	var all []schemaEntry
	schemas := contract.Components.Schemas
	for _, name := range slices.Sorted(maps.Keys(schemas)) {
		o := schemaEntry{Name: name, About: about(schemas[name].Value.Description)}
		for _, part := range append(openapi3.SchemaRefs{schemas[name]}, schemas[name].Value.AllOf...) {
			o.Members = append(o.Members, membersOf(part.Value)...)
		}
		if len(o.Members) == 0 {
			o.Kind = kindOf(&openapi3.SchemaRef{Value: schemas[name].Value})
			o.Limits = limitsOf(schemas[name].Value)
		}
		all = append(all, o)
	}
	return all
}

func membersOf(s *openapi3.Schema) []input {
	var all []input
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		p := s.Properties[name]
		text := p.Value.Description
		if p.Ref != "" {
			text = "" // that of the kind, which is a link away
		}
		all = append(all, input{name, "body", kindOf(p), limitsOf(p.Value), about(text), slices.Contains(s.Required, name)})
	}
	return all
}

func sectionsOf(contract *openapi3.T) []section {
	var sections []section
	for _, tag := range contract.Tags {
		s := section{Name: tag.Name, About: tag.Description}
		paths := contract.Paths.Map()
		for _, path := range slices.Sorted(maps.Keys(paths)) {
			for _, method := range slices.Sorted(maps.Keys(paths[path].Operations())) {
				if op := paths[path].GetOperation(method); slices.Contains(op.Tags, tag.Name) {
					s.Operations = append(s.Operations, referenceOf(method, path, paths[path], op))
				}
			}
		}
		sections = append(sections, s)
	}
	return sections
}

func referenceOf(method, path string, item *openapi3.PathItem, op *openapi3.Operation) reference {
	r := reference{
		ID: op.OperationID, Method: method, Path: path, Summary: op.Summary, About: about(op.Description),
		Roles: access[method+" "+path],
	}
	for _, list := range []openapi3.Parameters{item.Parameters, op.Parameters} {
		for _, p := range list {
			r.Inputs = append(r.Inputs, input{p.Value.Name, p.Value.In, kindOf(p.Value.Schema), limitsOf(p.Value.Schema.Value), about(p.Value.Description), p.Value.Required})
		}
	}
	if op.RequestBody != nil {
		for _, content := range op.RequestBody.Value.Content {
			r.addBody(content)
		}
	}
	for _, status := range slices.Sorted(maps.Keys(op.Responses.Map())) {
		answer := op.Responses.Value(status).Value
		if answer.Content.Get(problemType[0]) != nil {
			r.Refusals = append(r.Refusals, status)
			continue
		}
		r.Answers = append(r.Answers, answerRow{Status: status, About: about(valueOf(answer.Description)), Bodies: bodiesOf(answer.Content)})
	}
	return r
}

func bodiesOf(content openapi3.Content) []answerBody {
	var all []answerBody
	for _, media := range slices.Sorted(maps.Keys(content)) {
		body := answerBody{Media: media, Example: exampleText(content[media].Example)}
		if schema := content[media].Schema; schema != nil {
			body.Kinds = kindsOf(schema)
		}
		all = append(all, body)
	}
	return all
}

// refusalEntry is a status that problems have, and what it means everywhere.
type refusalEntry struct {
	Status string
	About  template.HTML
}

// refusalsOf lists them once: operations have but their numbers.
func refusalsOf(contract *openapi3.T) []refusalEntry {
	seen := map[string]template.HTML{}
	for _, item := range contract.Paths.Map() {
		for _, op := range item.Operations() {
			for status, answer := range op.Responses.Map() {
				if strings.HasPrefix(answer.Ref, "#/components/responses/") && answer.Value.Content.Get(problemType[0]) != nil {
					seen[status] = about(valueOf(answer.Value.Description))
				}
			}
		}
	}
	var all []refusalEntry
	for _, status := range slices.Sorted(maps.Keys(seen)) {
		all = append(all, refusalEntry{status, seen[status]})
	}
	return all
}

func (r *reference) addBody(content *openapi3.MediaType) {
	r.Inputs = append(r.Inputs, membersOf(content.Schema.Value)...)
	slices.SortStableFunc(r.Inputs, func(a, b input) int { return cmp.Compare(rank(a), rank(b)) })
	r.Example = exampleText(content.Example)
}

// exampleText is an example as it would come over the wire.
func exampleText(example any) string {
	switch example := example.(type) {
	case string:
		return example
	case nil:
		return ""
	default:
		return jsonText(example)
	}
}

// jsonText is any value as JSON for people.
func jsonText(value any) string {
	b, err := json.Marshal(value, json.Deterministic(true), jsontext.Multiline(true))
	if err != nil {
		return ""
	}
	return string(b)
}

// rank puts what has to be given first, in the order path, header, query, body.
func rank(i input) int {
	place := slices.Index([]string{"path", "header", "query", "body"}, i.In)
	if !i.Required {
		place += 10
	}
	return place
}

// valueKind is what a value is: a schema to follow, or a plain type.
type valueKind struct{ Text, Schema string }

func kindOf(s *openapi3.SchemaRef) valueKind {
	if s == nil {
		return valueKind{}
	}
	if name, named := strings.CutPrefix(s.Ref, "#/components/schemas/"); named {
		return valueKind{name, name}
	}
	switch {
	case len(s.Value.AllOf) == 1:
		return kindOf(s.Value.AllOf[0])
	case len(s.Value.OneOf) > 0:
		var texts []string
		for _, one := range s.Value.OneOf {
			texts = append(texts, kindOf(one).Text)
		}
		return valueKind{Text: strings.Join(texts, " or ")}
	case s.Value.Items != nil:
		of := kindOf(s.Value.Items)
		return valueKind{"list of " + of.Text, of.Schema}
	case len(s.Value.Enum) > 0:
		return valueKind{Text: enumText(s.Value.Enum)}
	case s.Value.Format != "":
		return valueKind{Text: s.Value.Format}
	case s.Value.Type != nil && len(*s.Value.Type) > 0:
		return valueKind{Text: (*s.Value.Type)[0]}
	}
	return valueKind{}
}

// kindsOf has each of the kinds that a value may be of.
func kindsOf(s *openapi3.SchemaRef) []valueKind {
	if s.Ref == "" && len(s.Value.OneOf) > 0 {
		var all []valueKind
		for _, one := range s.Value.OneOf {
			all = append(all, kindsOf(one)...)
		}
		return all
	}
	return []valueKind{kindOf(s)}
}

// limitsOf says what of a kind is allowed, and what stands for none.
func limitsOf(s *openapi3.Schema) string {
	var parts []string
	between := func(least, most, unit string) {
		switch {
		case least != "" && most != "":
			parts = append(parts, least+" to "+most+unit)
		case least != "":
			parts = append(parts, "at least "+least+unit)
		case most != "":
			parts = append(parts, "at most "+most+unit)
		}
	}
	figure := func(f *float64) string {
		if f == nil {
			return ""
		}
		return strconv.FormatFloat(*f, 'f', -1, 64)
	}
	count := func(n *uint64) string {
		if n == nil {
			return ""
		}
		return strconv.FormatUint(*n, 10)
	}
	between(figure(s.Min), figure(s.Max), "")
	least := ""
	if s.MinLength > 0 {
		least = strconv.FormatUint(s.MinLength, 10)
	}
	between(least, count(s.MaxLength), " characters")
	if s.Default != nil {
		parts = append(parts, fmt.Sprintf("default %v", s.Default))
	}
	return strings.Join(parts, "; ")
}

func enumText(values []any) string {
	texts := make([]string, len(values))
	for i, value := range values {
		texts[i] = fmt.Sprint(value)
	}
	return strings.Join(texts, " | ")
}
