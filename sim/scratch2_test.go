package sim

import (
	"fmt"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestHunt(t *testing.T) {
	o := Options{}
	switch rule := os.Getenv("RULE"); rule {
	case "":
	case "UnorderedState":
		o.UnorderedState = true
	case "DeliverBeforeSync":
		o.DeliverBeforeSync = true
	default:
		reflect.ValueOf(&o.Rules).Elem().FieldByName(rule).SetBool(true)
	}
	if f := os.Getenv("F"); f == "random" {
		o.Random = true
	} else {
		o.Faults, _ = ParseFaults(f)
	}
	o.Nodes, _ = strconv.Atoi(os.Getenv("N"))
	o.Duration, _ = time.ParseDuration(os.Getenv("D"))
	o.Load, _ = strconv.ParseFloat(os.Getenv("L"), 64)
	b, _ := strconv.ParseUint(os.Getenv("B"), 10, 64)
	kinds := map[string][]uint64{}
	s, err := Swarm(o, 1, b, time.Time{}, func(r Report) {
		if r.Failure != "" {
			words := strings.Fields(r.Failure)
			k := strings.Join(words[:min(5, len(words))], " ")
			kinds[k] = append(kinds[k], r.Seed)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("%s runs %d failures %d real %.1f speed %.0f\n", os.Getenv("RULE"), s.Runs, len(s.Failures), s.RealSeconds, s.Speed)
	for k, v := range kinds {
		fmt.Println("   ", k, v)
	}
}
