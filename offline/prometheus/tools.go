//go:build tools

// Package tools pins what `go build` makes Prometheus from: the one that the test of a fleet asks how long queues are.
package tools

import (
	_ "github.com/prometheus/prometheus/cmd/prometheus"
	_ "github.com/prometheus/prometheus/cmd/promtool"
)
