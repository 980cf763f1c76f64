package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"
)

// runTether runs a program for as long as its own input stays open. The other end is
// held by the test process: the kernel closes it even when that process is killed,
// so no API server survives a test that did not.
func runTether(args []string) error {
	flags := flag.NewFlagSet("tether", flag.ExitOnError)
	remove := flags.String("remove", "", "a folder to remove when the input ended before the program")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() == 0 {
		return fmt.Errorf("tether takes a program and its arguments")
	}
	cmd := exec.Command(flags.Arg(0), flags.Args()[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	// A terminal's interrupt goes to the test, and the test decides what stops when.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	if err := cmd.Start(); err != nil {
		return err
	}
	go pass(signals, cmd.Process)
	torn := make(chan struct{})
	go func() {
		io.Copy(io.Discard, os.Stdin)
		close(torn)
		// The node is given the time to end what runs in its pods.
		cmd.Process.Signal(syscall.SIGTERM)
		time.Sleep(3 * time.Second)
		cmd.Process.Kill()
	}()
	err := cmd.Wait()
	select {
	case <-torn:
		if *remove != "" {
			os.RemoveAll(*remove)
		}
	default:
	}
	var exited *exec.ExitError
	if errors.As(err, &exited) {
		os.Exit(max(1, exited.ExitCode()))
	}
	return err
}

// Only SIGTERM is the test's own word; the others are meant for the whole terminal.
func pass(signals <-chan os.Signal, to *os.Process) {
	for received := range signals {
		if received == syscall.SIGTERM {
			to.Signal(received)
		}
	}
}
