package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"github.com/creack/pty"
	"k8s.io/cri-streaming/pkg/streaming/portforward"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
	utilexec "k8s.io/utils/exec"
)

type streams struct {
	pods   *pods
	events *events
}

func (streams *streams) routes() http.Handler {
	routes := http.NewServeMux()
	routes.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") })
	routes.HandleFunc("/exec/{namespace}/{pod}/{container}", streams.serve("exec", serveExec))
	routes.HandleFunc("/attach/{namespace}/{pod}/{container}", streams.serve("attach", serveAttach))
	routes.HandleFunc("/portForward/{namespace}/{pod}", streams.serve("portforward", servePortForward))
	routes.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", streams.serve("logs", serveLogs))
	return routes
}

type serveStream func(ctx context.Context, pod *pod, w http.ResponseWriter, request *http.Request)

func (streams *streams) serve(kind string, serve serveStream) http.HandlerFunc {
	return func(w http.ResponseWriter, request *http.Request) {
		namespace, name := request.PathValue("namespace"), request.PathValue("pod")
		pod, err := streams.pods.find(namespace, name)
		if err != nil {
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		}
		ctx, cancel := untilClosed(request, pod)
		defer cancel()
		closed := streams.events.opened(event{
			Kind: kind, Namespace: namespace, Pod: name,
			Container: request.PathValue("container"), Command: request.URL.Query()["command"],
		})
		defer closed()
		streams.pods.running.Add(1)
		defer streams.pods.running.Done()
		serve(ctx, pod, w, request)
	}
}

// entered is a pod as the streaming library wants it. The library hands on contexts
// that outlive the connection; ctx does not.
type entered struct {
	ctx context.Context
	pod *pod
}

func serveExec(ctx context.Context, pod *pod, w http.ResponseWriter, request *http.Request) {
	options, err := remotecommand.NewOptions(request)
	command := request.URL.Query()["command"]
	if err != nil || len(command) == 0 {
		http.Error(w, fmt.Sprintf("no stream or no command: %v", err), http.StatusBadRequest)
		return
	}
	remotecommand.ServeExec(w, request, entered{ctx, pod}, "", "", "", command, options,
		idleLimit, creationLimit, remotecommand.SupportedStreamingProtocols)
}

func (in entered) ExecInContainer(_ context.Context, _, _, _ string, command []string, stdin io.Reader,
	stdout, stderr io.WriteCloser, tty bool, sizes <-chan remotecommand.TerminalSize, _ time.Duration) error {
	ctx, cancel := context.WithCancel(in.ctx)
	defer cancel()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Dir = in.pod.folder
	cmd.Env = []string{"HOME=" + in.pod.folder, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	// A command's own children must not outlive the stream either: all of its session is killed.
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	if tty {
		return exitCode(runOnTerminal(cmd, stdin, stdout, sizes))
	}
	return exitCode(runOnPipes(cmd, stdin, stdout, stderr))
}

// runOnPipes does not hand stdin to the command itself: Wait would then wait for
// the caller to end its input, even when the command has long exited.
func runOnPipes(cmd *exec.Cmd, stdin io.Reader, stdout, stderr io.Writer) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if stdout != nil {
		cmd.Stdout = stdout
	}
	if stderr != nil {
		cmd.Stderr = stderr
	}
	if stdin == nil {
		return cmd.Run()
	}
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() {
		io.Copy(pipe, stdin)
		pipe.Close()
	}()
	return cmd.Wait()
}

func runOnTerminal(cmd *exec.Cmd, stdin io.Reader, stdout io.Writer, sizes <-chan remotecommand.TerminalSize) error {
	cmd.Env = append(cmd.Env, "TERM=xterm")
	terminal, err := pty.Start(cmd)
	if err != nil {
		return err
	}
	defer terminal.Close()
	go func() {
		for size := range sizes {
			pty.Setsize(terminal, &pty.Winsize{Rows: size.Height, Cols: size.Width})
		}
	}()
	if stdin != nil {
		go io.Copy(terminal, stdin)
	}
	if stdout != nil {
		// Ends with an error when the last process lets go of the terminal.
		io.Copy(stdout, terminal)
	}
	return cmd.Wait()
}

func exitCode(err error) error {
	var exited *exec.ExitError
	switch {
	case errors.As(err, &exited) && exited.ExitCode() >= 0:
		return utilexec.CodeExitError{Err: err, Code: exited.ExitCode()}
	case errors.As(err, &exited):
		return utilexec.CodeExitError{Err: err, Code: 128 + int(exited.Sys().(syscall.WaitStatus).Signal())}
	case errors.Is(err, exec.ErrNotFound):
		return utilexec.CodeExitError{Err: err, Code: 127}
	}
	return err
}

func serveAttach(ctx context.Context, pod *pod, w http.ResponseWriter, request *http.Request) {
	options, err := remotecommand.NewOptions(request)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	remotecommand.ServeAttach(w, request, entered{ctx, pod}, "", "", "", options,
		idleLimit, creationLimit, remotecommand.SupportedStreamingProtocols)
}

// AttachContainer attaches to a process that does not exist: it writes the pod's log
// as it grows and gives back what is typed, until the connection or the input ends.
func (in entered) AttachContainer(_ context.Context, _, _, _ string, stdin io.Reader,
	stdout, _ io.WriteCloser, _ bool, _ <-chan remotecommand.TerminalSize) error {
	if stdout == nil {
		stdout = discard{}
	}
	ctx, cancel := context.WithCancel(in.ctx)
	defer cancel()
	if stdin != nil {
		go func() {
			io.Copy(stdout, stdin)
			cancel()
		}()
	}
	return writeLog(ctx, stdout, in.pod, logOptions{follow: true, tail: 0, limit: -1})
}

type discard struct{}

func (discard) Write(bytes []byte) (int, error) { return len(bytes), nil }
func (discard) Close() error                    { return nil }

func servePortForward(ctx context.Context, pod *pod, w http.ResponseWriter, request *http.Request) {
	options, err := portforward.NewV4Options(request)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	portforward.ServePortForward(w, request, entered{ctx, pod}, "", "", options,
		idleLimit, creationLimit, portforward.SupportedProtocols)
}

// PortForward reaches this machine's port: a pod here has no network of its own.
func (in entered) PortForward(_ context.Context, _, _ string, port int32, stream io.ReadWriteCloser) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(in.ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(port))))
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(in.ctx, func() { conn.Close() })()
	go func() {
		io.Copy(conn, stream)
		conn.(*net.TCPConn).CloseWrite()
	}()
	_, err = io.Copy(stream, conn)
	if in.ctx.Err() != nil {
		return nil
	}
	return err
}
