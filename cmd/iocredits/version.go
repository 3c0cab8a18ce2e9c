package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// version is set by the linker for a release: -ldflags "-X main.version=1.2.3".
var version = ""

type versionCmd struct{}

// Run prints one line.
func (versionCmd) Run(m *Main) error {
	_, err := fmt.Fprintln(m.Stdout, versionLine())
	return err
}

func versionLine() string {
	return fmt.Sprintf("iocredits %s %s %s/%s", versionText(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// versionText falls back to the module's version, which go build takes from the
// repository, and then to the commit alone.
func versionText() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return "devel-" + s.Value[:12]
		}
	}
	return "devel"
}
