//go:build tools

// Package tools pins what `go build` makes the docker-build provider from.
//
// The provider fills in two descriptions for the generators of its C# and Java SDKs. The modules that declare those
// types are not to be had from every Go module proxy, and a running provider never generates an SDK, so that
// `stubs/` declares the two types in their place.
package tools

import _ "github.com/pulumi/pulumi-docker-build/provider/cmd/pulumi-resource-docker-build"
