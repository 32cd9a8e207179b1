//go:build tools

// Package tools pins what `go build` makes the Node language host from. v3.68.0 is the last release that has the host
// inside a tagged module; the protocol has stayed compatible, and newer CLIs and SDKs run with it.
package tools

import _ "github.com/pulumi/pulumi/sdk/v3/nodejs/cmd/pulumi-language-nodejs"
