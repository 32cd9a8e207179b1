// Package remote runs commands on, and copies files to, another machine over SSH.
package remote

import (
	"context"
	"fmt"
	"strings"
	"time"

	provider "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-go-provider/infer"
	"golang.org/x/crypto/ssh"

	"xsched-triton/offline/pulumi-resource-command/script"
)

// closeAfter is how long a cancelled command has to end after SIGTERM before the connection is closed.
const closeAfter = 5 * time.Second

// Command is the resource command:remote:Command.
type Command struct{}

// Inputs of a remote command.
type Inputs struct {
	script.Inputs
	Connection *Connection `pulumi:"connection" provider:"secret"`
}

// State of a remote command.
type State struct {
	Inputs
	script.Outputs
}

func (*Command) Annotate(a infer.Annotator) { a.SetToken("remote", "Command") }

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
		client, err := in.Connection.dial(ctx)
		if err != nil {
			return script.Outputs{}, err
		}
		defer client.Close()
		recorder := script.NewRecorder(ctx, in.Logging)
		return recorder.Finish(command, in.start(ctx, client, command, previous, recorder))
	}
}

func (in Inputs) start(
	ctx context.Context, client *ssh.Client, command string, previous script.Outputs, recorder *script.Recorder,
) error {
	session, err := client.NewSession()
	if err != nil {
		return err
	}
	defer session.Close()

	const refused = "the SSH server does not accept the variable %s (AcceptEnv in its sshd_config); " +
		"fix: write it into the command (NAME=value command) or pass it on stdin"
	if in.Environment != nil {
		for name, value := range *in.Environment {
			if err := session.Setenv(name, value); err != nil {
				return fmt.Errorf(refused+": %w", name, err)
			}
		}
	}
	// Most servers refuse these too, but the user has not asked for them.
	for name, value := range in.PreviousOutput(previous) {
		if err := session.Setenv(name, value); err != nil {
			provider.GetLogger(ctx).Warningf(refused, name)
		}
	}

	if in.Stdin != nil {
		session.Stdin = strings.NewReader(*in.Stdin)
	}
	session.Stdout, session.Stderr = recorder.Stdout(), recorder.Stderr()
	if err := session.Start(command); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() {
		_ = session.Signal(ssh.SIGTERM)
		time.AfterFunc(closeAfter, func() { _ = client.Close() })
	})
	defer stop()
	if err := session.Wait(); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("cancelled: %w", err)
		}
		return err
	}
	return nil
}

var (
	_ infer.CustomUpdate[Inputs, State] = (*Command)(nil)
	_ infer.CustomDelete[State]         = (*Command)(nil)
)
