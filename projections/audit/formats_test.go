package audit_test

import (
	"encoding/csv"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"iocredits/projections/audit"
)

func TestPlainCell(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "demo-1": "demo-1", "a=1": "a=1", "'x": "'x",
		"=1+1": "'=1+1", "+1": "'+1", "-1": "'-1", "@SUM(A1)": "'@SUM(A1)", "\t1": "'\t1", "\r1": "'\r1", "\n1": "'\n1",
		"＝1+1": "'＝1+1", "＠A1": "'＠A1", "é=1": "é=1", "\xff=1": "\xff=1",
		// Excel and LibreOffice run the second one of "'=1+1;=1+2".
		"=1+1;=1+2": "'=1+1;'=1+2", "x;-1": "x;'-1", ";=1": ";'=1", "x\t=1": "x\t'=1", "\t=1": "'\t'=1", "x\n＝1;y": "x\n'＝1;y", "x\r\n=1": "x\r\n'=1",
		"x;\"=1": "x;'\"=1", "x;\"\"\"+1": "x;'\"\"\"+1", "a; -1": "a; -1", "a;b=c,-1": "a;b=c,-1",
	} {
		require.Equal(t, want, audit.PlainCell(text), "%q", text)
	}
}

// TestPlainCellWhateverPartsTheFile reads a file as spreadsheets do: parted at semicolons or
// at tabs, where no quotation mark counts that doesn't begin a cell.
func TestPlainCellWhateverPartsTheFile(t *testing.T) {
	for _, text := range []string{"=1+1;=1+2", "x;=1;y", "x;\"=1;y", "x\n=1;\"", "x, y;=1", "x\t@A1", "\t=1", ";;+1"} {
		for _, comma := range []rune{',', ';', '\t'} {
			var file strings.Builder
			w := csv.NewWriter(&file)
			require.NoError(t, w.Write([]string{"id", audit.PlainCell(text), "end"}))
			w.Flush()
			r := csv.NewReader(strings.NewReader(file.String()))
			r.Comma, r.LazyQuotes, r.FieldsPerRecord = comma, true, -1
			rows, err := r.ReadAll()
			require.NoError(t, err)
			for _, cell := range slices.Concat(rows...) {
				cell = strings.TrimLeft(cell, `"`)
				require.False(t, cell != "" && strings.ContainsRune("=+-@", rune(cell[0])), "%q at %q has the cell %q", text, comma, cell)
			}
		}
	}
}
