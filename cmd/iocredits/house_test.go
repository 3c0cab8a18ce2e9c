package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/modfile"
)

// The house rules of the project, as tests. What a rule is for stands in the
// README under "How it is built".

const (
	repoRoot     = "../.."
	module       = "iocredits/"
	maxFunction  = 70
	maxFile      = 500
	topLevelDirs = "cmd domain eventstore httpapi projections testdata"
)

// source is a parsed file of the repository.
type source struct {
	// Path is slash-separated, from the root; Pkg is its folder.
	Path, Pkg       string
	Test, Generated bool
	Lines           int
	Comments        int
	fset            *token.FileSet
	*ast.File
}

func (s source) at(p token.Pos) string {
	return fmt.Sprintf("%s:%d", s.Path, s.fset.Position(p).Line)
}

// sources parses every Go file once a call.
func sources(t *testing.T) []source {
	t.Helper()
	if testing.Short() { // as under the race detector, where the sources are the same and reading them takes long
		t.Skip("-short: the sources are read in the other run")
	}
	var all []source
	err := filepath.WalkDir(repoRoot, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if name := entry.Name(); strings.HasPrefix(name, ".") && name != "." && name != ".." || name == "testdata" {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(file, ".go") {
			return nil
		}
		rel, err := filepath.Rel(repoRoot, file)
		if err != nil {
			return err
		}
		s, err := parseSource(file, filepath.ToSlash(rel))
		all = append(all, s)
		return err
	})
	require.NoError(t, err)
	require.NotEmpty(t, all)
	return all
}

func parseSource(file, rel string) (source, error) {
	fset := token.NewFileSet()
	text, err := os.ReadFile(file)
	if err != nil {
		return source{}, err
	}
	parsed, err := parser.ParseFile(fset, file, text, parser.ParseComments)
	if err != nil {
		return source{}, err
	}
	s := source{
		Path: rel, Pkg: path.Dir(rel), fset: fset, File: parsed,
		Test: strings.HasSuffix(rel, "_test.go"), Generated: strings.HasSuffix(rel, ".gen.go"),
		Lines: strings.Count(string(text), "\n"),
	}
	for _, group := range parsed.Comments {
		s.Comments += fset.Position(group.End()).Line - fset.Position(group.Pos()).Line + 1
	}
	return s, nil
}

// mayImport is the table of the house: for each folder the folders to its left
// that it may use; "x/..." is x and everything under it. What has no row may not exist.
var mayImport = map[string]string{
	"domain":          "",
	"domain/calendar": "",
	"domain/account":  "domain domain/calendar",
	"domain/journal":  "domain domain/account",

	"eventstore":              "domain",
	"eventstore/disk":         "",
	"eventstore/pebblestore":  "eventstore eventstore/disk",
	"eventstore/esdbstore":    "eventstore",
	"eventstore/esdbserver":   "eventstore eventstore/recency",
	"eventstore/storetest":    "eventstore",
	"eventstore/recency":      "",
	"eventstore/keyring":      "domain eventstore eventstore/disk eventstore/recency",
	"eventstore/ledger":       "domain/... eventstore eventstore/recency",
	"eventstore/reactor":      "domain/... eventstore eventstore/ledger",
	"eventstore/transparency": "domain eventstore eventstore/disk",
	"eventstore/notices":      "domain/... eventstore",

	"projections":       "domain/... eventstore eventstore/disk eventstore/ledger eventstore/transparency",
	"projections/audit": "domain/... eventstore eventstore/disk eventstore/keyring eventstore/ledger eventstore/transparency projections",

	"httpapi": "domain/... eventstore eventstore/keyring eventstore/ledger eventstore/notices eventstore/reactor eventstore/transparency " +
		"projections projections/audit " +
		"httpapi/api httpapi/client httpapi/spherepay",
	"httpapi/api":       "",
	"httpapi/client":    "",
	"httpapi/spherepay": "domain eventstore/disk",

	"cmd/iocredits":       "...",
	"cmd/iocredits/bench": "httpapi/client",
}

// concreteStores are named by cmd and by tests only: everything else takes any store.
var concreteStores = []string{"eventstore/pebblestore", "eventstore/esdbstore", "eventstore/esdbserver", "eventstore/storetest"}

func TestImportsPointLeft(t *testing.T) {
	all := sources(t)
	text, err := os.ReadFile(readme)
	require.NoError(t, err)
	for folder := range mayImport {
		if !slices.ContainsFunc(all, func(s source) bool { return s.Pkg == folder }) {
			t.Errorf("the table of the house has a row for %s, which is no folder", folder)
		}
		if name := path.Base(folder); !regexp.MustCompile("(?m)^\\|.*`[^`|]*\\b" + name + "`").Match(text) {
			t.Errorf("README.md's table doesn't say what folder %s is", folder)
		}
	}
	for _, s := range all {
		allowed, listed := mayImport[s.Pkg]
		if !listed {
			t.Errorf("%s: folder %s has no row in the table of the house", s.Path, s.Pkg)
			continue
		}
		for _, spec := range s.Imports {
			imported, ours := strings.CutPrefix(importPath(spec), module)
			if !ours || mayUse(allowed, imported) {
				continue
			}
			// A test may use its own package, a store to run on, and whatever its package may.
			if s.Test && (imported == s.Pkg || slices.Contains(concreteStores, imported) || testMayUse(s.Pkg, imported)) {
				continue
			}
			t.Errorf("%s: %s may not import %s", s.at(spec.Pos()), s.Pkg, imported)
		}
	}
}

func mayUse(allowed, imported string) bool {
	for _, a := range strings.Fields(allowed) {
		root, tree := strings.CutSuffix(a, "...")
		if a == imported || tree && (root == "" || imported+"/" == root || strings.HasPrefix(imported, root)) {
			return true
		}
	}
	return false
}

// testMayUse lets a test of a layer drive the layers to the left of it.
func testMayUse(pkg, imported string) bool {
	order := []string{"domain", "eventstore", "projections", "httpapi", "cmd"}
	layer := func(p string) int { return slices.Index(order, strings.SplitN(p, "/", 2)[0]) }
	return layer(imported) <= layer(pkg)
}

func importPath(spec *ast.ImportSpec) string {
	p, err := strconv.Unquote(spec.Path.Value)
	if err != nil {
		panic(err)
	}
	return p
}

// pureImports is everything that the domain may use from outside: computation
// alone. rickar/cal has the rules of holidays, x/crypto/sha3 the Keccak of EIP-55,
// which the standard library lacks.
var pureImports = []string{
	"bytes", "cmp", "crypto/sha256", "encoding", "encoding/binary", "encoding/hex", "errors", "fmt", "iter", "maps", "math", "math/big", "math/bits",
	"slices", "sort", "strconv", "strings", "time", "unicode", "unicode/utf8",
	"github.com/ericlagergren/decimal", "github.com/google/uuid",
	"github.com/rickar/cal/v2", "github.com/rickar/cal/v2/us", "golang.org/x/crypto/sha3",
}

// impureCalls are the ways to time and chance that the pure imports still have.
var impureCalls = []string{
	"time.Now", "time.Since", "time.Until", "time.After", "time.AfterFunc", "time.Sleep", "time.Tick", "time.NewTimer", "time.NewTicker",
	"uuid.New", "uuid.NewString", "uuid.NewRandom", "uuid.NewUUID", "uuid.NewV6", "uuid.NewV7", "uuid.NewDCEPerson", "uuid.NewDCEGroup",
}

// What go.mod requires beside what comes with it is imported, and nothing waits there to be.
func TestModulesAreUsed(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(repoRoot, "go.mod"))
	require.NoError(t, err)
	file, err := modfile.Parse("go.mod", text, nil)
	require.NoError(t, err)
	all := sources(t)
	for _, r := range file.Require {
		used := slices.ContainsFunc(all, func(s source) bool {
			return slices.ContainsFunc(s.Imports, func(spec *ast.ImportSpec) bool {
				return strings.HasPrefix(importPath(spec)+"/", r.Mod.Path+"/")
			})
		})
		if !used && !r.Indirect {
			t.Errorf("go.mod requires %s, which nothing imports", r.Mod.Path)
		}
	}
}

func TestDomainIsPure(t *testing.T) {
	for _, s := range sources(t) {
		if s.Test || s.Pkg != "domain" && !strings.HasPrefix(s.Pkg, "domain/") {
			continue
		}
		for _, spec := range s.Imports {
			p := importPath(spec)
			if !slices.Contains(pureImports, p) && !strings.HasPrefix(p, module) {
				t.Errorf("%s: the domain may not import %s", s.at(spec.Pos()), p)
			}
		}
		eachSelector(s, func(name string, pos token.Pos) {
			if slices.Contains(impureCalls, name) {
				t.Errorf("%s: the domain may not call %s", s.at(pos), name)
			}
		})
	}
}

// eachSelector visits every x.Name whose x is a plain name, such as a package's.
func eachSelector(s source, visit func(name string, pos token.Pos)) {
	ast.Inspect(s.File, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := sel.X.(*ast.Ident); ok {
				visit(x.Name+"."+sel.Sel.Name, sel.Pos())
			}
		}
		return true
	})
}

func TestSizes(t *testing.T) {
	for _, s := range sources(t) {
		if s.Generated {
			continue
		}
		if s.Lines > maxFile {
			t.Errorf("%s has %d lines, more than %d", s.Path, s.Lines, maxFile)
		}
		for _, decl := range s.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			if lines := s.fset.Position(f.End()).Line - s.fset.Position(f.Pos()).Line + 1; lines > maxFunction {
				t.Errorf("%s: %s has %d lines, more than %d", s.at(f.Pos()), f.Name.Name, lines, maxFunction)
			}
		}
	}
}

func TestTopLevel(t *testing.T) {
	allowed := append(strings.Fields(topLevelDirs), "go.mod", "go.sum", "Makefile", "README.md")
	entries, err := os.ReadDir(repoRoot)
	require.NoError(t, err)
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") && !slices.Contains(allowed, e.Name()) {
			t.Errorf("%s does not belong at the top level", e.Name())
		}
	}
}

func TestNamesAndEffects(t *testing.T) {
	for _, s := range sources(t) {
		if slices.Contains([]string{"util", "utils", "common", "models", "helpers", "misc"}, path.Base(s.Pkg)) {
			t.Errorf("%s: a package is named after what it is about", s.Path)
		}
		for _, decl := range s.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				t.Errorf("%s: no init functions: what runs, somebody calls", s.at(f.Pos()))
			}
		}
		eachSelector(s, func(name string, pos token.Pos) {
			if s.Test && name == "time.Sleep" {
				t.Errorf("%s: a test waits for what it needs, never for time", s.at(pos))
			}
			// Clients may read a status; only one file of the server writes them.
			server := s.Pkg == "httpapi" && !s.Test && !s.Generated && s.Path != "httpapi/problem.go"
			if server && strings.HasPrefix(name, "http.Status") && name != "http.StatusText" {
				t.Errorf("%s: status numbers belong in httpapi/problem.go", s.at(pos))
			}
		})
	}
}

// TestStatusesAreNoLiterals: a number may not get round TestNamesAndEffects either.
func TestStatusesAreNoLiterals(t *testing.T) {
	writes := []string{
		"WriteHeader", "NoContent", "JSON", "JSONBlob", "String", "Blob", "Stream", "Redirect", "Error", "NewHTTPError",
		"send", "sendText", "answer", "answerWith", "change", "deployment", "reservation", // our own
	}
	for _, s := range sources(t) {
		if s.Pkg != "httpapi" || s.Test || s.Generated || s.Path == "httpapi/problem.go" {
			continue
		}
		ast.Inspect(s.File, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			name, ok := call.Fun.(*ast.SelectorExpr)
			for _, arg := range call.Args {
				number, is := arg.(*ast.BasicLit)
				if ok && is && number.Kind == token.INT && slices.Contains(writes, name.Sel.Name) {
					t.Errorf("%s: status numbers belong in httpapi/problem.go", s.at(arg.Pos()))
				}
			}
			return true
		})
	}
}

// TestProportions holds the code to what design.md and style.md ask of most of it.
func TestProportions(t *testing.T) {
	var product, tests struct{ lines, comments int }
	files, longFiles, functions, longFunctions := 0, 0, 0, 0
	for _, s := range sources(t) {
		if s.Generated {
			continue
		}
		for _, decl := range s.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok {
				functions++
				if s.fset.Position(f.End()).Line-s.fset.Position(f.Pos()).Line+1 >= 40 {
					longFunctions++
				}
			}
		}
		of := &product
		if s.Test {
			of = &tests
		} else if files++; s.Lines > 350 {
			longFiles++
		}
		of.lines, of.comments = of.lines+s.Lines, of.comments+s.Comments
	}
	require.InDelta(t, 12.5, 100*float64(product.comments)/float64(product.lines), 2.5, "percent of %d lines are comments", product.lines)
	require.Less(t, 100*float64(tests.comments)/float64(tests.lines), 8.0, "percent of %d lines of tests are comments", tests.lines)
	require.LessOrEqual(t, 10*longFiles, files, "files over 350 lines")
	require.LessOrEqual(t, 10*longFunctions, functions, "functions of 40 lines and more")
}

// sourcePages are what the program was written from. They aren't in the repository: the
// README says where they lie.
var sourcePages = []string{"design.md", "money.md", "api.md", "io-credits.md", "style.md"}

// TestCommentsNamePagesThatThereAre: a reader finds what a comment refers to.
func TestCommentsNamePagesThatThereAre(t *testing.T) {
	readme, err := os.ReadFile(repoRoot + "/README.md")
	require.NoError(t, err)
	for _, page := range sourcePages {
		require.Contains(t, string(readme), "`"+page+"`")
	}
	page := regexp.MustCompile(`[\w-]+\.md\b`)
	for _, s := range sources(t) {
		for _, group := range s.File.Comments {
			for _, name := range page.FindAllString(group.Text(), -1) {
				_, err := os.Stat(repoRoot + "/httpapi/docs/" + name)
				if err != nil && name != "README.md" && !slices.Contains(sourcePages, name) {
					t.Errorf("%s: nobody finds %s", s.at(group.Pos()), name)
				}
			}
		}
	}
}

var (
	goFile     = regexp.MustCompile(`[\w/*]+\.go\b`)
	testName   = regexp.MustCompile(`\b(?:Test|Benchmark|Fuzz)[A-Z]\w*`)
	namedThere = regexp.MustCompile("`(?:\\w+\\.)?(\\w+)`, `(\\w+/[\\w/]+\\.go)`")
)

// TestPagesNameCodeThatThereIs: whoever follows a page into the code finds what it names.
func TestPagesNameCodeThatThereIs(t *testing.T) {
	all, functions := sources(t), map[string]bool{}
	for _, s := range all {
		for _, decl := range s.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok {
				functions[f.Name.Name] = true
			}
		}
	}
	pages, err := filepath.Glob(repoRoot + "/httpapi/docs/*.md")
	require.NoError(t, err)
	for _, page := range append(pages, readme) {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		for _, name := range goFile.FindAllString(string(text), -1) {
			if !slices.ContainsFunc(all, func(s source) bool {
				parts := strings.Split(s.Path, "/")
				fits, _ := path.Match(name, strings.Join(parts[max(0, len(parts)-1-strings.Count(name, "/")):], "/"))
				return fits
			}) {
				t.Errorf("%s: there is no file %s", page, name)
			}
		}
		for _, name := range testName.FindAllString(string(text), -1) {
			if !functions[name] {
				t.Errorf("%s: there is no %s", page, name)
			}
		}
		for _, pair := range namedThere.FindAllStringSubmatch(string(text), -1) {
			code, err := os.ReadFile(filepath.Join(repoRoot, pair[2]))
			if err != nil || !regexp.MustCompile(`\b`+pair[1]+`\b`).Match(code) {
				t.Errorf("%s: %s has no %s", page, pair[2], pair[1])
			}
		}
	}
}
