//go:build tools

// Package tools pins what `go build` makes buildkitd from: the builder of the tests that build images. Its version is
// the one that pulumi-resource-docker-build talks to, so that the two share what Go compiles.
package tools

import _ "github.com/moby/buildkit/cmd/buildkitd"
