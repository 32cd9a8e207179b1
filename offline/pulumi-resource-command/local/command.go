// Package local runs commands on this machine.
package local

import (
	"context"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/pulumi/pulumi-go-provider/infer"

	"xsched-triton/offline/pulumi-resource-command/script"
)

// killAfter is how long a cancelled command has to end after SIGTERM.
const killAfter = 5 * time.Second

// Command is the resource command:local:Command.
type Command struct{}

// Inputs of a local command.
type Inputs struct {
	script.Inputs
	Interpreter *[]string `pulumi:"interpreter,optional"`
	Dir         *string   `pulumi:"dir,optional"`
}

// State of a local command.
type State struct {
	Inputs
	script.Outputs
}

func (*Command) Annotate(a infer.Annotator) { a.SetToken("local", "Command") }

func (*Command) Create(
	ctx context.Context, request infer.CreateRequest[Inputs],
) (infer.CreateResponse[State], error) {
	id, err := script.NewID(request.Name)
	if err != nil {
		return infer.CreateResponse[State]{}, err
	}
	outputs, err := script.Step(request.Inputs.Create, request.DryRun, script.Outputs{}, request.Inputs.run(ctx))
	return infer.CreateResponse[State]{ID: id, Output: State{request.Inputs, outputs}}, err
}

func (*Command) Update(
	ctx context.Context, request infer.UpdateRequest[Inputs, State],
) (infer.UpdateResponse[State], error) {
	outputs, err := script.Step(
		request.Inputs.OnUpdate(), request.DryRun, request.State.Outputs, request.Inputs.run(ctx))
	return infer.UpdateResponse[State]{Output: State{request.Inputs, outputs}}, err
}

func (*Command) Delete(ctx context.Context, request infer.DeleteRequest[State]) (infer.DeleteResponse, error) {
	_, err := script.Step(request.State.Delete, false, request.State.Outputs, request.State.run(ctx))
	return infer.DeleteResponse{}, err
}

func (in Inputs) run(ctx context.Context) script.Run {
	return func(command string, previous script.Outputs) (script.Outputs, error) {
		recorder := script.NewRecorder(ctx, in.Logging)
		return recorder.Finish(command, in.start(ctx, command, previous, recorder))
	}
}

func (in Inputs) start(
	ctx context.Context, command string, previous script.Outputs, recorder *script.Recorder,
) error {
	interpreter := []string{"/bin/sh", "-c"}
	if in.Interpreter != nil && len(*in.Interpreter) > 0 {
		interpreter = *in.Interpreter
	}
	arguments := append(slices.Clone(interpreter[1:]), command)
	process := exec.CommandContext(ctx, interpreter[0], arguments...)
	process.Stdout, process.Stderr = recorder.Stdout(), recorder.Stderr()
	if in.Dir != nil {
		process.Dir = *in.Dir
	}
	if in.Stdin != nil {
		process.Stdin = strings.NewReader(*in.Stdin)
	}
	process.Env = os.Environ()
	if in.Environment != nil {
		for name, value := range *in.Environment {
			process.Env = append(process.Env, name+"="+value)
		}
	}
	for name, value := range in.PreviousOutput(previous) {
		process.Env = append(process.Env, name+"="+value)
	}

	// A script's own children must end with it, so it leads a process group, and cancelling signals the group.
	process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	ended := make(chan struct{})
	defer close(ended)
	process.Cancel = func() error {
		group := -process.Process.Pid
		go func() {
			select {
			case <-ended:
			case <-time.After(killAfter):
				_ = syscall.Kill(group, syscall.SIGKILL)
			}
		}()
		return syscall.Kill(group, syscall.SIGTERM)
	}
	return process.Run()
}

var (
	_ infer.CustomUpdate[Inputs, State] = (*Command)(nil)
	_ infer.CustomDelete[State]         = (*Command)(nil)
)
