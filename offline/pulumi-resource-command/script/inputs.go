// Package script holds what a command has in common wherever it runs: its inputs, which script runs at which step of
// a resource's life, and how its output is recorded.
package script

import "github.com/pulumi/pulumi-go-provider/infer"

// Inputs are the inputs that local and remote commands share.
type Inputs struct {
	Triggers               *[]any             `pulumi:"triggers,optional" provider:"replaceOnChanges"`
	Create                 *string            `pulumi:"create,optional"`
	Update                 *string            `pulumi:"update,optional"`
	Delete                 *string            `pulumi:"delete,optional"`
	Stdin                  *string            `pulumi:"stdin,optional"`
	Environment            *map[string]string `pulumi:"environment,optional"`
	Logging                *Logging           `pulumi:"logging,optional"`
	AddPreviousOutputInEnv *bool              `pulumi:"addPreviousOutputInEnv,optional"`
}

// Outputs are what the last script that ran printed, each without its final newline.
type Outputs struct {
	Stdout string `pulumi:"stdout"`
	Stderr string `pulumi:"stderr"`
}

// OnUpdate is the script of an update: `update`, or `create` again if there is none. It may be nil.
func (in Inputs) OnUpdate() *string {
	if in.Update != nil {
		return in.Update
	}
	return in.Create
}

// PreviousOutput is what the earlier step printed, as the environment variables that the next script gets. Empty
// output sets no variable, and the user can switch the variables off.
func (in Inputs) PreviousOutput(previous Outputs) map[string]string {
	variables := map[string]string{}
	if in.AddPreviousOutputInEnv != nil && !*in.AddPreviousOutputInEnv {
		return variables
	}
	if previous.Stdout != "" {
		variables["PULUMI_COMMAND_STDOUT"] = previous.Stdout
	}
	if previous.Stderr != "" {
		variables["PULUMI_COMMAND_STDERR"] = previous.Stderr
	}
	return variables
}

// Logging says which of a script's streams are shown while it runs. Both are recorded as outputs in any case.
type Logging string

const (
	logStdout          Logging = "stdout"
	logStderr          Logging = "stderr"
	logStdoutAndStderr Logging = "stdoutAndStderr"
	logNone            Logging = "none"
)

// Values lists the values for the schema.
func (Logging) Values() []infer.EnumValue[Logging] {
	return []infer.EnumValue[Logging]{
		{Name: string(logStdout), Value: logStdout, Description: "Show standard output only."},
		{Name: string(logStderr), Value: logStderr, Description: "Show standard error only."},
		{Name: string(logStdoutAndStderr), Value: logStdoutAndStderr, Description: "Show both (the default)."},
		{Name: string(logNone), Value: logNone, Description: "Show nothing."},
	}
}

func (l *Logging) shows(stream Logging) bool {
	return l == nil || *l == logStdoutAndStderr || *l == stream
}
