package httpapi_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestGeneratedCodeIsFresh generates anew: the interface that the handlers
// implement is that of openapi.yaml as it is, not as it was.
func TestGeneratedCodeIsFresh(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the generator")
	}
	for _, pkg := range []string{"api", "client"} {
		fresh, config := filepath.Join(t.TempDir(), "fresh.go"), filepath.Join(t.TempDir(), "config.yaml")
		settings, err := os.ReadFile(pkg + "/oapi-codegen.yaml")
		require.NoError(t, err)
		settings = bytes.ReplaceAll(settings, []byte("output: "+pkg+".gen.go"), []byte("output: "+fresh))
		require.NoError(t, os.WriteFile(config, settings, 0o600))
		out, err := exec.CommandContext(t.Context(), "go", "tool", "oapi-codegen", "-config", config, "openapi.yaml").CombinedOutput()
		require.NoError(t, err, "%s", out)
		want, err := os.ReadFile(fresh)
		require.NoError(t, err)
		got, err := os.ReadFile(pkg + "/" + pkg + ".gen.go")
		require.NoError(t, err)
		require.True(t, string(want) == string(got), "%s/%s.gen.go is old: run go generate ./httpapi/...", pkg, pkg)
	}
}
