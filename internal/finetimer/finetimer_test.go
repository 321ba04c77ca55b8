package finetimer

import (
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTimer(t *testing.T) {
	timer, err := New()
	if err != nil {
		t.Fatal(err)
	}
	defer timer.Stop()
	for _, wait := range []time.Duration{-time.Second, 0, 300 * time.Microsecond, 2 * time.Millisecond} {
		start := time.Now()
		timer.Reset(wait)
		<-timer.C
		if took := time.Since(start); took < wait {
			t.Errorf("a wait of %s took only %s", wait, took)
		}
	}
}

// A later Reset replaces the wait, to be shorter or longer.
func TestResetReplaces(t *testing.T) {
	timer, err := New()
	if err != nil {
		t.Fatal(err)
	}
	defer timer.Stop()
	timer.Reset(time.Hour)
	timer.Reset(time.Millisecond)
	<-timer.C
	start := time.Now()
	timer.Reset(10 * time.Second)
	timer.Reset(20 * time.Millisecond)
	<-timer.C
	if took := time.Since(start); took < 20*time.Millisecond {
		t.Errorf("it took %s", took)
	}
	timer.Reset(time.Hour) // Stop ends a wait that runs
}

// Waits of 300 µs, one after the other, beside the runtime's own timer.
func BenchmarkWait(b *testing.B) {
	const wait = 300 * time.Microsecond
	b.Run("fine", func(b *testing.B) {
		timer, err := New()
		if err != nil {
			b.Fatal(err)
		}
		defer timer.Stop()
		for b.Loop() {
			timer.Reset(wait)
			<-timer.C
		}
	})
	b.Run("runtime", func(b *testing.B) {
		timer := time.NewTimer(time.Hour)
		defer timer.Stop()
		for b.Loop() {
			timer.Reset(wait)
			<-timer.C
		}
	})
}
