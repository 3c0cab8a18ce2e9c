package httpapi

import (
	"cmp"
	"html/template"
	"maps"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
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
	NeedsKey                  bool
	Inputs                    []input
	Example                   string
	Answers                   []answerRow
}

type input struct {
	Name, In, Kind, About string
	Required              bool
}

type answerRow struct{ Status, About, Kind string }

func sectionsOf(c *contract) []section {
	var sections []section
	for _, tag := range c.document.Tags {
		s := section{Name: tag.Name, About: tag.Description}
		paths := c.document.Paths.Map()
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
	about, _ := toHTML([]byte(op.Description))
	r := reference{
		ID: op.OperationID, Method: method, Path: path, Summary: op.Summary, About: about,
		Roles: access[method+" "+path],
	}
	for _, list := range []openapi3.Parameters{item.Parameters, op.Parameters} {
		for _, p := range list {
			r.Inputs = append(r.Inputs, input{p.Value.Name, p.Value.In, kindOf(p.Value.Schema), p.Value.Description, p.Value.Required})
		}
	}
	if op.RequestBody != nil {
		for _, content := range op.RequestBody.Value.Content {
			r.addBody(content)
		}
	}
	for _, status := range slices.Sorted(maps.Keys(op.Responses.Map())) {
		answer := op.Responses.Value(status).Value
		row := answerRow{Status: status, About: valueOf(answer.Description)}
		for _, content := range answer.Content {
			row.Kind = kindOf(content.Schema)
		}
		r.Answers = append(r.Answers, row)
	}
	return r
}

func (r *reference) addBody(content *openapi3.MediaType) {
	schema := content.Schema.Value
	for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
		p := schema.Properties[name]
		r.Inputs = append(r.Inputs, input{name, "body", kindOf(p), p.Value.Description, slices.Contains(schema.Required, name)})
	}
	slices.SortStableFunc(r.Inputs, func(a, b input) int { return cmp.Compare(rank(a), rank(b)) })
	switch example := content.Example.(type) {
	case string:
		r.Example = example
	case nil:
	default:
		r.Example = jsonText(example)
	}
}

// rank puts what has to be given first, in the order path, header, query, body.
func rank(i input) int {
	place := slices.Index([]string{"path", "header", "query", "body"}, i.In)
	if !i.Required {
		place += 10
	}
	return place
}

func kindOf(s *openapi3.SchemaRef) string {
	if s == nil {
		return ""
	}
	if name, named := strings.CutPrefix(s.Ref, "#/components/schemas/"); named {
		return name
	}
	if s.Value.Format != "" {
		return s.Value.Format
	}
	if types := s.Value.Type; types != nil && len(*types) > 0 {
		return (*types)[0]
	}
	return ""
}
