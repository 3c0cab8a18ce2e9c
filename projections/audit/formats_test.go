package audit_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"iocredits/projections/audit"
)

func TestPlainCell(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "demo-1": "demo-1", "a=1": "a=1", "'x": "'x",
		"=1+1": "'=1+1", "+1": "'+1", "-1": "'-1", "@SUM(A1)": "'@SUM(A1)", "\t=1": "'\t=1", "\r=1": "'\r=1", "\n=1": "'\n=1",
	} {
		require.Equal(t, want, audit.PlainCell(text), "%q", text)
	}
}
