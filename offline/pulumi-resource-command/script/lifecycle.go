package script

import (
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// Run runs one command with the outputs of the step before it at hand, and returns its own.
type Run func(command string, previous Outputs) (Outputs, error)

// NewID makes the id of a new resource: its name and eight random hexadecimal digits.
func NewID(name string) (string, error) {
	return resource.NewUniqueHex(name, 8, 0)
}

// Step runs a step's command if there is one. A preview, and a step without a command, leave the outputs as they are.
func Step(command *string, preview bool, previous Outputs, run Run) (Outputs, error) {
	if command == nil || preview {
		return previous, nil
	}
	return run(*command, previous)
}
