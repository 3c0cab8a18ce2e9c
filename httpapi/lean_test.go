package httpapi

import (
	"net/url"
	"reflect"
	"testing"

	"iocredits/httpapi/api"
)

// Whatever the short way takes, the general way takes and reads the same.
func FuzzScanDeduction(f *testing.F) {
	for _, seed := range []string{
		`{"amount":"1","service":"vm"}`, ` { "service" : "vm" , "amount" : "0.5", "reference":"r","description":"d" } `, `{}`, `{ }`, ``,
		`{"amount":"1","amount":"1"}`, `{"amount":1}`, `{"amount":"1",}`, `{"amount":"1"} x`, `{"amount":"\u0031"}`, `{"Amount":"1"}`,
		"{\"reference\":\"\x7f\"}", "{\"reference\":\"é\"}", `{"amount":"1"}}`, `{"amount":"1" "service":"vm"}`, `{,}`, `[]`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var short deductionText
		if !short.scan(body) {
			return
		}
		var general api.DeductionRequest
		if err := decodeObject(body, &general); err != nil {
			t.Fatalf("%q is taken, and refused by the general way: %v", body, err)
		}
		if !reflect.DeepEqual(short.DeductionRequest, general) {
			t.Fatalf("%q reads as %+v, not %+v", body, short.DeductionRequest, general)
		}
	})
}

func FuzzScanLine(f *testing.F) {
	for _, seed := range []string{
		`{"account":"a","key":"k","amount":"1","service":"vm","reference":"r","description":"d"}`,
		`{"account":"a","key":"k","meter":"m","service":"vm","quantity":"2","unit_price":"0.5"}`,
		`{"account":"a","key":"k","meter":"m","service":"vm","quantity":"2","unit_price":"0.5","final":true}`,
		`{"key":"a","key":"b"}`, `{"account":null}`, `{"account":"a"`, `{"account":"a",`, `{"account"`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		var short lineText
		if !short.scan(line) {
			return
		}
		var general api.BatchLine
		if err := decodeObject(line, &general); err != nil {
			t.Fatalf("%q is taken, and refused by the general way: %v", line, err)
		}
		if !reflect.DeepEqual(short.BatchLine, general) {
			t.Fatalf("%q reads as %+v, not %+v", line, short.BatchLine, general)
		}
	})
}

// The short way is taken by what it was made for.
func TestScanTakesPlainBodies(t *testing.T) {
	var d deductionText
	if !d.scan([]byte(`{"amount":"1.5","service":"vm","reference":"r-1","description":"3 hours"}`)) || *d.Description != "3 hours" {
		t.Fatalf("%+v", d)
	}
	var l lineText
	if !l.scan([]byte(`{"account":"a","key":"k","meter":"m","service":"vm","quantity":"2","unit_price":"0.5"}`)) || *l.UnitPrice != "0.5" {
		t.Fatalf("%+v", l)
	}
	if allocs := testing.AllocsPerRun(100, func() { l = lineText{}; l.scan([]byte(`{"account":"a","key":"k","amount":"1"}`)) }); allocs > 2 {
		t.Fatalf("%.0f allocations", allocs)
	}
}

func FuzzPlainCheck(f *testing.F) {
	for _, seed := range []string{"amount=1", "account=a&amount=1", "amount=1&amount=2", "amount=%31", "amount=1+", "amount=1;2", "&amount=1", "amount=1&", "amount=a=b", "account=a", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		params, plain := plainCheck(query)
		if !plain {
			return
		}
		values, err := url.ParseQuery(query)
		if err != nil || len(values["amount"]) != 1 || values.Get("amount") != params.Amount {
			t.Fatalf("%q reads as %+v, not %v, %v", query, params, values, err)
		}
		if params.Account == nil {
			if values.Has("account") || len(values) != 1 {
				t.Fatalf("%q has more than an amount", query)
			}
			return
		}
		if len(values["account"]) != 1 || values.Get("account") != *params.Account || len(values) != 2 {
			t.Fatalf("%q reads as %+v, not %v", query, params, values)
		}
	})
}
