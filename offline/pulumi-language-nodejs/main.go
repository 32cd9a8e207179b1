// Command pulumi-language-nodejs runs Pulumi programs and component plugins written in TypeScript or JavaScript.
//
// It is a stand-in for the host that comes with the Pulumi CLI, for machines that reach nothing but a Go module
// proxy: the vendor's host left the tagged modules after v3.68.0, and that release cannot run component plugins yet.
// Wherever the vendor's host is installed or can be downloaded, that one is used. This one does what running a
// program takes; it has no debugger, tracing, policy packs, code generation or package managers other than npm.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/util/rpcutil"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc"
)

// engineCheckInterval is how often the host asks whether the engine is still there; it ends with an engine that was killed.
const engineCheckInterval = 5 * time.Second

func main() {
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, "pulumi-language-nodejs:", err)
		os.Exit(1)
	}
}

// serve answers the engine, whose address is the last argument, until it goes away.
func serve() error {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	engine := ""
	if len(os.Args) > 1 {
		engine = os.Args[len(os.Args)-1]
		if err := rpcutil.Healthcheck(ctx, engine, engineCheckInterval, cancel); err != nil {
			return fmt.Errorf("cannot watch the engine at %s: %w", engine, err)
		}
	}
	stop := make(chan bool)
	context.AfterFunc(ctx, func() { close(stop) })
	handle, err := rpcutil.ServeWithOptions(rpcutil.ServeOptions{
		Cancel: stop,
		Init: func(server *grpc.Server) error {
			pulumirpc.RegisterLanguageRuntimeServer(server, &host{engine: engine, stopped: ctx, stop: cancel})
			return nil
		},
	})
	if err != nil {
		return err
	}
	fmt.Println(handle.Port) // where the engine finds the host
	return <-handle.Done
}
