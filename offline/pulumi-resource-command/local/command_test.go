package local

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"xsched-triton/offline/pulumi-resource-command/script"
)

func TestRunUsesInterpreterDirectoryAndEnvironment(t *testing.T) {
	directory := t.TempDir()
	environment := map[string]string{"GIVEN": "value"}
	in := Inputs{Interpreter: &[]string{"/bin/sh", "-e", "-c"}, Dir: &directory}
	in.Environment = &environment
	outputs, err := in.run(t.Context())("pwd -P; echo $GIVEN $-", script.Outputs{})
	real, _ := filepath.EvalSymlinks(directory)
	if lines := strings.Fields(outputs.Stdout); err != nil || len(lines) != 3 || lines[0] != real ||
		lines[1] != "value" || !strings.Contains(lines[2], "e") {
		t.Errorf("stdout %q (error %v)", outputs.Stdout, err)
	}
}

func TestCancellationEndsTheWholeProcessGroup(t *testing.T) {
	started := filepath.Join(t.TempDir(), "started")
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for {
			if _, err := os.Stat(started); err == nil {
				cancel()
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	}()
	begin := time.Now()
	// The child of the shell holds its output open: Run only returns because the child ends too.
	_, err := Inputs{}.run(ctx)("sleep 30 & touch "+started+"; wait", script.Outputs{})
	if err == nil || time.Since(begin) > killAfter {
		t.Errorf("ended after %s with %v", time.Since(begin), err)
	}
}
