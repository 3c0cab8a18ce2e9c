package esdbstore

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
)

// settings are those that the client knows; it passes over any other with a
// line on its own log.
var settings = []string{
	"discoveryinterval", "gossiptimeout", "maxdiscoverattempts", "nodepreference", "keepaliveinterval", "keepalivetimeout",
	"tls", "tlscafile", "tlsverifycert", "usercertfile", "userkeyfile", "defaultdeadline",
}

// ErrConnection: the connection string is none. Nothing was tried.
var ErrConnection = errors.New("connection string")

// parseConfig reads a connection string, more strictly than the client does: it
// passes over what it doesn't know, takes the port modulo 65536, and drops
// credentials silently without TLS.
func parseConfig(connection string) (*esdb.Configuration, error) {
	config, err := readConfig(connection)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConnection, redact(err, connection))
	}
	return config, nil
}

func readConfig(connection string) (*esdb.Configuration, error) {
	if connection != strings.TrimSpace(connection) || connection == "" {
		return nil, errors.New("it is empty or has spaces around it")
	}
	scheme, rest, found := strings.Cut(connection, "://")
	if !found || scheme != "esdb" && scheme != "esdb+discover" {
		return nil, fmt.Errorf("it begins with esdb:// or esdb+discover://, not with %q", scheme)
	}
	authority, query, _ := strings.Cut(rest, "?")
	if err := checkHosts(authority); err != nil {
		return nil, err
	}
	if err := checkSettings(query); err != nil {
		return nil, err
	}
	config, err := esdb.ParseConnectionString(connection)
	if err != nil {
		return nil, err
	}
	switch {
	case config.DisableTLS && (config.Username != "" || config.UserCertFile != ""):
		return nil, errors.New("credentials with tls=false would not be sent by the client, and must not cross the wire in clear: use TLS, or leave them out")
	case config.NodePreference != esdb.NodePreferenceLeader:
		return nil, fmt.Errorf("nodePreference=%s: the ledger reads what it has written, which only the leader has", config.NodePreference)
	}
	// One try a session: the supervisor tries again, and can be told to stop.
	config.MaxDiscoverAttempts = 1
	return config, config.Validate()
}

// checkHosts looks at user:password@host:port,host:port.
func checkHosts(authority string) error {
	hosts := strings.TrimSuffix(authority[strings.LastIndex(authority, "@")+1:], "/")
	for host := range strings.SplitSeq(hosts, ",") {
		name, port, given := strings.Cut(host, ":")
		if strings.HasPrefix(name, "[") {
			return fmt.Errorf("host %s: the client takes no IPv6 address; give the host's name", host)
		}
		if name == "" {
			return errors.New("a host is missing")
		}
		if n, err := strconv.ParseUint(port, 10, 16); given && (err != nil || n == 0) {
			return fmt.Errorf("host %s has no port from 1 to 65535", name)
		}
	}
	return nil
}

func checkSettings(query string) error {
	values, err := url.ParseQuery(query)
	if err != nil {
		return err
	}
	for name, given := range values {
		lower := strings.ToLower(name)
		if !slices.Contains(settings, lower) {
			return fmt.Errorf("setting %q is unknown", name)
		}
		if len(given) > 1 {
			return fmt.Errorf("setting %q is given %d times", name, len(given))
		}
		// The client takes a default deadline that it can't read as 0.
		if n, err := strconv.Atoi(given[0]); lower == "defaultdeadline" && (err != nil || n < 1) {
			return fmt.Errorf("setting %q is not a positive number of milliseconds", name)
		}
	}
	return nil
}

// redact keeps user and password out of an error that quotes the connection string.
func redact(err error, connection string) error {
	_, rest, _ := strings.Cut(connection, "://")
	at := strings.LastIndex(rest, "@")
	if at <= 0 || !strings.Contains(err.Error(), rest[:at]) {
		return err
	}
	return errors.New(strings.ReplaceAll(err.Error(), rest[:at], "…"))
}
