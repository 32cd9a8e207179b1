// The vendor's Kubernetes provider, with a main program of our own.
//
// The vendor's main program embeds files that its build generates, so its module doesn't build as published. They are
// the schema, for programs in YAML and other languages whose SDK is generated on the spot, and the names of Terraform's
// resources, for converting programs. This project asks for neither: the schema is also read to import a resource, which
// it does not do.
package main

import (
	"github.com/pulumi/pulumi-kubernetes/provider/v4/pkg/provider"
	"github.com/pulumi/pulumi-kubernetes/provider/v4/pkg/version"
)

func main() {
	provider.Serve("kubernetes", version.Version, []byte("{}"), []byte("{}"))
}
