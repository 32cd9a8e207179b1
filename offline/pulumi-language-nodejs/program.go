package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/config"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
)

// protocolVersion is the release of the vendor's host whose protocol this one speaks.
const protocolVersion = "3.259.0"

// program is what node is to be started with.
type program struct {
	module        string // of the SDK
	root          string // folder of the user's program
	directory     string // working directory
	nodeArguments []string
	arguments     []string
	environment   []string
}

// newProgram makes the command line that the SDK's cmd/run expects.
func newProgram(request *pulumirpc.RunRequest, engine string) (program, error) {
	info := request.GetInfo()
	p := program{module: "@pulumi/pulumi/cmd/run", root: info.GetProgramDirectory()}
	for _, flag := range []struct{ name, value string }{
		{"monitor", request.GetMonitorAddress()},
		{"engine", engine},
		{"organization", request.GetOrganization()},
		{"project", request.GetProject()},
		{"stack", request.GetStack()},
		{"root-directory", info.GetRootDirectory()},
		{"pwd", info.GetProgramDirectory()},
		{"parallel", strconv.Itoa(int(request.GetParallel()))},
	} {
		if flag.value != "" {
			p.arguments = append(p.arguments, "--"+flag.name, flag.value)
		}
	}
	if request.GetDryRun() {
		p.arguments = append(p.arguments, "--dry-run")
	}
	p.arguments = append(append(p.arguments, info.GetEntryPoint()), request.GetArgs()...)

	settings := map[string]string{}
	for name, value := range request.GetConfig() {
		key, err := config.ParseKey(name)
		if err != nil {
			return program{}, err
		}
		settings[key.Namespace()+":config:"+key.Name()] = value // the SDK still expects the long form
	}
	secrets := request.GetConfigSecretKeys()
	if secrets == nil {
		secrets = []string{}
	}
	settingsJSON, err := json.Marshal(settings)
	if err != nil {
		return program{}, err
	}
	secretsJSON, err := json.Marshal(secrets)
	if err != nil {
		return program{}, err
	}
	p.environment = append(os.Environ(),
		"PULUMI_CONFIG="+string(settingsJSON), "PULUMI_CONFIG_SECRET_KEYS="+string(secretsJSON))
	return p, p.apply(info.GetOptions().AsMap())
}

// newPlugin makes the command line that the SDK's cmd/run-plugin expects, or cmd/run-policy-pack for a policy pack.
func newPlugin(request *pulumirpc.RunPluginRequest) (program, error) {
	root := request.GetInfo().GetProgramDirectory()
	if request.GetKind() == "analyzer" {
		p := program{
			module:      "@pulumi/pulumi/cmd/run-policy-pack",
			root:        root,
			directory:   root, // a pack finds its own files there, whatever program it looks at
			arguments:   append(slices.Clone(request.GetArgs()), "."),
			environment: request.GetEnv(),
		}
		return p, p.apply(request.GetInfo().GetOptions().AsMap())
	}
	p := program{
		module:      "@pulumi/pulumi/cmd/run-plugin",
		root:        root,
		directory:   request.GetPwd(),
		arguments:   append([]string{root}, request.GetArgs()...),
		environment: request.GetEnv(),
	}
	return p, p.apply(request.GetInfo().GetOptions().AsMap())
}

// apply sets the options of `runtime` in Pulumi.yaml.
func (p *program) apply(options map[string]any) error {
	typescript := true
	for name, value := range options {
		valid := true
		var text string
		switch name {
		case "typescript":
			typescript, valid = value.(bool)
		case "tsconfig":
			text, valid = value.(string)
			p.environment = append(p.environment, "PULUMI_NODEJS_TSCONFIG_PATH="+text)
		case "nodeargs":
			text, valid = value.(string)
			p.nodeArguments = strings.Fields(text)
		case "packagemanager":
			valid = value == "npm" || value == "auto"
		default:
			return fmt.Errorf("the runtime option %s needs the language host of the Pulumi CLI %s", name, protocolVersion)
		}
		if !valid {
			return fmt.Errorf("the runtime option %s cannot be %v", name, value)
		}
	}
	if typescript {
		p.environment = append(p.environment, "PULUMI_NODEJS_TYPESCRIPT=true")
	}
	return nil
}
