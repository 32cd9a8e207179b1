// A Kubernetes control plane in one program, for tests: `kubernetes etcd …`, `kubernetes kube-apiserver …` and
// `kubernetes kube-controller-manager …` do what the programs of these names do. In one program, because they are made
// of the same packages: three would take twice as long to build and thrice the disk.
package main

import (
	"fmt"
	"os"
	_ "time/tzdata" // Controllers of CronJobs ask for zones, which this machine may lack.

	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
)

func main() {
	program := ""
	if len(os.Args) > 1 {
		program = os.Args[1]
		os.Args = append([]string{program}, os.Args[2:]...)
	}
	switch program {
	case "etcd":
		etcdmain.Main(os.Args)
	case "kube-apiserver":
		os.Exit(cli.Run(apiserver.NewAPIServerCommand()))
	case "kube-controller-manager":
		os.Exit(cli.Run(controllers.NewControllerManagerCommand()))
	default:
		fmt.Fprintln(os.Stderr, "usage: kubernetes etcd|kube-apiserver|kube-controller-manager ARGUMENT...")
		os.Exit(2)
	}
}
