package domain_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"strconv"
	"testing"

	"iocredits/domain"
)

func TestError(t *testing.T) {
	refusal := domain.Refuse(domain.CodeConflict, "revision %d", 7).With("expected", "6").With("actual", "7")
	wrapped := fmt.Errorf("deduct: %w", refusal)
	if got := wrapped.Error(); got != "deduct: conflict: revision 7" {
		t.Errorf("reads %q", got)
	}
	if f := refusal.Fields; len(f) != 2 || f[0] != (domain.Field{Name: "expected", Value: "6"}) || f[1].Name != "actual" {
		t.Errorf("fields %v", f)
	}
	if !errors.Is(wrapped, &domain.Error{Code: domain.CodeConflict}) || errors.Is(wrapped, &domain.Error{Code: domain.CodeInternal}) {
		t.Error("Is doesn't go by the code")
	}
	if errors.Is(wrapped, errors.New("conflict: revision 7")) {
		t.Error("Is goes by the text")
	}
	if found, ok := domain.AsError(wrapped); !ok || found != refusal {
		t.Errorf("AsError gives %v, %t", found, ok)
	}
	if !domain.IsCode(wrapped, domain.CodeConflict) || domain.IsCode(wrapped, domain.CodeInternal) {
		t.Error("IsCode is wrong")
	}
	for _, err := range []error{nil, errors.New("other")} {
		if _, ok := domain.AsError(err); ok || domain.IsCode(err, domain.CodeConflict) {
			t.Errorf("%v passes for a refusal", err)
		}
	}
}

func TestCodesListsEveryConstantOnce(t *testing.T) {
	declared := declaredCodes(t)
	kebab := regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`)
	listed := map[string]int{}
	for _, code := range domain.Codes() {
		listed[string(code)]++
		if !kebab.MatchString(string(code)) {
			t.Errorf("%q is not kebab-case", code)
		}
	}
	for code, name := range declared {
		if listed[code] != 1 {
			t.Errorf("%s is in Codes() %d times", name, listed[code])
		}
	}
	if len(listed) != len(declared) {
		t.Errorf("%d codes listed, %d declared", len(listed), len(declared))
	}
}

// declaredCodes reads the constants of type Code out of the source.
func declaredCodes(t *testing.T) map[string]string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "error.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	codes := map[string]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if typ, ok := spec.Type.(*ast.Ident); !ok || typ.Name != "Code" {
			return true
		}
		for i, name := range spec.Names {
			code, err := strconv.Unquote(spec.Values[i].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			if other, twice := codes[code]; twice {
				t.Errorf("%s and %s are both %q", other, name.Name, code)
			}
			codes[code] = name.Name
		}
		return true
	})
	if len(codes) == 0 {
		t.Fatal("no code found in error.go")
	}
	return codes
}
