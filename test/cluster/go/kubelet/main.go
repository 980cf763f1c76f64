// The program in place of a kubelet: a real API server proxies exec, attach, logs
// and port-forward to it, and it runs them on this machine instead of in containers.
//
// It also makes the cluster's certificates and ties the cluster's programs to the
// test process that wants them, because both are a few lines here and many elsewhere.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "kubelet-stand-in:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("say one of: certificates, node, tether")
	}
	switch args[0] {
	case "certificates":
		return runCertificates(args[1:])
	case "node":
		return runNode(args[1:])
	case "tether":
		return runTether(args[1:])
	}
	return fmt.Errorf("there is no %q", args[0])
}

func runCertificates(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("certificates takes a folder")
	}
	return writeCertificates(args[0])
}

type nodeOptions struct {
	name, kubeconfig, certificates, eventsFile, scratch string
}

func runNode(args []string) error {
	var options nodeOptions
	flags := flag.NewFlagSet("node", flag.ExitOnError)
	flags.StringVar(&options.name, "name", "node-1", "the node's name")
	flags.StringVar(&options.kubeconfig, "kubeconfig", "", "how to reach the API server")
	flags.StringVar(&options.certificates, "certificates", "", "the folder that `certificates` wrote")
	flags.StringVar(&options.eventsFile, "events-file", "", "where a line is added for each stream opened or closed")
	flags.StringVar(&options.scratch, "scratch", "", "the folder that holds a folder for each pod")
	if err := flags.Parse(args); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()

	events, err := openEvents(options.eventsFile)
	if err != nil {
		return err
	}
	pods := newPods(options.scratch)
	defer pods.endAll()
	port, err := serve(ctx, options.certificates, &streams{pods: pods, events: events})
	if err != nil {
		return err
	}
	return keepNode(ctx, options, port, pods)
}
