// Package java declares the one type of the Java generator that the docker-build provider mentions.
package java

// PackageInfo describes a Java SDK to the generator.
type PackageInfo struct {
	BuildFiles                      string            `json:"buildFiles,omitempty"`
	GradleNexusPublishPluginVersion string            `json:"gradleNexusPublishPluginVersion,omitempty"`
	Dependencies                    map[string]string `json:"dependencies,omitempty"`
}
