// Package version tells which build of synod is running, from what the Go toolchain stamps into every binary.
package version

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// Info identifies a build.
type Info struct {
	Version  string `json:"version"`  // module version, "(devel)" when built from a plain tree
	Revision string `json:"revision"` // commit, empty when built outside a repository
	Date     string `json:"date"`     // commit time, RFC 3339
	Modified bool   `json:"modified"` // the tree had changes that were not committed
	Go       string `json:"go"`
	Platform string `json:"platform"` // "linux/amd64"
}

// Read returns the identity of the running binary.
func Read() Info {
	info := Info{Version: "(devel)", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return info
	}
	if build.Main.Version != "" {
		info.Version = build.Main.Version
	}
	for _, setting := range build.Settings {
		switch setting.Key {
		case "vcs.revision":
			info.Revision = setting.Value
		case "vcs.time":
			info.Date = setting.Value
		case "vcs.modified":
			info.Modified = setting.Value == "true"
		}
	}
	return info
}

// String returns one line for people.
func (i Info) String() string {
	line := fmt.Sprintf("synod %s %s %s", i.Version, i.Go, i.Platform)
	if i.Revision == "" {
		return line
	}
	line += fmt.Sprintf(" commit %.12s of %s", i.Revision, i.Date)
	if i.Modified {
		line += " with local changes"
	}
	return line
}
