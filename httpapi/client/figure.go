// Package client is a generated Go client of the API in openapi.yaml.
package client

//go:generate go tool oapi-codegen -config oapi-codegen.yaml ../openapi.yaml

// Figure is a decimal in the API's text form, such as "12.5".
type Figure = string
