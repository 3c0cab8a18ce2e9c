package httpapi

import (
	"bytes"
	"cmp"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/labstack/echo/v4"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"

	"iocredits/domain"
)

//go:embed docs/*.md docs/*.html
var docFiles embed.FS

// menuEntry is a page with its title.
type menuEntry struct{ Name, Title string }

// Pages that are made here and not of a Markdown file.
const (
	pageIndex     = "api"
	pageProblems  = "problems"
	pageAccess    = "access"
	titleIndex    = "The API"
	titleProblems = "Problems"
	titleAccess   = "Who may do what"
)

var pageType = []string{"text/html; charset=utf-8"}

// textOrder is the order of the Markdown pages in the menu: who calls the engine,
// who works with it, who runs it. A page that isn't here comes last.
var textOrder = []string{"clients", "support", "desks", "auditors", "operators", "cluster", "performance", "performance-steps", "changing"}

// menuOf has every page under the title that it has itself.
func menuOf(texts []textPage) []menuEntry {
	menu := []menuEntry{{pageIndex, titleIndex}, {pageProblems, titleProblems}, {pageAccess, titleAccess}}
	slices.SortStableFunc(texts, func(a, b textPage) int { return cmp.Compare(placeOf(a.Name), placeOf(b.Name)) })
	for _, t := range texts {
		menu = append(menu, t.menuEntry)
	}
	return menu
}

func placeOf(page string) int {
	if place := slices.Index(textOrder, page); place >= 0 {
		return place
	}
	return len(textOrder)
}

// renderPages gives all pages by name.
func renderPages(contract *openapi3.T) (map[string][]byte, error) {
	layout, err := template.New("").ParseFS(docFiles, "docs/*.html")
	if err != nil {
		return nil, fmt.Errorf("docs: %w", err)
	}
	texts, err := readTexts()
	if err != nil {
		return nil, err
	}
	menu := menuOf(texts)
	pages := map[string][]byte{}
	render := func(name, title, part string, data any) error {
		var out bytes.Buffer
		err := layout.ExecuteTemplate(&out, part, map[string]any{"Title": title, "Menu": menu, "Current": name, "Data": data})
		pages[name] = out.Bytes()
		return err
	}
	intro, err := toHTML([]byte(contract.Info.Description))
	if err != nil {
		return nil, err
	}
	if err := render(pageIndex, titleIndex, "api.html", map[string]any{
		"Intro": intro, "Sections": sectionsOf(contract), "Refusals": refusalsOf(contract), "Objects": objectsOf(contract),
	}); err != nil {
		return nil, fmt.Errorf("docs: %w", err)
	}
	if err := render(pageProblems, titleProblems, "problems.html", problemEntries()); err != nil {
		return nil, fmt.Errorf("docs: %w", err)
	}
	if err := render(pageAccess, titleAccess, "access.html", accessTable()); err != nil {
		return nil, fmt.Errorf("docs: %w", err)
	}
	for _, t := range texts {
		if err := render(t.Name, t.Title, "text.html", t.html); err != nil {
			return nil, fmt.Errorf("docs: %w", err)
		}
	}
	return pages, nil
}

// textPage is a Markdown page.
type textPage struct {
	menuEntry
	html template.HTML
}

// readTexts reads docs/*.md; the first line of each is its title.
func readTexts() ([]textPage, error) {
	names, err := fs.Glob(docFiles, "docs/*.md")
	if err != nil {
		return nil, err
	}
	var all []textPage
	for _, name := range names {
		source, err := docFiles.ReadFile(name)
		if err != nil {
			return nil, err
		}
		title, _, _ := strings.Cut(string(source), "\n")
		html, err := toHTML(source)
		if err != nil {
			return nil, fmt.Errorf("docs: %s: %w", name, err)
		}
		page := strings.TrimSuffix(strings.TrimPrefix(name, "docs/"), ".md")
		all = append(all, textPage{menuEntry{page, strings.TrimPrefix(title, "# ")}, html})
	}
	return all, nil
}

// toHTML renders Markdown that is ours: it came with the program.
func toHTML(source []byte) (template.HTML, error) {
	var out bytes.Buffer
	err := goldmark.New(goldmark.WithExtensions(extension.Table)).Convert(source, &out)
	return template.HTML(out.String()), err //nolint:gosec // embedded text, no input
}

// problemEntry is a row of the page of problems.
type problemEntry struct {
	Code   domain.Code
	Status int
	Title  string
	problemHelp
}

// problemEntries are in the order of status and code.
func problemEntries() []problemEntry {
	var rows []problemEntry
	for code, row := range problems {
		rows = append(rows, problemEntry{code, row.Status, row.Title, help[code]})
	}
	slices.SortFunc(rows, func(a, b problemEntry) int {
		if a.Status != b.Status {
			return a.Status - b.Status
		}
		return strings.Compare(string(a.Code), string(b.Code))
	})
	return rows
}

// accessRow is one route of the table of roles.
type accessRow struct {
	Route   string
	Allowed []bool
	Open    bool
}

type accessPage struct {
	Roles []Role
	Rows  []accessRow
}

func accessTable() accessPage {
	page := accessPage{Roles: Roles()}
	for name, allowed := range access {
		row := accessRow{Route: name, Open: len(allowed) == 0}
		for _, role := range Roles() {
			row.Allowed = append(row.Allowed, slices.Contains(allowed, role))
		}
		page.Rows = append(page.Rows, row)
	}
	slices.SortFunc(page.Rows, func(a, b accessRow) int {
		return strings.Compare(pathFirst(a.Route), pathFirst(b.Route))
	})
	return page
}

func pathFirst(route string) string {
	method, path, _ := strings.Cut(route, " ")
	return path + " " + method
}

// GetDocs is GET /docs.
func (h handlers) GetDocs(c echo.Context) error { return h.page(callOf(c), pageIndex) }

// GetDocsPage is GET /docs/{page}.
func (h handlers) GetDocsPage(c echo.Context, name string) error { return h.page(callOf(c), name) }

func (h handlers) page(k *call, name string) error {
	d, err := readDocumentation()
	if err != nil {
		return err
	}
	content, found := d.pages[name]
	if !found {
		return domain.Refuse(domain.CodeUnknownRoute, "there is no page of this name")
	}
	header := k.Response().Header()
	header["Content-Security-Policy"] = []string{"default-src 'none'; style-src 'unsafe-inline'"}
	k.sendText(statusOK, pageType, content)
	return nil
}

// GetOpenAPI is GET /openapi.json.
func (h handlers) GetOpenAPI(c echo.Context) error {
	d, err := readDocumentation()
	if err != nil {
		return err
	}
	callOf(c).sendText(statusOK, jsonType, d.openAPI)
	return nil
}
