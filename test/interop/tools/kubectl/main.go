// The kubectl of a release, built from its library: the command's own module can not be installed by `go install`.
package main

import (
	"os"

	_ "k8s.io/client-go/plugin/pkg/client/auth/exec"
	"k8s.io/component-base/cli"
	"k8s.io/kubectl/pkg/cmd"
	"k8s.io/kubectl/pkg/cmd/util"
)

func main() {
	if err := cli.RunNoErrOutput(cmd.NewDefaultKubectlCommand()); err != nil {
		util.CheckErr(err)
	}
	os.Exit(0)
}
