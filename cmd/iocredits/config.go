package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v3"
)

// BeforeResolve reads the --config file. Settings come from flags first, then
// from the environment, then from this file.
func (c *cli) BeforeResolve(ctx *kong.Context) error {
	path := ""
	for _, flag := range ctx.Model.Flags {
		if flag.Name == "config" {
			path, _ = ctx.FlagValue(flag).(string)
		}
	}
	if path == "" {
		return nil
	}
	settings, err := readConfig(path)
	if err != nil {
		return err
	}
	known := settingNames(ctx.Model.Node)
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		if !slices.Contains(known, name) {
			return fmt.Errorf("config file %s: %q is no setting", path, name)
		}
	}
	ctx.AddResolver(settings)
	return nil
}

// fileSettings are the settings of a file by settingName.
type fileSettings map[string]string

func readConfig(path string) (fileSettings, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("config file: %w", err)
	}
	defer func() { _ = f.Close() }()
	var root yaml.Node
	decoder := yaml.NewDecoder(f)
	err = decoder.Decode(&root)
	if err == nil && root.Content[0].Kind != yaml.MappingNode && root.Content[0].Tag != "!!null" {
		return nil, fmt.Errorf("config file %s, line %d: it takes lines of a setting and its value, as log-level: debug", path, root.Content[0].Line)
	}
	nodes := map[string]yaml.Node{}
	if err == nil {
		err = root.Decode(&nodes)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("config file %s: %w", path, err)
	}
	if !errors.Is(decoder.Decode(new(yaml.Node)), io.EOF) { // what it sets would count for nothing
		return nil, fmt.Errorf("config file %s has more than one document", path)
	}
	settings := fileSettings{}
	for name, node := range nodes {
		if node.Kind != yaml.ScalarNode {
			return nil, fmt.Errorf("config file %s, line %d: %q takes one plain value", path, node.Line, name)
		}
		settings[name] = node.Value
	}
	return settings, nil
}

// Validate accepts everything: names were checked when the file was read.
func (fileSettings) Validate(*kong.Application) error { return nil }

// Resolve gives a flag the file's value, unless the environment has one. kong
// asks only for flags that the command line leaves open.
func (s fileSettings) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	for _, name := range flag.Envs {
		if _, set := os.LookupEnv(name); set {
			return nil, nil
		}
	}
	if value, ok := s[settingName(flag)]; ok {
		return value, nil
	}
	return nil, nil
}

// settingName is a flag's name in a file: that in the environment, in small
// letters. It is the flag's own name, unless that means something else for
// another command. Empty: the flag makes sense only where the command is typed.
func settingName(flag *kong.Flag) string {
	if len(flag.Envs) == 0 || flag.Name == "config" {
		return ""
	}
	name := strings.TrimPrefix(flag.Envs[0], envPrefix+"_")
	return strings.ToLower(strings.ReplaceAll(name, "_", "-"))
}

// settingNames lists what a file may set.
func settingNames(node *kong.Node) []string {
	var names []string
	for _, flag := range node.Flags {
		if name := settingName(flag); name != "" {
			names = append(names, name)
		}
	}
	for _, child := range node.Children {
		names = append(names, settingNames(child)...)
	}
	return names
}
