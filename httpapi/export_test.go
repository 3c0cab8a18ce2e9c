package httpapi

import "iocredits/domain"

// Update is the flag of that name, for golden files.
var Update = update

// ProblemMembers are the members that a problem with a code may have.
func ProblemMembers(code string) []string {
	own := []string{"type", "title", "status", "detail", "instance", "code", "request_id"}
	return append(own, help[domain.Code(code)].Members...)
}
