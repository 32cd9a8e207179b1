package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/protobuf/types/known/structpb"
)

func info(t *testing.T, options map[string]any) *pulumirpc.ProgramInfo {
	t.Helper()
	values, err := structpb.NewStruct(options)
	if err != nil {
		t.Fatal(err)
	}
	return &pulumirpc.ProgramInfo{
		RootDirectory: "/root", ProgramDirectory: "/root/program", EntryPoint: ".", Options: values,
	}
}

func TestProgramGetsFlagsConfigAndOptions(t *testing.T) {
	p, err := newProgram(&pulumirpc.RunRequest{
		Project: "project", Stack: "stack", MonitorAddress: "monitor:1", DryRun: true, Parallel: 4,
		Config: map[string]string{"project:name": "value"}, ConfigSecretKeys: []string{"project:name"},
		Args: []string{"own"},
		Info: info(t, map[string]any{"tsconfig": "other.json", "nodeargs": "--a --b"}),
	}, "engine:2")
	if err != nil {
		t.Fatal(err)
	}
	want := "--monitor monitor:1 --engine engine:2 --project project --stack stack --root-directory /root " +
		"--pwd /root/program --parallel 4 --dry-run . own"
	if got := strings.Join(p.arguments, " "); got != want {
		t.Errorf("arguments %q, want %q", got, want)
	}
	if !slices.Equal(p.nodeArguments, []string{"--a", "--b"}) {
		t.Errorf("node arguments %q", p.nodeArguments)
	}
	for _, variable := range []string{
		`PULUMI_CONFIG={"project:config:name":"value"}`, `PULUMI_CONFIG_SECRET_KEYS=["project:name"]`,
		"PULUMI_NODEJS_TYPESCRIPT=true", "PULUMI_NODEJS_TSCONFIG_PATH=other.json",
	} {
		if !slices.Contains(p.environment, variable) {
			t.Errorf("%s is not in the environment", variable)
		}
	}
}

func TestPluginGetsItsFolderAndTheEnginesEnvironment(t *testing.T) {
	p, err := newPlugin(&pulumirpc.RunPluginRequest{
		Pwd: "/elsewhere", Args: []string{"engine:2"}, Env: []string{"A=b"},
		Info: info(t, map[string]any{"typescript": false}),
	})
	if err != nil {
		t.Fatal(err)
	}
	if p.directory != "/elsewhere" || !slices.Equal(p.arguments, []string{"/root/program", "engine:2"}) ||
		!slices.Equal(p.environment, []string{"A=b"}) {
		t.Errorf("got %+v", p)
	}
}

func TestPolicyPackRunsInItsOwnFolder(t *testing.T) {
	p, err := newPlugin(&pulumirpc.RunPluginRequest{
		Kind: "analyzer", Pwd: "/elsewhere", Args: []string{"engine:2"}, Info: info(t, nil),
	})
	if err != nil {
		t.Fatal(err)
	}
	if p.module != "@pulumi/pulumi/cmd/run-policy-pack" || p.directory != "/root/program" ||
		!slices.Equal(p.arguments, []string{"engine:2", "."}) {
		t.Errorf("got %+v", p)
	}
}

func TestWhatIsNotThereIsRefused(t *testing.T) {
	for _, options := range []map[string]any{{"packagemanager": "yarn"}, {"typescript": "yes"}, {"new": true}} {
		if _, err := newProgram(&pulumirpc.RunRequest{Info: info(t, options)}, ""); err == nil {
			t.Errorf("%v is accepted", options)
		}
	}
}

func TestAProgramWithoutTheSDKIsToldToInstallIt(t *testing.T) {
	folder := t.TempDir()
	_, err := resolve(t.Context(), "@pulumi/pulumi/cmd/run", folder)
	if err == nil || !strings.Contains(err.Error(), "npm install") {
		t.Errorf("error %v", err)
	}
	entry := filepath.Join(folder, "node_modules", "some-module", "index.js")
	if err := os.MkdirAll(filepath.Dir(entry), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(entry, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := resolve(t.Context(), "some-module", folder); err != nil || filepath.Base(got) != "index.js" {
		t.Errorf("resolved %q (error %v)", got, err)
	}
}
