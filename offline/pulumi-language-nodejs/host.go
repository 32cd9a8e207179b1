package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/util/rpcutil"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/protobuf/types/known/emptypb"
)

// shown is the exit code of a program whose errors the user has seen already.
const shown = 32

// host answers the engine's language protocol.
type host struct {
	pulumirpc.UnimplementedLanguageRuntimeServer
	engine  string
	stopped context.Context // done when the engine cancels, or is gone
	stop    context.CancelFunc
}

func (h *host) Handshake(
	_ context.Context, request *pulumirpc.LanguageHandshakeRequest,
) (*pulumirpc.LanguageHandshakeResponse, error) {
	h.engine = request.GetEngineAddress()
	if err := rpcutil.Healthcheck(h.stopped, h.engine, engineCheckInterval, h.stop); err != nil {
		return nil, fmt.Errorf("cannot watch the engine at %s: %w", h.engine, err)
	}
	return &pulumirpc.LanguageHandshakeResponse{}, nil
}

func (*host) GetPluginInfo(context.Context, *emptypb.Empty) (*pulumirpc.PluginInfo, error) {
	return &pulumirpc.PluginInfo{Version: protocolVersion}, nil
}

// GetRequiredPackages names none: the engine learns each provider's version from the resources that use it.
func (*host) GetRequiredPackages(
	context.Context, *pulumirpc.GetRequiredPackagesRequest,
) (*pulumirpc.GetRequiredPackagesResponse, error) {
	return &pulumirpc.GetRequiredPackagesResponse{}, nil
}

// Run runs a program once, to its end.
func (h *host) Run(ctx context.Context, request *pulumirpc.RunRequest) (*pulumirpc.RunResponse, error) {
	program, err := newProgram(request, h.engine)
	if err != nil {
		return &pulumirpc.RunResponse{Error: err.Error()}, nil
	}
	// The engine shows what a host prints. Node must not get the file itself, or it would make it non-blocking.
	err = h.node(ctx, program, io.MultiWriter(os.Stdout), io.MultiWriter(os.Stderr))
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		if exit.ExitCode() == shown {
			return &pulumirpc.RunResponse{Bail: true}, nil
		}
		err = fmt.Errorf("the program ended with exit code %d", exit.ExitCode())
	}
	if err != nil {
		return &pulumirpc.RunResponse{Error: err.Error()}, nil
	}
	return &pulumirpc.RunResponse{}, nil
}

// RunPlugin runs a component plugin for as long as the engine needs it.
func (h *host) RunPlugin(
	request *pulumirpc.RunPluginRequest, stream pulumirpc.LanguageRuntime_RunPluginServer,
) error {
	program, err := newPlugin(request)
	if err != nil {
		return err
	}
	output, stdout, stderr, err := rpcutil.MakeRunPluginStreams(stream, false)
	if err != nil {
		return err
	}
	defer output.Close()
	return h.node(stream.Context(), program, stdout, stderr)
}

// InstallDependencies is `npm install` in the program's folder.
func (h *host) InstallDependencies(
	request *pulumirpc.InstallDependenciesRequest, stream pulumirpc.LanguageRuntime_InstallDependenciesServer,
) error {
	output, stdout, stderr, err := rpcutil.MakeInstallDependenciesStreams(stream, request.GetIsTerminal())
	if err != nil {
		return err
	}
	defer output.Close()
	command := exec.CommandContext(stream.Context(), "npm", "install", "--no-audit", "--no-fund")
	command.Dir = request.GetInfo().GetProgramDirectory()
	command.Stdout, command.Stderr = stdout, stderr
	return command.Run()
}

func (h *host) Cancel(context.Context, *emptypb.Empty) (*emptypb.Empty, error) {
	h.stop()
	return &emptypb.Empty{}, nil
}

// node runs a part of the SDK that is installed beside the program.
func (h *host) node(ctx context.Context, program program, stdout, stderr io.Writer) error {
	entry, err := resolve(ctx, program.module, program.root)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(h.stopped, cancel)()
	arguments := append(program.nodeArguments, entry)
	command := exec.CommandContext(ctx, "node", append(arguments, program.arguments...)...)
	command.Dir, command.Env = program.directory, program.environment
	command.Stdout, command.Stderr = stdout, stderr
	// An interrupted program can still finish what it is doing; a stuck one is killed.
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.WaitDelay = 5 * time.Second
	return command.Run()
}

// resolve finds a module as a program in the folder would.
func resolve(ctx context.Context, module, folder string) (string, error) {
	command := exec.CommandContext(ctx, "node", "--print", "require.resolve(process.argv[1])", module)
	command.Dir = folder
	var stderr bytes.Buffer
	command.Stderr = &stderr
	output, err := command.Output()
	if err == nil {
		return strings.TrimSpace(string(output)), nil
	}
	if strings.Contains(stderr.String(), "MODULE_NOT_FOUND") {
		return "", fmt.Errorf("%s is not installed in %s; fix: run npm install there", module, folder)
	}
	return "", fmt.Errorf("node does not run: %w\n%s", err, stderr.String())
}
