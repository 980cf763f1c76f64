// The programs that bench/proxy.ts starts: the API server's stand-in, the Go proxy that the
// connector is compared with, the load, and a tether for the programs that are not ours.
//
// Each of them ends with its standard input, which the kernel closes with whoever started it.
package main

import (
	"fmt"
	"io"
	"os"
)

func main() {
	commands := map[string]func([]string) error{
		"upstream": runUpstream,
		"reverse":  runReverseProxy,
		"load":     runLoad,
		"tether":   runTether,
	}
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fail(fmt.Errorf("give one of upstream, reverse, load, tether"))
	}
	if err := commands[os.Args[1]](os.Args[2:]); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "error:", err)
	os.Exit(1)
}

func endWithInput() {
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
}
