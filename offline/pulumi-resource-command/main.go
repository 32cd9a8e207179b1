// Command pulumi-resource-command is a stand-in for the part of Pulumi's command provider that this project uses:
// local.Command, remote.Command and remote.CopyToRemote, compatible on the wire with @pulumi/command 1.2.1.
//
// It exists for machines that reach nothing but a Go module proxy: the vendor publishes its provider as a plugin and
// as an untagged Go module, and proxies serve only tagged ones. Wherever the vendor's plugin is installed or can be
// downloaded, that one is used. What this one does not implement, it refuses by name.
package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"

	provider "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-go-provider/infer"
	"github.com/pulumi/pulumi-go-provider/middleware/schema"

	"xsched-triton/offline/pulumi-resource-command/local"
	"xsched-triton/offline/pulumi-resource-command/remote"
)

// compatibleVersion is the release of @pulumi/command that programs and states are written for.
const compatibleVersion = "1.2.1"

func newProvider() provider.Provider {
	implementation := infer.Provider(infer.Options{
		Metadata: schema.Metadata{
			DisplayName: "Command",
			Description: "Runs commands on this machine and over SSH, and copies files over SSH.",
			License:     "Apache-2.0",
			LanguageMap: map[string]any{"nodejs": map[string]any{"respectSchemaVersion": true}},
		},
		Resources: []infer.InferredResource{
			infer.Resource(&local.Command{}),
			infer.Resource(&remote.Command{}),
			infer.Resource(&remote.CopyToRemote{}),
		},
	})
	check := implementation.Check
	implementation.Check = func(ctx context.Context, request provider.CheckRequest) (provider.CheckResponse, error) {
		response, err := check(ctx, request)
		for i := range response.Failures {
			response.Failures[i].Reason = explainUnknown(response.Failures[i].Reason)
		}
		return response, err
	}
	endWithEngine(&implementation)
	return implementation
}

// endWithEngine ends this process when the engine that started it is gone, which a killed engine cannot say. Commands
// that still run come to their end first: they write into pipes of this process.
func endWithEngine(implementation *provider.Provider) {
	var running atomic.Int64
	create, update, remove := implementation.Create, implementation.Update, implementation.Delete
	implementation.Create = func(ctx context.Context, request provider.CreateRequest) (provider.CreateResponse, error) {
		defer running.Add(-1)
		running.Add(1)
		return create(ctx, request)
	}
	implementation.Update = func(ctx context.Context, request provider.UpdateRequest) (provider.UpdateResponse, error) {
		defer running.Add(-1)
		running.Add(1)
		return update(ctx, request)
	}
	implementation.Delete = func(ctx context.Context, request provider.DeleteRequest) error {
		defer running.Add(-1)
		running.Add(1)
		return remove(ctx, request)
	}
	engine := os.Getppid()
	go func() {
		for os.Getppid() == engine || running.Load() > 0 {
			time.Sleep(time.Second)
		}
		os.Exit(1)
	}()
}

// explainUnknown says why a property that the vendor's documentation has may be refused here.
func explainUnknown(reason string) string {
	if !strings.HasPrefix(reason, "Unrecognized field") {
		return reason
	}
	return reason + "; this stand-in implements what xsched-triton uses, Pulumi's own plugin implements the rest: " +
		"pulumi plugin install resource command " + compatibleVersion
}

func main() {
	if err := newProvider().Run(context.Background(), "command", compatibleVersion); err != nil {
		fmt.Fprintln(os.Stderr, "pulumi-resource-command:", err)
		os.Exit(1)
	}
}
