package script

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"sync"

	provider "github.com/pulumi/pulumi-go-provider"
)

// Recorder keeps what a running script prints, shows it line by line, and makes the outputs or the error of it.
// The two streams may be written from different goroutines.
type Recorder struct {
	mu             sync.Mutex
	show           func(line string)
	stdout, stderr stream
	both           bytes.Buffer // in the order of arrival, for the error message
}

type stream struct {
	recorder *Recorder
	all      bytes.Buffer
	line     []byte // begun, not yet shown
	shown    bool
}

// NewRecorder shows lines as status messages of the resource that ctx belongs to.
func NewRecorder(ctx context.Context, logging *Logging) *Recorder {
	logger := provider.GetLogger(ctx)
	return newRecorder(logging, func(line string) { logger.InfoStatus(line) })
}

func newRecorder(logging *Logging, show func(line string)) *Recorder {
	r := &Recorder{show: show}
	r.stdout = stream{recorder: r, shown: logging.shows(logStdout)}
	r.stderr = stream{recorder: r, shown: logging.shows(logStderr)}
	return r
}

// Stdout and Stderr are the writers to connect the script to.
func (r *Recorder) Stdout() io.Writer { return &r.stdout }
func (r *Recorder) Stderr() io.Writer { return &r.stderr }

func (s *stream) Write(data []byte) (int, error) {
	s.recorder.mu.Lock()
	defer s.recorder.mu.Unlock()
	s.all.Write(data)
	s.recorder.both.Write(data)
	if s.shown {
		s.line = append(s.line, data...)
		for {
			end := bytes.IndexByte(s.line, '\n')
			if end < 0 {
				break
			}
			s.recorder.show(string(s.line[:end]))
			s.line = s.line[end+1:]
		}
	}
	return len(data), nil
}

// Finish is to be called once, when the script has ended with err and nothing writes any more.
func (r *Recorder) Finish(command string, err error) (Outputs, error) {
	for _, s := range []*stream{&r.stdout, &r.stderr} {
		if len(s.line) > 0 {
			r.show(string(s.line))
		}
	}
	if err != nil {
		return Outputs{}, fmt.Errorf("running %q: %w\n%s", command, err, r.both.String())
	}
	return Outputs{
		Stdout: strings.TrimSuffix(r.stdout.all.String(), "\n"),
		Stderr: strings.TrimSuffix(r.stderr.all.String(), "\n"),
	}, nil
}
