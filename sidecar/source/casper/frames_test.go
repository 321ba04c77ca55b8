package casper

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func read(in io.Reader, maxBytes int) (all []string, err error) {
	f := newFrames(in, maxBytes)
	for {
		next, err := f.next()
		switch {
		case errors.Is(err, errTooLarge):
			all = append(all, "too large")
			continue
		case err != nil:
			return all, err
		}
		text := string(next.data)
		if next.hasID {
			text += fmt.Sprintf(" #%d", next.id)
		}
		all = append(all, text)
	}
}

func TestFrames(t *testing.T) {
	long := strings.Repeat("x", 200<<10)
	for _, tc := range []struct {
		name, stream string
		want         []string
	}{
		{"as nodes write it", "data:{\"a\":1}\nid:7\n\n", []string{`{"a":1} #7`}},
		{"without number", "data:v\n\ndata:w\nid:1\n\n", []string{"v", "w #1"}},
		{"a number counts once", "data:v\nid:1\n\ndata:w\n\n", []string{"v #1", "w"}},
		{"a space after the colon", "data: v\nid: 4294967295\n\n", []string{"v #4294967295"}},
		{"two spaces", "data:  v\n\n", []string{" v"}},
		{"carriage returns", "data:v\r\nid:3\r\n\r\n", []string{"v #3"}},
		{"lines", "data:a\ndata:b\ndata\ndata:c\n\n", []string{"a\nb\n\nc"}},
		{"comments", ":\n\n: hello\ndata:v\n:x\n\n:\n\n", []string{"v"}},
		{"number without data", "id:1\n\ndata:v\n\n", []string{"v"}},
		{"other fields", "event:e\nretry:10\ndatax:no\nida:1\ndata:v\n\n", []string{"v"}},
		{"number that is none", "data:v\nid:x\n\ndata:v\nid:-1\n\ndata:v\nid:4294967296\n\ndata:v\nid:\n\n", []string{"v", "v", "v", "v"}},
		{"empty data", "data:\n\ndata\n\n", []string{"", ""}},
		{"colons", "data:a:b\n\n", []string{"a:b"}},
		{"long", "data:" + long + "\nid:2\n\ndata:v\n\n", []string{long + " #2", "v"}},
		{"long with carriage return", "data:" + long + "\r\n\r\n", []string{long}},
		{"long field", long + ":1\ndata:v\n\n:" + long + "\n\n", []string{"v"}},
		{"too large", "data:" + long + long + "\nid:3\n\ndata:v\nid:4\n\n", []string{"too large", "v #4"}},
		{"too large in lines", "data:" + long + "\ndata:" + long + "\ndata:x\nid:3\n\ndata:v\n\n", []string{"too large", "v"}},
		{"cut", "data:v\n", nil},
	} {
		for how, in := range map[string]io.Reader{
			"at once": strings.NewReader(tc.stream), "byte by byte": iotest.OneByteReader(strings.NewReader(tc.stream)), "in halves": iotest.HalfReader(strings.NewReader(tc.stream)),
		} {
			got, err := read(in, 300<<10)
			if fmt.Sprint(got) != fmt.Sprint(tc.want) || err != io.EOF {
				t.Errorf("%s, %s: %.200q, %v", tc.name, how, got, err)
			}
		}
	}
}

func TestFramesKeepTheirData(t *testing.T) {
	f := newFrames(strings.NewReader("data:aaaa\n\ndata:bbbb\n\ndata:"+strings.Repeat("c", 400<<10)+"\n\ndata:dddd\n\n"), 1<<20)
	var all [][]byte
	for range 4 {
		next, err := f.next()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, next.data)
	}
	if string(all[0]) != "aaaa" || string(all[1]) != "bbbb" || len(all[2]) != 400<<10 || all[2][0] != 'c' || string(all[3]) != "dddd" {
		t.Errorf("%.10q", all)
	}
}

// FuzzFrames checks that how the bytes arrive makes no difference, and that nothing exceeds the bound.
func FuzzFrames(f *testing.F) {
	f.Add([]byte("data:v\r\nid:1\n\n:\n\ndata:a\ndata:b\n\n"))
	f.Add([]byte("data:" + strings.Repeat("x", 100) + "\n\nid\n\n"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		at, _ := read(bytes.NewReader(stream), 50)
		by, _ := read(iotest.OneByteReader(bytes.NewReader(stream)), 50)
		if fmt.Sprint(at) != fmt.Sprint(by) {
			t.Fatalf("%q and %q", at, by)
		}
		for _, text := range at {
			if len(text) > 50+len(" #4294967295") {
				t.Fatalf("%d bytes", len(text))
			}
		}
	})
}

func BenchmarkFrames(b *testing.B) {
	one := "data:{\"DeployAccepted\":{\"hash\":\"" + strings.Repeat("a", 1100) + "\"}}\nid:123456\n\n"
	stream := strings.Repeat(one, 1000)
	b.SetBytes(int64(len(one)))
	f := newFrames(strings.NewReader(stream), 1<<20)
	for b.Loop() {
		if _, err := f.next(); err != nil {
			f = newFrames(strings.NewReader(stream), 1<<20)
		}
	}
}
