package telemetry_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"github.com/synod-network/synod/telemetry"
)

func TestJSONLines(t *testing.T) {
	var out bytes.Buffer
	telemetry.NewLogger(&out, telemetry.LogAuto, slog.LevelInfo, "sequencer1").Info("ready", "height", 7)
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]any{"level": "INFO", "msg": "ready", "node": "sequencer1", "height": 7.0} {
		if line[key] != want {
			t.Errorf("%s is %v, want %v", key, line[key], want)
		}
	}
	if ts, _ := line["ts"].(string); !strings.HasSuffix(ts, "Z") {
		t.Errorf("ts %q is not in UTC", ts)
	}
}

func TestLevelChangesAtRunTime(t *testing.T) {
	var out bytes.Buffer
	var level slog.LevelVar
	log := telemetry.NewLogger(&out, telemetry.LogText, &level, "")
	log.Debug("before")
	level.Set(slog.LevelDebug)
	log.Debug("after")
	if got := out.String(); strings.Contains(got, "before") || !strings.Contains(got, "after") {
		t.Fatalf("logged %q", got)
	}
}
