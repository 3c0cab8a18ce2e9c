package httpapi

import (
	"strings"

	"github.com/labstack/echo/v4"

	"iocredits/httpapi/api"
)

// lean gives the routes that are called by the thousand a shorter way to their
// handler than the generated code, which reads parameters by reflection. A short
// way takes the plain form of a request only and leaves every other to the
// general one: it never has to be complete, only right, and a test holds the
// two equal.
func (h handlers) lean(name string, general echo.HandlerFunc) echo.HandlerFunc {
	switch name {
	case "GET /credits/check":
		return func(c echo.Context) error {
			params, plain := plainCheck(c.Request().URL.RawQuery)
			if !plain {
				return general(c)
			}
			return h.CheckCredits(c, params)
		}
	case "GET /v1/accounts/{account}/balance":
		return func(c echo.Context) error {
			request := c.Request()
			if request.URL.RawQuery != "" || request.URL.RawPath != "" || len(request.Header["If-None-Match"]) > 0 {
				return general(c)
			}
			return h.GetBalance(c, callOf(c).account, api.GetBalanceParams{})
		}
	case "POST /v1/accounts/{account}/deductions":
		return func(c echo.Context) error {
			request := c.Request()
			if request.URL.RawPath != "" || len(request.Header["If-Match"]) > 0 {
				return general(c)
			}
			// The key was taken by the frame.
			return h.Deduct(c, callOf(c).account, api.DeductParams{})
		}
	}
	return general
}

// plainCheck reads amount and account, each once and without escapes; false for
// every other query.
func plainCheck(query string) (params api.CheckCreditsParams, plain bool) {
	given := false
	for part := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(part, "=")
		if value == "" || strings.ContainsAny(value, "%+;=") {
			return params, false
		}
		switch {
		case name == "amount" && !given:
			params.Amount, given = value, true
		case name == "account" && params.Account == nil:
			params.Account = &value
		default:
			return params, false
		}
	}
	return params, given
}
