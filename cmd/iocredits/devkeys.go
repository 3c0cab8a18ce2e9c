package main

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"iocredits/eventstore/disk"
	"iocredits/httpapi"
)

// devRoles are the keys of a dev engine, in the order in which they are shown.
// "bd2" is a second person of role bd, so that four eyes can be tried out;
// "customer:demo-1" is the customer of account demo-1.
var devRoles = []string{
	"customer:demo-1", "customer:demo-2", "service", "bd", "bd2", "finance", "finance2",
	"support", "support2", "auditor", "admin",
}

// devKeys are the keys by the names in devRoles.
type devKeys map[string]string

// openDevKeys reads the keys of an earlier run, and makes those that are missing.
func openDevKeys(path string) (devKeys, error) {
	keys, err := readDevKeys(path)
	if errors.Is(err, os.ErrNotExist) {
		keys, err = devKeys{}, nil
	}
	if err != nil {
		return nil, err
	}
	missing := false
	for _, name := range devRoles {
		if keys[name] == "" {
			keys[name], missing = newKey(), true
		}
	}
	if !missing {
		return keys, nil
	}
	if err := disk.WriteFile(path, keys.format(), privateMode); err != nil {
		return nil, fmt.Errorf("dev keys %s: %w", path, err)
	}
	return keys, nil
}

// format is JSON with one key a line, for people and for sed.
func (k devKeys) format() []byte {
	var b strings.Builder
	b.WriteString("{\n")
	for i, name := range devRoles {
		end := ",\n"
		if i == len(devRoles)-1 {
			end = "\n"
		}
		fmt.Fprintf(&b, "  %q: %q%s", name, k[name], end)
	}
	b.WriteString("}\n")
	return []byte(b.String())
}

// roleOf takes a name of devRoles apart.
func roleOf(name string) (role, account string) {
	if role, account, ok := strings.Cut(name, ":"); ok {
		return role, account
	}
	return strings.TrimRight(name, "2"), ""
}

// devRoleUse says what a key is for.
func devRoleUse(name string) string {
	role, account := roleOf(name)
	switch {
	case strings.HasSuffix(name, "2") && account == "":
		return "a second person of role " + role + ", for four eyes"
	case account != "":
		return "the customer of account " + account
	}
	return map[string]string{
		"service": "the deployment API: checks, deductions, reservations, deployments, refunds",
		"bd":      "decides credit requests, grants incentives",
		"finance": "decides withdrawals, adjustments and unmatched payments, takes purchases back, freezes, sets policy",
		"support": "refunds, decides disputes, asks for adjustments, reads events",
		"auditor": "reads everything, changes nothing", "admin": "policy, freezes, forgets accounts, and the /dev routes",
	}[role]
}

// specs are the keys as the API takes them. Each acts under its own name.
func (k devKeys) specs() []httpapi.KeySpec {
	specs := make([]httpapi.KeySpec, 0, len(devRoles))
	for _, name := range devRoles {
		role, account := roleOf(name)
		specs = append(specs, httpapi.KeySpec{ID: name, Role: httpapi.Role(role), Account: account, Actor: name, SHA256: httpapi.HashKey(k[name])})
	}
	return specs
}

// newKey makes a key that nobody can guess: 192 random bits.
func newKey() string {
	var b [24]byte
	_, _ = rand.Read(b[:]) // never fails: it ends the process instead
	return "ioc_" + base64.RawURLEncoding.EncodeToString(b[:])
}

// readDevKeys reads the keys of an engine that runs or ran.
func readDevKeys(path string) (devKeys, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	keys := devKeys{}
	if err := json.Unmarshal(content, &keys); err != nil {
		return nil, fmt.Errorf("dev keys %s: %w", path, err)
	}
	return keys, nil
}

// givenOrDevKey is the key of --key or, without it, the one that a dev engine has by a
// name of devRoles.
func givenOrDevKey(given, file, name string) (string, error) {
	if given != "" {
		return given, nil
	}
	keys, err := readDevKeys(file)
	if err != nil {
		return "", usagef("no --key, and no dev engine's keys to use: %w", err)
	}
	if keys[name] == "" {
		return "", usagef("no --key, and --dev-keys %s has none of %s", file, name)
	}
	return keys[name], nil
}
