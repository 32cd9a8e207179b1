package script

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestRecorderShowsWholeLinesOfTheWantedStreams(t *testing.T) {
	only := logStderr
	for _, test := range []struct {
		logging *Logging
		want    []string
	}{
		{nil, []string{"ab", "", "warn", "end"}},
		{&only, []string{"warn"}},
	} {
		var shown []string
		r := newRecorder(test.logging, func(line string) { shown = append(shown, line) })
		for _, chunk := range []string{"a", "b\n\n", "en"} {
			_, _ = r.Stdout().Write([]byte(chunk))
		}
		_, _ = r.Stderr().Write([]byte("warn\n"))
		_, _ = r.Stdout().Write([]byte("d"))
		outputs, err := r.Finish("command", nil)
		if err != nil || !slices.Equal(shown, test.want) {
			t.Errorf("shown %q, want %q (error %v)", shown, test.want, err)
		}
		if outputs != (Outputs{Stdout: "ab\n\nend", Stderr: "warn"}) {
			t.Errorf("outputs %q", outputs)
		}
	}
}

func TestRecorderTakesALineOfAnyLength(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	var shown []string
	r := newRecorder(nil, func(line string) { shown = append(shown, line) })
	_, _ = r.Stdout().Write([]byte(long + "\nnext\n"))
	if !slices.Equal(shown, []string{long, "next"}) {
		t.Errorf("%d lines shown", len(shown))
	}
}

func TestFailureNamesTheCommandAndAllItPrinted(t *testing.T) {
	none := logNone
	r := newRecorder(&none, func(line string) { t.Errorf("shown: %q", line) })
	_, _ = r.Stdout().Write([]byte("first\n"))
	_, _ = r.Stderr().Write([]byte("reason\n"))
	_, err := r.Finish("false", errors.New("exit status 1"))
	if want := "running \"false\": exit status 1\nfirst\nreason\n"; err == nil || err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
}

func TestPreviousOutput(t *testing.T) {
	off := false
	previous := Outputs{Stdout: "out"}
	if got := (Inputs{}).PreviousOutput(previous); len(got) != 1 || got["PULUMI_COMMAND_STDOUT"] != "out" {
		t.Errorf("got %v", got)
	}
	if got := (Inputs{AddPreviousOutputInEnv: &off}).PreviousOutput(previous); len(got) != 0 {
		t.Errorf("got %v", got)
	}
}
