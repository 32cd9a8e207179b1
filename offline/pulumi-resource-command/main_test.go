package main

import (
	"context"
	"strings"
	"testing"

	"github.com/blang/semver"
	provider "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-go-provider/integration"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/property"
)

const (
	localCommand  = resource.URN("urn:pulumi:stack::project::command:local:Command::name")
	remoteCommand = resource.URN("urn:pulumi:stack::project::command:remote:Command::name")
)

func serve(t *testing.T) integration.Server {
	t.Helper()
	server, err := integration.NewServer(context.Background(), "command", semver.MustParse(compatibleVersion),
		integration.WithProvider(newProvider()))
	if err != nil {
		t.Fatal(err)
	}
	return server
}

func text(values map[string]string) property.Map {
	properties := map[string]property.Value{}
	for name, value := range values {
		properties[name] = property.New(value)
	}
	return property.NewMap(properties)
}

func TestLifeOfALocalCommand(t *testing.T) {
	server := serve(t)
	inputs := text(map[string]string{
		"create": "cat; echo problem >&2", "update": "echo was $PULUMI_COMMAND_STDOUT", "stdin": "given\n",
	})

	preview, err := server.Create(provider.CreateRequest{Urn: localCommand, Properties: inputs, DryRun: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"stdout", "stderr"} {
		if !preview.Properties.Get(name).IsComputed() {
			t.Errorf("%s of a preview is %#v, want it unknown", name, preview.Properties.Get(name))
		}
	}

	created, err := server.Create(provider.CreateRequest{Urn: localCommand, Properties: inputs})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(created.ID, "name") || len(created.ID) != len("name")+8 {
		t.Errorf("id %q", created.ID)
	}
	if got := created.Properties; got.Get("stdout").AsString() != "given" || got.Get("stderr").AsString() != "problem" {
		t.Errorf("created %v", got)
	}

	changed := inputs.Set("stdin", property.New("other\n"))
	difference, err := server.Diff(provider.DiffRequest{
		ID: created.ID, Urn: localCommand, State: created.Properties, OldInputs: inputs, Inputs: changed,
	})
	if err != nil || !difference.HasChanges || difference.DetailedDiff["stdin"].Kind != provider.Update {
		t.Errorf("difference %+v (error %v)", difference, err)
	}
	updated, err := server.Update(provider.UpdateRequest{
		ID: created.ID, Urn: localCommand, State: created.Properties, OldInputs: inputs, Inputs: changed,
	})
	if err != nil || updated.Properties.Get("stdout").AsString() != "was given" {
		t.Errorf("updated %v (error %v)", updated.Properties, err)
	}
}

func TestUnknownPropertiesAreRefused(t *testing.T) {
	response, err := serve(t).Check(provider.CheckRequest{Urn: localCommand, Inputs: text(map[string]string{"proxy": "x"})})
	if err != nil || len(response.Failures) != 1 || !strings.Contains(response.Failures[0].Reason, "Pulumi's own plugin") {
		t.Errorf("failures %+v (error %v)", response.Failures, err)
	}
}

func TestConnectionIsSecretAndGetsDefaults(t *testing.T) {
	inputs := property.NewMap(map[string]property.Value{
		"connection": property.New(map[string]property.Value{"host": property.New("example")}),
	})
	response, err := serve(t).Check(provider.CheckRequest{Urn: remoteCommand, Inputs: inputs})
	if err != nil || len(response.Failures) > 0 {
		t.Fatal(err, response.Failures)
	}
	connection := response.Inputs.Get("connection")
	if !connection.Secret() {
		t.Error("connection is not secret")
	}
	if got := connection.AsMap(); got.Get("user").AsString() != "root" || got.Get("port").AsNumber() != 22 {
		t.Errorf("connection %v", got)
	}
}
