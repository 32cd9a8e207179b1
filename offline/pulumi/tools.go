//go:build tools

// Package tools pins what `go build` makes the Pulumi CLI from.
package tools

import _ "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
