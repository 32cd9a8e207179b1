// Package codegen declares the one type of the C# generator that the docker-build provider mentions.
package codegen

// CSharpPackageInfo describes a C# SDK to the generator.
type CSharpPackageInfo struct {
	RespectSchemaVersion bool              `json:"respectSchemaVersion,omitempty"`
	PackageReferences    map[string]string `json:"packageReferences,omitempty"`
}
