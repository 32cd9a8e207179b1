//go:build tools

// Package tools pins what `go build` makes the YAML language host from.
package tools

import _ "github.com/pulumi/pulumi-yaml/cmd/pulumi-language-yaml"
