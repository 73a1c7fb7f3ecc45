// step-ca, smallstep's CA, as it comes but for its drivers of keys in clouds and tokens, which are most of its code and
// take minutes to build.
package main

import (
	"fmt"
	"os"

	"github.com/smallstep/certificates/commands"
	"github.com/smallstep/cli-utils/step"
	"github.com/urfave/cli"

	_ "github.com/smallstep/certificates/cas/softcas"
	_ "go.step.sm/crypto/kms/softkms"
)

func main() {
	err := step.Init()
	if err == nil {
		app := cli.NewApp()
		app.Name = "step-ca"
		app.Flags = commands.AppCommand.Flags
		app.Action = commands.AppCommand.Action
		err = app.Run(os.Args)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
