package httpapi_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestAcceptIsWeighed: RFC 9110, section 12.5.1.
func TestAcceptIsWeighed(t *testing.T) {
	r := newRig(t, nil)
	r.fund("demo-1", "1")
	for _, c := range []struct {
		accept []string
		other  bool
	}{
		{nil, false}, {[]string{"*/*"}, false}, {[]string{"image/png"}, false}, {[]string{""}, false},
		{[]string{"MEDIA"}, true}, {[]string{"MEDIA; q=0.1"}, true}, {[]string{"MEDIA;q=high"}, true}, {[]string{"MEDIA;q=NaN"}, true},
		{[]string{"MEDIA;q=0"}, false}, {[]string{"MEDIA;Q=0.000"}, false}, {[]string{"MEDIA;charset=utf-8;q=0"}, false},
		{[]string{"MEDIA;q=0.1, application/json;q=0.9"}, false}, {[]string{"application/json;q=0.1,MEDIA;q=0.9"}, true},
		{[]string{"MEDIA;q=0.1, */*;q=0.9"}, false}, {[]string{"*/*;q=0.1,MEDIA;q=0.9"}, true}, {[]string{"application/json;q=0, */*"}, true},
		{[]string{"application/*;q=0.5, text/*;q=0.6"}, true}, {[]string{"text/*, MEDIA;q=0, application/json;q=0.1"}, false},
		{[]string{"MEDIA, application/json"}, true}, {[]string{"application/json, MEDIA"}, false},
		{[]string{"MEDIA, */*"}, true}, {[]string{"*/*, MEDIA"}, false}, {[]string{"image/png", "MEDIA"}, true},
		{[]string{"text/html,application/xhtml+xml,*/*;q=0.8"}, false},
	} {
		for path, media := range map[string]string{demo + "/transactions": "text/csv", demo + "/statement?month=2026-03": "text/plain"} {
			header := http.Header{}
			for _, line := range c.accept {
				header.Add("Accept", strings.ReplaceAll(line, "MEDIA", media))
			}
			want := "application/json"
			if c.other {
				want = media + "; charset=utf-8"
			}
			got := r.must(call{as: customer, method: "GET", path: path, header: header})
			require.Equal(t, want, got.Header.Get("Content-Type"), "%s %v", path, c.accept)
		}
	}
}
